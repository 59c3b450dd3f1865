"""When what was written down is booked: a little later, many at once, and again until it works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeAlias

from ...clock import Clock
from ...errors import LedgerError
from .drain import Drain, Load, Progress
from .intake import Intake
from .journal import Mark
from .store import Booked, Counted

__all__ = ["BookedListener", "Pace"]

_log = logging.getLogger("switchgear.accounting")

BookedListener: TypeAlias = Callable[[int, Booked], None]
"""Called on the loop: everything up to this number is booked, and how counters stand now."""

_PAUSE: Final = 0.05
"""Seconds between a record and its booking, so that many are booked at once."""
_BACK_OFF: Final = (0.1, 5.0)
"""Seconds until a database that failed is asked again: at first, and at most."""


class Pace:
    """Hands what was written down to the thread that books it; on the loop.

    Args:
        intake: Has what is to be booked, and says when there is something.
        drain: Books it.
        name: The ledger's, for messages.
        clock: For when to ask again what failed.
        ask: The rules whose counters listeners want to hear about.

    Attributes:
        booked: The number up to which everything is booked.
        listeners: Called after each transaction.
    """

    def __init__(
        self,
        intake: Intake,
        drain: Drain,
        name: str,
        *,
        clock: Clock,
        ask: Callable[[], frozenset[Counted]],
    ) -> None:
        intake.appended = self._arm
        self.booked = 0
        self.listeners: list[BookedListener] = []
        self._name = name
        self._store = drain
        self._clock = clock
        self._ask = ask
        self._intake = intake
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on: Callable[[Callable[[], Progress]], asyncio.Future[Progress]] | None = None
        self._mark = Mark(0, 0)
        self._job: asyncio.Future[Progress] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._back_off = 0.0
        self._away_until = 0.0
        self._away: LedgerError | None = None
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []

    def bind(
        self,
        loop: asyncio.AbstractEventLoop,
        on: Callable[[Callable[[], Progress]], asyncio.Future[Progress]] | None,
    ) -> None:
        """Say where it runs, before the first record.

        Args:
            loop: The event loop.
            on: Runs something on the database's thread; ``None``: here and now.
        """
        self._loop, self._on = loop, on

    def away(self) -> LedgerError | None:
        """Why the database is not to be asked just now."""
        return self._away if self._clock.monotonic() < self._away_until else None

    async def flush(self) -> None:
        """Wait until everything so far is booked.

        Raises:
            LedgerError: The database does not take it. It is kept and tried again.
        """
        target = self._intake.position
        await self._intake.settled(target)
        if self.booked >= target:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushes.append((target, done))
        self._drain()
        await done

    def _arm(self) -> None:
        if self._timer is None and self._job is None and self._loop is not None:
            self._timer = self._loop.call_later(_PAUSE, self._drain)

    def _drain(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._job is not None:
            return
        written = self._intake.written()
        if written.limit <= self.booked:
            return
        load = Load(
            self.booked,
            written.limit,
            self._mark,
            self._intake.batch(self._mark, written.mark),
            written.kept,
            self._ask(),
        )
        if self._on is None:
            self._progress(self._store.book(load))
        else:
            self._job = self._on(lambda: self._store.book(load))
            self._job.add_done_callback(self._drained_some)

    def _drained_some(self, job: asyncio.Future[Progress]) -> None:
        self._job = None
        if not job.cancelled() and job.exception() is None:
            self._progress(job.result())

    def _progress(self, progress: Progress) -> None:
        self.booked, self._mark = progress.upto, progress.mark
        self._intake.booked(progress.upto, progress.mark)
        for upto, booked in progress.booked:
            for listener in tuple(self.listeners):
                try:
                    listener(upto, booked)
                except Exception:  # noqa: BLE001 - not the ledger's fault, and not its end
                    _log.exception("a listener of the ledger failed")
        waiting, self._flushes = self._flushes, []
        for target, done in waiting:
            if done.done():
                continue
            if target <= self.booked:
                done.set_result(None)
            elif progress.error is not None:
                message = f"not everything is booked: {progress.error.message}"
                error = LedgerError(message)
                error.__cause__ = progress.error
                done.set_exception(error)
            else:
                self._flushes.append((target, done))
        if progress.error is not None:
            self.failed(progress.error)
        else:
            self._fine()
        self._go_on()

    def stop(self) -> None:
        """Begin no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop = None

    def _go_on(self) -> None:
        if self._loop is None or self._timer is not None or self._job is not None:
            return
        if self.booked < self._intake.position:
            pause = self._back_off or (0.0 if self._flushes or self._behind else _PAUSE)
            self._timer = self._loop.call_later(pause, self._drain)

    @property
    def _behind(self) -> bool:
        return self.booked < self._intake.written().limit

    def failed(self, error: LedgerError) -> None:
        """The database can't be reached, or does not take rows."""
        if self._away is None:
            where = "memory" if self._on is None else "the journal"
            _log.warning("%s; what ends waits in %s until it can be booked", error, where)
        self._away = error
        shortest, longest = _BACK_OFF
        self._back_off = min(longest, max(shortest, self._back_off * 2))
        self._away_until = self._clock.monotonic() + self._back_off
        self._go_on()

    def _fine(self) -> None:
        if self._away is not None:
            _log.warning("the ledger %s takes rows again", self._name)
        self._away, self._back_off = None, 0.0
