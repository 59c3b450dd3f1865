"""The router, the real adapters and the official SDKs, against servers that misbehave."""

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from switchgear import (
    AllProvidersFailedError,
    AuthenticationError,
    CompletionStream,
    DeadlineExceededError,
    InvalidRequestError,
    LifecycleError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    ProviderConnectionError,
    QuotaExceededError,
    RateLimitError,
    Router,
    ServerError,
    StreamInterruptedError,
    SwitchgearError,
    SyncRouter,
)
from switchgear.testing import Answer, Fault, SimulatedProviders

from .cancelling import at_every_wait

CLAUDE = "anthropic/claude-haiku-4-5"
GPT = "openai/gpt-4o-mini"
IDLE = 3.0  # no machine stands still for so long
GROUP = {"chain": [CLAUDE, GPT]}


def settings(simulated: SimulatedProviders, **sections: Any) -> dict[str, Any]:
    return {
        "providers": {
            name: {"api_key": "not-a-real-key", "base_url": simulated[name].base_url}
            for name in ("anthropic", "openai")
        },
        "groups": {"g": GROUP},
        "retry": {"num_retries": 0},
        **sections,
    }


def name_of(value: object) -> str:
    return getattr(value, "__name__", "")


def vendor(model: str) -> str:
    return model.partition("/")[0]


REFUSED = [
    (Fault.authentication(), AuthenticationError),
    (Fault.model_not_found(), ModelNotFoundError),
    (Fault.rate_limit(retry_after=20), RateLimitError),
    (Fault.status(500), ServerError),
    (Fault.status(503), OverloadedError),
    (Fault.reset(), ProviderConnectionError),
    (Fault.broken_json(), MalformedResponseError),
    (Fault.empty_body(), MalformedResponseError),
]


@pytest.mark.parametrize(
    ("fault", "kind"), REFUSED, ids=lambda value: getattr(value, "__name__", "")
)
@pytest.mark.parametrize("first", [CLAUDE, GPT])
async def test_a_fault_of_one_vendor_is_survived_by_the_other(
    simulated_providers: SimulatedProviders, fault: Any, kind: type[SwitchgearError], first: str
) -> None:
    second = GPT if first == CLAUDE else CLAUDE
    broken, healthy = vendor(first), vendor(second)
    simulated_providers[broken].always(fault)
    simulated_providers[healthy].always(Answer(text="Hello."))
    config = settings(simulated_providers, groups={"g": {"chain": [first, second]}})
    async with Router.from_dict(config) as router:
        reply = await router.complete("g", "hi")
    # Another router, which does not know yet that this provider should be left alone.
    async with Router.from_dict(config) as router:
        with pytest.raises(AllProvidersFailedError) as alone:
            await router.complete(first, "hi")
    assert (reply.text, reply.provider) == ("Hello.", healthy)
    assert type(alone.value.exceptions[0]) is kind
    assert alone.value.exceptions[0].__cause__ is not None or kind is MalformedResponseError


@pytest.mark.parametrize(
    ("fault", "kind"), REFUSED, ids=lambda value: getattr(value, "__name__", "")
)
@pytest.mark.parametrize("first", [CLAUDE, GPT])
async def test_so_is_one_of_a_stream(
    simulated_providers: SimulatedProviders, fault: Any, kind: type[SwitchgearError], first: str
) -> None:
    second = GPT if first == CLAUDE else CLAUDE
    simulated_providers[vendor(first)].always(fault)
    simulated_providers[vendor(second)].always(Answer(text="Hello there."))
    config = settings(simulated_providers, groups={"g": {"chain": [first, second]}})
    async with Router.from_dict(config) as router:
        async with router.stream("g", "hi") as stream:
            text = "".join([event.text async for event in stream])
    assert text == stream.completion.text == "Hello there."


async def test_what_is_wrong_anywhere_is_not_sent_to_the_next(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.anthropic.always(Fault.invalid_request("messages: too odd"))
    async with Router.from_dict(settings(simulated_providers)) as router:
        with pytest.raises(InvalidRequestError, match="too odd") as refused:
            await router.complete("g", "hi")
    assert refused.value.status == 400
    assert refused.value.provider == "anthropic"
    assert simulated_providers.openai.requests == []


async def test_an_exhausted_quota_is_told_from_a_rate_limit(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.anthropic.always(Fault.credit_balance())
    simulated_providers.openai.always(Fault.insufficient_quota())
    async with Router.from_dict(settings(simulated_providers)) as router:
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("g", "hi")
    assert [type(exc) for exc in failed.value.exceptions] == [QuotaExceededError] * 2


async def test_the_sdks_make_no_attempts_of_their_own(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.anthropic.always(Fault.status(500))
    simulated_providers.openai.always(Fault.status(500))
    async with Router.from_dict(settings(simulated_providers)) as router:
        with pytest.raises(AllProvidersFailedError):
            await router.complete("g", "hi")
    assert len(simulated_providers.requests) == 2


STALLS = [
    Fault.stall(),
    Fault.stall(after_bytes=20),
    Fault.drip(seconds=0.05),
    Fault.redirect_loop(),
    Fault.endless(),
]


@pytest.mark.parametrize("model", [CLAUDE, GPT])
@pytest.mark.parametrize("fault", STALLS, ids=lambda fault: fault.kind)
async def test_a_call_ends_by_its_deadline_whatever_the_provider_does(
    simulated_providers: SimulatedProviders, model: str, fault: Any
) -> None:
    simulated_providers[vendor(model)].always(fault)
    async with Router.from_dict(settings(simulated_providers)) as router:
        await _warm(router, simulated_providers, model, fault)
        # That it ends at all; the deadline itself is exact under virtual time.
        async with asyncio.timeout(30):
            with pytest.raises(SwitchgearError):
                await router.complete(model, "hi", timeout=0.4)
    simulated_providers.wait_until_idle()


async def test_a_stall_is_called_what_it_is(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.always(Fault.stall())
    async with Router.from_dict(settings(simulated_providers)) as router:
        await _warm(router, simulated_providers, GPT, Fault.stall())
        with pytest.raises(DeadlineExceededError):
            await router.complete(GPT, "hi", timeout=0.3)
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete(GPT, "hi", attempt_timeout=0.3)
    assert "no answer within" in str(failed.value)


@pytest.mark.parametrize("model", [CLAUDE, GPT])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.cut(after_chunks=2),
        Fault.reset(after_chunks=2),
        Fault.stall(after_chunks=2),
        Fault.stream_error(after_chunks=2),
        Fault.no_terminal(),
    ],
    ids=lambda fault: fault.kind,
)
async def test_a_stream_that_breaks_never_looks_finished(
    simulated_providers: SimulatedProviders, model: str, fault: Any
) -> None:
    simulated_providers[vendor(model)].always(fault)
    seen = ""
    async with Router.from_dict(settings(simulated_providers)) as router:
        with pytest.raises(StreamInterruptedError) as broken:
            async with router.stream(model, "tell me a story", idle_timeout=IDLE) as stream:
                async for event in stream:
                    seen += event.text
    assert broken.value.completion is not None
    assert broken.value.completion.text == seen
    assert seen
    assert broken.value.completion.usage.estimated
    simulated_providers.wait_until_idle()


async def test_cancelling_a_call_closes_its_connection(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.anthropic.always(Fault.stall())
    async with Router.from_dict(settings(simulated_providers)) as router:
        task = asyncio.ensure_future(router.complete("g", "hi"))
        await simulated_providers.arrivals(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await simulated_providers.disconnect()
    assert simulated_providers.openai.requests == []


async def test_leaving_a_stream_closes_its_connection(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.openai.always(Fault.stall(after_chunks=2))
    async with Router.from_dict(settings(simulated_providers)) as router:
        async with router.stream(GPT, "hi") as stream:
            await anext(stream)
        await simulated_providers.disconnect()


async def test_a_finished_stream_gives_its_connection_to_the_next_call(
    simulated_providers: SimulatedProviders,
) -> None:
    async with Router.from_dict(settings(simulated_providers)) as router:
        for _ in range(3):
            for model in (CLAUDE, GPT):
                async with router.stream(model, "hi") as stream:
                    async for _event in stream:
                        pass
        assert simulated_providers.open_connections <= 2


async def test_closing_leaves_no_socket_task_or_thread_behind(
    simulated_providers: SimulatedProviders,
) -> None:
    tasks = asyncio.all_tasks()
    async with Router.from_dict(settings(simulated_providers)) as router:
        await asyncio.gather(*(router.complete(m, "hi") for m in (CLAUDE, GPT) * 4))
        async with router.stream(CLAUDE, "hi") as stream:
            await anext(stream)
    await simulated_providers.idle()
    assert asyncio.all_tasks() == tasks
    # The client's ends are closed; the server's loop, in a thread of its own, hears of it shortly.
    await _soon(lambda: simulated_providers.open_connections == 0)


@pytest.mark.parametrize("model", [CLAUDE, GPT, "ollama/llama3"])
async def test_closing_ends_the_calls_and_streams_under_way(
    simulated_providers: SimulatedProviders, model: str
) -> None:
    simulated = simulated_providers[vendor(model)]
    config = settings(simulated_providers)
    config["providers"]["ollama"] = {"base_url": simulated_providers.ollama.base_url}
    router = Router.from_dict(config)
    await router.complete(model, "hi")
    simulated.always(Fault.stall(after_chunks=2))
    stream = await router.stream(model, "tell me a story").__aenter__()
    reading = asyncio.ensure_future(_read(stream))
    simulated.always(Fault.stall())
    waiting = asyncio.ensure_future(router.complete(model, "hi"))
    await simulated_providers.arrivals(3)
    await router.aclose()
    for task in (reading, waiting):
        with pytest.raises(LifecycleError, match="closed"):
            await asyncio.wait_for(task, 30)
    assert stream.completion.trace.steps[-1].outcome == "cancelled"
    await _soon(lambda: simulated_providers.open_connections == 0)


@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
@pytest.mark.parametrize("model", [CLAUDE, GPT])
async def test_a_cancellation_at_any_wait_leaves_no_connection_behind(
    simulated_providers: SimulatedProviders, model: str, transport: str
) -> None:
    config = settings(simulated_providers)
    config["providers"][vendor(model)]["transport"] = transport
    async with Router.from_dict(config) as router:
        await router.complete(model, "hi")
        tasks = asyncio.all_tasks()

        async def leave() -> None:
            async with router.stream(model, "tell me a story") as stream:
                await anext(stream)

        async def read() -> None:
            async with router.stream(model, "tell me a story") as stream:
                await _read(stream)

        for begin in (lambda: router.complete(model, "hi"), read, leave):
            assert await at_every_wait(begin, simulated_providers.idle)
            await router.complete(model, "hi")
            assert asyncio.all_tasks() == tasks
            # One that works, and no other: neither in use for ever nor lost.
            await _soon(lambda: simulated_providers.open_connections <= 1)


async def test_credentials_may_differ_from_call_to_call(
    simulated_providers: SimulatedProviders,
) -> None:
    keys = {"anthropic": "key-for-a", "openai": "key-for-o"}
    async with Router.from_dict(settings(simulated_providers)) as router:
        await router.complete(CLAUDE, "hi", credentials=keys)
        await router.complete(GPT, "hi", credentials=keys)
        await router.complete(GPT, "hi")
    sent = [
        {name.lower(): value for name, value in request.headers.items()}
        for request in simulated_providers.requests
    ]
    assert sent[0]["authorization"] == "Bearer key-for-a"
    assert sent[1]["authorization"] == "Bearer key-for-o"
    assert sent[2]["authorization"] == "Bearer not-a-real-key"


@pytest.mark.parametrize("own", [True, False], ids=["the call's key", "the provider's key"])
@pytest.mark.parametrize("model", [CLAUDE, GPT])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(401, message="Incorrect API key provided: not-a-real-key."),
        Fault.stream_error(Fault.status(500, message="so much for not-a-real-key"), after_chunks=1),
        Fault.garbage(),
        Fault.reset(),
    ],
    ids=lambda fault: getattr(fault, "kind", "status"),
)
async def test_no_key_shows_in_an_error_its_causes_or_a_log(
    simulated_providers: SimulatedProviders,
    caplog: pytest.LogCaptureFixture,
    model: str,
    fault: Any,
    own: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    simulated_providers[vendor(model)].always(fault)
    config = settings(simulated_providers)
    credentials: dict[str, str] = {}
    if own:
        credentials = {vendor(model): "not-a-real-key"}
        config["providers"][vendor(model)]["api_key"] = "another-key-that-is-not"
    failed: list[SwitchgearError] = []
    async with Router.from_dict(config) as router:
        with pytest.raises(SwitchgearError) as failure:
            await router.complete(model, "hi", credentials=credentials)
        failed.append(failure.value)
        with pytest.raises(SwitchgearError) as failure:
            async with router.stream(model, "tell me a story", credentials=credentials) as stream:
                await _read(stream)
        failed.append(failure.value)
        assert "not-a-real-key" not in repr(router.config)
    for error in failed:
        shown = f"{error!r} {error.trace} {''.join(traceback.format_exception(error))}"
        for cause in _origins(error):
            shown += f" {cause!r} {cause.args} {_sent_headers(cause)}"
        assert "not-a-real-key" not in shown
    assert "not-a-real-key" not in caplog.text


async def test_the_official_client_is_at_hand(simulated_providers: SimulatedProviders) -> None:
    async with Router.from_dict(settings(simulated_providers)) as router:
        client = router.client("openai")
        answer = await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}]
        )
    assert answer.choices[0].message.content


async def test_two_instances_of_one_plugin_stand_side_by_side(
    simulated_providers: SimulatedProviders,
) -> None:
    url = simulated_providers.openai.base_url
    config = {
        "providers": {
            "one": {"plugin": "openai", "api_key": "key-1", "base_url": url},
            "two": {"plugin": "openai", "api_key": "key-2", "base_url": url},
        }
    }
    async with Router.from_dict(config) as router:
        await router.complete("one/gpt-4o-mini", "hi")
        await router.complete("two/gpt-4o-mini", "hi")
    keys = [request.headers["authorization"] for request in simulated_providers.requests]
    assert keys == ["Bearer key-1", "Bearer key-2"]


def test_the_sync_router_does_the_same_from_many_threads(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.anthropic.always(Fault.overloaded())
    texts: list[str] = []
    with SyncRouter.from_dict(settings(simulated_providers)) as router:

        def ask() -> None:
            with router.stream("g", "hi") as stream:
                texts.append("".join(event.text for event in stream))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(texts) == 8
    assert len(set(texts)) == 1


async def _read(stream: CompletionStream) -> None:
    async for _ in stream:
        pass


def _origins(error: BaseException | None) -> Iterator[BaseException]:
    if error is not None:
        yield error
        for inner in getattr(error, "exceptions", ()):
            yield from _origins(inner)
        yield from _origins(error.__cause__ or error.__context__)


def _sent_headers(error: BaseException) -> dict[str, str]:
    return dict(getattr(vars(error).get("request"), "headers", {}))


async def _soon(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to see."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def _warm(router: Router, simulated: SimulatedProviders, model: str, fault: Any) -> None:
    """Load the SDK first: its import takes longer than the deadlines that are tested."""
    provider = simulated[vendor(model)]
    provider.always(None)
    await router.complete(model, "hi")
    provider.always(fault)
