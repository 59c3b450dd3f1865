"""The worst day: circuits, cooldowns, rate limits and retry budgets around real calls."""

import asyncio
from typing import Any

import pytest

from switchgear import (
    AllProvidersFailedError,
    AuthenticationError,
    ModelNotFoundError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    SwitchgearError,
    Text,
    Usage,
)
from switchgear.providers.base import Call, Reply, ResponseMeta
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply

from .helpers import virtual

pytestmark = pytest.mark.looptime

NO_RETRIES = {"retry": {"num_retries": 0}}


class Moody(ScriptedProvider):
    """Fails with ``error`` while it has one."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        super().__init__(name)
        self.error = error

    async def complete(self, call: Call) -> Reply:
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        return scripted_reply()


async def ask(router: Any, times: int, **options: Any) -> list[Any]:
    return [await router.complete("g", "hi", **options) for _ in range(times)]


async def test_a_dead_provider_is_left_alone_and_probed_until_it_recovers() -> None:
    sick, well = Moody("a", ServerError("down", status=500)), ScriptedProvider("b")
    async with virtual(sick, well, config=NO_RETRIES) as router:
        await ask(router, 5)
        assert len(sick.calls) == 5
        replies = await ask(router, 10)
        assert len(sick.calls) == 5
        assert {reply.provider for reply in replies} == {"b"}
        assert replies[0].trace.steps[0].outcome == "skipped"
        assert "circuit open" in replies[0].trace.steps[0].reason
        assert not router.health().ok

        await asyncio.sleep(31)
        await ask(router, 3)
        assert len(sick.calls) == 6  # one probe, which failed

        sick.error = None
        await asyncio.sleep(61)
        (probe,) = await ask(router, 1)
        assert probe.provider == "a"
        assert "circuit ramping" in str(probe.trace) or "half-open" in str(probe.trace)
        await asyncio.sleep(11)
        assert {reply.provider for reply in await ask(router, 5)} == {"a"}
        assert router.health().ok


async def test_sixty_four_calls_in_flight_all_fail_over_when_a_provider_dies() -> None:
    slow_death = Scripted(delay=1, error=ServerError("down", status=500))
    sick, well = ScriptedProvider("a", [slow_death]), ScriptedProvider("b")
    async with virtual(sick, well) as router:
        replies = await asyncio.gather(*(router.complete("g", "hi") for _ in range(64)))
    assert {reply.provider for reply in replies} == {"b"}
    assert 64 <= len(sick.calls) <= 64 * 1.2 + 10


async def test_listeners_hear_of_a_circuit_and_a_broken_one_disturbs_nobody() -> None:
    heard: list[str] = []

    def broken(change: object) -> None:
        raise RuntimeError("listener")

    sick = Moody("a", ServerError("down", status=500))
    async with virtual(sick, ScriptedProvider("b"), config=NO_RETRIES) as router:
        router.on_change(broken)
        router.on_change(lambda change: heard.append(change.after))
        await ask(router, 6)
    assert heard == ["open"]


@pytest.mark.parametrize(
    "error",
    [
        RateLimitError("slow down", status=429, retry_after=0.0),
        ModelNotFoundError("none", status=404),
    ],
)
async def test_what_says_nothing_about_its_health_opens_no_circuit(error: SwitchgearError) -> None:
    sick = Moody("a", error)
    async with virtual(sick, ScriptedProvider("b"), config=NO_RETRIES) as router:
        await ask(router, 20)
        assert {each.state for each in router.health().breakers} == {"closed"}


async def test_a_cancelled_or_hurried_call_opens_no_circuit() -> None:
    slow = ScriptedProvider("a", [Scripted(delay=100)])
    async with virtual(slow, config=NO_RETRIES) as router:
        for _ in range(20):
            task = asyncio.ensure_future(router.complete("g", "hi"))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        for _ in range(20):
            with pytest.raises(TimeoutError):
                await router.complete("g", "hi", timeout=0.1)
        assert router.health().ok


async def test_a_refused_key_is_tried_again_only_every_five_minutes() -> None:
    sick = Moody("a", AuthenticationError("bad key", status=401))
    async with virtual(sick, ScriptedProvider("b"), config=NO_RETRIES) as router:
        await ask(router, 20)
        assert len(sick.calls) == 1
        await asyncio.sleep(301)
        sick.error = None
        replies = await ask(router, 2)
    assert [reply.provider for reply in replies] == ["a", "a"]


async def test_a_calls_own_key_is_not_judged_by_the_configured_one() -> None:
    sick = Moody("a", AuthenticationError("bad key", status=401))
    async with virtual(sick, ScriptedProvider("b"), config=NO_RETRIES) as router:
        await ask(router, 1)
        sick.error = None
        (reply,) = await ask(router, 1, credentials={"a": "another-key"})
    assert reply.provider == "a"


async def test_a_missing_model_is_left_after_three_calls_were_told_so() -> None:
    sick = Moody("a", ModelNotFoundError("none", status=404))
    async with virtual(sick, ScriptedProvider("b"), config=NO_RETRIES) as router:
        await ask(router, 10)
    assert len(sick.calls) == 3


async def test_an_exhausted_quota_is_left_for_long() -> None:
    sick = Moody("a", QuotaExceededError("no credit", status=429, retry_after=1))
    async with virtual(sick, ScriptedProvider("b"), config=NO_RETRIES) as router:
        await ask(router, 5)
        await asyncio.sleep(600)
        await ask(router, 5)
    assert len(sick.calls) == 1


async def test_after_a_429_the_next_calls_go_elsewhere_until_its_time_is_over() -> None:
    sick = Moody("a", RateLimitError("slow down", status=429, retry_after=20))
    async with virtual(sick, ScriptedProvider("b"), config=NO_RETRIES) as router:
        await ask(router, 5)
        assert len(sick.calls) == 1
        sick.error = None
        await asyncio.sleep(21)
        (reply,) = await ask(router, 1)
    assert reply.provider == "a"


async def test_where_nobody_else_is_left_a_cooldown_is_waited_out() -> None:
    only = Moody("a", RateLimitError("slow down", status=429, retry_after=20))
    async with virtual(only, config=NO_RETRIES) as router:
        with pytest.raises(AllProvidersFailedError):
            await router.complete("g", "hi", timeout=5)
        only.error = None
        reply = await router.complete("g", "hi", timeout=60)
    assert reply.latency == pytest.approx(20, abs=1)
    assert reply.trace.steps[-1].waited == pytest.approx(20, abs=1)


async def test_where_every_circuit_is_open_the_call_fails_at_once_and_says_for_how_long() -> None:
    only = Moody("a", ServerError("down", status=500))
    async with virtual(only, config=NO_RETRIES) as router:
        for _ in range(5):
            with pytest.raises(AllProvidersFailedError):
                await router.complete("g", "hi")
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("g", "hi")
    assert failed.value.retry_after == pytest.approx(30, abs=1)
    assert len(only.calls) == 5


# Three at once, then one a second; a full bucket begins to refill a second late, see its SKEW.
LIMITS = {"limits": {"a": {"rpm": 60, "burst": 0.05}}}


async def test_a_full_rate_limit_sends_the_call_to_the_next_candidate() -> None:
    first, second = ScriptedProvider("a"), ScriptedProvider("b")
    async with virtual(first, second, config=LIMITS) as router:
        replies = await ask(router, 10)
    assert len(first.calls) == 3  # a twentieth of 60 may go at once
    assert replies[-1].provider == "b"
    assert "rpm" in replies[-1].trace.steps[0].reason
    assert replies[2].trace.steps[0].room == pytest.approx(0)
    assert "of its rate limit left" in str(replies[2].trace)


async def test_with_nobody_else_calls_wait_their_turn_and_the_trace_says_for_how_long() -> None:
    only = ScriptedProvider("a")
    async with virtual(only, config=LIMITS) as router:
        loop = asyncio.get_running_loop()
        began = loop.time()
        replies = await asyncio.gather(*(router.complete("g", "hi") for _ in range(13)))
        assert loop.time() - began == pytest.approx(11, abs=0.5)
    waits = sorted(reply.trace.steps[-1].waited for reply in replies)
    assert waits[0] == 0
    assert waits[-1] == pytest.approx(11, abs=0.5)
    assert "waited" in str(max(replies, key=lambda reply: reply.latency).trace)


async def test_nobody_queues_for_a_limit_past_his_deadline() -> None:
    only = ScriptedProvider("a")
    async with virtual(only, config=LIMITS) as router:
        await ask(router, 3)
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("g", "hi", timeout=0.5)
    assert len(only.calls) == 3
    assert failed.value.retry_after == pytest.approx(2, abs=0.1)


async def test_a_cancelled_waiter_leaves_its_place_to_the_next() -> None:
    only = ScriptedProvider("a")
    async with virtual(only, config=LIMITS) as router:
        await ask(router, 3)
        first = asyncio.ensure_future(router.complete("g", "hi"))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(router.complete("g", "hi"))
        await asyncio.sleep(0.5)
        first.cancel()
        reply = await second
        assert first.cancelled()
    assert reply.latency == pytest.approx(2, abs=0.1)


async def test_closing_the_router_sends_the_waiting_away() -> None:
    only = ScriptedProvider("a")
    router = virtual(only, config=LIMITS)
    await ask(router, 3)
    waiting = asyncio.ensure_future(router.complete("g", "hi"))
    await asyncio.sleep(0.1)
    await router.aclose()
    with pytest.raises(SwitchgearError, match="closed"):
        await waiting
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_calls_under_way_count_until_their_stream_is_at_its_end() -> None:
    only = ScriptedProvider("a")
    config = {"limits": {"a": {"concurrency": 1}}}
    async with virtual(only, ScriptedProvider("b"), config=config) as router:
        async with router.stream("g", "hi") as stream:
            (meanwhile,) = await ask(router, 1)
            assert meanwhile.provider == "b"
            async for _ in stream:
                pass
        (after,) = await ask(router, 1)
        assert after.provider == "a"
        async with router.stream("g", "hi") as stream:
            await anext(stream)
        assert (await ask(router, 1))[0].provider == "a"


async def test_a_provider_that_says_it_is_nearly_out_is_left_before_it_refuses() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2099-01-01T00:00:00Z",
    }
    nearly = Reply(parts=(), finish_reason="stop", meta=ResponseMeta("r", headers))
    first, second = ScriptedProvider("a", [nearly]), ScriptedProvider("b")
    async with virtual(first, second) as router:
        replies = await ask(router, 2)
    assert [reply.provider for reply in replies] == ["a", "b"]


async def test_broken_streams_count_against_a_candidate_too() -> None:
    cut = Scripted(reply=scripted_reply("one two"), cut_after=1)
    async with virtual(ScriptedProvider("a", [cut]), ScriptedProvider("b")) as router:
        for _ in range(5):
            with pytest.raises(StreamInterruptedError):
                async with router.stream("g", "hi") as stream:
                    async for _ in stream:
                        pass
        async with router.stream("g", "hi") as stream:
            async for _ in stream:
                pass
    assert stream.completion.provider == "b"


async def test_a_pool_shares_its_calls_by_weight() -> None:
    providers = [ScriptedProvider(name) for name in "ab"]
    chain = [[{"model": "a/m", "weight": 3}, {"model": "b/m", "weight": 1}]]
    async with virtual(*providers, group={"chain": chain, "strategy": "weighted"}) as router:
        await ask(router, 40)
    assert [len(provider.calls) for provider in providers] == [30, 10]


async def test_a_pool_by_latency_leaves_a_slow_member() -> None:
    slow, quick = ScriptedProvider("a", [Scripted(delay=5)]), ScriptedProvider("b")
    group = {"chain": [["a/m", "b/m"]], "strategy": "latency-based-routing"}
    async with virtual(slow, quick, group=group) as router:
        await ask(router, 30)
    assert len(slow.calls) < 5


async def test_a_pool_by_cost_asks_the_cheaper_first() -> None:
    dear, cheap = ScriptedProvider("anthropic"), ScriptedProvider("ollama")
    group = {"chain": [["anthropic/claude-haiku-4-5", "ollama/llama3"]], "strategy": "cost"}
    async with virtual(dear, cheap, group=group) as router:
        (reply,) = await ask(router, 1)
    assert reply.provider == "ollama"


async def test_a_conversation_stays_where_its_prompt_is_cached_while_that_pays() -> None:
    """Least-busy alone would spread these calls over both members."""
    cached = Usage(input_tokens=60_000, cache_read_tokens=50_000, output_tokens=5)
    warm = Reply(parts=(Text("ok"),), finish_reason="stop", usage=cached)
    providers = [ScriptedProvider(name, [warm]) for name in ("anthropic", "bedrock")]
    group = {
        "chain": [["anthropic/claude-haiku-4-5", "bedrock/claude-haiku-4-5"]],
        "strategy": "weighted",
    }
    prompt = "word " * 2000
    async with virtual(*providers, group=group) as router:
        for _ in range(12):
            await router.complete("g", prompt, session_id="one")
        counts = sorted(len(provider.calls) for provider in providers)
        assert counts == [0, 12]
        for number in range(12):
            await router.complete("g", f"{number} {prompt}", session_id=f"another-{number}")
    assert min(len(provider.calls) for provider in providers) >= 4


async def test_health_reads_for_a_person_and_for_code() -> None:
    sick = Moody("a", ServerError("down", status=500))
    config = {**NO_RETRIES, **LIMITS, "breaker": {"consecutive_failures": 2}}
    async with virtual(sick, ScriptedProvider("b"), config=config) as router:
        assert "no candidate" in str(router.health())
        await ask(router, 3)
        health = router.health()
    assert "a/m: open" in str(health)
    plain = health.to_dict()
    assert plain["ok"] is False
    assert {row["state"] for row in plain["breakers"]} == {"open", "closed"}
    assert plain["limits"]
