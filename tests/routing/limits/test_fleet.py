"""Replicas that share limits: their limiters as shipped, around a real Redis. In virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from switchgear.clock import SystemClock
from switchgear.routing.limits import Lease, Limiter, LimitRule, Need, NoRoom
from tests.routing.limits.virtual import run
from tests.routing.limits.virtual_fleet import ONE, Stage
from tests.state.clocked import ClockedScripts

if TYPE_CHECKING:
    import redis

    from tests.state.server import RedisServer

pytestmark = pytest.mark.xdist_group("redis")

BURST = 60.0
A_MINUTE = LimitRule("p/*", rpm=BURST)


@pytest.fixture
def stage(server: RedisServer, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(ClockedScripts(redis_client), 7, monkeypatch)


async def test_without_a_fleet_nobody_is_ever_asked() -> None:
    limiter = Limiter([LimitRule("p/*", rpm=1)], SystemClock())
    assert isinstance(limiter.try_reserve("p", "m", ONE), Lease)
    assert limiter.ask("p", "m", ONE) is None


def test_the_first_call_waits_for_its_lease_and_the_next_do_not(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(1, LimitRule("p/*", rpm=600)) as (one,):
            assert one.limiter.ask("p", "m", ONE) is None
            assert isinstance(one.limiter.try_reserve("p", "m", ONE), Lease)

    run(story())


@pytest.mark.parametrize("shifts", [(), (0.0, 86_400.0, -900.0)])
def test_all_together_get_one_burst_whatever_their_clocks_say(
    stage: Stage, shifts: tuple[float, ...]
) -> None:
    async def story() -> None:
        async with stage.fleet(3, A_MINUTE, shifts=shifts) as fleet:
            let_in = [await replica.calls(100) for replica in fleet]
            assert 55 <= sum(let_in) <= BURST + 1
            await asyncio.sleep(20)
            let_in = [await replica.calls(100) for replica in fleet]
            assert 15 <= sum(let_in) <= 21

    run(story())


def test_a_rush_on_one_replica_gets_all_there_is_and_is_not_sent_away(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(4, LimitRule("p/*", rpm=6000)) as (first, *_):
            got = await asyncio.gather(*(first.call() for _ in range(3000)))
            assert sum(isinstance(each, Lease) for each in got) == 3000

    run(story())


def test_a_day_is_shared_too(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(3, LimitRule("p/*", rpd=30)) as fleet:
            let_in = [await replica.calls(100) for replica in fleet]
            assert 27 <= sum(let_in) <= 30

    run(story())


def test_what_was_not_used_goes_back(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(2, LimitRule("p/*", tpm=60_000)) as (first, second):
            lease = await first.call(Need(50_000, 0))
            assert isinstance(lease, Lease)
            assert isinstance(await second.call(Need(40_000, 0)), NoRoom)
            lease.cancel()
            async with asyncio.timeout(5):
                while isinstance(await second.call(Need(40_000, 0)), NoRoom):  # noqa: ASYNC110 - calls
                    await asyncio.sleep(0.05)

    run(story())


def test_every_key_has_an_end(stage: Stage, server: RedisServer) -> None:
    async def story() -> None:
        rule = LimitRule("p/*", rpm=60, tpm=6000, rpd=100, concurrency=5)
        async with stage.fleet(2, rule) as fleet:
            for replica in fleet:
                await replica.calls(10)
            keys = server.command("KEYS", "sg:*")
            assert len(keys) == 4
            for key in keys:
                assert server.command("TTL", key) > 0
                assert b"{" in key

    run(story())


def test_a_replica_gives_everything_back_at_its_end(stage: Stage, server: RedisServer) -> None:
    async def story() -> None:
        rule = LimitRule("p/*", rpm=60, concurrency=10)
        async with stage.fleet(2, rule) as (first, second):
            await first.calls(3)
            await second.aclose()
            await first.aclose()
        for key in server.command("KEYS", "sg:*"):
            names = [name.split(b":")[-1] for name in server.command("HKEYS", key)]
            assert not {b"r0", b"r1"} & set(names)

    run(story())


def test_with_redis_gone_each_has_its_part_and_asks_nobody(
    stage: Stage, server: RedisServer
) -> None:
    async def story() -> None:
        rule = LimitRule("p/*", rpm=600, concurrency=9)
        async with stage.fleet(3, rule) as fleet:
            for replica in fleet:
                replica.link.cut()
            assert all(replica.limiter.ask("p", "m", ONE) is None for replica in fleet)
            let_in = [await replica.calls(1000) for replica in fleet]
            assert min(let_in) >= 80
            assert 300 <= sum(let_in) <= 600
            held = [await replica.call() for replica in fleet for _ in range(5)]
            assert sum(isinstance(each, Lease) for each in held) == 0
            await asyncio.sleep(1)
            for replica in fleet:
                held = [await replica.call() for _ in range(5)]
                assert sum(isinstance(each, Lease) for each in held) <= 3
                for lease in held:
                    if isinstance(lease, Lease):
                        lease.cancel()

    run(story())


def test_a_redis_that_comes_back_empty_brings_no_second_burst(
    stage: Stage, server: RedisServer
) -> None:
    async def story() -> None:
        async with stage.fleet(3, LimitRule("p/*", rpm=600)) as fleet:
            for replica in fleet:
                replica.link.cut()
            spent = sum([await replica.calls(1000) for replica in fleet])
            assert spent >= 300
            server.command("FLUSHALL")
            for replica in fleet:
                replica.link.mend()
            await asyncio.sleep(0.5)
            # All was used up while it was away, and a server that has forgotten it is told; whoever
            # is back first gets a little before the others have said what they used.
            spent += sum([await replica.calls(1000) for replica in fleet])
            assert spent <= 600 + 200

    run(story())


def test_lost_memory_does_not_bring_a_second_burst(stage: Stage, server: RedisServer) -> None:
    async def story() -> None:
        async with stage.fleet(3, A_MINUTE) as fleet:
            for replica in fleet:
                await replica.calls(100)
            await asyncio.sleep(0.3)
            server.command("FLUSHALL")
            await asyncio.sleep(0.3)
            assert sum([await replica.calls(100) for replica in fleet]) <= 5

    run(story())


def test_a_process_that_stood_still_does_not_use_what_is_others_by_now(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(1, LimitRule("p/*", rpm=600, concurrency=5)) as (one,):
            one.clock.by += 60.0
            assert isinstance(one.limiter.try_reserve("p", "m", ONE), NoRoom)
            assert isinstance(await one.call(), Lease)

    run(story())


def test_slots_move_to_where_they_are_wanted(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(2, LimitRule("p/*", concurrency=10)) as (first, second):
            held = [await first.wait() for _ in range(10)]
            assert isinstance(await second.call(), NoRoom)
            waiting = [asyncio.create_task(second.wait()) for _ in range(3)]
            await asyncio.sleep(0.15)
            assert not any(task.done() for task in waiting)
            for lease in held[:3]:
                lease.settle(None, None)
            async with asyncio.timeout(1):
                await asyncio.gather(*waiting)

    run(story())


def test_a_waiting_call_that_is_cancelled_leaves_nothing_behind(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(1, LimitRule("p/*", rpm=60, burst=0.02)) as (one,):
            await one.calls(5)
            task = asyncio.create_task(one.wait())
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert all(row.queued == 0 for row in one.limiter.health())
            await one.wait(timeout=3)

    run(story())


def test_health_speaks_of_the_whole_fleet(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(2, LimitRule("p/*", rpm=600)) as (first, second):
            await second.calls(60)
            await asyncio.sleep(1.2)  # one that does nothing itself hears of it once a second
            (row,) = first.limiter.health()
            assert (row.limit, row.capacity) == ("rpm of p/*", 600)
            assert row.remaining is not None
            assert 250 <= row.remaining <= 560  # what others hold is not seen, what they used is
            part = first.limiter.capacity("p", "m")
            assert part is not None
            assert 0.4 <= part <= 0.95

    run(story())
