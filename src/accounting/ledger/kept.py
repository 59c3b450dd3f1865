"""Which part of a question the kept sums answer, and which rows are left to add up.

A row is in the sums (``hourly``) when its id is from before the watermark (``rolled.upto``) and it
is not in ``late``. So each row is in exactly one of two places, whatever its hour, and an hour's
total is what the sums of it and the remaining rows of it come to. Where a question cuts an hour in
two, be it at an end of its time or because a local day begins within it, that hour is added up from
rows alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ...errors import LedgerError
from .columns import COUNTS
from .database import Database
from .matching import Condition, between, stamp
from .store import SpendQuery

__all__ = [
    "AGAIN",
    "BITS",
    "HOUR",
    "HOUR_OF",
    "LABELS",
    "LONE",
    "LOOSE",
    "MARKS",
    "SUMMED",
    "UNITS",
    "UNNOTED",
    "USED",
    "USUAL",
    "Marks",
    "Split",
    "differing",
    "marks_of",
    "split",
    "together",
]

HOUR: Final = 3_600_000_000
"""Microseconds of an hour."""
HOUR_OF: Final = f"(attempt.at - ((attempt.at % {HOUR}) + {HOUR}) % {HOUR})"
"""An expression: the first microsecond of the hour in which an attempt began."""

LABELS: Final = {
    "agent": "agent_id",
    "project": "project_id",
    "agent_type": "agent_type",
    "group": '"group"',
    "api_key": "api_key_id",
    "provider": "provider",
    "model": "model",
    "outcome": "outcome",
}
"""What sums are kept by, beside the hour: a question's words, and the columns."""
UNITS: Final = ("hour", "day", "month")

LOOSE: Final = 1
"""The bit of ``further.differs`` for an attempt that may be in one group with its call's first one
although they are not alike: it began in another hour, or one's label is empty where the other has
none."""
BITS: Final = {name: 2 << place for place, name in enumerate(LABELS)}
"""Its bits for labels that are not those of the first attempt."""
LONE: Final = 512
"""Its bit for an attempt whose call has no first one, as far as was known."""
USUAL: Final = BITS["provider"] | BITS["model"] | BITS["outcome"]
"""The bits of what attempts of a call usually differ in."""
AGAIN: Final = {
    f"again_{number}": number * BITS["provider"]
    for number in range(1, USUAL // BITS["provider"] + 1)
}
"""Columns that count calls' second attempts, and by which bits these differ from the first ones."""
UNNOTED: Final = "NOT EXISTS (SELECT 1 FROM late WHERE late.id = attempt.id)"
"""A condition: a row is in the sums, if its id is from before the watermark."""

SUMMED: Final = ("cost", "bound", "saved", "latency", *COUNTS)
"""The columns that are added up, besides counting."""
USED: Final = " OR ".join(
    f"{name} > 0"
    for name in ("input_tokens", "output_tokens", "web_searches", "file_searches", "code_sessions")
)
"""A condition: a row says that something was used."""

_FAR: Final = 2**62
_MOST_RANGES: Final = 300
_KEPT_HOURS: Final = (
    "WITH RECURSIVE kept (hour) AS ("
    " SELECT MIN(at) FROM hourly WHERE at >= ? UNION ALL"
    " SELECT (SELECT MIN(at) FROM hourly WHERE at > kept.hour) FROM kept WHERE kept.hour < ?)"
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Range = tuple[int, int]
"""From and until, microseconds."""


class Split(NamedTuple):
    """A question in two parts, that share no attempt.

    Attributes:
        kept: Which rows of ``hourly`` belong to it; ``None`` where none are needed.
        raw: Which rows of ``attempt``; no row is in two of these.
        summed: Which rows of ``attempt`` those of ``hourly`` are the sums of; ``None`` likewise.
        whole: Which rows of ``attempt`` there would be, were it not for the sums.
        mark: What ids from before the watermark are below of.
    """

    kept: Condition | None
    raw: list[Condition]
    summed: Condition | None
    whole: Condition
    mark: bytes


class Marks(NamedTuple):
    """How far sums are kept; microseconds. See the tables."""

    upto: int
    closing: int
    turn: int
    forgotten: int


MARKS: Final = f"SELECT {', '.join(Marks._fields)} FROM rolled"  # noqa: S608 - our own names


def marks_of(db: Database) -> Marks:
    """How far sums are kept now."""
    return Marks(*db.query(MARKS)[0])


def differing(query: SpendQuery) -> int:
    """The bits in which attempts of a call must differ for it to matter which one is counted."""
    names = {*query.by, *query.where}
    bits = sum(BITS[name] for name in names if name in LABELS)
    timed = query.since is not None or query.until is not None or names & {*UNITS}
    return bits | LONE | (LOOSE if timed else 0)


def split(db: Database, query: SpendQuery, drift: int) -> Split:
    """Take a question apart.

    Raises:
        LedgerError: It needs rows that are gone.
    """
    marks = marks_of(db)
    since, until = query.since, query.until
    whole = between(since, until, drift)
    alone = Split(None, [whole], None, whole, b"")
    if not marks.upto:
        return alone
    names = [name for name in (*query.by, *query.where) if name not in UNITS]
    detailed = next((name for name in names if name not in LABELS), None)
    first = -_FAR if since is None else -(-since // HOUR) * HOUR
    last = _FAR if until is None else until // HOUR * HOUR
    if detailed is not None or first >= last or first < -_FAR or last > _FAR:
        reason = f"what is asked by {detailed}" if detailed else "a part of an hour of UTC"
        _must_be_there(db, marks, [(since, until)], reason)
        return alone
    edges = _edges(query, first, last)
    _must_be_there(db, marks, edges, "a part of an hour of UTC")
    cut = _cut_hours(db, query, first, last)
    divided = _joined(cut)
    if len(divided) > _MOST_RANGES:
        divided = [(cut[0], cut[-1] + HOUR)]
    reason = f"a {'/'.join(_units(query))} in {query.timezone} that begins within an hour of UTC"
    _must_be_there(db, marks, divided, reason)
    kept: list[Condition] = [*map(_outside, divided)]
    if since is not None:
        kept.append(("at >= ?", [first]))
    if until is not None:
        kept.append(("at < ?", [last]))
    left = _rows_left(marks, whole, [*edges, *divided], drift)
    summed: list[Condition] = [
        ("attempt.id < ?", [stamp(marks.upto)]),
        (UNNOTED, []),
        together(kept),
    ]
    return Split(together(kept), left, together(summed), whole, stamp(marks.upto))


def _edges(query: SpendQuery, first: int, last: int) -> list[Range]:
    ends = ((query.since, first), (last, query.until))
    return [(a, b) for a, b in ends if a is not None and b is not None and a < b]


def _rows_left(
    marks: Marks, whole: Condition, ranges: Sequence[Range], drift: int
) -> list[Condition]:
    """The rows that no sum has, and all rows of the hours that are cut in two."""
    # Of the many ranges of a year hardly any can hold a row that is newer than the watermark.
    fresh = [each for each in ranges if each[1] > marks.upto - drift]
    above = ("id >= ?", [stamp(marks.upto)])
    below = ("id < ? AND id IN (SELECT id FROM late)", [stamp(marks.upto)])
    left = [
        together([above, whole, *map(_outside, fresh)]),
        together([below, whole, *map(_outside, ranges)]),
    ]
    if ranges:
        pieces = [between(start, end, drift) for start, end in ranges]
        every = " OR ".join(f"({sql})" for sql, _ in pieces)
        left.append((f"({every})", [value for _, values in pieces for value in values]))
    return left


def _outside(span: Range) -> Condition:
    return "NOT (at >= ? AND at < ?)", list(span)


def _units(query: SpendQuery) -> list[str]:
    return [unit for unit in UNITS if unit in query.by or unit in query.where]


def _cut_hours(db: Database, query: SpendQuery, first: int, last: int) -> list[int]:
    """The hours in which a local hour, day or month begins elsewhere than at their beginning.

    By the database's own labels, since its tables of zones may not be this process's.
    """
    units = _units(query)
    if not units or query.timezone == "UTC":
        return []
    labels = [db.local(unit) for unit in units]
    several = " OR ".join(f"COUNT(DISTINCT {label}) > 1" for label in labels)
    # Within a quarter of an hour nothing changes in any zone.
    parts = " UNION ALL ".join(f"SELECT {n * HOUR // 4} AS part" for n in range(4))
    found = db.query(
        f"{_KEPT_HOURS} SELECT hour FROM (SELECT hour, hour + part AS at FROM kept, ({parts}) AS p"  # noqa: S608 - our own pieces
        f" WHERE hour < ?) AS quarters GROUP BY hour HAVING {several} ORDER BY hour",
        [first, last, last, *(query.timezone for label in labels for _ in range(label.count("?")))],
    )
    return [int(hour) for (hour,) in found]


def _joined(hours: Iterable[int]) -> list[Range]:
    ranges: list[Range] = []
    for hour in hours:
        if ranges and ranges[-1][1] == hour:
            ranges[-1] = (ranges[-1][0], hour + HOUR)
        else:
            ranges.append((hour, hour + HOUR))
    return ranges


def _must_be_there(
    db: Database,
    marks: Marks,
    ranges: Sequence[tuple[int | None, int | None]],
    reason: str,
) -> None:
    """Of these times the rows themselves are needed.

    Raises:
        LedgerError: There were some that are gone.
    """
    for since, until in ranges:
        start = -_FAR if since is None else max(since, -_FAR)
        end = marks.forgotten if until is None else min(until, marks.forgotten)
        if start >= end:
            continue
        # Sums of its hours are left where there was anything.
        values = [start // HOUR * HOUR, end]
        if db.query("SELECT 1 FROM hourly WHERE at >= ? AND at < ? LIMIT 1", values):
            kept = (_EPOCH + dt.timedelta(microseconds=marks.forgotten)).strftime("%Y-%m-%d")
            raise LedgerError(
                f"the ledger at {db.place} keeps single attempts since {kept} (UTC) only, and from "
                f"before that sums by hour: {reason} can't be told of that time; ask since {kept}, "
                "or by whole hours of UTC and without run, session and tag"
            )


def together(pieces: Sequence[Condition]) -> Condition:
    """All of these conditions at once."""
    sql = " AND ".join(piece for piece, _ in pieces)
    return sql or "1 = 1", [value for _, values in pieces for value in values]
