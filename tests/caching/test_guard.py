"""A store that is slow, away or broken costs a call next to nothing, and fails none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import pytest

from switchgear.caching.guard import Guard
from switchgear.caching.store import StoreRefusedError, StoreStats

if TYPE_CHECKING:
    from tests.caching.conftest import Opener
    from tests.caching.values import HandClock
    from tests.state.server import RedisServer

KEY = b"k" * 32


class Wayward:
    """A store that does what a test tells it to."""

    instant = False
    place = "nowhere"

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {KEY: b"value"}
        self.error: Exception | None = None
        self.refuses = False
        self.opening: asyncio.Event | None = None
        self.opening_error: Exception | None = None
        self.opened = 0
        self.stuck: asyncio.Event | None = None
        self.asked = 0
        self.ended = 0
        self.all_ended = asyncio.Event()

    async def _meet(self) -> None:
        self.asked += 1
        if self.stuck is not None:
            await self.stuck.wait()
        self.ended += 1
        if self.ended == self.asked:
            self.all_ended.set()
        if self.error is not None:
            raise self.error

    async def open(self) -> None:
        self.opened += 1
        if self.opening is not None:
            await self.opening.wait()
        if self.opening_error is not None:
            raise self.opening_error

    async def get(self, key: bytes) -> bytes | None:
        await self._meet()
        return self.kept.get(key)

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        await self._meet()
        if self.refuses:
            raise StoreRefusedError("full")
        self.kept[key] = value

    async def delete(self, key: bytes) -> None:
        await self._meet()
        self.kept.pop(key, None)

    def stats(self) -> StoreStats:
        return StoreStats(len(self.kept))

    async def aclose(self) -> None:
        raise OSError("already gone")


@pytest.fixture
def store() -> Wayward:
    return Wayward()


@pytest.fixture
def guard(store: Wayward, clock: HandClock) -> Guard:
    return Guard(store, clock, 0.01)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


async def test_a_store_that_works_is_as_if_nobody_stood_before_it(
    guard: Guard, store: Wayward
) -> None:
    assert await guard.get(KEY) == b"value"
    assert await guard.put(b"other", b"x", 1)
    await guard.delete(KEY)
    assert store.kept == {b"other": b"x"}
    assert guard.stats() == StoreStats(1)


async def test_a_failure_is_a_miss_one_warning_and_a_pause(
    guard: Guard, store: Wayward, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    store.error = ConnectionError("refused; password sk-0123456789abcdef")
    assert await guard.get(KEY) is None
    assert await guard.get(KEY) is None
    assert not await guard.put(KEY, b"x", 1)
    assert store.asked == 1, "it is left alone"
    assert (guard.failed, guard.passed_over) == (1, 2)
    clock.time += 1.0
    assert await guard.get(KEY) is None
    assert store.asked == 2
    clock.time += 1.9
    await guard.get(KEY)
    assert store.asked == 2, "twice as long the second time"
    assert len(warnings(caplog)) == 1
    assert "nowhere" in warnings(caplog)[0]
    assert "sk-0123456789abcdef" not in warnings(caplog)[0]


async def test_pauses_grow_to_half_a_minute_and_no_further(
    guard: Guard, store: Wayward, clock: HandClock
) -> None:
    store.error = OSError()
    for _ in range(10):
        await guard.get(KEY)
        clock.time += 30
    assert store.asked == 10


async def test_a_store_that_is_back_is_used_again_and_warned_of_again(
    guard: Guard, store: Wayward, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        store.error = OSError("gone")
        await guard.get(KEY)
        store.error = None
        clock.time += 1.0
        assert await guard.get(KEY) == b"value"
        assert await guard.get(KEY) == b"value"
    assert len(warnings(caplog)) == 2


async def test_after_a_pause_one_call_at_a_time_has_a_look(
    guard: Guard, store: Wayward, clock: HandClock
) -> None:
    store.error = OSError()
    await guard.get(KEY)
    clock.time += 1.0
    store.asked = 0
    await asyncio.gather(*(guard.get(KEY) for _ in range(20)))
    assert store.asked == 1


async def test_nobody_waits_longer_than_the_bound_and_nothing_is_broken_off(
    guard: Guard, store: Wayward
) -> None:
    store.stuck = asyncio.Event()
    async with asyncio.timeout(30):
        found = await asyncio.gather(*(guard.get(KEY) for _ in range(50)))
    assert found == [None] * 50
    assert guard.slow == 50
    before = store.asked
    assert await guard.get(KEY) is None
    assert store.asked == before, "while it hangs, nobody else waits"
    store.stuck.set()
    await store.all_ended.wait()
    store.stuck = None
    assert await guard.get(KEY) == b"value"


async def test_three_slow_answers_in_a_row_are_an_outage(
    guard: Guard, store: Wayward, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    assert await guard.get(KEY) == b"value"

    async def slowly() -> None:
        store.stuck = asyncio.Event()
        assert await guard.get(KEY) is None
        store.stuck.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        store.stuck = None

    await slowly()
    await slowly()
    assert await guard.get(KEY) == b"value", "a quick one begins the count anew"
    for _ in range(3):
        await slowly()
    assert await guard.get(KEY) is None
    assert "longer" in "".join(warnings(caplog))
    clock.time += 1.0
    await slowly()
    clock.time += 1.0
    assert await guard.get(KEY) is None, "a slow probe is no recovery"
    clock.time += 1.0
    assert await guard.get(KEY) == b"value"


# The first contact


async def test_whoever_comes_while_the_store_is_opened_waits_for_it(
    guard: Guard, store: Wayward, caplog: pytest.LogCaptureFixture
) -> None:
    """Longer than any look may take, since a client has to be imported and connected."""
    store.opening = asyncio.Event()
    asking = [asyncio.ensure_future(guard.get(KEY)) for _ in range(5)]
    putting = asyncio.ensure_future(guard.put(b"other", b"x", 1))
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in (*asking, putting))
    store.opening.set()
    assert await asyncio.gather(*asking) == [b"value"] * 5
    assert await putting
    assert (store.opened, guard.slow, guard.failed, guard.passed_over) == (1, 0, 0, 0)
    assert not warnings(caplog)


async def test_it_may_be_opened_before_anybody_asks(guard: Guard, store: Wayward) -> None:
    guard.start()
    guard.start()
    await asyncio.sleep(0)
    assert (store.opened, store.asked) == (1, 0)
    assert await guard.get(KEY) == b"value"
    assert store.opened == 1


async def test_nobody_waits_longer_for_the_opening_than_they_have_patience(
    guard: Guard, store: Wayward, caplog: pytest.LogCaptureFixture
) -> None:
    store.opening = asyncio.Event()
    assert await guard.get(KEY, patience=0.01) is None
    assert not await guard.put(KEY, b"x", 1, patience=0.01)
    assert (store.asked, guard.passed_over) == (0, 2)
    assert not warnings(caplog), "it may still succeed"
    store.opening.set()
    assert await guard.get(KEY, patience=0.01) == b"value"


@pytest.mark.looptime
async def test_a_store_that_does_not_open_holds_up_the_first_two_seconds_and_nothing_after(
    guard: Guard, store: Wayward, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    store.opening = asyncio.Event()
    loop = asyncio.get_running_loop()
    early = asyncio.ensure_future(guard.get(KEY))
    await asyncio.sleep(1.5)
    late = asyncio.ensure_future(guard.get(KEY))
    assert await early is None
    assert await late is None
    assert loop.time() == 2.0, "two seconds in all, not for each"
    for _ in range(100):
        assert await guard.get(KEY) is None
        clock.time += 10
    assert loop.time() == 2.0
    assert store.asked == 0
    assert len(warnings(caplog)) == 1
    assert "within 2 s" in warnings(caplog)[0]
    store.opening.set()
    await asyncio.sleep(0.1)
    assert await guard.get(KEY) == b"value", "it has opened after all"


async def test_a_store_that_fails_to_open_is_tried_again_after_its_pause(
    guard: Guard, store: Wayward, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    store.opening_error = OSError("refused")
    assert await guard.get(KEY) is None
    assert await guard.get(KEY) is None
    assert (store.opened, store.asked, guard.failed) == (1, 0, 1)
    assert len(warnings(caplog)) == 1
    clock.time += 1.0
    assert await guard.get(KEY) == b"value"


async def test_a_caller_that_leaves_does_not_end_the_opening(guard: Guard, store: Wayward) -> None:
    store.opening = asyncio.Event()
    asking = asyncio.ensure_future(guard.get(KEY))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    store.opening.set()
    assert await guard.get(KEY) == b"value"
    assert store.opened == 1


async def test_closing_ends_an_opening_that_hangs(guard: Guard, store: Wayward) -> None:
    store.opening = asyncio.Event()
    guard.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await guard.aclose()


# Refusals, and callers that leave


async def test_a_store_that_takes_nothing_can_still_be_read(
    guard: Guard, store: Wayward, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    store.refuses = True
    assert not await guard.put(KEY, b"x", 1)
    assert not await guard.put(KEY, b"x", 1)
    assert await guard.get(KEY) == b"value"
    assert store.asked == 2
    clock.time += 1.0
    store.refuses = False
    assert await guard.put(KEY, b"x", 1)
    assert await guard.put(KEY, b"y", 1)
    assert await guard.get(KEY) == b"y"
    assert len(warnings(caplog)) == 1


async def test_a_caller_that_leaves_takes_nobody_elses_place(
    guard: Guard, store: Wayward, clock: HandClock
) -> None:
    """Neither the one of a probe, nor the one of a put."""
    store.error = OSError()
    await guard.get(KEY)
    clock.time += 1.0
    store.error, store.stuck = None, asyncio.Event()
    store.all_ended.clear()
    asking = asyncio.ensure_future(guard.put(KEY, b"z", 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    store.stuck.set()
    await store.all_ended.wait()
    await asyncio.sleep(0)
    store.stuck = None
    assert await guard.get(KEY) == b"z"
    assert await guard.put(KEY, b"y", 1)


async def test_closing_ends_what_hangs_and_raises_nothing(guard: Guard, store: Wayward) -> None:
    store.stuck = asyncio.Event()
    await guard.get(KEY)
    await guard.aclose()
    assert store.ended == 0


@pytest.mark.xdist_group("redis")
async def test_a_stalled_redis_delays_nobody_and_mixes_nothing_up(
    own_redis: RedisServer, opened: Opener, clock: HandClock
) -> None:
    """Answers that come too late must not be taken for those to later questions."""
    keys = [n.to_bytes(32, "big") for n in range(50)]
    async with contextlib.aclosing(Guard(opened(own_redis.url), clock, 0.02)) as guard:
        await kept(guard, keys, clock)
        for _ in range(3):
            own_redis.pause()
            async with asyncio.timeout(30):
                assert await asyncio.gather(*(guard.get(key) for key in keys)) == [None] * 50
                assert await guard.get(keys[0]) is None
            own_redis.resume()
            await kept(guard, keys, clock)
        assert guard.slow > 0
        assert guard.failed == 0


async def kept(guard: Guard, keys: list[bytes], clock: HandClock) -> None:
    """Each under itself; on a busy machine a store may be slow at any time."""
    for key in keys:
        while not await guard.put(key, key, 60):
            await asyncio.sleep(0)
            clock.time += 60
        assert await guard.get(key) in (key, None)


@pytest.mark.xdist_group("redis")
async def test_a_redis_that_dies_is_a_miss_and_one_that_returns_is_used(
    own_redis: RedisServer, opened: Opener, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    guard = Guard(opened(own_redis.url), clock, 30.0)
    assert await guard.put(KEY, b"one", 60)
    own_redis.kill()
    for _ in range(20):
        assert await guard.get(KEY) is None
        clock.time += 0.1
    assert len(warnings(caplog)) == 1
    own_redis.start()
    clock.time += 30
    assert await guard.get(KEY) is None, "it lost its memory"
    assert await guard.put(KEY, b"two", 60)
    assert await guard.get(KEY) == b"two"
    await guard.aclose()
