"""Everything that can go wrong under LiteLLM: a stream never ends cut without saying so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from switchgear.credentials import Secret
from switchgear.errors import (
    AuthenticationError,
    ContextWindowExceededError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from switchgear.messages import Text, Tool
from switchgear.providers.base import Reply
from switchgear.providers.litellm import LiteLLMProvider
from switchgear.providers.litellm_errors import Place, error_of
from switchgear.providers.litellm_exchange import Exchange
from switchgear.testing import Answer, Fault, SimulatedProviders
from tests.providers.litellm_support import KEY, MODELS, VENDORS, call, opened

pytestmark = pytest.mark.xdist_group("litellm")

TOOL = Tool("add", "Adds.", {"type": "object", "properties": {}})
ANSWER = Answer(text="one two three four", chunks=4)


async def read(provider: LiteLLMProvider, model: str, **fields: Any) -> tuple[Reply, bool]:
    stream = await provider.stream(call(model=model, **fields))
    try:
        async for _ in stream:
            pass
        return stream.snapshot(), stream.finished
    finally:
        assert (
            stream.finished
            or stream.snapshot().usage is None
            or (
                stream.snapshot().usage.estimated  # type: ignore[union-attr]
            )
        )
        await stream.aclose()


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.authentication(), AuthenticationError),
        (Fault.model_not_found(), ModelNotFoundError),
        (Fault.context_length(), ContextWindowExceededError),
        (Fault.server_error(), ServerError),
        (Fault.bad_gateway(), ServerError),
        (Fault.overloaded(), OverloadedError),
        (Fault.gateway_timeout(), ProviderTimeoutError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_refusal_is_what_the_vendor_says_streamed_or_not(
    kind: str,
    fault: Any,
    error: type[SwitchgearError],
    simulated_providers: SimulatedProviders,
) -> None:
    simulated = simulated_providers[kind]
    async with opened(simulated) as provider:
        for attempt in (provider.complete, provider.stream):
            simulated.script(fault)
            with pytest.raises(error) as caught:
                await attempt(call(model=MODELS[kind]))
            assert caught.value.provider == "lite"
            assert caught.value.model == MODELS[kind]
            assert caught.value.status == simulated.last_request.status
            assert caught.value.headers
            assert caught.value.__cause__ is not None
            assert "litellm" not in str(caught.value).lower()
    assert len(simulated.requests) == 2, "something was repeated"


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize("form", ["seconds", "ms", "http-date"])
async def test_how_long_to_wait_is_read_from_the_vendors_headers(
    kind: str, form: Any, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers[kind]
    async with opened(simulated) as provider:
        simulated.script(Fault.rate_limit(retry_after=7, form=form))
        with pytest.raises(RateLimitError) as caught:
            await provider.complete(call(model=MODELS[kind]))
    assert caught.value.retry_after == pytest.approx(7, abs=2)


async def test_the_end_of_the_money_is_not_a_rate_limit(
    simulated_providers: SimulatedProviders,
) -> None:
    async with opened(simulated_providers.openai) as provider:
        simulated_providers.openai.script(Fault.insufficient_quota())
        with pytest.raises(QuotaExceededError):
            await provider.complete(call(model="gpt-4o"))


@pytest.mark.parametrize("kind", VENDORS)
async def test_a_refused_connection_was_never_sent(
    kind: str, simulated_providers: SimulatedProviders
) -> None:
    async with opened(simulated_providers[kind], refused=True) as provider:
        for attempt in (provider.complete, provider.stream):
            with pytest.raises(ProviderConnectionError) as caught:
                await attempt(call(model=MODELS[kind]))
            assert caught.value.unsent


@pytest.mark.parametrize("kind", VENDORS)
async def test_a_key_that_the_vendor_repeats_is_not_shown(
    kind: str, simulated_providers: SimulatedProviders
) -> None:
    secret = "xx-very-secret-key"
    simulated = simulated_providers[kind]
    async with opened(simulated) as provider:
        for key, credential in ((KEY, None), (secret, Secret(secret))):
            simulated.script(Fault.authentication(message=f"no such key: {key}"))
            with pytest.raises(AuthenticationError) as caught:
                await provider.complete(call(model=MODELS[kind], credential=credential))
            assert key not in str(caught.value)


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize(
    "fault", [Fault.broken_json(), Fault.empty_body(), Fault.wrong_content_type()]
)
async def test_an_answer_that_is_none_is_malformed(
    kind: str, fault: Any, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers[kind]
    async with opened(simulated) as provider:
        simulated.script(fault)
        with pytest.raises(MalformedResponseError) as caught:
            await provider.complete(call(model=MODELS[kind]))
    assert "You said" not in str(caught.value)


async def test_a_redirect_is_not_followed(simulated_providers: SimulatedProviders) -> None:
    simulated = simulated_providers.anthropic
    async with opened(simulated) as provider:
        simulated.script(Fault.redirect_loop())
        with pytest.raises(ProviderError, match="base_url"):
            await provider.complete(call())
    assert len(simulated.requests) == 1


async def test_silence_is_a_timeout(simulated_providers: SimulatedProviders) -> None:
    for kind in VENDORS:
        simulated = simulated_providers[kind]
        async with opened(simulated) as provider:
            simulated.script(Fault.stall())
            with pytest.raises(ProviderTimeoutError):
                await provider.complete(call(model=MODELS[kind], timeout=0.1))


# --- streams --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.cut(answer=ANSWER, after_headers=True), ProviderConnectionError),
        (Fault.cut(answer=ANSWER, after_chunks=2), ProviderConnectionError),
        (Fault.reset(answer=ANSWER, after_chunks=2), ProviderConnectionError),
        (Fault.no_terminal(answer=ANSWER), ProviderConnectionError),
        (Fault.empty_body(), ProviderConnectionError),
        (Fault.wrong_content_type(), ProviderConnectionError),
        (Fault.stream_error(answer=ANSWER, after_chunks=2), ServerError),
        (Fault.broken_json(answer=ANSWER, after_events=3), MalformedResponseError),
        (Fault.stall(answer=ANSWER, after_chunks=2), ProviderTimeoutError),
    ],
    ids=[
        "cut-at-once",
        "cut",
        "reset",
        "no-terminal",
        "empty",
        "html",
        "error",
        "broken",
        "stall",
    ],
)
async def test_a_stream_that_did_not_end_well_says_so(
    kind: str,
    fault: Any,
    error: type[SwitchgearError],
    simulated_providers: SimulatedProviders,
) -> None:
    simulated = simulated_providers[kind]
    timeout = 0.2 if fault.kind == "stall" else 30.0
    async with opened(simulated) as provider:
        simulated.script(fault)
        stream = await provider.stream(call(model=MODELS[kind], timeout=timeout))
        with pytest.raises(error) as caught:
            async for _ in stream:
                pass
        assert not stream.finished
        assert caught.value.provider == "lite"
        with pytest.raises(error):
            await anext(stream)
        await stream.aclose()


@pytest.mark.parametrize("kind", VENDORS)
async def test_a_stream_cut_at_any_byte_is_never_finished_early(
    kind: str, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers[kind]
    async with opened(simulated) as provider:
        simulated.script(ANSWER)
        whole, finished = await read(provider, MODELS[kind])
        assert finished
        for after_bytes in (1, 150, 400, 700, 900, 1100, 1300, 1500, 1700):
            simulated.script(Fault.cut(answer=ANSWER, after_bytes=after_bytes))
            stream = await provider.stream(call(model=MODELS[kind]))
            try:
                async for _ in stream:
                    pass
            except SwitchgearError:
                assert not stream.finished
            else:
                assert stream.snapshot().parts == whole.parts == (Text("one two three four"),)
            await stream.aclose()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.cut(after_chunks=1), ProviderConnectionError),
        (Fault.no_terminal(), ProviderConnectionError),
        (Fault.response_failed(), ServerError),
    ],
)
async def test_a_stream_of_openais_responses_says_so_too(
    fault: Any, error: type[SwitchgearError], simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers.openai
    async with opened(simulated) as provider:
        simulated.script(fault)
        with pytest.raises(error):
            await read(provider, "gpt-5.4", tools=(TOOL,), reasoning_effort="low")
        if fault.kind == "stream_error":
            simulated.script(fault)
            request = call(model="gpt-5.4", tools=(TOOL,), reasoning_effort="low")
            with pytest.raises(error):
                await provider.complete(request)


async def test_bytes_that_drip_make_the_same_answer(
    simulated_providers: SimulatedProviders,
) -> None:
    for kind in VENDORS:
        simulated = simulated_providers[kind]
        async with opened(simulated) as provider:
            simulated.script(Fault.drip(0, size=7, answer=ANSWER))
            reply, finished = await read(provider, MODELS[kind])
        assert finished
        assert reply.parts == (Text("one two three four"),)


# --- leaving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", VENDORS)
async def test_whoever_is_cancelled_leaves_the_connection(
    kind: str, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers[kind]
    async with opened(simulated) as provider:
        simulated.script(Fault.stall(after_headers=True))
        waiting = asyncio.create_task(provider.complete(call(model=MODELS[kind])))
        await simulated_providers.arrivals(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await simulated_providers.disconnect()

        simulated.script(Fault.stall(answer=ANSWER, after_chunks=1))
        stream = await provider.stream(call(model=MODELS[kind]))
        await anext(stream)
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await stream.aclose()
        await simulated_providers.idle()
        assert simulated.requests[-1].disconnected


@pytest.mark.parametrize("kind", VENDORS)
async def test_a_stream_that_is_left_is_closed_at_once(
    kind: str, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers[kind]
    async with opened(simulated) as provider:
        simulated.script(Fault.endless())
        stream = await provider.stream(call(model=MODELS[kind]))
        await anext(stream)
        await stream.aclose()
        await stream.aclose()
        await simulated_providers.disconnect()
        with pytest.raises(ProviderConnectionError):
            while True:
                await anext(stream)


@pytest.mark.parametrize("turns", [0, 1, 3, 10])
async def test_what_is_cancelled_before_it_is_sent_is_not_sent(
    turns: int, simulated_providers: SimulatedProviders
) -> None:
    """LiteLLM prepares a request in a thread, which nothing can stop."""
    simulated = simulated_providers.anthropic
    async with opened(simulated) as provider:
        await provider.complete(call())
        waiting = asyncio.create_task(provider.complete(call()))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        # Nor does anything of it live on.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in left if "acompletion" in str(task)]
    assert len(simulated.requests) <= 2
    if turns < 3:
        assert len(simulated.requests) == 1


# --- exceptions that no answer explains -----------------------------------------------------------


class _LiteLLMError(Exception):
    def __init__(self, message: str, status_code: int | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        if status_code is not None:
            self.status_code = status_code
        self.__dict__.update(fields)


PLACE = Place("lite", "gemini-2.5-pro", (Secret("hush-hush"),))


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("RateLimitError", 429, RateLimitError),
        ("AuthenticationError", 401, AuthenticationError),
        ("ContextWindowExceededError", 400, ContextWindowExceededError),
        ("BadRequestError", 400, InvalidRequestError),
        ("ServiceUnavailableError", 503, OverloadedError),
        ("Timeout", 408, ProviderTimeoutError),
        ("SomethingElse", None, ProviderError),
    ],
)
def test_where_nothing_was_seen_on_the_wire_litellms_word_counts(
    name: str, status: int | None, error: type[SwitchgearError]
) -> None:
    raised = type(name, (_LiteLLMError,), {})(
        f"litellm.{name}: GeminiException - what it said about hush-hush",
        status,
        litellm_response_headers={"Retry-After": "4"} if status == 429 else None,
    )
    found = error_of(raised, Exchange(), PLACE)
    assert type(found) is error
    assert "what it said about ***" in str(found)
    assert "litellm." not in str(found)
    assert found.retry_after == (4 if status == 429 else None)


def test_litellms_own_mistakes_are_no_lost_connections() -> None:
    kind = type("APIConnectionError", (_LiteLLMError,), {})
    raised = kind("litellm.APIConnectionError: 'str' object has no attribute 'get'", 500)
    raised.__cause__ = AttributeError("get")
    assert type(error_of(raised, Exchange(), PLACE)) is ProviderError
    raised.__cause__ = ConnectionResetError()
    assert type(error_of(raised, Exchange(), PLACE)) is ProviderConnectionError


@pytest.mark.parametrize("vendor", ["deepinfra", "nvidia_nim", "sambanova", "zai"])
async def test_no_vendor_is_asked_again(
    vendor: str, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers.openai
    simulated.always(Fault.server_error())
    async with opened(simulated, vendor=vendor) as provider:
        with pytest.raises(ServerError):
            await provider.complete(call(model="m"))
    assert len(simulated.requests) == 1
