"""Replicas in one process, each with a limiter of its own, over a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from switchgear.clock import SystemClock
from switchgear.config.state import StateConfig
from switchgear.routing.limits import Lease, Limiter, LimitRule, Need, NoRoom
from switchgear.state.exchange import Fleet
from switchgear.state.opening import open_fleet
from tests.state.server import RedisServer

pytestmark = pytest.mark.xdist_group("redis")

LIMIT = 0.25
SLACK = 0.2  # two cores, shared
ONE = Need(1, 0)


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    found = RedisServer(tmp_path_factory.mktemp("redis"))
    yield found
    found.kill()


@pytest.fixture
def server(one_server: RedisServer) -> RedisServer:
    one_server.command("FLUSHALL")
    return one_server


class ShiftedClock(SystemClock):
    """A machine whose clocks are wrong."""

    def __init__(self, by: float) -> None:
        self.by = by

    def monotonic(self) -> float:
        return time.monotonic() + self.by

    def now(self) -> float:
        return time.time() + self.by


class Replica:
    def __init__(self, url: str, rules: list[LimitRule], clock: SystemClock) -> None:
        fleet = open_fleet(StateConfig(url=url, timeout=LIMIT), clock)
        assert fleet is not None
        self.fleet: Fleet = fleet
        self.limiter = Limiter(rules, clock, fleet)
        fleet.start()

    async def call(self, need: Need = ONE, model: str = "m") -> Lease | NoRoom:
        """As the router does: ask where need be, then reserve."""
        asked = self.limiter.ask("p", model, need)
        if asked is not None:
            await asked
        return self.limiter.try_reserve("p", model, need)

    async def calls(self, most: int, need: Need = ONE) -> int:
        """How many are let in, one after the other, each over at once."""
        for number in range(most):
            got = await self.call(need)
            if isinstance(got, NoRoom):
                return number
            got.settle(None, None)
        return most

    async def aclose(self) -> None:
        self.limiter.close()
        await self.fleet.aclose()

    async def until(self, *, up: bool) -> None:
        async with asyncio.timeout(10):
            while self.fleet.link.up != up:  # noqa: ASYNC110 - a look from outside
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def replicas(
    server: RedisServer, count: int, shifts: tuple[float, ...] = (), **numbers: Any
) -> AsyncIterator[list[Replica]]:
    rules = [LimitRule("p/*", **numbers)]
    clocks = [ShiftedClock(shift) for shift in shifts or (0.0,) * count]
    found = [Replica(server.url, rules, clock) for clock in clocks]
    for replica in found:
        asked = replica.limiter.ask("p", "m", ONE)
        assert asked is not None
        await asked
    try:
        yield found
    finally:
        for replica in found:
            await replica.aclose()


async def test_the_first_call_waits_for_its_lease_and_the_next_do_not(
    server: RedisServer,
) -> None:
    async with replicas(server, 1, rpm=600) as (one,):
        assert one.limiter.ask("p", "m", ONE) is None
        assert isinstance(one.limiter.try_reserve("p", "m", ONE), Lease)


async def test_without_a_fleet_nobody_is_ever_asked() -> None:
    limiter = Limiter([LimitRule("p/*", rpm=1)], SystemClock())
    assert isinstance(limiter.try_reserve("p", "m", ONE), Lease)
    assert limiter.ask("p", "m", ONE) is None


async def test_all_together_get_one_burst(server: RedisServer) -> None:
    async with replicas(server, 3, rpm=60) as fleet:
        let_in = [await replica.calls(100) for replica in fleet]
        assert 55 <= sum(let_in) <= 62  # and one a second


async def test_a_rush_on_one_replica_gets_all_there_is_and_is_not_sent_away(
    server: RedisServer,
) -> None:
    async with replicas(server, 4, rpm=6000) as (first, *_):
        got = await asyncio.gather(*(first.call() for _ in range(3000)))
        assert sum(isinstance(each, Lease) for each in got) == 3000


async def test_machines_with_wrong_clocks_share_as_well(server: RedisServer) -> None:
    async with replicas(server, 3, (0.0, 86_400.0, -900.0), rpm=60) as fleet:
        let_in = [await replica.calls(100) for replica in fleet]
        assert 55 <= sum(let_in) <= 62


async def test_a_day_is_shared_too(server: RedisServer) -> None:
    async with replicas(server, 3, rpd=30) as fleet:
        let_in = [await replica.calls(100) for replica in fleet]
        assert 27 <= sum(let_in) <= 30


async def test_what_was_not_used_goes_back(server: RedisServer) -> None:
    async with replicas(server, 2, tpm=60_000) as (first, second):
        lease = await first.call(Need(50_000, 0))
        assert isinstance(lease, Lease)
        assert isinstance(await second.call(Need(40_000, 0)), NoRoom)
        lease.cancel()
        async with asyncio.timeout(5):
            while isinstance(await second.call(Need(40_000, 0)), NoRoom):  # noqa: ASYNC110 - calls
                await asyncio.sleep(0.05)


async def test_calls_as_large_as_the_limit_get_their_turn_beside_small_ones(
    server: RedisServer,
) -> None:
    async with replicas(server, 3, tpm=60_000, burst=0.02) as (one, two, large):
        await one.calls(100, Need(100, 0))
        stop = asyncio.Event()

        async def small(replica: Replica) -> None:
            while not stop.is_set():
                lease = await replica.limiter.reserve("p", "m", Need(50, 0), timeout=5)
                if isinstance(lease, Lease):
                    lease.settle(None, None)

        others = [asyncio.create_task(small(each)) for each in (one, two) for _ in range(5)]
        began = time.monotonic()
        lease = await large.limiter.reserve("p", "m", Need(1200, 0), timeout=20)
        stop.set()
        await asyncio.wait(others)
        assert isinstance(lease, Lease)
        assert time.monotonic() - began < 5  # the bucket alone takes 1.2 to fill


async def test_every_key_has_an_end(server: RedisServer) -> None:
    async with replicas(server, 2, rpm=60, tpm=6000, rpd=100, concurrency=5) as fleet:
        for replica in fleet:
            await replica.calls(10)
        keys = server.command("KEYS", "*")
        assert len(keys) == 6
        for key in keys:
            assert server.command("TTL", key) > 0
            assert b"{" in key


async def test_an_idle_replica_gives_everything_back_at_its_end(server: RedisServer) -> None:
    async with replicas(server, 2, rpm=60, concurrency=10) as (first, second):
        await first.calls(3)
        await second.aclose()
        await first.aclose()
        for key in server.command("KEYS", "*p/*"):
            names = server.command("HKEYS", key)
            assert not [name for name in names if b"-" in name]


async def test_with_redis_gone_each_has_its_part_and_waits_for_nothing(
    server: RedisServer,
) -> None:
    async with replicas(server, 3, rpm=600, concurrency=9) as fleet:
        for replica in fleet:
            await replica.until(up=True)
        await asyncio.sleep(1.2)  # the pulse counts the replicas
        assert [replica.fleet.link.replicas for replica in fleet] == [3, 3, 3]
        let_in: list[int] = []
        server.kill()
        try:
            for replica in fleet:
                await replica.until(up=False)
                began = time.monotonic()
                let_in.append(await replica.calls(1000))
                held = [await replica.call() for _ in range(5)]
                assert time.monotonic() - began < LIMIT + SLACK
                assert sum(isinstance(each, Lease) for each in held) <= 3
                for lease in held:
                    if isinstance(lease, Lease):
                        lease.cancel()
            assert min(let_in) >= 80
            assert 300 <= sum(let_in) <= 630  # a burst, and ten a second
        finally:
            server.start()
        for replica in fleet:
            await replica.until(up=True)
        await asyncio.sleep(0.5)
        # All was used up while it was away, and a server that has forgotten it is told; whoever
        # is back first gets a little before the others have said what they used.
        assert sum([await replica.calls(1000) for replica in fleet]) < 200
        (key,) = server.command("KEYS", "*:rpm:*")
        assert float(server.command("HGET", key, "level")) < 20


async def test_a_paused_redis_holds_no_call_longer_than_its_time_limit(
    server: RedisServer,
) -> None:
    async with replicas(server, 2, rpm=6000) as (first, second):
        server.pause()
        try:
            waits = []
            until = time.monotonic() + 2.0
            while time.monotonic() < until:
                began = time.monotonic()
                await first.call(), await second.call()
                waits.append(time.monotonic() - began)
                await asyncio.sleep(0.01)
            assert max(waits) < LIMIT + SLACK
            assert sorted(waits)[len(waits) // 2] < 0.01
        finally:
            server.resume()
        await first.until(up=True)
        assert isinstance(await first.call(), Lease)


async def test_lost_memory_does_not_bring_a_second_burst(server: RedisServer) -> None:
    async with replicas(server, 3, rpm=60) as fleet:
        for replica in fleet:
            await replica.calls(100)
        await asyncio.sleep(0.3)
        server.command("FLUSHALL")
        await asyncio.sleep(0.3)
        assert sum([await replica.calls(100) for replica in fleet]) <= 5


async def test_a_process_that_stood_still_does_not_use_what_is_others_by_now(
    server: RedisServer,
) -> None:
    async with replicas(server, 1, rpm=600, concurrency=5) as (one,):
        clock = one.limiter._clock
        assert isinstance(clock, ShiftedClock)
        clock.by += 60.0
        assert isinstance(one.limiter.try_reserve("p", "m", ONE), NoRoom)
        assert isinstance(await one.call(), Lease)


async def test_slots_move_to_where_they_are_wanted(server: RedisServer) -> None:
    async with replicas(server, 2, concurrency=10) as (first, second):
        held = [await first.limiter.reserve("p", "m", ONE, timeout=5) for _ in range(10)]
        assert all(isinstance(each, Lease) for each in held)
        assert isinstance(await second.call(), NoRoom)
        waiting = [
            asyncio.create_task(second.limiter.reserve("p", "m", ONE, timeout=5)) for _ in range(3)
        ]
        await asyncio.sleep(0.15)
        for lease in held[:3]:
            assert isinstance(lease, Lease)
            lease.settle(None, None)
        assert all(isinstance(each, Lease) for each in await asyncio.gather(*waiting))


async def test_a_waiting_call_that_is_cancelled_leaves_nothing_behind(
    server: RedisServer,
) -> None:
    async with replicas(server, 1, rpm=60, burst=0.02) as (one,):
        await one.calls(5)
        task = asyncio.create_task(one.limiter.reserve("p", "m", ONE, timeout=30))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.wait([task])
        assert all(row.queued == 0 for row in one.limiter.health())
        assert isinstance(await one.limiter.reserve("p", "m", ONE, timeout=5), Lease)


async def test_health_speaks_of_the_whole_fleet(server: RedisServer) -> None:
    async with replicas(server, 2, rpm=600) as (first, second):
        await second.calls(60)
        await asyncio.sleep(1.2)  # one that does nothing itself hears of it once a second
        (row,) = first.limiter.health()
        assert (row.limit, row.capacity) == ("rpm of p/*", 600)
        assert row.remaining is not None
        assert 250 <= row.remaining <= 570  # what others hold is not seen, what they used is
        part = first.limiter.capacity("p", "m")
        assert part is not None
        assert 0.4 <= part <= 0.95
