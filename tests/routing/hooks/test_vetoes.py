"""Hooks that are asked: they may refuse, and may hold a call up for so long only."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from switchgear import (
    AttemptDetails,
    DeadlineExceededError,
    HookVetoError,
    LifecycleError,
    ServerError,
)
from switchgear.testing.scripted import Scripted, ScriptedProvider
from tests.routing.bookkeeping import assert_nothing_is_left, hard, only_row, priced, rows_of
from tests.routing.hooks.hearing import Asked, Listening, Told, forever, stubborn
from tests.routing.test_embedding import Embedder

pytestmark = pytest.mark.looptime


def claude(*script: Any) -> ScriptedProvider:
    return ScriptedProvider("anthropic", script)


def refuse(details: AttemptDetails) -> None:
    raise HookVetoError("not today")


async def refuse_later(details: AttemptDetails) -> None:
    await asyncio.sleep(0.5)
    raise HookVetoError("not today")


def fail(details: AttemptDetails) -> None:
    raise KeyError("oops")


async def fail_later(details: AttemptDetails) -> None:
    await asyncio.sleep(0.1)
    raise KeyError("oops")


def now() -> float:
    return asyncio.get_running_loop().time()


# A veto


@pytest.mark.parametrize("answer", [refuse, refuse_later])
async def test_a_veto_refuses_the_whole_call_and_nothing_was_sent_booked_or_kept(
    answer: Any,
) -> None:
    first, second, hears = claude(), ScriptedProvider("openai"), Listening()
    hooks = [Asked(answer), hears]
    async with priced(first, second, budgets=[hard()], hooks=hooks) as router:
        with pytest.raises(HookVetoError, match="not today") as caught:
            await router.complete("g", "hi")
        assert await rows_of(router) == []
        assert_nothing_is_left(router)
        [budget] = await router.budgets()
        assert budget.spent == 0
        [breaker] = router.health().breakers
        assert (breaker.state, breaker.calls) == ("closed", 0)
        assert router._gates.of(breaker.name).stats.here == 0
    assert first.calls == second.calls == []
    assert (hears.before, hears.after, hears.settled) == ([], [], [])
    error = caught.value
    assert (error.hook, error.provider) == ("Asked", "anthropic")
    assert error.trace is not None
    [step] = error.trace.steps
    assert (step.outcome, step.reason) == ("skipped", "not today")


async def test_a_veto_stands_before_streams_and_embeddings_too() -> None:
    provider = Embedder("openai")
    async with priced(provider, hooks=[Asked(refuse)]) as router:
        with pytest.raises(HookVetoError):
            async with router.stream("g", "hi"):
                pass
        with pytest.raises(HookVetoError):
            await router.embed("g", "hi")
        assert_nothing_is_left(router)
    assert provider.calls == []


async def test_attempts_before_the_veto_are_booked_as_ever() -> None:
    def only_here(details: AttemptDetails) -> None:
        if details.provider == "openai":
            raise HookVetoError("not to them")

    first, second = claude(ServerError("down", status=500)), ScriptedProvider("openai")
    async with priced(first, second, hooks=[Asked(only_here)]) as router:
        with pytest.raises(HookVetoError) as caught:
            await router.complete("g", "hi")
        rows = await rows_of(router)
    assert {row.provider for row in rows} == {"anthropic"}
    assert second.calls == []
    assert caught.value.trace is not None
    assert [step.outcome for step in caught.value.trace.steps][-2:] == ["failed", "skipped"]


async def test_of_a_hedge_only_the_hedge_is_given_up() -> None:
    def no_hedges(details: AttemptDetails) -> None:
        if details.hedge:
            raise HookVetoError("once is enough")

    first, second = claude(Scripted(delay=10)), ScriptedProvider("openai")
    group = {"hedging": 2}
    async with priced(first, second, group=group, hooks=[Asked(no_hedges)]) as router:
        reply = await router.complete("g", "hi")
        assert router.health().hooks[0].vetoes == 1
        row = await only_row(router)
    assert reply.provider == row.provider == "anthropic"
    assert second.calls == []
    assert "once is enough" in str(reply.trace)


async def test_hooks_are_asked_in_order_and_the_first_veto_counts() -> None:
    asked: list[str] = []

    def note(name: str) -> Asked:
        return Asked(lambda _: asked.append(name))

    hooks = [note("one"), Asked(refuse), note("two")]
    async with priced(claude(), hooks=hooks) as router:
        with pytest.raises(HookVetoError) as caught:
            await router.complete("g", "hi")
        assert [each.name for each in router.health().hooks] == ["Asked", "Asked-2", "Asked-3"]
    assert asked == ["one"]
    assert caught.value.hook == "Asked-2"


# A failure


@pytest.mark.parametrize("answer", [fail, fail_later])
async def test_a_failing_hook_is_logged_once_and_counted_and_calls_go_on(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with priced(claude(), hooks=[Asked(answer)]) as router:
        for _ in range(3):
            assert (await router.complete("g", "hi")).text == "ok"
        [health] = router.health().hooks
        assert router.health().ok
        assert "hook Asked: 3 failures" in str(router.health())
    assert (health.failures, health.vetoes) == (3, 0)
    assert health.last_error == "before_attempt: KeyError: 'oops'"
    [record] = [each for each in caplog.records if each.name == "switchgear.hooks"]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None


async def test_one_that_must_not_fail_refuses_the_call_where_it_does() -> None:
    provider = claude()
    async with priced(provider, hooks=[Asked(fail, fail_closed=True)]) as router:
        with pytest.raises(HookVetoError, match="'Asked' failed") as caught:
            await router.complete("g", "hi")
    assert isinstance(caught.value.__cause__, KeyError)
    assert provider.calls == []


@pytest.mark.parametrize("hang", [forever, stubborn])
async def test_a_hook_that_hangs_holds_a_call_up_for_its_timeout_only(hang: Any) -> None:
    async with priced(claude(), hooks=[Asked(hang, timeout=0.25)]) as router:
        before = now()
        reply = await router.complete("g", "hi")
        assert now() - before == pytest.approx(0.25)
        row = await only_row(router)
        assert "longer than 0.25 s" in str(router.health().hooks[0].last_error)
    assert reply.text == "ok"
    assert row.latency == 0, "what a hook takes is not the provider's time"


async def test_one_that_must_not_fail_refuses_the_call_where_it_hangs() -> None:
    async with priced(claude(), hooks=[Asked(forever, fail_closed=True)]) as router:
        with pytest.raises(HookVetoError) as caught:
            await router.complete("g", "hi")
    assert isinstance(caught.value.__cause__, TimeoutError)


async def test_no_hook_outlasts_the_call_and_what_it_held_up_was_not_sent() -> None:
    provider = claude()
    async with priced(provider, budgets=[hard()], hooks=[Asked(forever, timeout=60)]) as router:
        before = now()
        with pytest.raises(DeadlineExceededError):
            await router.complete("g", "hi", timeout=2)
        assert now() - before == pytest.approx(2)
        assert await rows_of(router) == []
        assert_nothing_is_left(router)
        assert router.health().hooks[0].failures == 0
    assert provider.calls == []


async def test_a_cancelled_call_is_cancelled_in_its_hook_too() -> None:
    seen: list[str] = []

    async def wait(_: object) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    provider = claude()
    async with priced(provider, budgets=[hard()], hooks=[Asked(wait, timeout=60)]) as router:
        call = asyncio.ensure_future(router.complete("g", "hi"))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0)
        assert await rows_of(router) == []
        assert_nothing_is_left(router)
        assert router.health().hooks[0].failures == 0
    assert seen == ["cancelled"]
    assert provider.calls == []


async def test_a_cancellation_of_its_own_is_a_hooks_failure() -> None:
    async def gives_up(_: object) -> None:
        raise asyncio.CancelledError

    async with priced(claude(), hooks=[Asked(gives_up)]) as router:
        assert (await router.complete("g", "hi")).text == "ok"
        assert router.health().hooks[0].failures == 1


async def test_the_end_of_a_router_is_the_end_of_the_wait_for_a_hook() -> None:
    router = priced(claude(), hooks=[Asked(forever, timeout=60)])
    call = asyncio.ensure_future(router.complete("g", "hi"))
    await asyncio.sleep(1)
    await router.aclose()
    with pytest.raises(LifecycleError, match="closed"):
        await call


async def test_a_hook_may_ask_a_model_through_the_same_router() -> None:
    provider, hears = claude("yes", "the answer"), Listening()

    class Judge(Listening):
        async def before_attempt(self, details: AttemptDetails) -> None:  # type: ignore[override]
            self.before.append(details)
            if (await router.complete("g", "is this all right?")).text != "yes":
                raise HookVetoError("the judge says no")

    judge = Judge()
    async with priced(provider, hooks=[judge, hears]) as router:
        reply = await router.complete("g", "hi")
    assert reply.text == "the answer"
    assert len(judge.before) == len(judge.after) == len(judge.settled) == 1
    assert len(hears.before) == len(hears.after) == len(hears.settled) == 2
    assert {each.attempt_id for each in judge.after} == {judge.before[0].attempt_id}


class _Ends(BaseException):
    pass


class _UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize("kind", [_Ends, SystemExit, GeneratorExit, _UnprintableError])
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("told", [False, True])
async def test_whatever_a_hook_raises_is_its_failure_only(
    kind: type[BaseException], later: bool, told: bool
) -> None:
    async def soon(_: Any) -> None:
        await asyncio.sleep(0)
        raise kind

    def now(_: Any) -> None:
        raise kind

    provider = claude()
    work = soon if later else now
    async with priced(provider, hooks=[Told(work) if told else Asked(work)]) as router:
        reply = await router.complete("g", "hi")
        await asyncio.sleep(0.1)
        assert router.health().hooks[0].failures > 0
        assert_nothing_is_left(router)
        [breaker] = router.health().breakers
        assert router._gates.of(breaker.name).stats.here == 0
    assert reply.provider == "anthropic"
