"""One hard budget, several processes at once, and ``kill -9`` again and again.

``SWITCHGEAR_FULL=1`` runs it at full size: 8 processes with 200 calls at once each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from switchgear.accounting.ledger.ledger import Ledger
from switchgear.clock import SystemClock
from switchgear.config.ledger import LedgerConfig
from tests.accounting.ledger.conftest import PostgresServer, postgres
from tests.integration.budget_checker import (
    Query,
    Replay,
    check,
    completed_of,
    lines,
    over_limit,
    querying,
)

__all__ = ["Size", "adopt_all", "attack", "postgres", "report"]

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).resolve().parents[2]


class Size(NamedTuple):
    processes: int
    calls: int
    limit: str
    kills: int


SIZE = Size(8, 200, "0.30", 12) if os.environ.get("SWITCHGEAR_FULL") else Size(4, 25, "0.06", 5)


class Children:
    """Processes that are restarted when they are killed."""

    def __init__(
        self, folder: Path, url: str, size: Size, chance: random.Random, state: str = ""
    ) -> None:
        self._command = (sys.executable, "-m", "tests.integration.budget_child")
        self._folder = folder
        self._url = url
        self._state = state
        self._size = size
        self._chance = chance
        self._running: list[subprocess.Popen[bytes]] = []
        self.killed = 0

    def start(self, *, alone: bool = False) -> None:
        state = "" if alone else self._state
        arguments = [
            *(str(self._folder), self._url, str(self._chance.randrange(2**31))),
            *(str(self._size.calls), self._size.limit, state),
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with (self._folder / "log").open("ab") as log:
            self._running.append(
                subprocess.Popen(
                    [*self._command, *arguments], cwd=ROOT, env=environment, stderr=log
                )
            )

    def kill_one(self) -> None:
        """Of the first half: the other half lives to see what is left behind."""
        victim = self._chance.randrange(max(1, self._size.processes // 2))
        child = self._running[victim]
        if child.poll() is None:
            child.kill()
            child.wait()
            self.killed += 1
            self.start()
            self._running[victim] = self._running.pop()

    def alive(self) -> bool:
        return any(child.poll() is None for child in self._running)

    def end(self) -> list[int]:
        for child in self._running:
            if child.poll() is None:
                child.kill()
        return [child.wait() for child in self._running]


def attack(
    folder: Path,
    url: str,
    size: Size,
    seed: int,
    *,
    state: str = "",
    alone: int = 0,
    trouble: Callable[[int], None] | None = None,
) -> tuple[Children, int]:
    """Let the children spend it all, kill some on the way, and look all the time.

    Args:
        folder: For their files.
        url: The ledger.
        size: How many, and what they may spend.
        seed: Of everything that is left to chance.
        state: The state that they share.
        alone: How many of them do not share it.
        trouble: What else happens; told how many answers there are.
    """
    chance = random.Random(seed)
    limit = int(Decimal(size.limit) * 10**9)
    children = Children(folder, url, size, chance, state)
    for number in range(size.processes):
        children.start(alone=number >= size.processes - alone)
    looks = 0
    # One kill for each share of the answers, at an instant that chance chooses.
    next_kill = 1
    query: Query | None = None
    with contextlib.ExitStack() as stack:
        stack.callback(children.end)
        end = time.monotonic() + 150
        while children.alive():
            assert time.monotonic() < end, (folder / "log").read_text()
            if query is None and completed_of(folder):
                query = stack.enter_context(querying(url))
            if query is not None:
                assert over_limit(query, limit) == [], f"seed {seed}"
                looks += 1
            answers = len(completed_of(folder))
            if trouble is not None:
                trouble(answers)
            if children.killed < size.kills and answers >= next_kill:
                time.sleep(chance.uniform(0, 0.02))
                children.kill_one()
                next_kill += size.processes * size.calls // size.kills
            time.sleep(0.002)
    codes = children.end()
    assert codes == [0] * size.processes, (folder / "log").read_text()
    return children, looks


async def adopt_all(url: str, folder: Path) -> None:
    """What the last ones left behind, as the next process to start would find it."""
    config = LedgerConfig(url=url, journal=str(folder / "journal"))
    ledger = Ledger(config, clock=SystemClock())
    await ledger.ready()
    await ledger.adopt_now()
    await ledger.aclose()


def report(replay: Replay, size: Size, seconds: float, looks: int, killed: int) -> str:
    limit = int(Decimal(size.limit) * 10**9)
    return (
        f"{replay.rows} attempts ({replay.rows / seconds:.0f}/s), {replay.completed} answers, "
        f"{replay.billed} bills, {killed} kills, {looks} looks, "
        f"{replay.spent / limit:.1%} spent, {replay.cost / limit:.1%} cost"
    )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("pg"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'ledger.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new()


def test_processes_that_are_killed_never_spend_more_than_there_is(url: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**31)
    began = time.monotonic()
    children, looks = attack(tmp_path, url, SIZE, seed)
    seconds = time.monotonic() - began
    asyncio.run(adopt_all(url, tmp_path))
    replay = check(tmp_path, url, int(Decimal(SIZE.limit) * 10**9))
    said = report(replay, SIZE, seconds, looks, children.killed)
    logging.getLogger(__name__).info("seed %d: %s", seed, said)
    assert children.killed > 0
    assert looks > 20
    assert replay.completed > 0
    assert replay.spent >= 0.95 * float(Decimal(SIZE.limit)) * 10**9
    for line in lines(tmp_path / "reports"):
        assert not [name for name in line["outcomes"] if name.startswith("unexpected")], line
        assert line["late"] <= 1.0, line
    assert not list((tmp_path / "journal").rglob("*.journal"))
