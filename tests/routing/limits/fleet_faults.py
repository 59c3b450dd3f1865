"""A fleet of processes that meets trouble, and what its limit came to before, in and after it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from ...state.server import SlowRoad
from .fleet_processes import Given, Workers

COUNT = 6
RPM, TPM = 3000.0, 600_000.0
BURST = 0.02
LIMITS = {"requests": RPM, "tokens": TPM}
SETTLED = 0.3
"""Seconds after which every replica that heard of its Redis has told it something."""


class WatchedWorkers(Workers):
    program: ClassVar = ["-m", "tests.routing.limits.fault_worker"]

    def linked(self) -> bool:
        """Whether every replica that lives has its Redis, as it says."""
        alive = {n for n, process in enumerate(self.processes) if process.poll() is None}
        return alive == {n for n, up in links(self.given()).items() if up} & alive


def watched_workers(folder: Path, url: str) -> WatchedWorkers:
    """Six replicas that demand twice of what a limit of requests, and one of tokens, allow."""
    rules = [
        {"pattern": "requests/*", "rpm": RPM, "burst": BURST},
        {"pattern": "tokens/*", "tpm": TPM, "burst": BURST},
    ]
    quick = {"seconds": (0.005, 0.02)}
    demands = [
        {"provider": "requests", "rate": 2 * RPM / 60 / COUNT, "tokens": (1, 1), **quick},
        {"provider": "tokens", "rate": 2 * TPM / 60 / 200 / COUNT, "tokens": (50, 350), **quick},
    ]
    return WatchedWorkers(folder, COUNT, {"url": url, "rules": rules, "demands": demands})


class Stretch(NamedTuple):
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


def links(given: Sequence[Given]) -> dict[int, bool]:
    """The last word of each replica about its link."""
    return {row.worker: row.what == "up" for row in given if row.what in ("up", "down")}


def troubled(given: Sequence[Given], faults: Sequence[Stretch]) -> list[Stretch]:
    """When a fault was on, or some replica went without its Redis, and until all had settled."""
    found = [*faults]
    down: dict[int, float] = {}
    for row in given:
        if row.what == "down":
            down.setdefault(row.worker, row.at)
        elif row.what == "up" and row.worker in down:
            found.append(Stretch(down.pop(row.worker), row.at + SETTLED))
    found += [Stretch(at, given[-1].at) for at in down.values()]
    merged: list[Stretch] = []
    for each in sorted(found):
        if merged and each.begin <= merged[-1].end:
            merged[-1] = Stretch(merged[-1].begin, max(merged[-1].end, each.end))
        else:
            merged.append(each)
    return merged


def quiet(begin: float, end: float, trouble: Sequence[Stretch]) -> list[Stretch]:
    """What is left between the troubles."""
    found, at = [], begin
    for each in trouble:
        if each.begin > at:
            found.append(Stretch(at, min(each.begin, end)))
        at = max(at, each.end)
    if end > at:
        found.append(Stretch(at, end))
    return [each for each in found if each.seconds > 0]


def within(given: Sequence[Given], what: str, stretch: Stretch) -> list[Given]:
    return [row for row in given if row.what == what and stretch.begin <= row.at < stretch.end]


def amount(row: Given) -> float:
    return 1.0 if row.what == "requests" else row.amount


def total(given: Sequence[Given], what: str, stretch: Stretch) -> float:
    return sum(amount(row) for row in within(given, what, stretch))


def seconds_over(given: Sequence[Given], what: str, stretch: Stretch) -> float:
    """The most that any time within the stretch holds beyond the limit, in seconds' worth of it."""
    a_second = LIMITS[what] / 60
    level = most = 0.0
    before = stretch.begin
    for row in within(given, what, stretch):
        level = max(0.0, level - (row.at - before) * a_second)
        level += amount(row)
        most, before = max(most, level), row.at
    return most / a_second


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.05)


def disagreed(given: Sequence[Given], stretch: Stretch) -> float:
    """Seconds within it for which some replicas had their Redis and others had not."""
    state = dict.fromkeys(range(COUNT), True)
    begin, seconds = stretch.begin, 0.0
    for row in [row for row in given if row.what in ("up", "down")]:
        at = min(max(row.at, stretch.begin), stretch.end)
        if len(set(state.values())) == 2:
            seconds += at - begin
        state[row.worker], begin = row.what == "up", at
    return seconds


class RoughRoad(SlowRoad):
    """Hands bytes on to a server, each way after a time drawn between two bounds."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.between = (0.0, 0.0)
        self._random = random.Random(1)

    async def pause(self) -> None:
        await asyncio.sleep(self._random.uniform(*self.between))
