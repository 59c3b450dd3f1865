"""The provider ``openai``, against a simulated endpoint and through the real SDK."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchgear.completion import StreamEvent, Usage
from switchgear.credentials import Secret
from switchgear.errors import (
    AuthenticationError,
    ConfigError,
    ContextWindowExceededError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderConnectionError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from switchgear.messages import Message, Native, Reasoning, Refusal, Text, Tool, ToolCall
from switchgear.providers.base import (
    Call,
    EmbedCall,
    Embeds,
    ListsModels,
    Provider,
    ProviderSettings,
)
from switchgear.providers.openai import OpenAIProvider, create
from switchgear.request import ChatRequest, ResponseFormat
from switchgear.testing import (
    Answer,
    ErrorReply,
    Fault,
    SimulatedProvider,
    SimulatedProviders,
    TokenUsage,
    ToolCall as Called,
)

KEY = "sk-test-0123456789abcdef"
WEATHER = Tool("weather", "", {"type": "object", "properties": {"at": {"type": "string"}}})


@pytest.fixture
def simulated(simulated_providers: SimulatedProviders) -> SimulatedProvider:
    simulated_providers.openai.configure(require_key=KEY, strict_types=True)
    return simulated_providers.openai


@pytest.fixture(params=["sdk", "direct"])
async def provider(
    simulated: SimulatedProvider, request: pytest.FixtureRequest
) -> AsyncIterator[OpenAIProvider]:
    async with opened(simulated.base_url, wire=request.param) as made:
        yield made


@contextlib.asynccontextmanager
async def opened(
    base_url: str, *, key: str | None = KEY, **options: Any
) -> AsyncIterator[OpenAIProvider]:
    made = create(settings(base_url, key=key, **options))
    try:
        yield made
    finally:
        await made.aclose()


def settings(base_url: str | None, *, key: str | None = KEY, **options: Any) -> ProviderSettings:
    return ProviderSettings(
        name="main",
        plugin="openai",
        api_key=Secret(key) if key else None,
        base_url=base_url,
        options=options,
    )


def call(model: str = "gpt-4o", *, text: str = "Hi", **fields: Any) -> Call:
    own = {key: fields.pop(key) for key in list(fields) if key in Call.__struct_fields__}
    request = ChatRequest(messages=(Message("user", text),), **fields)
    return Call(request=request, model=model, **own)


async def streamed(provider: OpenAIProvider, asked: Call) -> tuple[list[StreamEvent], Any]:
    stream = await provider.stream(asked)
    try:
        return [event async for event in stream], stream.snapshot()
    finally:
        await stream.aclose()


def test_it_is_what_a_provider_is(simulated: SimulatedProvider) -> None:
    made = create(settings(simulated.base_url))
    assert isinstance(made, Provider)
    assert isinstance(made, Embeds)
    assert isinstance(made, ListsModels)
    assert made.name == "main"


async def test_an_answer(provider: OpenAIProvider, simulated: SimulatedProvider) -> None:
    simulated.script(
        Answer(
            text="Hello",
            usage=TokenUsage(input_tokens=100, output_tokens=20, cache_read_tokens=64),
        )
    )
    reply = await provider.complete(call(max_tokens=9, headers={"x-mine": "1"}))
    assert reply.parts == (Text("Hello"),)
    assert reply.model == "gpt-4o-2024-08-06"
    assert reply.usage == Usage(input_tokens=100, output_tokens=20, cache_read_tokens=64)
    request = simulated.last_request
    assert reply.meta.request_id == request.request_id
    assert "x-ratelimit-remaining-requests" in reply.meta.headers
    assert request.headers["x-mine"] == "1"
    assert request.path == "/v1/chat/completions"
    assert request.body["max_completion_tokens"] == 9


@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
async def test_a_stream_over_either_transport(simulated: SimulatedProvider, transport: str) -> None:
    simulated.script(Answer(text="Hello there", tool_calls=(Called(name="weather", id="c1"),)))
    async with opened(simulated.base_url, transport=transport) as provider:
        events, reply = await streamed(provider, call(tools=(WEATHER,)))
    assert "".join(event.text for event in events) == "Hello there"
    assert reply.parts == (Text("Hello there"), ToolCall("c1", "weather", "{}"))
    assert reply.finish_reason == "tool_calls"
    assert reply.usage is not None
    assert reply.meta.request_id == simulated.last_request.request_id


async def test_a_refusal(provider: OpenAIProvider, simulated: SimulatedProvider) -> None:
    simulated.always(Answer(refusal="I can't."))
    reply = await provider.complete(call())
    _, same = await streamed(provider, call())
    assert reply.parts == same.parts == (Refusal("I can't."),)
    assert reply.finish_reason == same.finish_reason == "refusal"


async def test_a_schema_by_a_forced_tool_for_a_model_without_schemas(
    provider: OpenAIProvider,
) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    asked = call("gpt-3.5-turbo", response_format=ResponseFormat("schema", "count", schema))
    reply = await provider.complete(asked)
    events, same = await streamed(provider, asked)
    for answered in (reply, same):
        (part,) = answered.parts
        assert isinstance(part, Text)
        assert isinstance(json.loads(part.text)["n"], int)
        assert answered.finish_reason == "stop"
    assert all(event.tool_call is None for event in events)


@pytest.mark.parametrize(
    ("model", "fields", "path"),
    [
        ("gpt-4o", {"tools": (WEATHER,)}, "chat/completions"),
        ("gpt-5", {}, "chat/completions"),
        ("gpt-5", {"tools": (WEATHER,)}, "responses"),
        ("gpt-5-chat-latest", {"tools": (WEATHER,)}, "chat/completions"),
        ("gpt-5-pro", {}, "responses"),
        ("o3-deep-research", {}, "responses"),
        ("gpt-5.1-codex", {}, "responses"),
    ],
)
async def test_the_model_and_the_tools_choose_the_api(
    provider: OpenAIProvider,
    simulated: SimulatedProvider,
    model: str,
    fields: dict[str, Any],
    path: str,
) -> None:
    await provider.complete(call(model, **fields))
    await streamed(provider, call(model, **fields))
    assert [request.path for request in simulated.requests] == [f"/v1/{path}"] * 2


async def test_a_conversation_with_encrypted_reasoning_stays_with_responses(
    provider: OpenAIProvider, simulated: SimulatedProvider
) -> None:
    native = Native(
        "openai-responses/main", {"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}
    )
    history = (
        Message("user", "Hi"),
        Message("assistant", (Reasoning("", native), Text("Hello"))),
        Message("user", "Go on"),
    )
    simulated.configure(validate=False, strict_types=False)
    asked = Call(request=ChatRequest(messages=history), model="gpt-5")
    await provider.complete(asked)
    assert simulated.last_request.path == "/v1/responses"


@pytest.mark.parametrize(
    ("api", "path"), [("chat", "/v1/chat/completions"), ("responses", "/v1/responses")]
)
async def test_the_option_overrules_the_choice(
    simulated: SimulatedProvider, api: str, path: str
) -> None:
    async with opened(simulated.base_url, api=api) as provider:
        await provider.complete(call("gpt-5", tools=(WEATHER,)))
        await provider.complete(call("gpt-4o"))
    assert {request.path for request in simulated.requests} == {path}


async def test_the_same_call_is_accepted_for_every_kind_of_model(
    provider: OpenAIProvider,
) -> None:
    """The simulated endpoint refuses what OpenAI refuses; the adapter knows it before."""
    for model in ("gpt-3.5-turbo", "gpt-4o", "gpt-4.1", "o3", "gpt-5-nano", "gpt-5.4"):
        reply = await provider.complete(
            call(
                model,
                max_tokens=50,
                temperature=0.2,
                top_p=0.5,
                stop=("END",),
                seed=1,
                reasoning_effort="low",
            )
        )
        assert reply.finish_reason in {"stop", "length"}


FAULTS: list[tuple[ErrorReply, type[SwitchgearError]]] = [
    (Fault.invalid_request("no"), InvalidRequestError),
    (Fault.context_length(), ContextWindowExceededError),
    (Fault.authentication(), AuthenticationError),
    (Fault.permission(), PermissionDeniedError),
    (Fault.model_not_found(), ModelNotFoundError),
    (Fault.rate_limit(retry_after=2), RateLimitError),
    (Fault.insufficient_quota(), QuotaExceededError),
    (Fault.server_error(), ServerError),
    (Fault.bad_gateway(), ServerError),
    (Fault.unavailable(), OverloadedError),
    (Fault.request_timeout(), ProviderTimeoutError),
]


@pytest.mark.parametrize(("fault", "error"), FAULTS, ids=[fault.reason for fault, _ in FAULTS])
async def test_refusals_are_our_errors(
    provider: OpenAIProvider,
    simulated: SimulatedProvider,
    fault: ErrorReply,
    error: type[SwitchgearError],
) -> None:
    simulated.always(fault)
    with pytest.raises(error) as caught:
        await provider.complete(call())
    assert type(caught.value) is error
    assert (caught.value.provider, caught.value.model) == ("main", "gpt-4o")
    assert caught.value.status == fault.status
    assert caught.value.request_id == simulated.last_request.request_id
    assert caught.value.retry_after == fault.retry_after
    assert caught.value.__cause__ is not None
    with pytest.raises(error):
        await provider.stream(call())
    assert len(simulated.requests) == 2  # the SDK's own retries are off


async def test_an_error_inside_a_stream_after_its_first_words(
    provider: OpenAIProvider, simulated: SimulatedProvider
) -> None:
    simulated.script(Fault.stream_error(Fault.server_error(), answer=Answer(text="Hello there")))
    stream = await provider.stream(call())
    events: list[StreamEvent] = []
    with pytest.raises(ServerError) as caught:
        events += [event async for event in stream]
    assert not stream.finished
    assert stream.snapshot().parts
    assert caught.value.provider == "main"
    await stream.aclose()


@pytest.mark.parametrize("fault", [Fault.cut, Fault.reset])
async def test_a_broken_connection_never_looks_like_an_end(
    provider: OpenAIProvider, simulated: SimulatedProvider, fault: Any
) -> None:
    simulated.script(fault(after_chunks=1, answer=Answer(text="Hello there")))
    stream = await provider.stream(call())
    with pytest.raises(ProviderConnectionError):
        _ = [event async for event in stream]
    assert not stream.finished
    await stream.aclose()


async def test_a_broken_body_is_malformed(
    provider: OpenAIProvider, simulated: SimulatedProvider
) -> None:
    simulated.script(Fault.broken_json(), Fault.broken_json())
    with pytest.raises(MalformedResponseError):
        await provider.complete(call())
    stream = await provider.stream(call())
    with pytest.raises(MalformedResponseError):
        _ = [event async for event in stream]
    await stream.aclose()


async def test_a_refused_connection(simulated: SimulatedProvider) -> None:
    async with opened(simulated.refused_base_url) as provider:
        with pytest.raises(ProviderConnectionError):
            await provider.complete(call())


async def test_a_cancelled_stream_lets_go_of_its_connection(
    provider: OpenAIProvider,
    simulated: SimulatedProvider,
    simulated_providers: SimulatedProviders,
) -> None:
    simulated.script(Fault.stall(after_chunks=1))
    stream = await provider.stream(call())
    seen = asyncio.Event()

    async def read() -> None:
        async for _ in stream:
            seen.set()

    reading = asyncio.create_task(read())
    await seen.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await stream.aclose()
    left = await simulated_providers.disconnect()
    assert left.endpoint == "chat"


async def test_without_a_key_nothing_is_sent(
    simulated: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with opened(simulated.base_url, key=None) as provider:
        for attempt in (
            provider.complete(call()),
            provider.stream(call()),
            provider.embed(EmbedCall(inputs=("a",), model="m")),
            provider.list_models(),
        ):
            with pytest.raises(AuthenticationError, match="OPENAI_API_KEY") as caught:
                await attempt
            assert caught.value.param == "providers.main.api_key"
        assert simulated.requests == []
        reply = await provider.complete(call(credential=Secret(KEY)))
    assert reply.parts
    assert simulated.last_request.headers["authorization"] == f"Bearer {KEY}"


async def test_the_environments_key(
    simulated: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with opened(simulated.base_url, key=None) as provider:
        assert (await provider.complete(call())).parts


async def test_a_calls_own_key_is_used_for_that_call_only(
    provider: OpenAIProvider, simulated: SimulatedProvider
) -> None:
    simulated.configure(require_key=None)
    await provider.complete(call(credential=Secret("sk-other-0123456789")))
    await provider.complete(call())
    used = [request.headers["authorization"] for request in simulated.requests]
    assert used == ["Bearer sk-other-0123456789", f"Bearer {KEY}"]


async def test_no_key_is_ever_shown(
    simulated: SimulatedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="switchgear")
    simulated.configure(require_key="another")
    wrong = "sk-wrong-0123456789abcdef"
    async with opened(simulated.base_url, key=wrong) as provider:
        with pytest.raises(AuthenticationError) as caught:
            await provider.complete(call())
        shown = [str(caught.value), repr(caught.value), repr(provider), caplog.text]
    assert not any(wrong in text for text in shown)


async def test_organization_project_and_headers(simulated: SimulatedProvider) -> None:
    async with opened(
        simulated.base_url, organization="org-1", project="proj-1", headers={"x-team": "a"}
    ) as provider:
        await provider.complete(call())
    headers = simulated.last_request.headers
    assert headers["openai-organization"] == "org-1"
    assert headers["openai-project"] == "proj-1"
    assert headers["x-team"] == "a"


async def test_the_client_is_the_sdks_own(provider: OpenAIProvider) -> None:
    import openai

    assert isinstance(provider.client, openai.AsyncOpenAI)
    assert provider.client.max_retries == 0
    assert provider.client is provider.client


async def test_models_and_vectors(provider: OpenAIProvider, simulated: SimulatedProvider) -> None:
    assert "gpt-4o" in await provider.list_models()
    simulated.script(Answer(embeddings=((0.5, -1.0), (0.25, 2.0))))
    made = await provider.embed(
        EmbedCall(inputs=("a", "b"), model="text-embedding-3-small", dimensions=2)
    )
    assert made.vectors == ((0.5, -1.0), (0.25, 2.0))
    assert made.usage is not None
    assert made.usage.input_tokens > 0
    assert simulated.last_request.body["encoding_format"] == "base64"


async def test_capabilities_can_be_overridden_for_a_model(simulated: SimulatedProvider) -> None:
    table = ProviderSettings(
        name="main",
        plugin="openai",
        api_key=Secret(KEY),
        models={"my-model": {"images": False, "context_window": 9}},
    )
    made = create(table)
    assert made.capabilities("my-model").images is False
    assert made.capabilities("my-model").context_window == 9
    assert made.capabilities("gpt-4o").images is True


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"apii": "chat"}, "providers.main.apii"),
        ({"api": "both"}, "providers.main.api"),
        ({"headers": {"a": 1}}, "providers.main.headers"),
    ],
)
def test_a_wrong_table_is_named(options: dict[str, Any], param: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create(settings(None, **options))
    assert caught.value.param is not None
    assert caught.value.param.startswith(param)
