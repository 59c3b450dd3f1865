"""One limit for six processes, through all that can happen to a Redis and to them.

A few seconds of each trouble; ``SWITCHGEAR_FLEET_SECONDS=60`` spends that long on each, and ``-s``
shows the figures. Upper bounds hold always. Lower ones are measured again where a busy machine
came between.
"""
# ruff: noqa: T201

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.state.server import RedisServer

from .fleet_faults import (
    BURST,
    LIMITS,
    RoughRoad,
    Stretch,
    WatchedWorkers,
    disagreed,
    quiet,
    seconds_over,
    total,
    troubled,
    wait_for,
    watched_workers,
)
from .fleet_processes import Given

pytestmark = [pytest.mark.xdist_group("redis"), pytest.mark.timeout(1800)]

LONG = float(os.environ.get("SWITCHGEAR_FLEET_SECONDS", "0"))
WARM_UP = 1.0
BETWEEN = max(0.7, LONG / 4)
"""Seconds from the end of a trouble to the next."""
AFTER = 4.0
"""Seconds in which what was used too much in a trouble has been paid back, at the most."""
CLOSE = 0.02
FULL = 60 * BURST
"""Seconds' worth of the limit that a full bucket holds."""
TRIES = 3


class Trial:
    """A running fleet, and the troubles that it was given."""

    def __init__(self, fleet: WatchedWorkers) -> None:
        self.fleet = fleet
        self.faults: list[Stretch] = []
        fleet.go()
        self.begin = time.monotonic()
        time.sleep(WARM_UP)

    def given(self) -> Sequence[Given]:
        return self.fleet.given()

    def trouble(self, what: str, cause: Callable[[float], None], seconds: float) -> None:
        begin = time.monotonic()
        cause(seconds)
        self.faults.append(Stretch(begin, time.monotonic()))
        wait_for(self.fleet.linked)
        print(f"{begin - self.begin:6.2f} {what}")
        time.sleep(BETWEEN)

    def check(self) -> None:
        """What is promised, of every moment."""
        self._check_lower()
        end = time.monotonic()
        self.fleet.end()
        given = self.given()
        troubles = troubled(given, self.faults)
        for what in LIMITS:
            for each in quiet(self.begin, end, troubles):
                over = seconds_over(given, what, each)
                self._show("quiet", each, given, what)
                assert over <= FULL + CLOSE * (FULL + each.seconds)
            for each in troubles:
                self._show("trouble", each, given, what)
                # What each replica used as its own share, and what the others got meanwhile.
                assert seconds_over(given, what, each) <= 2 * FULL + disagreed(given, each)
            # Whatever was used too much in a trouble has been paid back since.
            whole = Stretch(self.begin, end)
            due = (1 + CLOSE) * (whole.seconds + FULL)
            assert total(given, what, whole) <= due * LIMITS[what] / 60

    def _show(self, kind: str, stretch: Stretch, given: Sequence[Given], what: str) -> None:
        part = total(given, what, stretch) * 60 / LIMITS[what] / stretch.seconds
        over = seconds_over(given, what, stretch)
        begin, end = (at - self.begin for at in stretch)
        print(f"{what:<9}{kind:<8}{begin:7.2f} to{end:7.2f} {part:6.3f} of it, {over:.2f} s over")

    def _check_lower(self) -> None:
        """In the end, with all at peace again, the limit is used."""
        least = 1 - CLOSE if LONG else 0.5
        for _ in range(TRIES):
            time.sleep(AFTER if LONG else 1.0)
            last = Stretch(time.monotonic(), time.monotonic() + max(1.0, LONG))
            time.sleep(last.seconds)
            given = self.given()
            parts = [total(given, what, last) * 60 / LIMITS[what] / last.seconds for what in LIMITS]
            print("after", parts)
            if min(parts) >= least:
                return
        # A machine so busy that Redis did not answer in time says nothing about the limit.
        assert troubled(given, self.faults)[-1].end > last.begin, parts


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    found = RedisServer(tmp_path)
    yield found
    found.kill()


def test_a_limit_holds_while_workers_die_and_redis_is_paused_killed_and_restarted(
    server: RedisServer, tmp_path: Path
) -> None:
    def pause(seconds: float) -> None:
        server.pause()
        time.sleep(seconds)
        server.resume()

    def restart(seconds: float) -> None:
        server.kill()
        time.sleep(seconds)
        server.start()

    with watched_workers(tmp_path, server.url) as fleet:
        trial = Trial(fleet)
        fleet.kill(0)
        for seconds in (0.3, 0.8, 3.0, 0.3, 2.0) if LONG else (0.3, 1.0):
            trial.trouble(f"paused for {seconds} s", pause, seconds)
        for seconds in (0.0, 0.5, 3.0) if LONG else (0.5,):
            trial.trouble(f"killed for {seconds} s, its memory lost", restart, seconds)
        fleet.kill(1)
        for seconds in (0.0, 0.5, 3.0) if LONG else (0.0,):
            server.command("SAVE")
            time.sleep(BETWEEN)
            trial.trouble(f"killed for {seconds} s, its memory an old one", restart, seconds)
        trial.check()


async def test_a_limit_holds_while_redis_is_slow(server: RedisServer, tmp_path: Path) -> None:
    async def slow() -> None:
        for low, high in ((0.01, 0.05), (0.2, 0.4), (0.05, 0.2)):
            began = time.monotonic()
            road.between = (low, high)
            await asyncio.sleep(max(1.2, LONG))
            road.between = (0.0, 0.0)
            if high > 0.1:
                trial.faults.append(Stretch(began, time.monotonic()))
            await asyncio.to_thread(wait_for, fleet.linked)
            await asyncio.sleep(BETWEEN)

    async with RoughRoad(server.port).built() as road:
        with watched_workers(tmp_path, f"redis://127.0.0.1:{road.port}/0") as fleet:
            trial = await asyncio.to_thread(Trial, fleet)
            await slow()
            await asyncio.to_thread(trial.check)
