"""Routers that share their state through a Redis, configured as a user would."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from switchgear import AllProvidersFailedError, Config, Router, ServerError
from switchgear.providers.base import Call
from switchgear.testing.scripted import ScriptedProvider

if TYPE_CHECKING:
    from tests.state.server import RedisServer

pytestmark = pytest.mark.xdist_group("redis")


def replica(server: RedisServer, provider: ScriptedProvider, **sections: Any) -> Router:
    config = Config.from_dict(
        {
            "state": {"url": server.url, "timeout": 30},
            "groups": {"g": {"chain": ["ollama/m"]}},
            **sections,
        }
    )
    return Router(config, providers={"ollama": provider})


async def admitted(router: Router, calls: int) -> int:
    """How many calls get through that do not wait for longer than three seconds."""
    outcomes = await asyncio.gather(
        *(router.complete("g", "x", max_tokens=5, timeout=3) for _ in range(calls)),
        return_exceptions=True,
    )
    return sum(not isinstance(outcome, BaseException) for outcome in outcomes)


async def test_a_rate_limit_holds_for_all_replicas_together(server: RedisServer) -> None:
    limits = {"ollama": {"rpm": 30}}
    one = replica(server, ScriptedProvider("ollama"), limits=limits)
    other = replica(server, ScriptedProvider("ollama"), limits=limits)
    began = time.monotonic()
    async with one, other:
        counts = await asyncio.gather(admitted(one, 40), admitted(other, 40))
    # A minute's worth may go at once, and each second brings half a call more. A part of it is
    # leased ahead, and may be at the replica that does not need it.
    assert 20 <= sum(counts) <= 31 + 0.5 * (time.monotonic() - began)


def states(*routers: Router) -> list[str]:
    return [router.health().breakers[0].state for router in routers]


async def test_a_circuit_that_opens_at_one_is_open_at_the_other(server: RedisServer) -> None:
    def down(call: Call) -> None:
        raise ServerError("down", status=500, provider="ollama")

    sick = [ScriptedProvider("ollama", on_call=down) for _ in range(2)]
    one, other = (replica(server, provider) for provider in sick)
    async with one, other:
        with pytest.raises(AllProvidersFailedError):
            await other.complete("g", "x", max_tokens=5)
        for _ in range(3):
            with pytest.raises(AllProvidersFailedError):
                await one.complete("g", "x", max_tokens=5)
        async with asyncio.timeout(30):
            while states(one, other) != ["open", "open"]:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.05)


async def test_without_its_redis_a_replica_goes_on_by_itself(server: RedisServer) -> None:
    router = replica(server, ScriptedProvider("ollama"), limits={"ollama": {"rpm": 600}})
    async with router:
        assert await admitted(router, 5) == 5
        assert router.health().ok
        server.kill()
        assert await admitted(router, 5) == 5
        async with asyncio.timeout(30):
            while router.health().ok:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.02)
        shared = router.health().shared
        assert shared is not None
        assert (shared.up, shared.outages) == (False, 1)
        assert "is away: limits as for one replica alone" in str(router.health())


def test_the_password_of_the_server_is_never_shown() -> None:
    config = Config.from_dict({"state": {"url": "redis://:hunter2@localhost:6379/0"}})
    assert "hunter2" not in repr(config)
    assert "hunter2" not in repr(config.redacted())
