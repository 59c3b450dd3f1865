"""Waiting: in what order, how long, and what becomes of those who give up."""

from __future__ import annotations

import asyncio
import random

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from switchgear.errors import LifecycleError
from switchgear.routing.limits import Lease, Limiter, LimitRule, Need, NoRoom
from switchgear.testing.loop_clock import LoopClock

from .virtual import run

SMALL = Need(10, 5)
LONG = 10_000.0


class Room:
    """A limiter on the virtual loop, and a record of who was let in when."""

    def __init__(self, *rules: LimitRule) -> None:
        self.limit = Limiter(rules, LoopClock())
        self.log: list[tuple[str, float]] = []
        self.began = self.now()

    @staticmethod
    def now() -> float:
        return asyncio.get_running_loop().time()

    def passed(self) -> float:
        return self.now() - self.began

    async def call(
        self, name: str, need: Need = SMALL, *, model: str = "m", timeout: float = LONG
    ) -> Lease | NoRoom:
        given = await self.limit.reserve("p", model, need, timeout=timeout)
        if isinstance(given, Lease):
            self.log.append((name, round(self.passed(), 3)))
        return given

    def start(
        self, name: str, need: Need = SMALL, *, model: str = "m", timeout: float = LONG
    ) -> asyncio.Task[Lease | NoRoom]:
        return asyncio.create_task(self.call(name, need, model=model, timeout=timeout))

    @property
    def order(self) -> list[str]:
        return [name for name, _ in self.log]

    def queued(self) -> float:
        return sum(row.queued + row.waiting for row in self.limit.health())


def test_each_goes_when_there_is_room_for_it_and_not_later() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", itpm=600))
        tasks = [room.start(str(n), Need(300, 1)) for n in range(5)]
        leases = await asyncio.gather(*tasks)
        # 600 at once; a full bucket starts to refill a second late; then 300 each 30 s.
        assert room.log == [("0", 0), ("1", 0), ("2", 31), ("3", 61), ("4", 91)]
        waited = [lease.waited for lease in leases if isinstance(lease, Lease)]
        assert waited == pytest.approx([0, 0, 31, 61, 91], abs=0.01)

    run(story())


def test_a_large_call_is_not_overtaken_by_small_ones() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", itpm=600))
        await room.call("first", Need(600, 1))
        tasks = [room.start("large", Need(600, 1))]
        for n in range(20):
            await asyncio.sleep(1)
            tasks.append(room.start(f"small{n}", Need(1, 1)))
        assert room.order == ["first"]
        await asyncio.gather(*tasks)
        assert room.log[1] == ("large", 61)
        assert room.order[2:] == [f"small{n}" for n in range(20)]

    run(story())


def test_trying_without_waiting_overtakes_nobody_either() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", itpm=600), LimitRule("p", rpm=1000))
        await room.call("first", Need(600, 1))
        large = room.start("large", Need(500, 1))
        await asyncio.sleep(20)
        no = room.limit.try_reserve("p", "m", Need(1, 1))
        assert isinstance(no, NoRoom)
        assert no.wait == pytest.approx(31 + 0.1, abs=0.01)  # behind the large one
        assert isinstance(room.limit.try_reserve("p", "other", Need(1, 1)), Lease)
        large.cancel()
        await asyncio.sleep(0)
        assert isinstance(room.limit.try_reserve("p", "m", Need(1, 1)), Lease)

    run(story())


def test_a_model_that_waits_does_not_hold_up_another() -> None:
    async def story() -> None:
        room = Room(LimitRule("p", rpm=600), LimitRule("p/a", itpm=600))
        await room.call("a0", Need(600, 1), model="a")
        waiting = [room.start(f"a{n}", Need(600, 1), model="a") for n in range(1, 4)]
        await asyncio.sleep(0.01)
        for n in range(500):
            assert isinstance(room.limit.try_reserve("p", "b", SMALL), Lease), n
        await asyncio.gather(*waiting)
        assert [moment for _, moment in room.log] == [0, 61, 122, 183]  # full again each time

    run(story())


def test_a_stopped_model_does_not_hold_up_another() -> None:
    async def story() -> None:
        room = Room(LimitRule("p", rpm=60, rpd=1000))
        room.limit.observe("p", "a", None, status=429, retry_after=1000)
        stopped = room.start("a", model="a")
        others = [room.start(f"b{n}", model="b") for n in range(100)]
        await asyncio.gather(*others)
        assert room.passed() == pytest.approx(41, abs=0.1)
        assert isinstance(await stopped, Lease)
        assert room.passed() == pytest.approx(1000)

    run(story())


def test_nor_does_it_keep_a_slot_to_itself() -> None:
    async def story() -> None:
        room = Room(LimitRule("p", concurrency=1))
        room.limit.observe("p", "a", None, status=429, retry_after=1000)
        stopped = room.start("a", model="a")
        for _ in range(10):
            lease = await room.call("b", model="b")
            assert isinstance(lease, Lease)
            await asyncio.sleep(2)
            lease.settle(1, 1)
        assert room.passed() == pytest.approx(20)
        assert isinstance(await stopped, Lease)
        assert room.passed() == pytest.approx(1000)

    run(story())


def test_one_who_lacks_a_private_limit_does_not_starve_at_the_shared_one() -> None:
    async def story() -> None:
        # Model a needs much of both; b and its stream of small calls use up all that is shared.
        room = Room(LimitRule("p", itpm=6000), LimitRule("p/a", otpm=60))
        await room.call("a0", Need(10, 60), model="a")
        await room.call("b", Need(5900, 1), model="b")

        async def crowd() -> None:
            while True:
                await room.call("b", Need(50, 1), model="b")

        crowds = [asyncio.create_task(crowd()) for _ in range(20)]
        await asyncio.wait_for(room.call("a1", Need(3000, 1), model="a"), 100)
        for task in crowds:
            task.cancel()
        await asyncio.gather(*crowds, return_exceptions=True)

    run(story())


def test_those_who_share_a_bucket_are_served_in_the_order_of_their_coming() -> None:
    async def story() -> None:
        room = Room(LimitRule("p", rpm=60))
        await asyncio.gather(*(room.call("", model="x") for _ in range(60)))
        room.log.clear()
        tasks = []
        names = [f"{n}" for n in range(30)]
        for n, name in enumerate(names):
            tasks.append(room.start(name, model="abc"[n % 3]))
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        assert room.order == names

    run(story())


def test_a_refund_lets_the_next_one_go_at_once() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", itpm=600, concurrency=1))
        first = await room.call("first", Need(600, 1))
        assert isinstance(first, Lease)
        second = room.start("second", Need(500, 1))
        await asyncio.sleep(5)
        assert not second.done()
        first.settle(20, 1)
        await asyncio.sleep(0)
        assert second.done()
        assert room.log[-1] == ("second", 5)

    run(story())


def test_a_call_that_cannot_go_in_time_is_told_at_once() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", itpm=600))
        await room.call("first", Need(600, 1))
        no = await room.call("late", Need(600, 1), timeout=30)
        assert room.passed() == 0
        assert isinstance(no, NoRoom)
        assert no.limit == "itpm of p/*"
        assert no.wait == pytest.approx(61)
        assert await room.call("huge", Need(601, 1)) == NoRoom("itpm of p/*", None)
        assert room.passed() == 0

    run(story())


def test_nobody_waits_longer_than_its_time() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", itpm=600))
        await room.call("first", Need(600, 1))
        before = room.start("before", Need(300, 1))
        no = room.start("impatient", Need(300, 1), timeout=32)
        after = room.start("after", Need(30, 1))
        given = await no
        assert room.passed() == pytest.approx(32)
        assert isinstance(given, NoRoom)
        assert given.wait is not None
        await asyncio.gather(before, after)
        # The place of the one that gave up went to the next.
        assert room.log[1:] == [("before", 31), ("after", 34)]
        assert room.queued() == 0

    run(story())


def test_a_guess_about_slots_sends_nobody_away() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", concurrency=1))
        first = await room.call("slow")
        assert isinstance(first, Lease)
        await asyncio.sleep(500)
        first.settle(1, 1)
        held = await room.call("held")
        assert isinstance(held, Lease)
        waiting = room.start("waiting", timeout=3)
        await asyncio.sleep(1)
        held.settle(1, 1)
        assert isinstance(await waiting, Lease)

    run(story())


def test_a_cancelled_call_leaves_the_queue_to_the_next() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", itpm=600))
        await room.call("first", Need(600, 1))
        large = room.start("large", Need(600, 1))
        small = room.start("small", Need(10, 1))
        await asyncio.sleep(3)
        large.cancel()
        with pytest.raises(asyncio.CancelledError):
            await large
        await small
        assert room.log[-1] == ("small", 3)
        assert room.queued() == 0

    run(story())


def test_a_turn_that_comes_in_the_moment_of_cancellation_is_given_back() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", concurrency=1))
        first = await room.call("first")
        assert isinstance(first, Lease)
        second, third = room.start("second"), room.start("third")
        await asyncio.sleep(0)
        first.settle(1, 1)  # it is the second's turn ...
        second.cancel()  # ... and its caller is gone before it has heard
        with pytest.raises(asyncio.CancelledError):
            await second
        assert isinstance(await asyncio.wait_for(third, 1), Lease)

    run(story())


def test_a_header_that_shows_a_smaller_limit_sends_those_away_who_never_fit() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", tpm=10_000, concurrency=1))
        first = await room.call("first", Need(10, 1, 1))
        assert isinstance(first, Lease)
        large = room.start("large", Need(9000, 1, 1))
        small = room.start("small", Need(90, 1, 1))
        await asyncio.sleep(1)
        headers = {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "990"}
        first.settle(10, 1, headers)
        assert await large == NoRoom("tokens reported by p/m", None)
        assert isinstance(await small, Lease)

    run(story())


def test_closing_sends_everybody_away_and_leaves_no_timer() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", rpm=1))
        await room.call("first")
        tasks = [room.start(str(n)) for n in range(5)]
        await asyncio.sleep(1)
        room.limit.close()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, LifecycleError)
        loop = asyncio.get_running_loop()
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert timers == []

    run(story())


def test_when_nobody_waits_there_is_no_timer() -> None:
    async def story() -> None:
        room = Room(LimitRule("p/*", rpm=60))
        await asyncio.gather(*(room.call("") for _ in range(70)))
        loop = asyncio.get_running_loop()
        assert [t for t in loop._scheduled if not t.cancelled()] == []  # type: ignore[attr-defined]

    run(story())


ARRIVALS = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 400)), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(ARRIVALS)
def test_every_turn_comes_exactly_when_a_plain_calculation_says(
    arrivals: list[tuple[float, int]],
) -> None:
    async def story() -> list[float]:
        room = Room(LimitRule("p/*", itpm=600))
        tasks = []
        for n, (pause, tokens) in enumerate(arrivals):
            await asyncio.sleep(pause)
            tasks.append(room.start(str(n), Need(tokens, 1)))
        await asyncio.gather(*tasks)
        assert room.order == [str(n) for n in range(len(arrivals))]
        return [moment for _, moment in room.log]

    moments = run(story())
    level, then, arrived = 600.0, 0.0, 0.0
    for moment, (pause, tokens) in zip(moments, arrivals, strict=True):
        arrived += pause
        head = max(arrived, then)  # the first in the queue from this moment on
        there = min(600.0, level + (head - then) * 10)
        turn = head + max(0.0, tokens - there) / 10
        # By this calculation, or up to a second later where the bucket had been full.
        assert turn - 0.01 <= moment <= turn + 1.02
        # Go on from what really was, so that a late second is not counted again.
        really = max(moment, then)
        level = min(600.0, level + (really - then) * 10) - tokens
        then = really


async def client(
    room: Room, dice: random.Random, out: list[int], *, slots: int, impatience: float
) -> None:
    """Waits, works, and ends in one of the ways in which calls end."""
    need = Need(dice.randint(1, 300), dice.randint(1, 100))
    timeout = dice.uniform(0, 30) if dice.random() < impatience else LONG
    given = await room.limit.reserve("p", dice.choice("ab"), need, timeout=timeout)
    if isinstance(given, NoRoom):
        return
    out[0] += 1
    assert out[0] <= slots
    try:
        await asyncio.sleep(dice.uniform(0, 3))
        end = dice.random()
        if end < 0.1:
            given.cancel()
        elif end < 0.2:
            given.settle(0, 0, status=429, retry_after=dice.choice([None, 2.0]))
        else:
            given.settle(dice.randint(1, 400), dice.randint(1, 200))
    finally:
        given.settle(None, None)
        out[0] -= 1


STORY = st.tuples(
    st.integers(0, 2**32), st.integers(1, 3), st.booleans(), st.floats(0.0, 1.0), st.floats(0, 0.5)
)


@settings(max_examples=60, deadline=None)
@given(STORY)
def test_whatever_happens_nothing_is_lost(story: tuple[int, int, bool, float, float]) -> None:
    seed, slots, shared, impatience, cancelled = story
    dice = random.Random(seed)

    async def play() -> None:
        rules = [LimitRule("p", concurrency=slots), LimitRule("p/*", rpm=60, itpm=6000, otpm=2000)]
        if shared:
            rules.append(LimitRule("p", itpm=9000))
        room = Room(*rules)
        out = [0]
        tasks = []
        for _ in range(60):
            await asyncio.sleep(dice.expovariate(2))
            tasks.append(
                asyncio.create_task(client(room, dice, out, slots=slots, impatience=impatience))
            )
            if dice.random() < cancelled:
                dice.choice(tasks).cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            assert result is None or isinstance(result, asyncio.CancelledError), result
        assert room.queued() == pytest.approx(0, abs=1e-3)
        await asyncio.sleep(3600)
        for row in room.limit.health():
            assert row.remaining == pytest.approx(row.capacity), row
        room.limit.close()

    run(play())
