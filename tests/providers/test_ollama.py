"""The Ollama adapter: the real SDK's client against a simulated server, and plain HTTP cases."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import ollama
import pytest
import respx

from switchgear.credentials import Secret
from switchgear.errors import (
    AuthenticationError,
    ConfigError,
    ContextWindowExceededError,
    InvalidRequestError,
    LifecycleError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    PluginError,
    ProviderConnectionError,
    ProviderTimeoutError,
    RateLimitError,
    ServerError,
    SwitchgearError,
    UnsupportedParameterError,
)
from switchgear.messages import Message, Text, Tool, ToolCall
from switchgear.providers.base import (
    Call,
    EmbedCall,
    Embeds,
    ListsModels,
    Provider,
    ProviderSettings,
)
from switchgear.providers.ollama import OllamaProvider, create
from switchgear.providers.ollama_wire import http_of
from switchgear.request import ChatRequest, ResponseFormat
from switchgear.testing import (
    Answer,
    ErrorReply,
    Fault,
    SimulatedProvider,
    SimulatedProviders,
    ToolCall as SimulatedCall,
)

WEATHER = Tool("weather", "", {"type": "object", "properties": {"city": {"type": "string"}}})
HOST = "http://127.0.0.1:11434"


def settings(base_url: str | None = HOST, **more: Any) -> ProviderSettings:
    return ProviderSettings(name="ollama", plugin="ollama", base_url=base_url, **more)


def call(text: str = "Hi", *, model: str = "llama3.1", timeout: float = 20, **request: Any) -> Call:
    messages = request.pop("messages", (Message("user", text),))
    return Call(request=ChatRequest(messages=messages, **request), model=model, timeout=timeout)


@pytest.fixture
def server(simulated_providers: SimulatedProviders) -> SimulatedProvider:
    return simulated_providers.ollama


@pytest.fixture
async def provider(server: SimulatedProvider) -> AsyncIterator[OllamaProvider]:
    provider = create(settings(server.base_url))
    yield provider
    await provider.aclose()


async def drained(provider: OllamaProvider, call: Call) -> Any:
    stream = await provider.stream(call)
    try:
        async for _ in stream:
            pass
    finally:
        await stream.aclose()
    return stream


# -- what it is ------------------------------------------------------------------------------------


def test_it_is_a_provider_that_embeds_and_lists_models() -> None:
    provider = create(settings())
    assert isinstance(provider, Provider)
    assert isinstance(provider, Embeds)
    assert isinstance(provider, ListsModels)
    assert provider.name == "ollama"


async def test_its_client_is_the_official_one(server: SimulatedProvider) -> None:
    provider = create(settings(server.base_url))
    client = provider.client
    assert isinstance(client, ollama.AsyncClient)
    assert client is provider.client
    answer = await client.chat("llama3.1", messages=[{"role": "user", "content": "Hi"}])
    assert answer.message.content == "You said: Hi"
    await provider.aclose()


def test_the_sdk_keeps_its_http_client_where_the_wire_looks() -> None:
    assert isinstance(http_of(ollama.AsyncClient()), httpx.AsyncClient)
    with pytest.raises(PluginError, match="ollama"):
        http_of(object())


def test_making_it_loads_no_sdk() -> None:
    code = (
        "import sys; from switchgear.providers.ollama import create;"
        "from switchgear.providers.base import ProviderSettings as S;"
        "create(S(name='ollama', plugin='ollama')).capabilities('llama3');"
        "print([m for m in ('ollama', 'httpx', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"num_ctx": 1}, "providers.ollama.num_ctx"),
        ({"options": []}, "providers.ollama.options"),
        ({"truncate": "no"}, "providers.ollama.truncate"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], param: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create(settings(options=options))
    assert caught.value.param == param


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/api", "/api/chat"])
def test_an_address_of_an_endpoint_is_no_address_of_a_server(path: str) -> None:
    with pytest.raises(ConfigError, match="root") as caught:
        create(settings(HOST + path))
    assert caught.value.param == "providers.ollama.base_url"


@pytest.mark.parametrize(
    ("base_url", "variable", "local"),
    [
        (None, None, True),
        (None, "0.0.0.0:11434", True),
        (None, "gpu-box:11434", False),
        (HOST, "gpu-box", True),
        ("http://[::1]:11434", None, True),
        ("http://localhost:11434", None, True),
        ("http://192.168.1.5:11434", None, False),
        ("https://ollama.com", None, False),
    ],
)
def test_only_a_loopback_server_is_local(
    base_url: str | None, variable: str | None, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    if variable is not None:
        monkeypatch.setenv("OLLAMA_HOST", variable)
    assert create(settings(base_url)).capabilities("llama3").local is local


def test_a_cloud_model_is_not_local_even_on_a_local_server() -> None:
    assert not create(settings()).capabilities("gpt-oss:120b-cloud").local


def test_num_ctx_is_the_window_and_the_table_has_the_last_word() -> None:
    provider = create(
        settings(
            options={"options": {"num_ctx": 4096}},
            models={"llama3": {"tools": True, "context_window": 9}},
        )
    )
    assert provider.capabilities("mistral").context_window == 4096
    assert provider.capabilities("llama3").context_window == 9
    assert provider.capabilities("llama3").tools
    assert create(settings()).capabilities("llama3").context_window is None


async def test_the_environments_address_is_the_default(
    server: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", server.base_url.removeprefix("http://"))
    provider = create(settings(None))
    assert (await provider.complete(call())).parts == (Text("You said: Hi"),)
    await provider.aclose()


async def test_an_address_that_is_none_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:port")
    provider = create(settings(None))
    with pytest.raises(ConfigError, match="OLLAMA_HOST"):
        await provider.complete(call())
    await provider.aclose()


async def test_a_local_server_is_never_reached_through_a_proxy(
    server: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    provider = create(settings(server.base_url))
    assert (await provider.complete(call())).finish_reason == "stop"
    await provider.aclose()


# -- answers ---------------------------------------------------------------------------------------


async def test_it_answers_and_streams_the_same(
    provider: OllamaProvider, server: SimulatedProvider
) -> None:
    server.always(
        Answer(
            text="Let me look.",
            reasoning="Hm.",
            tool_calls=(SimulatedCall(name="weather", arguments={"city": "Rome"}),),
        )
    )
    asked = call(model="qwen3", tools=(WEATHER,), reasoning_effort="medium")
    reply = await provider.complete(asked)
    stream = await drained(provider, asked)
    streamed = stream.snapshot()
    assert [type(part).__name__ for part in reply.parts] == ["Reasoning", "Text", "ToolCall"]
    assert reply.finish_reason == streamed.finish_reason == "tool_calls"
    assert reply.parts[:2] == streamed.parts[:2]
    (made,) = (part for part in streamed.parts if isinstance(part, ToolCall))
    assert (made.name, made.parse()) == ("weather", {"city": "Rome"})
    assert made.id
    assert reply.usage == streamed.usage
    assert [request.body["think"] for request in server.requests] == [True, True]


async def test_a_tool_loop_goes_around(provider: OllamaProvider, server: SimulatedProvider) -> None:
    server.script(
        Answer(tool_calls=(SimulatedCall(name="weather", arguments={"city": "Rome"}),)),
        Answer(text="Sunny."),
    )
    asked = Message("user", "How is Rome?")
    first = await provider.complete(call(messages=(asked,), tools=(WEATHER,)))
    (made,) = first.parts
    assert isinstance(made, ToolCall)
    history = (
        asked,
        Message("assistant", first.parts),
        Message("tool", "sun", tool_call_id=made.id),
    )
    second = await provider.complete(call(messages=history, tools=(WEATHER,)))
    assert second.parts == (Text("Sunny."),)
    sent = server.last_request.body["messages"]
    assert sent[1]["tool_calls"][0]["function"] == {
        "name": "weather",
        "arguments": {"city": "Rome"},
    }
    assert sent[2]["tool_name"] == "weather"


async def test_a_schema_is_sent_and_kept(provider: OllamaProvider) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
    }
    asked = call(response_format=ResponseFormat("schema", schema=schema))
    reply = await provider.complete(asked)
    (part,) = reply.parts
    assert isinstance(part, Text)
    assert isinstance(json.loads(part.text)["n"], int)


async def test_warnings_come_with_the_reply(provider: OllamaProvider) -> None:
    asked = call(tools=(WEATHER,), parallel_tool_calls=False)
    reply = await provider.complete(asked)
    assert [line.split(":")[0] for line in reply.warnings] == ["parallel_tool_calls"]
    stream = await drained(provider, asked)
    assert stream.snapshot().warnings == reply.warnings


async def test_it_embeds_in_one_request(
    provider: OllamaProvider, server: SimulatedProvider
) -> None:
    made = await provider.embed(EmbedCall(inputs=("a", "b"), model="nomic", dimensions=8))
    assert [len(vector) for vector in made.vectors] == [8, 8]
    assert made.vectors[0] != made.vectors[1]
    assert made.usage is not None
    assert len(server.requests) == 1


async def test_it_lists_what_has_been_pulled(
    provider: OllamaProvider, server: SimulatedProvider
) -> None:
    server.configure(models={"llama3:latest", "mine:7b"})
    assert sorted(await provider.list_models()) == ["llama3:latest", "mine:7b"]


async def test_many_calls_at_once_share_one_client(provider: OllamaProvider) -> None:
    replies = await asyncio.gather(*(provider.complete(call(str(n))) for n in range(20)))
    texts = [part.text for reply in replies for part in reply.parts if isinstance(part, Text)]
    assert texts == [f"You said: {n}" for n in range(20)]


async def test_a_caller_that_gives_up_takes_the_client_from_nobody(
    server: SimulatedProvider,
) -> None:
    provider = create(settings(server.base_url))
    hasty = asyncio.ensure_future(provider.complete(call()))
    patient = asyncio.ensure_future(provider.complete(call()))
    await asyncio.sleep(0)
    hasty.cancel()
    assert (await patient).finish_reason == "stop"
    with pytest.raises(asyncio.CancelledError):
        await hasty
    await provider.aclose()


async def test_keys_travel_in_headers_only(server: SimulatedProvider) -> None:
    provider = create(settings(server.base_url, api_key=Secret("key-of-the-table")))
    await provider.complete(call())
    assert server.last_request.header("authorization") == "Bearer key-of-the-table"
    per_call = Call(
        request=call().request,
        model="llama3.1",
        credential=Secret("key-of-the-call"),
        headers={"x-team": "blue"},
    )
    await provider.complete(per_call)
    assert server.last_request.header("authorization") == "Bearer key-of-the-call"
    assert server.last_request.header("x-team") == "blue"
    server.configure(require_key="another")
    with pytest.raises(AuthenticationError) as caught:
        await provider.complete(per_call)
    assert "key-of" not in repr(caught.value) + repr(provider.__dict__)
    await provider.aclose()


async def test_it_closes_twice_and_then_refuses(provider: OllamaProvider) -> None:
    await provider.complete(call())
    await provider.aclose()
    await provider.aclose()
    with pytest.raises(LifecycleError):
        await provider.complete(call())


async def test_closing_while_the_client_is_being_made_leaves_none_behind(
    server: SimulatedProvider,
) -> None:
    provider = create(settings(server.base_url))
    early = asyncio.ensure_future(provider.complete(call()))
    await asyncio.sleep(0)
    await provider.aclose()
    with pytest.raises(LifecycleError):
        await early
    assert provider._wire._client._made is None  # type: ignore[attr-defined]


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.invalid_request(), InvalidRequestError),
        (Fault.context_length(), ContextWindowExceededError),
        (Fault.rate_limit(retry_after=3), RateLimitError),
        (Fault.server_error(), ServerError),
        (Fault.unavailable(), OverloadedError),
        (Fault.reset(), ProviderConnectionError),
        (Fault.garbage(), ProviderConnectionError),
        (Fault.empty_body(), MalformedResponseError),
        (Fault.wrong_content_type(), MalformedResponseError),
        (Fault.broken_json(), MalformedResponseError),
        (Fault.redirect_loop(), SwitchgearError),
    ],
)
async def test_every_failure_is_one_of_ours(
    provider: OllamaProvider,
    server: SimulatedProvider,
    fault: Any,
    expected: type[SwitchgearError],
) -> None:
    server.script(fault)
    with pytest.raises(expected) as caught:
        await provider.complete(call())
    assert caught.value.provider == "ollama"
    assert caught.value.model == "llama3.1"
    if isinstance(fault, ErrorReply):
        assert caught.value.status == fault.status
    server.script(fault)
    with pytest.raises(SwitchgearError):
        await drained(provider, call())
    assert (await provider.complete(call())).finish_reason == "stop", "and it goes on"


async def test_a_rate_limit_says_for_how_long(
    provider: OllamaProvider, server: SimulatedProvider
) -> None:
    server.script(Fault.rate_limit(retry_after=3))
    with pytest.raises(RateLimitError) as caught:
        await provider.complete(call())
    assert caught.value.retry_after == 3


async def test_a_model_that_is_not_there_can_be_pulled(
    provider: OllamaProvider, server: SimulatedProvider
) -> None:
    server.configure(models={"llama3"})
    for attempt in (provider.complete(call(model="nope")), provider.stream(call(model="nope"))):
        with pytest.raises(ModelNotFoundError, match="`ollama pull nope`"):
            await attempt


async def test_a_path_that_is_not_there_is_a_wrong_address(server: SimulatedProvider) -> None:
    provider = create(settings(server.base_url + "/elsewhere"))
    with pytest.raises(ModelNotFoundError, match="base_url"):
        await provider.complete(call())
    await provider.aclose()


async def test_nobody_there_asks_whether_the_server_runs(server: SimulatedProvider) -> None:
    provider = create(settings(server.refused_base_url))
    port = server.refused_base_url.split(":")[2].split("/")[0]
    for attempt in (provider.complete(call()), provider.stream(call()), provider.list_models()):
        with pytest.raises(ProviderConnectionError, match=f"127.0.0.1:{port}.*ollama serve"):
            await attempt
    await provider.aclose()


async def test_silence_ends_with_the_attempts_timeout(
    provider: OllamaProvider, server: SimulatedProvider
) -> None:
    server.script(Fault.stall())
    with pytest.raises(ProviderTimeoutError):
        await provider.complete(call(timeout=0.2))
    server.script(Fault.stall(after_chunks=1))
    # Long enough for the first word on a machine that stands still for a while.
    stream = await provider.stream(call(timeout=3))
    assert (await anext(stream)).text == "You"
    with pytest.raises(ProviderTimeoutError):
        await anext(stream)
    assert not stream.finished
    await stream.aclose()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.stream_error(), ServerError),
        (Fault.cut(after_chunks=1), ProviderConnectionError),
        (Fault.reset(after_chunks=1), ProviderConnectionError),
        (Fault.no_terminal(), ProviderConnectionError),
        (Fault.broken_json(after_events=1), SwitchgearError),
    ],
)
async def test_a_stream_that_breaks_says_so_after_its_deltas(
    provider: OllamaProvider, server: SimulatedProvider, fault: Any, expected: type[Exception]
) -> None:
    server.script(fault)
    stream = await provider.stream(call())
    texts: list[str] = []
    with pytest.raises(expected):
        async for event in stream:
            texts.append(event.text)  # noqa: PERF401 - what came before the error counts
    assert texts[0] == "You"
    assert not stream.finished
    assert stream.snapshot().parts == (Text("".join(texts)),)
    await stream.aclose()


async def test_a_stream_that_is_left_lets_its_connection_go(
    provider: OllamaProvider, server: SimulatedProvider
) -> None:
    server.script(Fault.endless(0.001))
    stream = await provider.stream(call())
    await anext(stream)
    await stream.aclose()
    await stream.aclose()
    http = http_of(provider.client)
    assert "Active" not in repr(http._transport._pool.connections)  # type: ignore[attr-defined]


# -- plain HTTP ------------------------------------------------------------------------------------


@respx.mock
@pytest.mark.parametrize(
    ("lacking", "param"), [("tools", "tools"), ("thinking", "reasoning_effort")]
)
async def test_what_a_template_lacks_is_unsupported(lacking: str, param: str) -> None:
    error = {"error": f'"llama3" does not support {lacking}'}
    respx.post(f"{HOST}/api/chat").respond(400, json=error)
    provider = create(settings())
    with pytest.raises(UnsupportedParameterError) as caught:
        await provider.complete(call())
    assert (caught.value.param, caught.value.status) == (param, 400)
    await provider.aclose()


@respx.mock
async def test_a_redirect_is_not_followed() -> None:
    respx.post(f"{HOST}/api/chat").respond(301, headers={"location": "https://elsewhere.example"})
    provider = create(settings())
    with pytest.raises(SwitchgearError, match="base_url"):
        await provider.complete(call())
    await provider.aclose()


@respx.mock
async def test_the_timeout_is_handed_to_each_request() -> None:
    route = respx.post(f"{HOST}/api/embed").respond(json={"embeddings": [[1.0]]})
    provider = create(settings())
    await provider.embed(EmbedCall(inputs=("a",), model="m", timeout=7))
    assert route.calls.last.request.extensions["timeout"] == {
        "connect": 7,
        "read": 7,
        "write": 7,
        "pool": 7,
    }
    await provider.embed(EmbedCall(inputs=("a",), model="m", timeout=70))
    assert route.calls.last.request.extensions["timeout"]["connect"] == 10
    await provider.aclose()


@respx.mock
async def test_a_gateways_page_is_told_in_a_line() -> None:
    respx.post(f"{HOST}/api/chat").respond(502, html="<html><h1>Bad\nGateway</h1></html>")
    provider = create(settings())
    with pytest.raises(ServerError, match="Bad Gateway") as caught:
        await provider.complete(call())
    assert "\n" not in caught.value.message
    await provider.aclose()


async def test_what_is_no_json_is_refused_before_it_is_sent(provider: OllamaProvider) -> None:
    odd = Call(request=call().request, model="m", extra={"x": object()})
    with pytest.raises(InvalidRequestError, match="JSON"):
        await provider.complete(odd)
