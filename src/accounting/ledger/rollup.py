"""Keeping sums of rows by the hour, so that a report need not add up every attempt again.

An hour is rolled up in two steps. It is *closed* in a short transaction while nobody books: whoever
books a row of it after that also notes its id in ``late``. Then the rows that were there are added
up into ``hourly``, for as long as that takes, while others book, and the watermark moves up in the
same transaction. What is in ``late`` is added when the next hour has been closed. Between these
steps everything adds up, so whoever does them can be killed at any moment.

A row belongs to an hour twice: by the time in its id, which decides when it is added, and by when
it began, which decides to which hour's sums. They are nearly always the same hour; nothing here
rests on it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from .database import Database, Mode, numbered
from .gathering import FURTHER, HOURLY, Batch, further_of, hourly_of
from .kept import HOUR, MARKS, UNNOTED, Marks, marks_of, together
from .matching import Condition, made_at, stamp

__all__ = [
    "GRACE",
    "Run",
    "booking_marks",
    "fold",
    "forget_below",
    "forgotten",
    "note_late",
    "roll_up",
]

GRACE: Final = 600_000_000
"""Microseconds after its end until an hour is closed: most of what is booked later than that comes
from processes that died, or that could not reach the database."""

_T = TypeVar("_T")

_PAUSE: Final = 0.05
"""Seconds until it is tried again, where somebody else is at it."""
_MOST: Final = 500_000
"""Rows after which one step ends, at the end of an hour."""
_MOST_ALONE: Final = 20_000
"""The same where nobody else can write while sums are written."""
_UNLESS_THERE: Final = "ON CONFLICT (id) DO NOTHING"


class Run(Protocol):
    """Does something in one transaction."""

    def __call__(self, mode: Mode, work: Callable[[], _T], /) -> _T:
        """In a transaction of that kind."""


class _Sums(NamedTuple):
    """What a batch comes to: rows of ``hourly``, of ``further``, and how many were noted."""

    hourly: list[Any]
    further: list[Any]
    noted: int


def booking_marks(db: Database) -> tuple[int, int, int]:
    """What whoever books has to know: the drift, and what :func:`note_late` wants."""
    drift, closing, turn = db.query("SELECT microseconds, closing, turn FROM drift, rolled")[0]
    return drift, closing, turn


def note_late(db: Database, ids: Iterable[bytes], closing: int, turn: int) -> None:
    """Note which of the rows that are being booked belong to hours that are closed."""
    end = stamp(closing)
    late = [(each, turn) for each in sorted(ids) if each < end]
    note = "INSERT INTO late (id, turn) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
    if late:
        db.change_each(note, late)


def roll_up(db: Database, run: Run, now: int) -> int:
    """Add up one hour, or some that have half a million rows together.

    Args:
        db: The database.
        run: Does something with it in a transaction.
        now: Microseconds since 1970.

    Returns:
        From when on there is more to do.
    """
    last = (now - GRACE) // HOUR * HOUR
    marks, end = run("read", lambda: _look(db, last))
    if end is not None:
        marks = run("alone", lambda: _close(db, marks, end))
    if marks.closing <= marks.upto:
        return last + HOUR + GRACE
    _add(db, run)
    return now


def fold(db: Database, run: Run, end: int) -> None:
    """Add up all rows from before then, the end of an hour."""
    while not run("read", lambda: _folded(db, end)):
        marks, until = run("read", lambda: _look(db, end))
        if marks.closing <= marks.upto:
            run("alone", functools.partial(_close, db, marks, until or end))
        if not _add(db, run):
            time.sleep(_PAUSE)


def forget_below(db: Database, end: int) -> bool:
    """Write down that rows from before then go now; or answer that their sums are not kept yet.

    While nobody books.
    """
    if _locked(db) is None or not _folded(db, end):
        return False
    db.change("UPDATE rolled SET forgotten = ? WHERE forgotten < ?", (end, end))
    return True


def forgotten(db: Database) -> int:
    """Rows that began before this microsecond may be gone."""
    return marks_of(db).forgotten


def _folded(db: Database, end: int) -> bool:
    marks = marks_of(db)
    below = "EXISTS (SELECT 1 FROM late WHERE id < ?)"
    left = f"EXISTS (SELECT 1 FROM attempt WHERE id >= ? AND id < ?) OR {below}"  # noqa: S608
    ids = [stamp(marks.upto), stamp(end), stamp(end)]
    return not db.query(f"SELECT CASE WHEN {left} THEN 1 ELSE 0 END", ids)[0][0]


def _look(db: Database, last: int) -> tuple[Marks, int | None]:
    """The marks, and the end of the hours that are to be closed next."""
    marks = marks_of(db)
    if marks.closing > marks.upto:
        return marks, None
    ids = "SELECT id FROM attempt WHERE id >= ? AND id < ? ORDER BY id LIMIT 1"
    here = [stamp(marks.upto), stamp(last)]
    found = db.query(ids, here)
    if not found:
        return marks, None
    first = _hour_of(found[0][0])
    further = db.query(f"{ids} OFFSET ?", [*here, _most(db)])
    end = last if not further else max(first + HOUR, _hour_of(further[0][0]))
    return marks, end


def _most(db: Database) -> int:
    return min(_MOST, _MOST_ALONE) if db.one_writer else _MOST


def _hour_of(identifier: bytes) -> int:
    return made_at(identifier) // HOUR * HOUR


def _close(db: Database, seen: Marks, end: int) -> Marks:
    """Nobody books meanwhile, and from now on they note what is from before ``end``."""
    if _locked(db) == seen:
        turn = seen.turn + 1
        db.change("UPDATE rolled SET closing = ?, turn = ?", (max(end, seen.upto), turn))
    return marks_of(db)


def _locked(db: Database) -> Marks | None:
    # Who finds it locked by another does not wait: everybody who books would wait behind.
    found = db.query(MARKS + db.unless_locked)
    return Marks(*found[0]) if found else None


def _add(db: Database, run: Run) -> bool:
    """Add what is to be added next, unless somebody else is at it."""
    if not db.one_writer:
        return run("roll", lambda: _add_at_once(db))
    # Where only one can write, it must not be for as long as adding up takes.
    batch, sums = run("read", lambda: _added_up(db))
    return run("write", lambda: _put(db, batch, sums))


def _add_at_once(db: Database) -> bool:
    marks = _locked(db)
    if marks is None:
        return False
    batch = _batch(db, marks)
    for select in hourly_of(db, batch):
        db.change(f"INSERT INTO hourly ({', '.join(HOURLY)}) {select[0]}", select[1])
    for select in further_of(batch):
        statement = f"INSERT INTO further ({', '.join(FURTHER)}) {select[0]} {_UNLESS_THERE}"
        db.change(statement, select[1])
    _finish(db, batch)
    return True


def _added_up(db: Database) -> tuple[Batch, _Sums]:
    batch = _batch(db, marks_of(db))
    hourly = [row for select in hourly_of(db, batch) for row in db.query(*select)]
    further = [row for select in further_of(batch) for row in db.query(*select)]
    return batch, _Sums(hourly, further, _noted(db, batch))


def _put(db: Database, batch: Batch, sums: _Sums) -> bool:
    if marks_of(db) != batch.marks or _noted(db, batch) != sums.noted:
        return False  # somebody else was quicker
    for table, names, rows in (
        ("hourly", HOURLY, sums.hourly),
        ("further", FURTHER, sums.further),
    ):
        values = f"({', '.join(names)}) VALUES ({numbered(len(names))})"
        end = _UNLESS_THERE if table == "further" else ""
        db.change_each(f"INSERT INTO {table} {values} {end}", rows)
    _finish(db, batch)
    return True


def _finish(db: Database, batch: Batch) -> None:
    if batch.noted is not None:
        db.change(f"DELETE FROM late WHERE {batch.noted[0]}", batch.noted[1])  # noqa: S608
    db.change("UPDATE rolled SET upto = ?", (batch.upto,))


def _noted(db: Database, batch: Batch) -> int:
    where, values = batch.noted or ("1 = 0", [])
    return int(db.query(f"SELECT COUNT(*) FROM late WHERE {where}", values)[0][0])  # noqa: S608


def _batch(db: Database, marks: Marks) -> Batch:
    """What is to be added now: rows noted before the last closing, or else the closed hours.

    Where very many are noted, as after a long time without the database, only some of these.
    """
    some = "SELECT id FROM late WHERE turn < ? ORDER BY id LIMIT 1 OFFSET ?"
    noted: Condition = ("turn < ?", [marks.turn])
    if db.query(some, [marks.turn, 0]):
        bound = db.query(some, [marks.turn, _most(db)])
        if bound:
            noted = together([noted, ("id < ?", [bound[0][0]])])
        rows = f"attempt.id IN (SELECT id FROM late WHERE {noted[0]})"  # noqa: S608
        return Batch(marks, marks.upto, (rows, noted[1]), noted)
    ids = [stamp(marks.upto), stamp(marks.closing)]
    closed = f"attempt.id >= ? AND attempt.id < ? AND {UNNOTED}"
    return Batch(marks, marks.closing, (closed, ids), None)
