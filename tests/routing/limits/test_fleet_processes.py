"""Real processes, a real Redis: one limit for all of them, whoever dies.

``SWITCHGEAR_FLEET_SECONDS=60`` measures for a minute; ``-s`` shows the figures.
"""
# ruff: noqa: T201

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.state.server import RedisServer

from .fleet_processes import Given, workers

pytestmark = [pytest.mark.xdist_group("redis"), pytest.mark.timeout(600)]

COUNT = 6
RPM, TPM = 3000.0, 600_000.0
BURST = 0.02
WARM_UP = 3.0
MEASURED = float(os.environ.get("SWITCHGEAR_FLEET_SECONDS", "9"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    found = RedisServer(tmp_path)
    yield found
    found.kill()


def amounts(given: Sequence[Given], what: str, begin: float, end: float) -> dict[int, float]:
    found = dict.fromkeys(range(COUNT), 0.0)
    for row in given:
        if row.what == what and begin <= row.at < end:
            found[row.worker] += 1 if what == "requests" else row.amount
    return found


def excess(given: Sequence[Given], what: str, a_minute: float) -> float:
    """The most that any stretch of time holds beyond what the rate brings in it."""
    level = most = 0.0
    before = given[0].at
    for row in given:
        if row.what == what:
            level = max(0.0, level - (row.at - before) * a_minute / 60)
            level += 1 if what == "requests" else row.amount
            most, before = max(most, level), row.at
    return most


def test_six_processes_share_one_rate_and_two_of_them_are_killed(
    server: RedisServer, tmp_path: Path
) -> None:
    rules = [
        {"pattern": "requests/*", "rpm": RPM, "burst": BURST},
        {"pattern": "tokens/*", "tpm": TPM, "burst": BURST},
    ]
    half = {"seconds": (0.005, 0.02)}
    demands = [
        {"provider": "requests", "rate": 2 * RPM / 60 / COUNT, "tokens": (1, 1), **half},
        {"provider": "tokens", "rate": 2 * TPM / 60 / 200 / COUNT, "tokens": (50, 350), **half},
    ]
    setup = {"url": server.url, "rules": rules, "demands": demands}
    with workers(tmp_path, COUNT, setup) as fleet:
        fleet.go()
        time.sleep(WARM_UP)
        spent = server.script_seconds()
        begin = time.monotonic()
        calls = server.calls()
        time.sleep(MEASURED / 2)
        middle = time.monotonic()
        calls, spent = server.calls() - calls, server.script_seconds() - spent
        fleet.kill(0, 1)
        time.sleep(begin + MEASURED - middle)
        end = time.monotonic()
        fleet.end()
        given = fleet.given()
    a_second = calls / (middle - begin) / COUNT
    print(f"Redis: {a_second:.1f} scripts a second and replica, {spent / calls * 1e6:.0f} us each")
    assert a_second <= 25  # ten a second for each of two accounts, a pulse, and what was urgent
    for what, a_minute in (("requests", RPM), ("tokens", TPM)):
        due = a_minute / 60 * (end - begin)
        total = sum(amounts(given, what, begin, end).values())
        first = amounts(given, what, begin, middle)
        second = amounts(given, what, middle, end)
        print(what, f"{total / due:.4f}", first, second, excess(given, what, a_minute))
        assert 0.98 * due <= total <= 1.02 * due
        assert excess(given, what, a_minute) <= BURST * a_minute * 1.01
        for share, alive in ((first, COUNT), (second, COUNT - 2)):
            fair = sum(share.values()) / alive
            living = sorted(share.values())[-alive:]
            assert living[0] >= 0.6 * fair
            assert living[-1] <= 1.6 * fair


def test_slots_are_never_exceeded_and_a_dead_workers_come_back(
    server: RedisServer, tmp_path: Path
) -> None:
    slots = 20
    demand = {"provider": "slots", "rate": 40.0, "tokens": (1, 1), "seconds": (0.1, 0.3)}
    setup = {
        "url": server.url,
        "rules": [{"pattern": "slots/*", "concurrency": slots}],
        "demands": [demand],
    }
    with workers(tmp_path, COUNT, setup) as fleet:
        fleet.go()
        time.sleep(4.0)
        killed = time.monotonic()
        fleet.kill(0, 1, 2)
        time.sleep(8.0)
        fleet.end()
        given = fleet.given()
    busy, dead = dict.fromkeys(range(COUNT), 0), {0, 1, 2}
    before, after = [], []
    for row in given:
        if row.at > killed:
            busy.update(dict.fromkeys(dead, 0))
        busy[row.worker] += 1 if row.what == "slots" else -1
        assert sum(busy.values()) <= slots
        if killed - 2 < row.at < killed:
            before.append(dict(busy))
        elif killed + 6 < row.at < killed + 8:
            after.append(sum(busy.values()))
    print(
        "busy",
        sum(sum(each.values()) for each in before) / len(before),
        before[-1],
        sum(after) / len(after),
    )
    for worker in range(COUNT):
        assert sum(each[worker] for each in before) / len(before) >= 2  # of 3.3 each
    assert sum(after) / len(after) >= 0.8 * slots
