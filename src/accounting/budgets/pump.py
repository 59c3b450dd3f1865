"""The one task that asks for those who wait, first come, first served."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Collection, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from ...errors import LedgerError
from ..ledger.store import Grant, Refused
from .ahead import Ahead
from .authority import Authority, Books
from .queue import Waiter
from .refusals import busy, exceeded, shut
from .slices import Holding, Slices

if TYPE_CHECKING:
    from ...clock import Clock

__all__ = ["Pump"]

T = TypeVar("T")

_log = logging.getLogger("switchgear.budgets")

_POLL = 0.05
"""Seconds between two looks at a counter that others have reserved: the ledger's own rhythm."""

_ADOPT_EVERY = 5
"""Such looks between two for processes that died and left reservations behind."""

_AT_ONCE = 200
"""Waiters that are asked for in one question."""


class Asking(Protocol):
    """Runs a question to the authority, and knows how it ended."""

    async def __call__(self, operation: Awaitable[T]) -> T:
        """Await it."""


class Pump:
    """Serves waiters out of the slices, and asks the authority for what they do not cover.

    Runs only while somebody waits.

    Args:
        slices: What this process holds.
        authority: Decides what else it may hold.
        ledger: Where spending is booked, and what the dead left behind.
        clock: Time.
        asked: Runs each question to the authority.
    """

    def __init__(
        self,
        slices: Slices,
        authority: Authority,
        ledger: Books,
        clock: Clock,
        *,
        asked: Asking,
    ) -> None:
        self._slices = slices
        self._authority = authority
        self._ledger = ledger
        self._clock = clock
        self._asked = asked
        self._ahead = Ahead(clock)
        self._waiters: dict[Waiter, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._stirred: asyncio.Event | None = None

    @property
    def awaited(self) -> set[str]:
        """The counters that somebody here waits for."""
        return {key for waiter in self._waiters for key in waiter.keys}

    def stands_before(self, keys: Collection[str]) -> bool:
        """Whether somebody waits whom one that needs these counters must not overtake."""
        return bool(self._waiters) and any(each.stands_before(keys) for each in self._waiters)

    def add(self, waiter: Waiter) -> None:
        """One more waits."""
        self._waiters[waiter] = None
        if self._task is None or self._task.done():
            self._stirred = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._run())
        self.stir()

    def remove(self, waiter: Waiter) -> None:
        """It waits no longer."""
        del self._waiters[waiter]
        self.stir()

    def stir(self) -> None:
        """Something is free: have a look now."""
        if self._stirred is not None and self._waiters:
            self._stirred.set()

    def send_away(self, error: Exception) -> None:
        """Nobody gets anything."""
        for waiter in tuple(self._waiters):
            waiter.fail(error)

    async def aclose(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        stirred, rounds = self._stirred, 0
        while self._waiters and stirred is not None:
            stirred.clear()
            try:
                await self._serve()
                rounds += 1
                if rounds % _ADOPT_EVERY == 0:
                    await self._adopt()
            except LedgerError as exc:
                self.send_away(exc)
            except Exception as exc:
                # Nobody may be left waiting for a pump that has broken down.
                error = LedgerError(f"a budget could not be asked: {exc!r}")
                error.__cause__ = exc
                self.send_away(error)
                raise
            if all(waiter.outcome.done() for waiter in self._waiters):
                # They take themselves out of the queue when they run; newcomers stir.
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL):
                    await stirred.wait()

    async def _serve(self) -> None:
        """One round: out of the slices where they suffice, else out of the database."""
        asking = self._from_slices()
        for first in range(0, len(asking), _AT_ONCE):
            await self._ask_for(asking[first : first + _AT_ONCE])

    async def _ask_for(self, asking: Sequence[Waiter]) -> None:
        touched = {key for waiter in asking for key in waiter.keys}
        if self._slices.unbooked(touched):
            # What this process has spent for certain must not look like a reservation.
            await self._ledger.flush()
        # Nor must the free parts of its own slices.
        back = self._slices.take_back(touched)
        claims = [waiter.claim() for waiter in asking]
        now = int(self._clock.now() * 1_000_000)
        asked = self._authority.claim(claims, self._ahead.needs(claims), back, now)
        for waiter, answer in zip(asking, await self._asked(asked), strict=True):
            self._answer(waiter, answer)

    async def _adopt(self) -> None:
        try:
            await self._ledger.adopt_now()
        except LedgerError as exc:
            _log.warning("%s", exc.message)

    def _from_slices(self) -> list[Waiter]:
        """Serve in order what slices cover; answers with those for whom the database is asked.

        One that was refused for the reservations of others stands before all that came later for
        the same budgets: else a large attempt would starve under small ones.
        """
        asking: list[Waiter] = []
        before: dict[str, Waiter] = {}
        for waiter in tuple(self._waiters):
            if waiter.outcome.done():
                continue
            first = next((before[key] for key in waiter.keys if key in before), None)
            if first is None:
                holding = self._slices.hold(waiter.keys, waiter.amount)
                if holding is not None:
                    self._give(waiter, holding)
                    continue
                asking.append(waiter)
            elif first.refusal is None:
                asking.append(waiter)
            elif not waiter.patient:
                waiter.fail(busy(*first.refusal, waiter.amount))
                continue
            for key in waiter.guarded:
                before.setdefault(key, waiter)
        return asking

    def _answer(self, waiter: Waiter, answer: Grant | Refused) -> None:
        if isinstance(answer, Grant):
            holding = self._slices.hold(waiter.keys, waiter.amount)
            if holding is not None:
                self._give(waiter, holding)
            return
        refused_by = next(each for each in waiter.applied if each.key == answer.need.key)
        waiter.refusal = refused_by, answer.standing
        if answer.standing.closed:
            waiter.fail(shut(refused_by, waiter.amount, self._clock.now()))
        elif not answer.busy:
            now = self._clock.now()
            waiter.fail(exceeded(refused_by, answer.standing, waiter.amount, now))
        elif not waiter.patient:
            waiter.fail(busy(refused_by, answer.standing, waiter.amount))

    def _give(self, waiter: Waiter, holding: Holding) -> None:
        if not waiter.succeed(holding):
            self._slices.release(holding)
