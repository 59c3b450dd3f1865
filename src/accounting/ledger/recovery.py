"""What dead writers left behind: found, booked, removed.

Dead is a writer whose lock can be taken. Whoever takes it holds it until the writer's rows are in
the database and its files are gone, so two survivors never do the same work; and if a survivor is
killed over it, the next one does it again, which changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from .encoding import decode
from .files import Files
from .journal import LOCK, SEGMENT, lock_writer, remove_files
from .row import Row
from .segment import BEGIN, END, UnknownFormatError, read_segment
from .store import Store

__all__ = ["adopt_dead", "left_behind", "writers_in"]

_log = logging.getLogger("switchgear.accounting")

_CHUNK: Final = 500
_SEGMENT_NAME: Final = re.compile(rf"(?P<writer>[\w-]+)\.(?P<index>\d+){re.escape(SEGMENT)}")
_LOCK_NAME: Final = re.compile(rf"(?P<writer>[\w-]+){re.escape(LOCK)}")


def writers_in(folder: Path) -> dict[str, list[Path]]:
    """The writers of a folder, each with its segments, oldest first."""
    found: dict[str, list[tuple[int, Path]]] = {}
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return {}
    for path in paths:
        if match := _LOCK_NAME.fullmatch(path.name):
            found.setdefault(match["writer"], [])
        elif match := _SEGMENT_NAME.fullmatch(path.name):
            found.setdefault(match["writer"], []).append((int(match["index"]), path))
    return {writer: [path for _, path in sorted(found[writer])] for writer in sorted(found)}


def left_behind(segments: Sequence[Path]) -> Iterator[tuple[int, Row]]:
    """The rows to book, each with its record's number.

    First those of the attempts that ended, in the order in which they did; then, numbered 0, the
    attempts that were under way, as their begin says.

    Raises:
        OSError: A file can't be read.
        UnknownFormatError: A file has another format.
    """
    under_way: dict[bytes, Row] = {}
    for path in segments:
        for record in read_segment(path):
            if record.kind == BEGIN:
                row = _row(record.payload, path)
                under_way[row.id] = row
            elif record.kind == END:
                row = _row(record.payload, path)
                under_way.pop(row.id, None)
                yield record.number, row
            else:
                under_way.pop(bytes(record.payload), None)
    for row in under_way.values():
        yield 0, row


def adopt_dead(
    folder: Path, files: Files, store: Store, *, but: str, known: set[str] | None = None
) -> int:
    """Book what the dead writers of a folder left behind. Answers with how many rows were new.

    Args:
        folder: Where journals of the store's database lie.
        files: The file system.
        store: The database.
        but: A writer to leave alone.
        known: Writers that can't be read, which are left alone; new ones are added.

    Raises:
        LedgerError: The database did not take them.
    """
    rows = 0
    unreadable = known if known is not None else set()
    for writer in writers_in(folder):
        if writer == but or writer in unreadable:
            continue
        try:
            rows += _adopt(folder, files, store, writer)
        except OSError as error:
            _log.info("the journal of %s in %s has to wait: %s", writer, folder, error)
        except UnknownFormatError as error:
            unreadable.add(writer)
            _log.warning("the journal of %s in %s is left alone: %s", writer, folder, error)
    return rows


def _adopt(folder: Path, files: Files, store: Store, writer: str) -> int:
    lock = lock_writer(folder, writer)
    if lock is None:
        return 0
    try:
        # Only under the lock: until then, its writer or another survivor may have changed it.
        segments = writers_in(folder).get(writer, [])
        rows = _book(store, writer, segments)
        remove_files(files, segments)
        with contextlib.suppress(OSError):
            files.remove(Path(lock.lock_file))
    finally:
        lock.release()
    if rows:
        _log.info("%d attempts that %s left behind are booked", rows, writer)
    return rows


def _book(store: Store, writer: str, segments: Sequence[Path]) -> int:
    rows: list[Row] = []
    last: list[Row] = []
    new, upto = 0, 0
    for number, row in left_behind(segments):
        if number <= upto:
            # Under way, or written late: not in the order that ``book`` goes by.
            last.append(row)
            continue
        rows.append(row)
        upto = number
        if len(rows) == _CHUNK:
            # A long journal goes in many transactions; ones that its writer did are passed over.
            new += store.book(writer, upto, rows, frozenset()).rows
            rows = []
    return new + store.adopt(writer, rows + last)


def _row(payload: memoryview, path: Path) -> Row:
    try:
        return decode(payload)
    except msgspec.MsgspecError as error:
        raise UnknownFormatError(f"{path}: {error}") from error
