"""A real Redis Cluster: what lives on a node that is gone is local, the rest is not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from switchgear.clock import SystemClock
from switchgear.config.state import StateConfig
from switchgear.routing.breaker import Breaker, Permit
from switchgear.routing.breaker_values import BreakerSettings
from switchgear.routing.fleet.circuits import SharedCircuits
from switchgear.routing.limits import Lease, Limiter, LimitRule, Need
from switchgear.state.exchange import Fleet
from switchgear.state.link import StateUnavailableError
from switchgear.state.redis_link import RedisLink

from .cluster import RedisMasters, redis_masters
from .server import RedisServer

pytestmark = [pytest.mark.xdist_group("redis"), pytest.mark.timeout(180)]

ONE = Need(1, 0)
LIMIT = 1.0  # seconds; nothing here is about the time that a busy machine takes


@pytest.fixture(scope="module")
def all_masters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisMasters]:
    with redis_masters(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def masters(all_masters: RedisMasters) -> RedisMasters:
    for node in all_masters.nodes:
        if node.running:
            node.resume()
        else:
            node.start()
    all_masters.wait()
    for node in all_masters.nodes:
        node.command("FLUSHALL")
        node.command("SCRIPT", "FLUSH")
    return all_masters


@contextlib.asynccontextmanager
async def fleet_at(masters: RedisMasters) -> AsyncIterator[Fleet]:
    clock = SystemClock()
    fleet = Fleet(RedisLink(StateConfig(url=masters.url, timeout=LIMIT), clock), clock)
    fleet.start()
    try:
        yield fleet
    finally:
        async with asyncio.timeout(60):
            await fleet.aclose()


async def take_slot(fleet: Fleet, tag: str) -> Any:
    link = fleet.link
    return await link.run("slots", [link.key(tag, "slots")], [link.replica, 5, 10, 0, 1])


def tags(masters: RedisMasters, fleet: Fleet) -> dict[RedisServer, str]:
    """A tag that lives on each node."""
    return {masters.home(fleet.link.key(f"t{n}", "slots")): f"t{n}" for n in range(50)}


async def fails(fleet: Fleet, tag: str) -> None:
    with pytest.raises(StateUnavailableError):
        await take_slot(fleet, tag)


async def works(fleet: Fleet, tag: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(StateUnavailableError):
                if await take_slot(fleet, tag):
                    return
            await asyncio.sleep(0.05)


async def test_every_tag_finds_its_node_and_every_node_learns_the_scripts(
    masters: RedisMasters,
) -> None:
    async with fleet_at(masters) as fleet:
        found = tags(masters, fleet)
        assert len(found) == 3
        for node, tag in found.items():
            assert await take_slot(fleet, tag)
            node.command("SCRIPT", "FLUSH")
            assert await take_slot(fleet, tag)
            assert node.command("EXISTS", fleet.link.key(tag, "slots")) == 1


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_of_a_node_that_is_gone_only_what_lives_there_is(
    masters: RedisMasters, how: str
) -> None:
    async with fleet_at(masters) as fleet:
        found = tags(masters, fleet)
        for tag in found.values():
            await take_slot(fleet, tag)
        told: list[bool] = []
        fleet.link.on_change.append(told.append)
        gone = next(n for n in found if n is not masters.home(fleet.link.key("fleet", "replicas")))
        if how == "killed":
            gone.kill()
        else:
            gone.pause()
        for _ in range(3):
            await fails(fleet, found[gone])
            for node, tag in found.items():
                if node is not gone:
                    await works(fleet, tag)
        assert fleet.link.up
        assert told == []
        if how == "killed":
            gone.start()
        else:
            gone.resume()
        await works(fleet, found[gone])


async def test_without_the_node_of_the_pulse_everything_is_local(masters: RedisMasters) -> None:
    async with fleet_at(masters) as fleet:
        found = tags(masters, fleet)
        for tag in found.values():
            await take_slot(fleet, tag)
        masters.home(fleet.link.key("fleet", "replicas")).kill()
        async with asyncio.timeout(60):
            while fleet.link.up:  # noqa: ASYNC110 - a look from outside
                await asyncio.sleep(0.05)
        for tag in found.values():
            await fails(fleet, tag)


async def test_limits_and_slots_are_shared_over_a_cluster(masters: RedisMasters) -> None:
    rules = [LimitRule("p/*", rpm=60, concurrency=5)]
    async with fleet_at(masters) as one, fleet_at(masters) as two:
        limiters = [Limiter(rules, SystemClock(), fleet) for fleet in (one, two)]
        held = []
        for limiter in limiters * 5:
            asked = limiter.ask("p", "m", ONE)
            if asked is not None:
                await asked
            held.append(limiter.try_reserve("p", "m", ONE))
        leases = [each for each in held if isinstance(each, Lease)]
        assert 4 <= len(leases) <= 5
        for lease in leases:
            lease.settle(None, None)
        for limiter in limiters:
            limiter.close()


async def test_a_circuit_opens_for_all_over_a_cluster(masters: RedisMasters) -> None:
    settings, clock = BreakerSettings(consecutive_failures=3), SystemClock()
    async with fleet_at(masters) as one, fleet_at(masters) as two:
        breakers = []
        for fleet in (one, two):
            shared = SharedCircuits(fleet.link, settings, clock, fleet.soon)
            breaker = Breaker("p/m", settings, clock)
            shared.attach("p/m", breaker)
            fleet.add(shared)
            breakers.append(breaker)
        for _ in range(3):
            permit = breakers[0].admit()
            assert isinstance(permit, Permit)
            permit.failure()
        async with asyncio.timeout(60):
            while breakers[1].state != "open":  # noqa: ASYNC110 - a look from outside
                await asyncio.sleep(0.05)
