"""How many replicas there are: what each one's share is reckoned by while Redis is away."""

from __future__ import annotations

import asyncio

import pytest

from switchgear.clock import SystemClock
from switchgear.config.state import StateConfig
from switchgear.state.redis_link import RedisLink

from .server import RedisServer

pytestmark = pytest.mark.xdist_group("redis")

FAR = 4e9


async def test_who_is_back_first_after_a_restart_does_not_take_itself_for_the_only_one(
    server: RedisServer,
) -> None:
    clock = SystemClock()
    link = RedisLink(StateConfig(url=server.url, timeout=5.0), clock)
    server.command("ZADD", link.key("fleet", "replicas"), FAR, "one", FAR, "two")
    try:
        await link.run("slots", [link.key("t", "slots")], [link.replica, 5, 10, 0, 1])
        assert link.replicas == 3
        before = link.epoch
        server.restart()
        async with asyncio.timeout(30):
            while link.epoch == before:  # noqa: ASYNC110 - the pulse tells nobody
                await asyncio.sleep(0.02)
        assert link.replicas == 3
        # Whoever has not come back in ten seconds is gone.
        link._recount_at = clock.monotonic()
        async with asyncio.timeout(30):
            while link.replicas != 1:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.02)
    finally:
        await link.aclose()
