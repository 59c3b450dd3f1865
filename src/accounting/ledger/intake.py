"""Where records are taken in, on the event loop.

While the disk is quick, a record is written at once: that costs less than a hop to a thread. After
a write that took long, and whenever room has to be made first, records queue up for the disk's
thread, and whoever brought one gets a future to wait for. What can't be written at all stays in
memory until the database has it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, NamedTuple

from ...clock import Clock
from ...errors import LedgerError
from .disk_queue import SLOW, Deferred, DiskQueue
from .encoding import UNFIT, decode, encode, write_end
from .journal import Batch, Journal, JournalFullError, Mark
from .row import Row
from .segment import BEGIN, DROP, END

__all__ = ["Intake", "Written"]

_log = logging.getLogger("switchgear.accounting")

_RETRY: Final = 2.0
"""Seconds until a file system that had no room is asked again."""
_KEPT: Final = 10_000
"""Rows in memory that are nowhere else."""


class Written(NamedTuple):
    """What there is to book.

    Attributes:
        limit: The number of the last record that is written, or kept.
        mark: Where it ends in the journal.
        kept: Rows that are in memory, with their numbers, ascending.
    """

    limit: int
    mark: Mark
    kept: list[tuple[int, Row]]


class Intake:
    """Takes records in.

    Args:
        journal: Where they are written; ``None`` for a ledger in memory.
        name: The ledger's, for messages.
        fails: A begin that can't be written is refused.
        clock: For when to try again.
        timer: Seconds, to measure the disk with; any thread.

    Attributes:
        appended: Called whenever there is something to book.
        position: The number of the last record.
        kept: Rows that are in memory, by their numbers.
    """

    def __init__(
        self,
        journal: Journal | None,
        name: str,
        *,
        fails: bool,
        clock: Clock,
        timer: Callable[[], float],
    ) -> None:
        self.position = 0
        self.kept: dict[int, Row] = {}
        self.appended: Callable[[], None] = _nobody
        self._pipe: _Pipe | None = None
        if journal is not None:
            queue = DiskQueue(
                journal, name, timer=timer, failed=self._not_written, done=self._thread_wrote
            )
            self._pipe = _Pipe(journal, queue)
        self._name = name
        self._fails = fails
        self._clock = clock
        self._timer = timer
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._disk: Executor | None = None
        self._closed = False
        self._booked = Mark(0, 0)
        self._booked_rows: list[bytes] = []
        self._making = False
        self._removing = False
        self._ahead_at = 0.0
        self._retry_at = 0.0
        self._trouble: OSError | None = None
        self._undropped: dict[bytes, int] = {}
        self._lost = 0

    def bind(self, loop: asyncio.AbstractEventLoop, disk: Executor) -> None:
        """Say where it runs, before the first record."""
        self._loop, self._disk = loop, disk
        if self._pipe is not None:
            self._pipe.queue.bind(loop, disk)

    @property
    def empty(self) -> bool:
        """Nothing is left that only this process knows: no attempt is open, no row in memory."""
        if self.kept or self._undropped:
            return False
        pipe = self._pipe
        return pipe is None or (pipe.queue.empty and not pipe.journal.attempts)

    # Records

    def begin(self, row: Row) -> asyncio.Future[None] | None:
        """Write down an attempt that is about to be sent."""
        if self._closed or os.getpid() != self._pid:
            raise LedgerError(
                f"the ledger {self._name} is closed, or belongs to the parent of this process"
            )
        pipe = self._pipe
        if pipe is None:
            self.position += 1
            return None
        try:
            payload = encode(row)
        except UNFIT as error:
            raise LedgerError(f"an attempt can't be written down: {error}") from error
        if pipe.queue.direct:
            started = self._timer()
            try:
                done = pipe.journal.begin(row.id, payload, self.position + 1)
            except OSError as error:
                self._in_trouble(error)
                self._refuse()
                return None
            if done:
                self.position += 1
                self._wrote(pipe, started)
                if self._trouble is not None:
                    self._recovered(pipe)
                return None
        if self._trouble is not None and self._clock.monotonic() < self._retry_at:
            self._refuse()
            return None
        return self._defer(pipe, BEGIN, row.id, payload, None)

    def end(self, row: Row) -> asyncio.Future[None] | None:
        """Write down how an attempt ended. Never raises."""
        if os.getpid() != self._pid:
            return None
        if self._closed:
            _log.error("an attempt ended after the ledger %s was closed", self._name)
            return None
        self.appended()
        pipe = self._pipe
        if pipe is None:
            self.position += 1
            self.kept[self.position] = row
            return None
        try:
            payload = encode(row)
        except UNFIT:
            _log.exception("a settled attempt can't be written down; it counts as lost")
            begun = pipe.journal.begun(row.id)
            if begun is None:
                return None
            payload, row = begun, decode(begun)
        if not pipe.queue.direct:
            return self._defer(pipe, END, row.id, payload, row)
        self.position += 1
        started = self._timer()
        try:
            done = write_end(pipe.journal, row, payload, self.position)
        except OSError as error:
            self._in_trouble(error)
            done = False
        if done:
            self._wrote(pipe, started)
        else:
            self._keep(self.position, row)
        return None

    def drop(self, attempt: bytes) -> asyncio.Future[None] | None:
        """Write down that an attempt was never sent. Never raises."""
        pipe = self._pipe
        if os.getpid() != self._pid or self._closed or pipe is None:
            return None
        if not pipe.queue.direct:
            return self._defer(pipe, DROP, attempt, attempt, None)
        self.position += 1
        started = self._timer()
        try:
            pipe.journal.drop(attempt, self.position)
        except OSError as error:
            self._in_trouble(error)
            self._undropped[attempt] = self.position
        else:
            self._wrote(pipe, started)
        return None

    def _wrote(self, pipe: _Pipe, started: float) -> None:
        if self._timer() - started > SLOW:
            pipe.queue.slowed(self.position)
        elif pipe.journal.low and not self._making:
            # What only began and was dropped holds room as well.
            self.appended()
            self._make_ahead(pipe)

    def _defer(
        self, pipe: _Pipe, kind: int, attempt: bytes, payload: bytes, row: Row | None
    ) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = self.position + 1
        pipe.queue.put(Deferred(kind, number, attempt, payload, row, future), self.position)
        self.position = number
        return future

    # What can't be written

    def _refuse(self) -> None:
        if self._fails:
            raise self._refusal()

    def _refusal(self) -> LedgerError:
        reason = _reason(self._trouble)
        error = LedgerError(f"the ledger {self._name} can't take another attempt: {reason}")
        error.__cause__ = self._trouble
        return error

    def _in_trouble(self, error: OSError) -> None:
        self._retry_at = self._clock.monotonic() + _RETRY
        if self._trouble is None:
            what = "calls are refused" if self._fails else "calls are made without it"
            _log.warning("the journal of %s can't be written: %s; %s", self._name, error, what)
        self._trouble = error

    def _recovered(self, pipe: _Pipe) -> None:
        _log.warning("the journal of %s can be written again", self._name)
        self._trouble, self._lost = None, 0
        # They are still booked from memory; this is for the case that the process dies before.
        for number, row in self.kept.items():
            copy = Deferred(END, number, row.id, encode(row), row, None)
            pipe.queue.put(copy, self.position)
        for attempt, number in self._undropped.items():
            pipe.queue.put(Deferred(DROP, number, attempt, attempt, None, None), self.position)
        self._undropped.clear()

    def trouble(self, error: OSError) -> None:
        """The journal could not be opened.

        Raises:
            LedgerError: Calls are refused then.
        """
        self._in_trouble(error)
        self._refuse()

    def _keep(self, number: int, row: Row) -> None:
        self.kept[number] = row
        if len(self.kept) > _KEPT:
            self.kept.pop(next(iter(self.kept)))
            self._lost += 1
            if self._lost == 1 or self._lost % _KEPT == 0:
                _log.error("%d settled attempts could be kept nowhere and are lost", self._lost)

    def _not_written(self, record: Deferred, error: OSError) -> LedgerError | None:
        self._in_trouble(error)
        if record.kind == END and record.row is not None:
            self._keep(record.number, record.row)
        elif record.kind == DROP:
            self._undropped[record.attempt] = record.number
        elif self._fails:
            return self._refusal()
        return None

    def _thread_wrote(self, well: bool) -> None:  # noqa: FBT001 - a callback's one argument
        pipe = self._pipe
        if pipe is None:
            return
        self._release(pipe.journal)
        if well and self._trouble is not None:
            self._recovered(pipe)

    # What is booked

    def written(self) -> Written:
        """What there is to book."""
        pipe = self._pipe
        if pipe is None:
            limit, mark = self.position, Mark(0, 0)
        elif pipe.queue.direct:
            limit, mark = self.position, pipe.journal.mark
        else:
            limit, mark = pipe.queue.safe
        kept = [(number, row) for number, row in self.kept.items() if number <= limit]
        return Written(limit, mark, sorted(kept, key=_number))

    async def settled(self, number: int) -> None:
        """Wait until the record of a number is among what is to be booked."""
        if self._pipe is not None:
            await self._pipe.queue.settled(number)

    def batch(self, start: Mark, stop: Mark) -> Batch | None:
        """What was written between two marks; ``None`` where nothing is written."""
        return self._pipe.journal.batch(start, stop) if self._pipe is not None else None

    def booked(self, limit: int, mark: Mark) -> None:
        """Everything up to here is in the database."""
        for number in [n for n in self.kept if n <= limit]:
            self._booked_rows.append(self.kept.pop(number).id)
        self._booked = max(self._booked, mark)
        if self._pipe is not None and not self._pipe.queue.writing:
            self._release(self._pipe.journal)

    def close(self) -> None:
        """Take nothing in any more."""
        self._closed = True

    # Room ahead, and room given back

    def _make_ahead(self, pipe: _Pipe) -> None:
        if self._loop is None or self._clock.monotonic() < self._ahead_at:
            return
        self._making = True
        job = self._loop.run_in_executor(self._disk, pipe.journal.make_spare)
        job.add_done_callback(self._made_ahead)

    def _made_ahead(self, job: asyncio.Future[None]) -> None:
        self._making = False
        if job.cancelled():
            return
        if job.exception() is not None:
            # Not yet a trouble: there is still room for some.
            self._ahead_at = self._clock.monotonic() + _RETRY
        elif self._pipe is not None and not self._pipe.queue.writing:
            self._pipe.journal.take_spares()

    def _release(self, journal: Journal) -> None:
        for attempt in self._booked_rows:
            journal.forget(attempt)
        self._booked_rows.clear()
        try:
            journal.drained(self._booked)
        except OSError as error:
            self._in_trouble(error)
        if journal.doomed and not self._removing and self._loop is not None:
            self._removing = True
            job = self._loop.run_in_executor(self._disk, journal.remove_doomed)
            job.add_done_callback(self._removed)

    def _removed(self, job: asyncio.Future[None]) -> None:
        self._removing = False
        if not job.cancelled() and (error := job.exception()) is not None:
            _log.info("old segments of %s stay for now: %s", self._name, error)


class _Pipe(NamedTuple):
    journal: Journal
    queue: DiskQueue


def _nobody() -> None:
    pass


def _reason(error: OSError | None) -> str:
    if isinstance(error, JournalFullError):
        return f"{error.strerror}, and the database takes nothing; see that it does"
    return f"{error}; make room there, or set ledger.on_error = 'serve' to go on without"


def _number(kept: tuple[int, Row]) -> int:
    return kept[0]
