"""One writer's journal: a lock that shows that it lives, and segments of records.

Synchronous. Whoever uses it takes care that one thread at a time writes, while another one may read
what was written before and a third make room.

**Room.** The end of an attempt must never fail for want of room, so each open attempt keeps a slot:
the size of its ``BEGIN`` and some more. A new attempt is let in only while all slots fit beside it.
As records are not split, each change of segment may waste up to the largest slot.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from .files import Files
from .segment import BEGIN, DROP, END, HEADER, OVERHEAD, Record, Segment, frame, scan

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["LOCK", "SEGMENT", "Batch", "Journal", "JournalFullError", "Mark", "lock_writer"]

_log = logging.getLogger("switchgear.accounting")

LOCK: Final = ".lock"
SEGMENT: Final = ".journal"
_LARGEST: Final = 4 * 1024 * 1024
_SMALLEST: Final = 64 * 1024
_PARTS: Final = 4
"""A journal may have at least so many segments."""
_PIECE: Final = 128 * 1024
"""Bytes that are read at once."""
_LOCK_SECONDS: Final = 5.0
_MORE: Final = 1024
"""By how much an attempt's end may be longer than its begin."""


class JournalFullError(OSError):
    """The journal has grown to its limit: it waits for the database."""


class Mark(msgspec.Struct, frozen=True, order=True, gc=False):
    """A place between two records."""

    segment: int
    offset: int


class _Open(msgspec.Struct, frozen=True, gc=False):
    segment: Segment
    payload: bytes
    slot: int


class Batch(NamedTuple):
    """What was written from one mark to another."""

    segments: tuple[Segment, ...]
    start: Mark
    stop: Mark

    def read(self) -> Iterator[tuple[Record, Mark]]:
        """The records, each with the mark behind it.

        Raises:
            OSError: They can't be read.
        """
        for segment in self.segments:
            if not self.start.segment <= segment.index <= self.stop.segment:
                continue
            first = len(HEADER)
            if segment.index == self.start.segment:
                first = max(first, self.start.offset)
            last = segment.offset
            if segment.index == self.stop.segment:
                last = min(last, self.stop.offset)
            yield from _pieces(segment, first, last)


def _pieces(segment: Segment, first: int, last: int) -> Iterator[tuple[Record, Mark]]:
    """The records of a part of a segment, which is read piece by piece: it may be megabytes."""
    size = _PIECE
    while first < last:
        end = first
        for record in scan(segment.read(first, min(first + size, last))):
            end = first + record.end
            yield record, Mark(segment.index, end)
        if end > first:
            first, size = end, _PIECE
        elif first + size < last:
            size = last - first  # a record that is longer than a piece, or none
        else:
            # Somebody else cut or overwrote the file; to stop here would stop for ever.
            _log.error("%s is damaged from byte %d on; rows are lost", segment.path, first)
            return


def lock_writer(folder: Path, writer: str, *, wait: float = 0.0) -> BaseFileLock | None:
    """Take a writer's lock; ``None`` where its process, this one or another, is alive.

    Args:
        folder: Where journals lie.
        writer: Whose lock.
        wait: Seconds to try.

    The lock does not go over to forked children: ``filelock`` closes it in them.

    Raises:
        OSError: The file system does not let it.
    """
    import filelock

    lock = filelock.FileLock(
        folder / (writer + LOCK),
        timeout=wait,
        poll_interval=0.01,
        mode=0o600,
        thread_local=False,
        fallback_to_soft=False,
    )
    try:
        lock.acquire()
    except filelock.Timeout:
        return None
    return lock


class Journal:
    """The journal that one ledger writes.

    Args:
        files: The file system.
        folder: Where journals of this database lie.
        writer: This one's name, unique among all that ever were.
        limit: Bytes that all its segments may take.
        smallest: Bytes of a segment, at the least.
    """

    def __init__(
        self,
        files: Files,
        folder: Path,
        writer: str,
        limit: int,
        *,
        smallest: int = _SMALLEST,
    ) -> None:
        self.folder = folder
        self.writer = writer
        self._files = files
        self._limit = max(limit, _PARTS * smallest)
        self._size = min(_LARGEST, self._limit // _PARTS)
        self._lock: BaseFileLock | None = None
        self._numbers = itertools.count(1)
        self._segments: deque[Segment] = deque()
        self._made: deque[Segment] = deque()
        self._spares: deque[Segment] = deque()
        self._doomed: deque[Segment] = deque()
        self._current: Segment | None = None
        self._open: dict[bytes, _Open] = {}
        self._held = 0
        self._free = 0
        self._reserved = 0
        self._largest_slot = 0

    @property
    def opened(self) -> bool:
        """It has a file to write to."""
        return self._current is not None

    @property
    def attempts(self) -> int:
        """How many attempts have begun and not ended."""
        return len(self._open)

    @property
    def low(self) -> bool:
        """It is time to make room ahead."""
        waste = self._largest_slot * len(self._spares)
        return self._free - waste - self._reserved < self._size // 2

    @property
    def mark(self) -> Mark:
        """The end of what was written."""
        current = self._current
        return Mark(0, 0) if current is None else Mark(current.index, current.offset)

    def batch(self, start: Mark, stop: Mark) -> Batch:
        """What was written between two marks."""
        return Batch(tuple(self._segments), start, stop)

    # Writing

    def begin(self, attempt: bytes, payload: bytes, number: int) -> bool:
        """Write down that an attempt begins; ``False`` where there is no room.

        Raises:
            OSError: It can't be written.
        """
        data = frame(BEGIN, number, payload)
        size = len(data)
        slot = size + _MORE
        largest = max(slot, self._largest_slot)
        waste = largest * len(self._spares)
        if self._free - size - waste < self._reserved + slot:
            return False
        segment = self._append(data)
        self._largest_slot = largest
        self._reserved += slot
        segment.open += 1
        self._open[attempt] = _Open(segment, payload, slot)
        return True

    def end(self, attempt: bytes, payload: bytes, number: int) -> bool:
        """Write down how an attempt ended; ``False`` where there is no room.

        There always is for a payload of up to a kilobyte more than its begin had.

        Raises:
            OSError: It can't be written.
        """
        data = frame(END, number, payload)
        held = self._open.get(attempt)
        if held is None or len(data) > held.slot:
            return self._close(attempt, data)
        self._append(data)
        self.forget(attempt)
        return True

    def drop(self, attempt: bytes, number: int) -> bool:
        """Write down that an attempt was never sent; for one that is not open there is no need.

        Raises:
            OSError: It can't be written.
        """
        return attempt not in self._open or self._close(attempt, frame(DROP, number, attempt))

    def begun(self, attempt: bytes) -> bytes | None:
        """The payload with which an open attempt began."""
        held = self._open.get(attempt)
        return held.payload if held is not None else None

    def forget(self, attempt: bytes) -> None:
        """An attempt is in the database, whatever is written here."""
        held = self._open.pop(attempt, None)
        if held is not None:
            self._reserved -= held.slot
            held.segment.open -= 1
            if not self._open:
                self._largest_slot = 0

    def _close(self, attempt: bytes, data: bytes) -> bool:
        if not self._fits(self._open.get(attempt), len(data)):
            return False
        self._append(data)
        self.forget(attempt)
        return True

    def _fits(self, held: _Open | None, size: int) -> bool:
        if held is not None and size <= held.slot:
            return True
        slot = held.slot if held is not None else 0
        waste = max(size, self._largest_slot) * len(self._spares)
        return self._free - size - waste >= self._reserved - slot

    def _append(self, data: bytes) -> Segment:
        segment = self._current
        if segment is None:
            raise OSError(errno.EBADF, "the journal is closed")
        size = len(data)
        while segment.size - segment.offset < size:
            if not self._spares:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(segment.path))
            self._free -= segment.free
            segment = self._current = self._spares.popleft()
            self._segments.append(segment)
        segment.append(data)
        self._free -= size
        return segment

    # Room

    def open(self) -> None:
        """Make the folder, take the lock and make the first segment. May be tried again.

        Raises:
            OSError: The file system does not let it.
        """
        if self._lock is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whoever looks for dead writers may see the new file before it is locked, and holds it
            # for as long as it takes to find out that it is nobody's.
            self._lock = lock_writer(self.folder, self.writer, wait=_LOCK_SECONDS)
            if self._lock is None:
                message = f"{self.folder / self.writer} is somebody else's journal"
                raise OSError(errno.EBUSY, message)
        if self._current is None:
            self.make_spare()
            self.take_spares()

    def make_spare(self, least: int = 0) -> None:
        """Make a segment, with room for at least one record of that size. Writing may go on.

        It is used once whoever writes has called ``take_spares``.

        Raises:
            OSError: There is no room on the disk.
            JournalFullError: The journal is as large as it may be.
        """
        size = max(self._size, least + len(HEADER))
        if self._held + size > self._limit:
            raise JournalFullError(
                errno.EDQUOT, f"the journal has grown to its limit of {self._limit >> 20} MB"
            )
        index = next(self._numbers)
        path = self.folder / f"{self.writer}.{index}{SEGMENT}"
        self._made.append(Segment(self._files, path, index, size))
        self._held += size

    def take_spares(self) -> bool:
        """Let the segments that were made be used; whether there were any.

        In the order in which they were made, since that is the order in which they are read again.
        """
        taken = False
        while self._made:
            taken = True
            spare = self._made.popleft()
            if self._current is None:
                self._current = spare
                self._segments.append(spare)
            else:
                self._spares.append(spare)
            self._free += spare.free
        return taken

    def make_room(self, size: int) -> None:
        """Open the journal if need be, or add a segment for an attempt with a payload that long.

        Raises:
            OSError: There is no room.
        """
        if self._current is None:
            self.open()
        elif not self.take_spares():
            slot = max(size + OVERHEAD + _MORE, self._largest_slot)
            self.make_spare((3 + len(self._spares)) * slot)
            self.take_spares()

    # Letting go

    def drained(self, mark: Mark) -> None:
        """Everything before a mark is in the database: what is not needed any more may go.

        Attempts that began in a segment which may go, and are still open, begin anew in the
        current one.

        Raises:
            OSError: They can't be written; the segments stay.
        """
        while len(self._segments) > 1 and self._segments[0].index < mark.segment:
            if self._segments[0].open and not self._carry(self._segments[0]):
                return
            self._doomed.append(self._segments.popleft())

    def _carry(self, segment: Segment) -> bool:
        for attempt, held in list(self._open.items()):
            if held.segment is not segment:
                continue
            data = frame(BEGIN, 0, held.payload)
            waste = self._largest_slot * len(self._spares)
            if self._free - len(data) - waste < self._reserved:
                return False
            current = self._append(data)
            self._open[attempt] = _Open(current, held.payload, held.slot)
            current.open += 1
            segment.open -= 1
        return True

    @property
    def doomed(self) -> bool:
        """There are segments to be removed."""
        return bool(self._doomed)

    def remove_doomed(self) -> None:
        """Remove segments that are not needed any more. Writing may go on.

        Oldest first and none before its elders: a begin must not outlive its end.

        Raises:
            OSError: One can't be removed; it may be tried again.
        """
        while self._doomed:
            segment = self._doomed[0]
            self._files.remove(segment.path)
            segment.close()
            self._doomed.popleft()
            self._held -= segment.size

    def close(self, *, remove: bool) -> None:
        """Let go of the files; the journal is not opened again.

        Args:
            remove: Everything is in the database, so that the files may go. Else they stay for
                whoever finds them without a living writer.
        """
        segments = [*self._doomed, *self._segments, *self._spares, *self._made]
        self._made.clear()
        self._doomed.clear()
        self._segments.clear()
        self._spares.clear()
        self._current, self._free = None, 0
        lock, self._lock = self._lock, None
        try:
            with contextlib.suppress(OSError):
                remove_files(self._files, [s.path for s in segments] if remove else [])
                if remove and lock is not None:
                    self._files.remove(Path(lock.lock_file))
        finally:
            for segment in segments:
                segment.close()
            if lock is not None:
                lock.release()


def remove_files(files: Files, paths: Sequence[Path]) -> None:
    """Remove files, in order, until one can't be.

    Raises:
        OSError: That one.
    """
    for path in paths:
        files.remove(path)
