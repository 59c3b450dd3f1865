from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import redis

    from tests.state.server import RedisServer

# Where no loop was ever set, pytest-asyncio's look at "the loop before" makes one on Python 3.11
# to 3.13 that nobody closes, and `filterwarnings = error` then fails the run at its very end.
asyncio.set_event_loop(None)

# A router that is not told otherwise keeps a ledger in this user's home; tests that are not about
# it keep theirs in memory.
os.environ["SWITCHGEAR_LEDGER"] = "memory:"


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: for a third of its time a run waits for something."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else 2


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for all the tests of a process, with what they left in it."""
    # Imported here: where there is no redis-server, it skips the test.
    from tests.state.server import RedisServer

    found = RedisServer(tmp_path_factory.mktemp("redis"))
    yield found
    found.kill()


@pytest.fixture(scope="session")
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of it."""
    with redis_server.client() as client:
        yield client


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[RedisServer]:
    """The same, empty. A test may break it."""
    redis_server.mend()
    yield redis_server
    redis_server.mend()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One that nobody else has used."""
    from tests.state.server import RedisServer

    found = RedisServer(tmp_path)
    yield found
    found.kill()
