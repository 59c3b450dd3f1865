"""The adapter over the real SDK, against simulated servers that check what they are sent."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

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
from switchgear.messages import Message, Native, Text, Tool, ToolCall
from switchgear.providers.anthropic import Anthropic, create
from switchgear.providers.anthropic_models import capabilities_of
from switchgear.providers.base import (
    Call,
    CountsTokens,
    Embeds,
    ListsModels,
    Provider,
    ProviderSettings,
)
from switchgear.request import ChatRequest, ResponseFormat
from switchgear.testing import Answer, Fault, SimulatedProviders, TokenUsage
from switchgear.testing.answers import ToolCall as SimulatedCall

MODEL = "claude-haiku-4-5-20251001"
CLOCK = Tool("clock", "The time.", {"type": "object", "properties": {"zone": {"type": "string"}}})


def call(*messages: Message, model: str = MODEL, timeout: float = 10.0, **fields: Any) -> Call:
    options = {
        name: fields.pop(name)
        for name in ("credential", "headers", "extra", "unsupported")
        if name in fields
    }
    request = ChatRequest(messages=messages or (Message("user", "hello"),), **fields)
    return Call(request=request, model=model, timeout=timeout, **options)


def settings(base_url: str, **fields: Any) -> ProviderSettings:
    fields = {"api_key": Secret("sk-ant-test"), **fields}
    return ProviderSettings(name="claude", plugin="anthropic", base_url=base_url, **fields)


ROADS = pytest.mark.parametrize("road", ["sdk", "direct"])


@pytest.fixture(params=["sdk", "direct"])
async def provider(
    simulated_providers: SimulatedProviders, request: pytest.FixtureRequest
) -> AsyncIterator[Anthropic]:
    options = {"wire": request.param}
    made = create(settings(simulated_providers.anthropic.base_url, options=options))
    assert isinstance(made, Anthropic)
    yield made
    await made.aclose()


# -- answers ------------------------------------------------------------------------------------


async def test_an_answer(simulated_providers: SimulatedProviders, provider: Anthropic) -> None:
    simulated_providers.anthropic.script(
        Answer(
            text="Hi there.",
            usage=TokenUsage(
                input_tokens=160,
                output_tokens=5,
                cache_read_tokens=100,
                cache_write_tokens=30,
                cache_write_1h_tokens=20,
            ),
        )
    )
    reply = await provider.complete(call(max_tokens=9))
    assert reply.parts == (Text("Hi there."),)
    assert reply.finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.input_tokens == 160
    assert reply.usage.cache_read_tokens == 100
    assert reply.usage.output_tokens == 5
    assert reply.model == MODEL
    assert reply.warnings == ()
    seen = simulated_providers.anthropic.last_request
    assert reply.meta.request_id == seen.request_id
    assert "anthropic-ratelimit-requests-limit" in reply.meta.headers
    assert seen.header("authorization") == "Bearer sk-ant-test"


async def test_a_stream(simulated_providers: SimulatedProviders, provider: Anthropic) -> None:
    simulated_providers.anthropic.script(Answer(text="Hi there, you."))
    stream = await provider.stream(call())
    events = [event.text async for event in stream]
    assert "".join(events) == "Hi there, you."
    assert len(events) > 1
    assert stream.finished
    assert stream.snapshot().finish_reason == "stop"
    assert stream.meta.request_id == simulated_providers.anthropic.last_request.request_id
    await stream.aclose()
    await stream.aclose()


async def test_a_tool_loop_with_thinking_goes_round(
    simulated_providers: SimulatedProviders, provider: Anthropic
) -> None:
    simulated_providers.anthropic.script(
        Answer(
            reasoning="Which zones?",
            text="Let me see.",
            tool_calls=(
                SimulatedCall(name="clock", arguments={"zone": "CET"}),
                SimulatedCall(name="clock", arguments={}),
            ),
        ),
        Answer(reasoning="Both known.", text="Noon."),
    )
    conversation = [Message("user", "What time is it?")]
    fields: dict[str, Any] = {"tools": (CLOCK,), "reasoning_effort": "low"}
    stream = await provider.stream(call(*conversation, **fields))
    async for _ in stream:
        pass
    first = stream.snapshot()
    assert first.finish_reason == "tool_calls"
    message = Message("assistant", first.parts)
    conversation.append(message)
    conversation += [
        Message("tool", "12:00", tool_call_id=asked.id) for asked in message.tool_calls
    ]
    second = await provider.complete(call(*conversation, **fields))
    assert second.parts[-1] == Text("Noon.")
    assert second.warnings == ()


async def test_a_schema(simulated_providers: SimulatedProviders, provider: Anthropic) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    form = ResponseFormat("schema", name="city", schema=schema)
    native = await provider.complete(call(response_format=form))
    by_tool = await provider.complete(call(response_format=form, model="claude-3-haiku-20240307"))
    for reply in (native, by_tool):
        (text,) = reply.parts
        assert isinstance(text, Text)
        assert '"name"' in text.text
        assert reply.finish_reason == "stop"


async def test_sampling_is_sent_where_the_model_takes_it(
    simulated_providers: SimulatedProviders, provider: Anthropic
) -> None:
    await provider.complete(call(temperature=0.2))
    seen = simulated_providers.anthropic.last_request
    assert seen.body["temperature"] == 0.2
    assert seen.header("anthropic-version") == "2023-06-01"
    reply = await provider.complete(call(temperature=0.2, model="claude-opus-4-8"))
    assert reply.warnings == ("temperature: left out: claude-opus-4-8 does not take it",)
    assert simulated_providers.anthropic.last_request.header("anthropic-version") == "2026-10-21"


async def test_headers_and_extra_fields_of_a_call(
    simulated_providers: SimulatedProviders, provider: Anthropic
) -> None:
    await provider.complete(
        call(headers={"anthropic-beta": "x-2026"}, extra={"metadata": {"user_id": "u"}})
    )
    seen = simulated_providers.anthropic.last_request
    assert seen.header("anthropic-beta") == "x-2026"
    assert seen.body["metadata"] == {"user_id": "u"}


# -- credentials --------------------------------------------------------------------------------


async def test_a_key_for_one_call(
    simulated_providers: SimulatedProviders, provider: Anthropic
) -> None:
    simulated_providers.anthropic.configure(require_key="sk-of-a-user")
    await provider.complete(call(credential=Secret("sk-of-a-user")))
    with pytest.raises(AuthenticationError):
        await provider.complete(call())


@ROADS
@pytest.mark.parametrize("streaming", [False, True])
async def test_without_a_key_nothing_is_sent_and_the_error_says_what_to_do(
    simulated_providers: SimulatedProviders,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    streaming: bool,
    road: str,
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("ANTHROPIC_CONFIG_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    url = simulated_providers.anthropic.base_url
    keyless = create(settings(url, api_key=None, options={"wire": road}))
    with pytest.raises(AuthenticationError, match=r"ANTHROPIC_API_KEY.*providers\.claude\.api_key"):
        await (keyless.stream(call()) if streaming else keyless.complete(call()))
    assert simulated_providers.anthropic.requests == []
    # A call may bring its own.
    await keyless.complete(call(credential=Secret("sk-of-a-user")))
    await keyless.aclose()


@ROADS
async def test_the_key_may_come_from_the_sdks_own_variable(
    simulated_providers: SimulatedProviders, monkeypatch: pytest.MonkeyPatch, road: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-from-env")
    url = simulated_providers.anthropic.base_url
    made = create(settings(url, api_key=None, options={"wire": road}))
    await made.complete(call())
    seen = simulated_providers.anthropic.last_request
    assert seen.header("authorization") == "Bearer sk-from-env"
    await made.aclose()


# -- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.invalid_request(), InvalidRequestError),
        (Fault.context_length(), ContextWindowExceededError),
        (Fault.too_large(), ContextWindowExceededError),
        (Fault.credit_balance(), QuotaExceededError),
        (Fault.insufficient_quota(), QuotaExceededError),
        (
            Fault.rate_limit(details={"error_code": "enforced_spend_limit_reached"}),
            QuotaExceededError,
        ),
        (Fault.authentication(), AuthenticationError),
        (Fault.permission(), PermissionDeniedError),
        (Fault.model_not_found(), ModelNotFoundError),
        (Fault.request_timeout(), ProviderTimeoutError),
        (Fault.rate_limit(7), RateLimitError),
        (Fault.server_error(), ServerError),
        (Fault.bad_gateway(), ServerError),
        (Fault.unavailable(), ServerError),
        (Fault.gateway_timeout(), ProviderTimeoutError),
        (Fault.overloaded(), OverloadedError),
        (Fault.reset(), ProviderConnectionError),
        (Fault.garbage(), ProviderConnectionError),
        (Fault.redirect_loop(), SwitchgearError),
        (Fault.cut(after_bytes=40), ProviderConnectionError),
        (Fault.empty_body(), MalformedResponseError),
        (Fault.broken_json(), MalformedResponseError),
        (Fault.wrong_content_type(), MalformedResponseError),
    ],
)
async def test_failures_are_ours_and_are_not_retried(
    simulated_providers: SimulatedProviders,
    provider: Anthropic,
    fault: Any,
    error: type[SwitchgearError],
) -> None:
    simulated_providers.anthropic.script(fault)
    with pytest.raises(error) as caught:
        await provider.complete(call())
    assert caught.value.provider == "claude"
    assert caught.value.model == MODEL
    assert len(simulated_providers.anthropic.requests) == 1
    assert (await provider.complete(call())).parts


@pytest.mark.parametrize("form", ["seconds", "ms", "http-date"])
async def test_a_rate_limit_says_how_long(
    simulated_providers: SimulatedProviders, provider: Anthropic, form: Any
) -> None:
    simulated_providers.anthropic.script(Fault.rate_limit(7, form=form))
    with pytest.raises(RateLimitError) as caught:
        await provider.complete(call())
    assert caught.value.status == 429
    assert caught.value.code == "rate_limit_error"
    assert caught.value.retry_after == pytest.approx(7, abs=1.5)
    assert caught.value.request_id == simulated_providers.anthropic.last_request.request_id


@ROADS
async def test_a_refused_connection(simulated_providers: SimulatedProviders, road: str) -> None:
    url = simulated_providers.anthropic.refused_base_url
    away = create(settings(url, options={"wire": road}))
    with pytest.raises(ProviderConnectionError) as refused:
        await away.complete(call())
    assert refused.value.unsent
    await away.aclose()


@ROADS
async def test_a_proxy_that_can_not_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, road: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    made = create(settings("http://vendor.invalid", options={"wire": road}))
    with pytest.raises(ConfigError, match="socks5"):
        await made.complete(call())
    await made.aclose()


async def test_silence_is_a_time_out(
    simulated_providers: SimulatedProviders, provider: Anthropic
) -> None:
    simulated_providers.anthropic.script(Fault.stall())
    with pytest.raises(ProviderTimeoutError):
        await provider.complete(call(timeout=0.2))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.stream_error(after_chunks=1), OverloadedError),
        (Fault.stream_error(Fault.rate_limit(), after_chunks=1), RateLimitError),
        (Fault.cut(after_chunks=1), ProviderConnectionError),
        (Fault.reset(after_chunks=1), ProviderConnectionError),
        (Fault.no_terminal(), ProviderConnectionError),
        (Fault.broken_json(after_events=3), MalformedResponseError),
    ],
)
async def test_a_broken_stream_never_looks_finished(
    simulated_providers: SimulatedProviders,
    provider: Anthropic,
    fault: Any,
    error: type[SwitchgearError],
) -> None:
    simulated_providers.anthropic.script(fault)
    stream = await provider.stream(call())
    texts: list[str] = []
    with pytest.raises(error):
        while True:
            texts.append((await stream.__anext__()).text)
    assert not stream.finished
    reply = stream.snapshot()
    assert "".join(texts) == Message("assistant", reply.parts).text
    assert reply.usage is None or reply.usage.estimated


def wait_for_requests(simulated: SimulatedProviders, number: int) -> None:
    deadline = time.monotonic() + 30
    while len(simulated.anthropic.requests) < number:
        assert time.monotonic() < deadline
        time.sleep(0.002)


async def test_a_cancelled_call_leaves_the_connection_and_the_provider_usable(
    simulated_providers: SimulatedProviders, provider: Anthropic
) -> None:
    await provider.complete(call())
    simulated_providers.anthropic.script(Fault.stall())
    task = asyncio.create_task(provider.complete(call()))
    await asyncio.to_thread(wait_for_requests, simulated_providers, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await provider.complete(call())).finish_reason == "stop"


# -- beside completions -------------------------------------------------------------------------


async def test_counting_tokens(
    simulated_providers: SimulatedProviders, provider: Anthropic
) -> None:
    simulated_providers.anthropic.script(
        Answer(usage=TokenUsage(input_tokens=77)), endpoint="count_tokens"
    )
    counted = await provider.count_tokens(
        call(tools=(CLOCK,), max_tokens=5, temperature=0.1, reasoning_effort="low")
    )
    assert counted == 77


class _Pages:
    """A server whose list of models has several pages."""

    def __init__(self) -> None:
        from aiohttp import web

        self.queries: list[dict[str, str]] = []
        self._web = web.Server(self._answer, access_log=None)

    async def _answer(self, request: Any) -> Any:
        from aiohttp import web

        self.queries.append(dict(request.query))
        after = request.query.get("after_id")
        page = {None: ["a", "b"], "b": ["c"]}[after]
        data = [{"type": "model", "id": name} for name in page]
        return web.json_response(
            {"data": data, "has_more": after is None, "last_id": page[-1], "first_id": page[0]}
        )

    async def __aenter__(self) -> str:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._web, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._web.shutdown(1.0)


async def test_listing_models(provider: Anthropic) -> None:
    assert MODEL in await provider.list_models()
    pages = _Pages()
    async with pages as url:
        made = create(settings(url))
        assert isinstance(made, ListsModels)
        assert await made.list_models() == ["a", "b", "c"]
        await made.aclose()
    assert pages.queries == [{"limit": "1000"}, {"limit": "1000", "after_id": "b"}]


def test_what_the_provider_is_able_to_do() -> None:
    made = create(settings("http://127.0.0.1:9"))
    assert isinstance(made, Provider)
    assert isinstance(made, CountsTokens)
    assert isinstance(made, ListsModels)
    assert not isinstance(made, Embeds)
    assert made.name == "claude"


async def test_the_client_is_the_official_one(provider: Anthropic) -> None:
    import anthropic

    assert isinstance(provider.client, anthropic.AsyncAnthropic)
    assert provider.client.max_retries == 0


@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
async def test_transports(simulated_providers: SimulatedProviders, transport: str) -> None:
    made = create(
        settings(simulated_providers.anthropic.base_url, options={"transport": transport})
    )
    assert (await made.complete(call())).finish_reason == "stop"
    assert simulated_providers.anthropic.last_request.header("x-stainless-retry-count") == "0"
    stream = await made.stream(call())
    assert [event async for event in stream]
    await made.aclose()


# -- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"trasport": "httpx"}, "providers.claude.trasport"),
        ({"transport": "carrier pigeon"}, "providers.claude.transport"),
        ({"headers": {"x": 1}}, "providers.claude.headers"),
        ({"wire": "bent"}, "providers.claude.wire"),
        ({"wire": "direct", "transport": "httpx"}, "providers.claude.transport"),
        ({"wire": "direct", "profile": "work"}, "providers.claude.wire"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], param: str) -> None:
    with pytest.raises(ConfigError) as error:
        create(settings("http://127.0.0.1:9", options=options))
    assert error.value.param is not None
    assert error.value.param.startswith(param)


def test_overrides_of_what_a_model_can_do() -> None:
    made = create(
        settings(
            "http://127.0.0.1:9", models={MODEL: {"max_output_tokens": 1_000, "images": False}}
        )
    )
    overridden = made.capabilities(MODEL)
    assert (overridden.max_output_tokens, overridden.images) == (1_000, False)
    assert overridden.context_window == 200_000
    assert made.capabilities("claude-opus-4-8") == capabilities_of("claude-opus-4-8")


async def test_overrides_hold_for_what_is_sent(simulated_providers: SimulatedProviders) -> None:
    made = create(
        settings(
            simulated_providers.anthropic.base_url,
            models={MODEL: {"max_output_tokens": 1_000, "sampling": ["stop"]}},
        )
    )
    reply = await made.complete(call(temperature=0.1))
    body = simulated_providers.anthropic.last_request.body
    assert body["max_tokens"] == 1_000
    assert "temperature" not in body
    assert reply.warnings
    await made.aclose()


def test_making_the_provider_imports_no_sdk() -> None:
    code = (
        "import sys\n"
        "from switchgear.providers.anthropic import create\n"
        "from switchgear.providers.base import ProviderSettings\n"
        "create(ProviderSettings(name='a', plugin='anthropic'))\n"
        "print([name for name in ('anthropic', 'httpx2', 'aiohttp') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- models -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "window", "largest"),
    [
        (
            "claude-3-haiku-20240307 anthropic.claude-3-haiku-20240307-v1:0",
            200_000,
            4_096,
        ),
        ("claude-3-5-sonnet-20241022 anthropic.claude-3-5-sonnet-20241022-v2:0", 200_000, 8_192),
        ("claude-opus-4-20250514 claude-opus-4-0 claude-4-opus-20250514", 200_000, 32_000),
        ("claude-opus-4-1-20250805 claude-opus-4-1@20250805", 200_000, 32_000),
        ("claude-sonnet-4-5 us.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000, 64_000),
        ("claude-opus-4-6 global.anthropic.claude-opus-4-6-v1", 1_000_000, 128_000),
        ("claude-sonnet-4-6", 1_000_000, 128_000),
        ("claude-haiku-5-5 claude-fable-5-2 claude-opus-5-5", 1_000_000, 128_000),
    ],
)
def test_a_model_is_known_by_every_platforms_name(names: str, window: int, largest: int) -> None:
    for name in names.split():
        capabilities = capabilities_of(name)
        assert (capabilities.context_window, capabilities.max_output_tokens) == (window, largest)


def test_what_the_router_is_told() -> None:
    old, new = capabilities_of("claude-3-haiku-20240307"), capabilities_of("claude-opus-5-5")
    assert (old.schema, new.schema) == ("tool", "native")
    assert (old.tool_choice, new.tool_choice) == (True, False)
    assert (old.reasoning, new.reasoning) == (False, True)
    assert old.sampling == {"temperature", "top_p", "stop"}
    assert new.sampling == {"stop"}
    assert capabilities_of("llama-3.2").context_window is None


async def test_a_foreign_history_is_accepted_with_a_warning(
    simulated_providers: SimulatedProviders, provider: Anthropic
) -> None:
    foreign = ToolCall("call_0", "clock", "{}", Native("ollama", {"x": 1}))
    reply = await provider.complete(
        call(
            Message("user", "time?"),
            Message("assistant", (foreign,)),
            Message("tool", "noon", tool_call_id="call_0"),
            tools=(CLOCK,),
            reasoning_effort="high",
        )
    )
    assert reply.warnings[0].startswith("reasoning_effort: left out: the tool loop")
