"""One hard budget that a Redis decides about, while the fleet's processes and it come to harm.

``SWITCHGEAR_FULL=1`` runs it at full size: 6 processes with 100 calls at once each.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.accounting.ledger.conftest import PostgresServer, postgres
from tests.integration.budget_checker import check, lines
from tests.integration.test_budget_processes import Size, adopt_all, attack, report
from tests.state.server import RedisServer, SlowRoad, slow_road

__all__ = ["postgres"]

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("pg")]

FULL = bool(os.environ.get("SWITCHGEAR_FULL"))
SIZE = Size(6, 100, "0.60", 8) if FULL else Size(6, 20, "0.10", 3)
OUTAGES = 20 if FULL else 6


class Troubled:
    """A Redis, the road to it, and what happens to both.

    Whatever happens takes some time, in which the processes go on.
    """

    def __init__(self, folder: Path) -> None:
        self.server = RedisServer(folder, "--dbfilename", "kept.rdb")
        self._road: SlowRoad | None = None
        self._ended = threading.Event()
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._carry(started)))
        self._thread.start()
        assert started.wait(30)

    @property
    def url(self) -> str:
        assert self._road is not None
        return f"redis://127.0.0.1:{self._road.port}/0"

    async def _carry(self, started: threading.Event) -> None:
        async with slow_road(self.server.port) as self._road:
            started.set()
            await asyncio.to_thread(self._ended.wait)

    def pause(self, seconds: float) -> None:
        self.server.pause()
        time.sleep(seconds)
        self.server.resume()

    def forget(self, seconds: float) -> None:
        """It is killed, and starts with nothing."""
        self.server.kill()
        (self.server.folder / "kept.rdb").unlink(missing_ok=True)
        time.sleep(seconds)
        self.server.start()

    def remember(self, seconds: float) -> None:
        """It is killed, and starts with what it knew a while ago."""
        self.server.command("SAVE")
        time.sleep(seconds)
        self.server.kill()
        self.server.start()

    def flush(self, seconds: float) -> None:
        """Everything is lost, and nobody notices that it was away."""
        self.server.command("FLUSHALL")
        time.sleep(seconds)

    def slow(self, seconds: float) -> None:
        """Each answer takes from nearly nothing to far too long: 0.25 s is the limit."""
        assert self._road is not None
        self._road.delay = seconds
        time.sleep(1.0)
        self._road.delay = 0.0

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self.server.kill()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Troubled]:
    found = Troubled(tmp_path)
    yield found
    found.close()


def outages(redis: Troubled, chance: random.Random) -> tuple[list[str], Callable[[int], None]]:
    """One outage for each share of the answers, each kind at least once where there are enough."""
    kinds = [redis.pause, redis.forget, redis.remember, redis.flush, redis.slow]
    had: list[str] = []

    def trouble(answers: int) -> None:
        if len(had) < OUTAGES and answers > 15 * (len(had) + 1):
            if len(had) % len(kinds) == 0:
                chance.shuffle(kinds)
            kind = kinds[len(had) % len(kinds)]
            seconds = chance.choice([0.01, 0.1, 0.3, 0.7])
            kind(seconds)
            had.append(f"{kind.__name__} {seconds}")

    return had, trouble


@pytest.mark.parametrize("alone", [0, pytest.param(1, id="one does not know of it")])
def test_a_fleet_never_spends_more_than_there_is_whatever_befalls_it_and_its_redis(
    postgres: PostgresServer, redis: Troubled, tmp_path: Path, alone: int
) -> None:
    seed = random.SystemRandom().randrange(2**31)
    url, limit = postgres.new(), int(Decimal(SIZE.limit) * 10**9)
    had, trouble = outages(redis, random.Random(seed))
    began = time.monotonic()
    children, looks = attack(
        tmp_path, url, SIZE, seed, state=redis.url, alone=alone, trouble=trouble
    )
    seconds = time.monotonic() - began
    asyncio.run(adopt_all(url, tmp_path))
    replay = check(tmp_path, url, limit)
    said = report(replay, SIZE, seconds, looks, children.killed)
    logging.getLogger(__name__).info("seed %d: %s; %s", seed, said, had)
    assert len(had) == OUTAGES
    assert children.killed > 0
    assert replay.spent >= 0.95 * limit
    for line in lines(tmp_path / "reports"):
        assert not [name for name in line["outcomes"] if name.startswith("unexpected")], line
