"""A slow attempt gets another one beside it, once, and the loser is booked."""

import asyncio
from decimal import Decimal

import pytest

from switchgear import AllProvidersFailedError, ServerError
from switchgear.routing.quantile import RecentQuantile
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply

from .helpers import virtual

pytestmark = pytest.mark.looptime

AFTER_TWO = {"hedging": 2}


def slow(name: str, seconds: float = 10) -> ScriptedProvider:
    return ScriptedProvider(name, [Scripted(delay=seconds, reply=scripted_reply("slow"))])


async def test_the_second_answers_where_the_first_is_slow() -> None:
    first, second = slow("anthropic"), ScriptedProvider("ollama", ["quick"])
    group = {"chain": ["anthropic/claude-haiku-4-5", "ollama/llama3"], **AFTER_TWO}
    async with virtual(first, second, group=group) as router:
        reply = await router.complete("g", "hi")
        assert reply.text == "quick"
        assert reply.latency == pytest.approx(2)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        lost = next(step for step in reply.trace.steps if step.outcome == "cancelled")
    assert lost.candidate == "anthropic/claude-haiku-4-5"
    assert "quicker" in lost.reason
    assert lost.cost is not None
    assert lost.cost > Decimal(0)
    assert "cancelled" in str(reply.trace)


async def test_a_first_answer_in_time_needs_no_second() -> None:
    first, second = slow("a", 1), ScriptedProvider("b")
    async with virtual(first, second, group=AFTER_TWO) as router:
        assert (await router.complete("g", "hi")).text == "slow"
    assert second.calls == []


async def test_the_first_may_still_win() -> None:
    first, second = slow("a", 3), slow("b", 10)
    async with virtual(first, second, group=AFTER_TWO) as router:
        reply = await router.complete("g", "hi")
    assert reply.provider == "a"
    assert reply.latency == pytest.approx(3)
    assert [step.outcome for step in reply.trace.steps] == ["answered", "cancelled"]


async def test_a_failing_second_does_not_disturb_the_first() -> None:
    first, second = slow("a", 5), ScriptedProvider("b", [ServerError("no", status=500)])
    async with virtual(first, second, group=AFTER_TWO) as router:
        reply = await router.complete("g", "hi")
    assert reply.provider == "a"
    assert sorted(step.outcome for step in reply.trace.steps) == ["answered", "failed"]


async def test_a_failing_first_leaves_the_race_to_the_second() -> None:
    first = ScriptedProvider("a", [Scripted(delay=4, error=ServerError("no", status=500))])
    async with virtual(first, slow("b", 5), group=AFTER_TWO) as router:
        reply = await router.complete("g", "hi")
    assert reply.provider == "b"
    assert reply.latency == pytest.approx(7)


async def test_where_both_fail_nobody_is_asked_twice_for_it() -> None:
    broken = [Scripted(delay=4, error=ServerError("no", status=500))]
    first, second = ScriptedProvider("a", broken), ScriptedProvider("b", broken)
    config = {"retry": {"num_retries": 0}}
    async with virtual(first, second, group=AFTER_TWO, config=config) as router:
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("g", "hi")
    assert (len(first.calls), len(second.calls)) == (1, 1)
    assert len(failed.value.exceptions) == 2


async def test_a_stream_is_hedged_until_its_first_token() -> None:
    first, second = slow("a"), ScriptedProvider("b", ["one two"])
    async with virtual(first, second, group=AFTER_TWO) as router:
        async with router.stream("g", "hi") as stream:
            text = "".join([event.text async for event in stream])
    assert text == stream.completion.text == "one two"
    assert {step.outcome for step in stream.completion.trace.steps} == {"answered", "cancelled"}
    assert all(opened.closed for opened in second.streams)


async def test_a_cancelled_call_leaves_neither_attempt_behind() -> None:
    first, second = slow("a"), slow("b")
    async with virtual(first, second, group=AFTER_TWO) as router:
        task = asyncio.ensure_future(router.complete("g", "hi"))
        await asyncio.sleep(3)
        assert (len(first.calls), len(second.calls)) == (1, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert all(gate.stats.in_flight == 0 for gate in router._gates.known().values())


async def test_a_stream_that_opens_in_the_moment_of_a_cancellation_is_closed() -> None:
    """Its attempt has ended well, but nobody is left to take it."""
    first, second = ScriptedProvider("a", ["one two"]), ScriptedProvider("b")
    async with virtual(first, second, group=AFTER_TWO) as router:
        for turns in range(6):
            task = asyncio.ensure_future(router.stream("g", "hi").__aenter__())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(outcome, BaseException):
                await outcome.aclose()
        assert first.streams
        assert all(opened.closed for opened in first.streams)
        assert all(gate.stats.in_flight == 0 for gate in router._gates.known().values())


async def test_it_is_off_unless_the_group_says_so() -> None:
    second = ScriptedProvider("b")
    async with virtual(slow("a"), second) as router:
        assert (await router.complete("g", "hi")).latency == pytest.approx(10)
    assert second.calls == []


async def test_the_live_percentile_needs_some_calls_to_be_known() -> None:
    mostly_quick = ScriptedProvider(
        "a", [*["quick"] * 30, Scripted(delay=10, reply=scripted_reply("slow"))]
    )
    second = ScriptedProvider("b")
    async with virtual(mostly_quick, second, group={"hedging": True}) as router:
        for _ in range(30):
            await router.complete("g", "hi")
        assert second.calls == []
        reply = await router.complete("g", "hi")
    assert reply.provider == "b"
    assert reply.latency < 1


async def test_hedges_are_paid_from_the_retry_budget() -> None:
    second = ScriptedProvider("b", ["quick"])
    async with virtual(slow("a"), second, group=AFTER_TWO) as router:
        replies = await asyncio.gather(*(router.complete("g", "hi") for _ in range(30)))
    assert len(second.calls) == 10  # its spare repeats; the other calls waited for the first
    assert {reply.text for reply in replies} == {"quick", "slow"}


def test_the_quantile_is_of_the_last_values_only() -> None:
    quantile = RecentQuantile(0.95, keep=40, least=20)
    for _ in range(19):
        quantile.add(1.0)
    assert quantile.value() is None
    quantile.add(1.0)
    assert quantile.value() == 1.0
    for _ in range(3):
        quantile.add(9.0)
    assert quantile.value() == 9.0
    for _ in range(40):
        quantile.add(2.0)
    assert quantile.value() == 2.0
