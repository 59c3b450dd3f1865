"""Hooks that are told: nobody waits for them, and nothing they do becomes a call's trouble."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from switchgear import AuthenticationError, Hook, RateLimitError, ServerError, StateChange
from switchgear.routing.breaker_values import BreakerChange
from switchgear.routing.hooks.dispatch import Hooked, Hooks
from switchgear.routing.listeners import Listeners
from switchgear.state.link import LinkStatus
from switchgear.testing.loop_clock import LoopClock
from switchgear.testing.scripted import ScriptedProvider, scripted_reply
from tests.routing.bookkeeping import hard, priced
from tests.routing.helpers import virtual
from tests.routing.hooks.hearing import Listening, Told, forever, stubborn

pytestmark = pytest.mark.looptime


def claude(*script: Any) -> ScriptedProvider:
    return ScriptedProvider("anthropic", script)


async def test_nobody_waits_for_one_that_is_async_but_the_end_of_the_router() -> None:
    done: list[str] = []

    async def write(details: Any) -> None:
        await asyncio.sleep(0.5)
        done.append(type(details).__name__)

    loop = asyncio.get_running_loop()
    async with priced(claude(), hooks=[Told(write)]) as router:
        before = loop.time()
        await router.complete("g", "hi")
        assert (loop.time(), done) == (before, [])
    assert sorted(done) == ["AttemptResult", "Settlement"]


@pytest.mark.parametrize("how", ["plain", "async", "cancels itself"])
async def test_a_failing_one_is_logged_once_for_each_of_its_methods(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: object) -> None:
        raise (asyncio.CancelledError if how == "cancels itself" else KeyError("oops"))

    async def fails_later(_: object) -> None:
        await asyncio.sleep(0)
        raise KeyError("oops")

    hears = Listening()
    hooks = [Told(fails_later if how == "async" else fails), hears]
    async with priced(claude(), hooks=hooks) as router:
        for _ in range(3):
            assert (await router.complete("g", "hi")).text == "ok"
            await asyncio.sleep(1)
        assert [each.failures for each in router.health().hooks] == [6, 0]
    records = [each for each in caplog.records if each.name == "switchgear.hooks"]
    assert len(records) == 2
    assert all(each.levelno == logging.ERROR for each in records)
    assert len(hears.settled) == 3


@pytest.mark.parametrize("hang", [forever, stubborn])
async def test_one_that_hangs_is_bounded_and_the_router_closes_all_the_same(hang: Any) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    async with priced(claude(), hooks=[Told(hang)]) as router:
        await router.complete("g", "hi")
        await asyncio.sleep(40 if hang is stubborn else 5)
        failures = router.health().hooks[0].failures
    assert failures == 2
    assert loop.time() - before < 50


async def test_one_that_is_a_thousand_behind_is_not_told_of_more() -> None:
    hooked = Hooked("slow", Told(forever), timeout=60)
    hooks = Hooks([hooked])
    for _ in range(1500):
        hooks._tell("on_settle", object())
    assert len(hooked.pending) == 1000
    assert hooked.health().failures == 500
    assert "1000 behind" in str(hooked.health().last_error)
    await hooks.aclose()
    assert not hooked.pending


async def test_hooks_are_closed_with_the_router_once_whatever_they_do() -> None:
    class Stuck(Listening):
        async def aclose(self) -> None:
            await super().aclose()
            await asyncio.Event().wait()

    class Broken(Listening):
        async def aclose(self) -> None:
            await super().aclose()
            raise OSError("gone already")

    hooks = [Stuck(), Broken(), Listening()]
    router = priced(claude(), hooks=hooks)
    await router.complete("g", "hi")
    await router.aclose()
    await router.aclose()
    assert [hook.closed for hook in hooks] == [1, 1, 1]
    assert all(len(hook.settled) == 1 for hook in hooks)


# Changes of state


async def test_a_circuit_that_opens_and_comes_back_is_told() -> None:
    hook = Listening()
    down = [ServerError("down", status=500)] * 5
    provider = ScriptedProvider("a", [*down, "ok"])
    config = {"breaker": {"open_seconds": 10, "ramp_seconds": 0}, "retry": {"num_retries": 0}}
    async with virtual(provider, config=config, hooks=[hook]) as router:
        for _ in range(5):
            with pytest.raises(Exception, match="all candidates"):
                await router.complete("g", "hi")
        await asyncio.sleep(11)
        while hook.changes[-1].after != "closed":
            await router.complete("g", "hi")
    told = [(each.kind, each.name, each.before, each.after) for each in hook.changes]
    assert told == [
        ("circuit", "a/m", "closed", "open"),
        ("circuit", "a/m", "open", "half-open"),
        ("circuit", "a/m", "half-open", "closed"),
    ]
    assert hook.changes[0].retry_in == 10
    assert "failures in a row" in hook.changes[0].reason


async def test_a_cooldown_that_begins_and_ends_is_told() -> None:
    hook = Listening()
    provider = ScriptedProvider("a", [RateLimitError("slower", retry_after=7), "ok"])
    config = {"retry": {"num_retries": 0}}
    async with virtual(provider, config=config, hooks=[hook]) as router:
        with pytest.raises(Exception, match="all candidates"):
            await router.complete("g", "hi", fallback=False, timeout=1)
        await asyncio.sleep(8)
        await router.complete("g", "hi")
    begun, ended = hook.changes
    assert (begun.kind, begun.name, begun.before, begun.after) == (
        "cooldown",
        "a/m",
        "ready",
        "cooling",
    )
    assert (begun.retry_in, begun.reason) == (7, "rate limited (429)")
    assert (ended.name, ended.before, ended.after, ended.retry_in) == (
        "a/m",
        "cooling",
        "ready",
        0,
    )


async def test_a_refused_key_cools_the_whole_provider() -> None:
    hook = Listening()
    provider = ScriptedProvider("a", [AuthenticationError("wrong key", status=401)])
    async with virtual(provider, hooks=[hook]) as router:
        with pytest.raises(Exception, match="all candidates"):
            await router.complete("g", "hi")
    [change] = hook.changes
    assert (change.name, change.after, change.retry_in) == ("a", "cooling", 300)


async def test_what_happens_to_a_budget_is_told() -> None:
    hook = Listening()
    provider = claude(scripted_reply(output_tokens=100_000))
    async with priced(provider, budgets=[hard(1)], hooks=[hook]) as router:
        await router.complete("g", "hi", max_tokens=10)
        await router.budgets()
        await asyncio.sleep(1)
    changes = [each for each in hook.changes if each.kind == "budget"]
    assert changes
    assert (changes[0].before, changes[0].after) == ("open", "closed")
    assert "more than was reserved" in changes[0].reason


async def test_the_way_to_the_shared_state_is_told() -> None:
    class Stub:
        """As much of a link as is looked at."""

        def __init__(self) -> None:
            self.on_change: list[Any] = []
            self.up = True

        def status(self) -> LinkStatus:
            return LinkStatus("redis://:***@h", self.up, 3, 1, 0.0)

    class Gates:
        """As much of the gates."""

        class cooldowns:  # noqa: N801 - an attribute
            on_change: Any = None

    hook, link = Listening(), Stub()
    gates: Any = Gates()
    shared: Any = link
    listeners = Listeners(Hooks([Hooked("h", hook)]), LoopClock())
    listeners.watch(gates, shared)
    link.up = False
    link.on_change[0](False)
    link.up = True
    link.on_change[0](True)
    assert [(each.kind, each.name, each.before, each.after) for each in hook.changes] == [
        ("shared", "redis://:***@h", "up", "away"),
        ("shared", "redis://:***@h", "away", "up"),
    ]
    assert "divided by 3 replicas" in hook.changes[0].reason


def test_one_that_is_async_where_no_loop_runs_is_a_failure_and_no_more() -> None:
    class Slow(Hook):
        async def on_state_change(self, details: StateChange) -> None:
            raise AssertionError("nobody can run this")

    hooked = Hooked("slow", Slow())
    listeners = Listeners(Hooks([hooked]), LoopClock())
    listeners.circuit(BreakerChange("a/m", "closed", "open", "why", 1.0, 2.0))
    assert hooked.health().failures == 1
