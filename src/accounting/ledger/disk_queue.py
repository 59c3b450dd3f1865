"""Records that can't be written at once: they wait, in order, for the disk's thread."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, NamedTuple

from ...errors import LedgerError
from .encoding import write_end
from .journal import Journal, Mark
from .row import Row
from .segment import BEGIN, DROP

__all__ = ["SLOW", "Deferred", "DiskQueue"]

_log = logging.getLogger("switchgear.accounting")

SLOW: Final = 0.02
"""Seconds: what takes longer does not happen on the event loop a second time."""
_QUICK_AGAIN: Final = 8
"""So many quick rounds of the thread in a row, and a disk that was slow counts as quick."""
_TWICE: Final = 1.0
"""Seconds within which a second slow write on the loop is not put down to chance."""


class Deferred(NamedTuple):
    """A record that waits, and who waits for it; ``row`` is that of an end."""

    kind: int
    number: int
    attempt: bytes
    payload: bytes
    row: Row | None
    future: asyncio.Future[None] | None


class DiskQueue:
    """While ``direct`` is true nothing waits here, and the loop may write by itself.

    Args:
        journal: Where records are written.
        name: The ledger's, for messages.
        timer: Seconds, to measure the disk with; any thread.
        failed: Told of a record that could not be written; answers with what to raise, if anything.
        done: Told that the thread has stopped writing, and whether all it wrote, with an attempt's
            begin among it, went well. The loop has the journal to itself then.

    Attributes:
        direct: The loop may write by itself.
        safe: Up to which number, and where in the journal, everything was written when ``direct``
            was last true, or has been since.
    """

    def __init__(
        self,
        journal: Journal,
        name: str,
        *,
        timer: Callable[[], float],
        failed: Callable[[Deferred, OSError], Exception | None],
        done: Callable[[bool], None],
    ) -> None:
        self.direct = True
        self.safe = (0, Mark(0, 0))
        self._journal = journal
        self._name = name
        self._timer = timer
        self._failed = failed
        self._done = done
        self._loop: asyncio.AbstractEventLoop | None = None
        self._disk: Executor | None = None
        self._slow = False
        self._told = False
        self._quick = 0
        self._slowed_at: float | None = None
        self._slowest = 0.0
        self._last = 0
        self._waiting: deque[Deferred] = deque()
        self._job: asyncio.Future[list[OSError | None]] | None = None
        self._watchers: list[asyncio.Future[None]] = []

    def bind(self, loop: asyncio.AbstractEventLoop, disk: Executor) -> None:
        """Say where it runs, before the first record."""
        self._loop, self._disk = loop, disk

    @property
    def writing(self) -> bool:
        """The thread has the journal."""
        return self._job is not None

    @property
    def empty(self) -> bool:
        """Nothing waits."""
        return self._job is None and not self._waiting

    def slowed(self, position: int) -> None:
        """A write on the loop took longer than ``SLOW``: the thread makes the next ones.

        It may have been the processor that had no time for this process, and not the disk: so one
        quick round of the thread is enough, unless this was not the first time.
        """
        self._slow, self._quick = True, 0
        now, before = self._timer(), self._slowed_at
        self._slowed_at = now
        if before is not None and now - before < _TWICE:
            self._tell()
        self._leave(position)

    def put(self, record: Deferred, position: int) -> None:
        """Let a record wait; ``position`` is the number of the last one before it."""
        if self._loop is None:
            raise LedgerError(f"the ledger {self._name} is not open: await ready() first")
        self._leave(position)
        self._last = max(self._last, record.number)
        self._waiting.append(record)
        self._kick(self._loop)

    async def settled(self, number: int) -> None:
        """Wait until the record of a number is written, or has failed."""
        while not self.direct and self.safe[0] < number:
            watcher = asyncio.get_running_loop().create_future()
            self._watchers.append(watcher)
            await watcher

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            name = self._name
            _log.warning("the disk of the ledger %s is slow; its thread writes from now on", name)

    def _leave(self, position: int) -> None:
        if self.direct:
            self.direct = False
            self.safe = (position, self._journal.mark)
            self._last = position

    def _kick(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._job is not None or not self._waiting:
            return
        batch = list(self._waiting)
        self._waiting.clear()
        self._job = loop.run_in_executor(self._disk, self._write, batch)
        self._job.add_done_callback(functools.partial(self._written, batch))

    def _write(self, batch: list[Deferred]) -> list[OSError | None]:
        full: OSError | None = None
        results: list[OSError | None] = []
        self._slowest = 0.0
        for record in batch:
            try:
                while not self._put(record):
                    if full is not None:
                        raise full
                    try:
                        self._journal.make_room(len(record.payload))
                    except OSError as error:
                        full = error
                results.append(None)
            except OSError as error:
                results.append(error)
        return results

    def _put(self, record: Deferred) -> bool:
        started = self._timer()
        if record.kind == BEGIN:
            done = self._journal.begin(record.attempt, record.payload, record.number)
        elif record.kind == DROP or record.row is None:
            done = self._journal.drop(record.attempt, record.number)
        else:
            done = write_end(self._journal, record.row, record.payload, record.number)
        self._slowest = max(self._slowest, self._timer() - started)
        return done

    def _written(self, batch: list[Deferred], job: asyncio.Future[list[OSError | None]]) -> None:
        self._job = None
        if job.cancelled():
            return
        failure = job.exception()
        if failure is not None:
            _log.error("the journal of %s failed", self._name, exc_info=failure)
            results: list[OSError | None] = [OSError(errno.EIO, str(failure))] * len(batch)
        else:
            results = job.result()
        for record, error in zip(batch, results, strict=True):
            _resolve(record.future, error and self._failed(record, error))
        self._settle()
        # Before the next round, so that a queue that is never empty does not keep old segments.
        self._done(not any(results) and any(record.kind == BEGIN for record in batch))
        if self._waiting and self._loop is not None:
            self._kick(self._loop)
        self.direct = self.empty and not self._slow

    def _settle(self) -> None:
        self._journal.take_spares()
        # Copies of rows that are in memory as well keep their old numbers, and don't count.
        first = min((r.number for r in self._waiting if r.future), default=self._last + 1)
        self.safe = (first - 1, self._journal.mark)
        if self._slowest > SLOW:
            self._slow, self._quick = True, 0
            self._tell()
        else:
            self._quick += 1
        if self._slow and self._quick >= (_QUICK_AGAIN if self._told else 1):
            self._slow = False
            if self._told:
                self._told = False
                _log.warning("the disk of the ledger %s is quick again", self._name)
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            _resolve(watcher, None)


def _resolve(future: asyncio.Future[None] | None, error: Exception | None) -> None:
    if future is None or future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
