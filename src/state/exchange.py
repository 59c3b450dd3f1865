"""The exchange: in the background parts tell what happened here and hear what holds for all."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

from ..clock import Clock
from .link import Link, StateUnavailableError
from .part import Part

__all__ = ["PERIOD", "Fleet"]

_log = logging.getLogger("switchgear.state")

PERIOD = 0.1
"""Seconds between two reports of a part."""
_LONGEST = 1.0
_PER_REPLICA = 0.002
_AT_ONCE = 8
_AGAIN = 1.0
_SELDOM = 16.0


class _Seat:
    """A part's place in the exchange."""

    __slots__ = ("failures", "flight", "part", "retry_at", "up")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.flight: asyncio.Task[None] | None = None
        self.up = True
        self.failures = 0  # in a row, of this part's own script while the link was up
        self.retry_at = 0.0


class Fleet:
    """What a router is a part of where its state is shared: the link, and the exchange over it.

    It owns one task, which asks each of its parts ten times a second for a report (less often in
    fleets of more than 50, so that a server sees at most 500 reports a second of any one part).
    A part that has nothing to say costs no round trip. Belongs to one event loop.

    Args:
        link: The link; it is closed together with this.
        clock: Time.
    """

    def __init__(self, link: Link, clock: Clock) -> None:
        self.link = link
        self._clock = clock
        self._seats: dict[Part, _Seat] = {}
        self._task: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._closed = False
        self._down = False  # known to be away, not just not asked yet
        link.on_change.append(self._link_changed)

    def __repr__(self) -> str:
        return f"<Fleet over {self.link!r}, {len(self._seats)} parts>"

    @property
    def period(self) -> float:
        """Seconds between two reports of a part."""
        return min(_LONGEST, max(PERIOD, _PER_REPLICA * self.link.replicas))

    def start(self) -> None:
        """Start the exchange on the running loop. Safe to call twice."""
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def add(self, part: Part) -> None:
        """Let it take part. May be called at any time, before `start` too."""
        if part not in self._seats:
            seat = self._seats[part] = _Seat(part)
            if self._down:
                self._tell(seat, up=False)

    def remove(self, part: Part) -> None:
        """It has nothing more to say, ever."""
        self._seats.pop(part, None)

    def soon(self, part: Part) -> None:
        """Exchange now rather than within the next period, unless its report is on its way."""
        seat = self._seats.get(part)
        if seat is not None and not self._closed:
            self.start()
            self._launch(seat)

    async def ask(self, *parts: Part) -> None:
        """Exchange now, and wait for the answers or for the link to be known as down.

        Never longer than the link's time limit, beside the very first time, when the client is
        imported. A caller that is cancelled does not take the answer away from others.
        """
        for part in parts:
            self.soon(part)
        for part in parts:
            seat = self._seats.get(part)
            if seat is not None and seat.flight is not None:
                await asyncio.shield(seat.flight)

    async def aclose(self) -> None:
        """One last report of each part, if the link is up, and the end. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        try:
            await self._land()
            if self.link.up:
                for seat in tuple(self._seats.values()):
                    self._launch(seat)
                await self._land()
        finally:
            for seat in self._seats.values():
                if seat.flight is not None:
                    seat.flight.cancel()
            await self.link.aclose()

    async def _land(self) -> None:
        flights = [seat.flight for seat in self._seats.values() if seat.flight is not None]
        if flights:
            await asyncio.wait(flights)

    async def _run(self) -> None:
        while True:
            # Jitter, lest replicas that were started together also report together.
            await self._clock.sleep(self.period * random.uniform(0.9, 1.1))  # noqa: S311
            for seat in tuple(self._seats.values()):
                self._launch(seat)

    def _launch(self, seat: _Seat) -> None:
        if seat.flight is not None:
            return
        if not seat.up and self.link.up and self._clock.monotonic() >= seat.retry_at:
            self._tell(seat, up=True)
        if not seat.up:
            return
        report = seat.part.report()
        if report is not None:
            seat.flight = asyncio.get_running_loop().create_task(self._exchange(seat, *report))

    async def _exchange(
        self, seat: _Seat, script: str, keys: list[str], arguments: list[Any]
    ) -> None:
        try:
            async with self._slots:
                reply = await self.link.run(script, keys, arguments)
        except StateUnavailableError as exc:
            if seat.up and self.link.up:
                if not seat.failures:
                    _log.warning("shared state: %s; what it decides stays local", exc)
                seat.retry_at = self._clock.monotonic() + min(_SELDOM, _AGAIN * 2**seat.failures)
                seat.failures += 1
            self._tell(seat, up=False)
        except BaseException:
            self._tell(seat, up=False)
            raise
        else:
            seat.failures = 0
            if seat.up:  # else it has gone local meanwhile, and this came too late
                seat.part.absorb(reply)
        finally:
            seat.flight = None

    def _link_changed(self, up: bool) -> None:  # noqa: FBT001 - as Link.on_change calls it
        self._down = not up
        for seat in tuple(self._seats.values()):
            seat.failures, seat.retry_at = 0, 0.0
            if not up:
                self._tell(seat, up=False)
            elif seat.flight is None:
                self._tell(seat, up=True)

    def _tell(self, seat: _Seat, *, up: bool) -> None:
        if seat.up != up:
            seat.up = up
            seat.part.link_changed(up)
