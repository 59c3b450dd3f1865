"""A clock to turn by hand, and stores of every kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from switchgear.caching.store import CacheStore
from switchgear.caching.stores import open_cache
from tests.caching.values import HandClock

if TYPE_CHECKING:
    from tests.state.server import RedisServer


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


Opener = Callable[..., CacheStore]


@pytest_asyncio.fixture
async def opened(clock: HandClock) -> AsyncIterator[Opener]:
    """Opens stores on the clock, and closes them at the end."""
    closing: list[Callable[[], Awaitable[None]]] = []

    def open_one(url: str, **settings: object) -> CacheStore:
        store = open_cache(url, clock=clock, **settings)  # type: ignore[arg-type]
        closing.append(store.aclose)
        return store

    yield open_one
    for close in closing:
        await close()


@pytest.fixture(
    params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.xdist_group("redis"))]
)
def store(request: pytest.FixtureRequest, tmp_path: Path, opened: Opener) -> CacheStore:
    """An empty store of every kind."""
    if request.param == "memory":
        return opened("memory:")
    if request.param == "sqlite":
        return opened(f"sqlite:{tmp_path / 'cache.db'}")
    server: RedisServer = request.getfixturevalue("redis_server")
    return opened(server.url, prefix=server.new())
