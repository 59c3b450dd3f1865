"""Real processes, a real Redis: one limit for all of them, whoever dies.

``SWITCHGEAR_FLEET_SECONDS=60`` measures for a minute; ``-s`` shows the figures.
"""
# ruff: noqa: T201

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.steady import measured_again, steady

from .fleet_processes import Given, Workers

if TYPE_CHECKING:
    from tests.state.server import RedisServer

pytestmark = [pytest.mark.xdist_group("redis"), pytest.mark.timeout(600)]

COUNT = 6
RPM, TPM = 3000.0, 600_000.0
BURST = 0.02
AMPLE = 30.0
"""Seconds to wait for the shared state: a busy machine is no outage."""
WARM_UP = 3.0
MEASURED = float(os.environ.get("SWITCHGEAR_FLEET_SECONDS", "9"))


def fresh(folder: Path) -> Path:
    """A folder for one measurement."""
    return Path(tempfile.mkdtemp(dir=folder))


def amounts(given: Sequence[Given], what: str, begin: float, end: float) -> dict[int, float]:
    found = dict.fromkeys(range(COUNT), 0.0)
    for row in given:
        if row.what == what and begin <= row.at < end:
            found[row.worker] += 1 if what == "requests" else row.amount
    return found


def levels(given: Sequence[Given], what: str, a_minute: float) -> Iterator[tuple[float, float]]:
    """When something was taken, and what a bucket then lacks that is refilled at that rate."""
    level, before = 0.0, given[0].at
    for row in given:
        if row.what == what:
            level = max(0.0, level - (row.at - before) * a_minute / 60)
            level += 1 if what == "requests" else row.amount
            before = row.at
            yield row.at, level


def excess(given: Sequence[Given], what: str, a_minute: float) -> float:
    """The most that any stretch of time holds beyond what the rate brings in it."""
    return max(level for _, level in levels(given, what, a_minute))


def spare(given: Sequence[Given], what: str, a_minute: float, at: float) -> float:
    """What a burst could still take at that moment."""
    *_, (last, level) = (each for each in levels(given, what, a_minute) if each[0] < at)
    return BURST * a_minute - max(0.0, level - (at - last) * a_minute / 60)


@measured_again
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
    setup = {"url": server.url, "timeout": AMPLE, "rules": rules, "demands": demands}
    server.mend()
    with Workers(fresh(tmp_path), COUNT, setup) as fleet:
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
    # Ten a second for each of two accounts, a pulse, and what was urgent.
    steady(a_second <= 25, f"{a_second:.1f} scripts a second")
    for what, a_minute in (("requests", RPM), ("tokens", TPM)):
        due = a_minute / 60 * (end - begin)
        total = sum(amounts(given, what, begin, end).values())
        first = amounts(given, what, begin, middle)
        second = amounts(given, what, middle, end)
        print(what, f"{total / due:.4f}", first, second, excess(given, what, a_minute))
        assert excess(given, what, a_minute) <= BURST * a_minute * 1.01
        assert total <= 1.02 * due + spare(given, what, a_minute, begin)
        steady(total >= 0.98 * due, f"{total / due:.4f} of the {what}")
        for share, alive in ((first, COUNT), (second, COUNT - 2)):
            fair = sum(share.values()) / alive
            living = sorted(share.values())[-alive:]
            steady(living[0] >= 0.6 * fair, f"{living} {what}")
            steady(living[-1] <= 1.6 * fair, f"{living} {what}")


@measured_again
def test_slots_are_never_exceeded_and_a_dead_workers_come_back(
    server: RedisServer, tmp_path: Path
) -> None:
    slots = 20
    demand = {"provider": "slots", "rate": 40.0, "tokens": (1, 1), "seconds": (0.1, 0.3)}
    setup = {
        "url": server.url,
        "timeout": AMPLE,
        "rules": [{"pattern": "slots/*", "concurrency": slots}],
        "demands": [demand],
    }
    server.mend()
    with Workers(fresh(tmp_path), COUNT, setup) as fleet:
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
    steady(bool(before and after), "no calls at all")
    print(
        "busy",
        sum(sum(each.values()) for each in before) / len(before),
        before[-1],
        sum(after) / len(after),
    )
    for worker in range(COUNT):
        mean = sum(each[worker] for each in before) / len(before)
        steady(mean >= 2, f"{mean:.1f} slots busy of 3.3")
    mean = sum(after) / len(after)
    steady(mean >= 0.8 * slots, f"{mean:.1f} slots busy of {slots}")
