"""What a fleet leaves behind in a Redis: nothing that stays for ever."""

from __future__ import annotations

import asyncio
import re

import pytest

from switchgear.clock import SystemClock
from switchgear.config.state import StateConfig
from switchgear.routing.breaker import Breaker, Permit
from switchgear.routing.breaker_values import BreakerSettings
from switchgear.routing.cooldown import Cooldowns
from switchgear.routing.fleet import FleetHealth
from switchgear.routing.limits import Lease, Limiter, LimitRule, Need
from switchgear.state.exchange import Fleet
from switchgear.state.redis_link import RedisLink

from .server import RedisServer

pytestmark = pytest.mark.xdist_group("redis")

DAYS = 86_400
LONGEST = {"epoch": 400 * DAYS}
"""Seconds; the name of a server's memory must outlive every period of a budget."""
LONG = 2 * DAYS


async def test_every_key_has_an_end_and_a_tag_and_begins_with_the_namespace(
    server: RedisServer,
) -> None:
    clock, settings = SystemClock(), BreakerSettings(consecutive_failures=2)
    config = StateConfig(url=server.url, namespace="mine", timeout=5.0)
    fleet = Fleet(RedisLink(config, clock, ["0123456789abcdef [breaker]"]), clock)
    cooldowns = Cooldowns(clock)
    health = FleetHealth(
        fleet.link, breaker=settings, cooldowns=cooldowns, clock=clock, soon=fleet.soon
    )
    rule = LimitRule("p/*", rpm=60, tpm=600, itpm=600, otpm=600, rpd=100, concurrency=5)
    limiter = Limiter([rule], clock, fleet)
    breaker = Breaker("p/m", settings, clock)
    for part in health.parts:
        fleet.add(part)
    health._circuits.attach("p/m", breaker)
    try:
        asked = limiter.ask("p", "m", Need(1, 1))
        assert asked is not None
        await asked
        lease = limiter.try_reserve("p", "m", Need(1, 1))
        assert isinstance(lease, Lease)
        lease.settle(1, 1)
        for _ in range(2):
            permit = breaker.admit()
            assert isinstance(permit, Permit)
            permit.failure()
        for _ in range(3):
            await fleet.ask(*health.parts)
            await asyncio.sleep(0)
        keys = [bytes(key).decode() for key in server.command("KEYS", "*")]
        assert len(keys) >= 12
        for key in keys:
            assert re.fullmatch(r"mine:\{[^{}]+\}:.+", key), key
            most = LONGEST.get(key.rpartition(":")[2], LONG)
            assert 0 < server.command("TTL", key) <= most, key
    finally:
        limiter.close()
        await fleet.aclose()
