"""Two thousand calls where a hundred may run: they keep their order, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from switchgear import Completion, Router, SwitchgearError
from switchgear.providers.base import Call, Reply
from switchgear.routing.limits.lane import Lane
from switchgear.testing.scripted import ScriptedProvider, scripted_reply

from ..helpers import virtual

pytestmark = pytest.mark.looptime

CROWD = 2000
AT_ONCE = 100
LIMITS = {"a": {"rpm": 10_000_000, "tpm": 10_000_000_000, "concurrency": AT_ONCE}}
CONFIG = {"limits": LIMITS, "ledger": {"url": "memory:"}}


class Upstream(ScriptedProvider):
    """Takes a second for an answer, and knows whom it served in which order, how many at once."""

    def __init__(self) -> None:
        super().__init__("a")
        self.served: list[int] = []
        self.running = self.most = 0

    async def complete(self, call: Call) -> Reply:
        self.served.append(int(call.request.messages[-1].text))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(1.0)
        finally:
            self.running -= 1
        return scripted_reply()


def crowd(router: Router, size: int = CROWD) -> list[asyncio.Task[Completion]]:
    """Calls with their numbers for prompts, in the order in which they come."""
    return [
        asyncio.create_task(router.complete("g", str(number), timeout=10_000))
        for number in range(size)
    ]


def lane(router: Router) -> Lane:
    [account] = router._gates.limiter._accounts.values()
    [found] = account.lanes.values()
    return found


def nothing_is_left(router: Router) -> None:
    """No place, no queue, no permit, no timer."""
    gates = router._gates
    [gate] = gates.known().values()
    assert gate.stats.in_flight == 0
    assert gate.breaker._probes == []
    model = lane(router)
    assert (model.in_flight, model.running, len(model.queue)) == (0, 0.0, 0)
    assert not model.account.waiting
    assert model.account._timer is None
    for row in gates.limiter.health():
        assert row.queued == 0
        if row.limit.startswith("concurrency"):
            assert row.remaining == row.capacity


async def test_a_crowd_is_served_in_the_order_in_which_it_came() -> None:
    upstream = Upstream()
    async with virtual(upstream, config=CONFIG) as router:
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*crowd(router))
        assert asyncio.get_running_loop().time() - began == pytest.approx(CROWD / AT_ONCE, rel=0.05)
        nothing_is_left(router)
    assert len(answers) == CROWD
    assert upstream.served == list(range(CROWD))
    assert upstream.most == AT_ONCE


async def test_when_half_of_a_crowd_goes_away_the_others_keep_their_order() -> None:
    upstream = Upstream()
    async with virtual(upstream, config=CONFIG) as router:
        before = asyncio.all_tasks()
        calls = crowd(router)
        await asyncio.sleep(3.5)  # three hundred are through, a hundred on their way
        for call in calls[1::2]:
            call.cancel()
        await asyncio.sleep(0.1)
        assert lane(router).in_flight == upstream.running == AT_ONCE
        assert len(lane(router).queue) == (CROWD - 400 - AT_ONCE) // 2
        await asyncio.wait(calls)
        nothing_is_left(router)
        assert asyncio.all_tasks() == before
    assert upstream.most == AT_ONCE
    assert upstream.running == 0
    assert not any(call.cancelled() for call in calls[::2])
    assert [call.result().text for call in calls[::2]] == ["ok"] * (CROWD // 2)
    # Nobody is asked in vain for a call that has gone.
    rest = [number for number in range(400, CROWD) if number % 2 == 0]
    assert upstream.served == [*range(400), *rest]


@pytest.mark.parametrize("turns", range(8))
async def test_who_goes_away_in_the_moment_of_its_turn_leaves_its_place_to_the_next(
    turns: int,
) -> None:
    upstream = Upstream()
    async with virtual(upstream, config=CONFIG) as router:
        calls = crowd(router, 5 * AT_ONCE)
        await asyncio.sleep(1.0)
        for _ in range(turns):  # from the end of the first hundred to the begin of the next
            await asyncio.sleep(0)
        for call in calls[1::2]:
            call.cancel()
        await asyncio.wait(calls)
        nothing_is_left(router)
    assert [call.result().text for call in calls[::2]] == ["ok"] * len(calls[::2])
    assert [number for number in upstream.served if number % 2 == 0] == [*range(0, len(calls), 2)]
    assert upstream.most == AT_ONCE


async def test_when_the_router_closes_a_waiting_crowd_goes_at_once() -> None:
    upstream = Upstream()
    router = virtual(upstream, config=CONFIG)
    async with router:
        calls = crowd(router)
        await asyncio.sleep(0.5)
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, SwitchgearError) for each in done) >= CROWD - AT_ONCE
    assert len(upstream.served) == AT_ONCE
    nothing_is_left(router)


async def test_a_call_that_waits_costs_the_same_however_many_wait_before_it() -> None:
    few, many = await steps_of_a_call(AT_ONCE * 2), await steps_of_a_call(CROWD)
    assert many < 1.5 * few


async def steps_of_a_call(size: int) -> float:
    """Functions that are called for one call of a crowd: counted, since times depend on the day."""
    async with virtual(Upstream(), config=CONFIG) as router:
        await router.complete("g", "0")  # what is made once
        with counted() as steps:
            await asyncio.gather(*crowd(router, size))
    return steps[0] / size


@contextmanager
def counted() -> Iterator[list[int]]:
    """Counts the calls of the library's functions, and turns of its comprehensions as well."""
    steps = [0]

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_globals.get("__name__", "").startswith("switchgear."):
            steps[0] += 1

    was = sys.getprofile()
    gc.collect()
    sys.setprofile(count)
    try:
        yield steps
    finally:
        sys.setprofile(was)
