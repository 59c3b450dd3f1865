"""What a batch of rows comes to in the sums: what is to be written, as questions to the database.

A call that was answered by its second attempt is the usual case of a call with several, and there
are many of these. Where both are of one hour and differ in provider, model or outcome only, the
second one is a number in its row of ``hourly``: by what it differs, since a question that asks
about none of that finds the call where its first attempt is. All other attempts that are not the
first of their call are kept one by one in ``further``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .database import Database
from .kept import AGAIN, BITS, HOUR_OF, LABELS, LONE, LOOSE, SUMMED, UNNOTED, USED, USUAL, Marks
from .matching import Condition, stamp

__all__ = ["FURTHER", "HOURLY", "Batch", "further_of", "hourly_of"]

_LABELS: Final = ", ".join(LABELS.values())
_COUNTED: Final = ("attempts", "calls", "unpriced", "estimated")
_FIRST_HOUR: Final = HOUR_OF.replace("attempt.", "first.")
_ITS_FIRST: Final = "attempt AS first ON first.id = attempt.call_id AND first.call_id = first.id"

HOURLY: Final = ("at", *LABELS.values(), *_COUNTED, *SUMMED, *AGAIN, "high")
"""The columns of ``hourly``."""
FURTHER: Final = ("id", "call_id", "at", *LABELS.values(), "differs")
"""The columns of ``further``."""


class Batch(NamedTuple):
    """Rows that are to be added: of them nothing changes until somebody has added them.

    Attributes:
        marks: How far sums are kept before that.
        upto: And after it.
        rows: Which ones.
        noted: Which of ``late`` they are; ``None`` for rows of hours that were closed.
    """

    marks: Marks
    upto: int
    rows: Condition
    noted: Condition | None


def hourly_of(db: Database, batch: Batch) -> list[Condition]:
    """The batch as rows of ``hourly``, and what has to be taken back there."""
    halves = [db.halves(f"attempt.{name}") for name in SUMMED]
    high = " || ',' || ".join(f"CAST({upper} AS TEXT)" for _, upper in halves)
    too_large = " OR ".join(f"{upper} > 0" for _, upper in halves)
    # Not joined: a planner that takes them for few would go through all of them for each row.
    usual = "SELECT id FROM later WHERE usual = 1 AND differs ="
    second = f"call_id <> id AND id IN ({usual}"
    columns = [
        HOUR_OF,
        _LABELS,
        "COUNT(*)",
        "SUM(CASE WHEN call_id = id THEN 1 ELSE 0 END)",
        f"SUM(CASE WHEN cost IS NULL AND ({USED}) THEN 1 ELSE 0 END)",
        "SUM(CASE WHEN estimated THEN 1 ELSE 0 END)",
        *(lower for lower, _ in halves),
        *(f"SUM(CASE WHEN {second} {bits}) THEN 1 ELSE 0 END)" for bits in AGAIN.values()),
        f"CASE WHEN {too_large} THEN {high} END",
    ]
    groups = ", ".join(str(place + 1) for place in range(1 + len(LABELS)))
    later, values = _later(batch)
    added = (
        f"WITH later AS ({later}) SELECT {', '.join(columns)} FROM attempt"  # noqa: S608
        f" WHERE {batch.rows[0]} GROUP BY {groups}"
    )
    nothing = ["0"] * (len(_COUNTED) + len(SUMMED))
    less = [f"CASE WHEN differs = {bits} THEN -1 ELSE 0 END" for bits in AGAIN.values()]
    columns = ["at", _LABELS, *nothing, *less, "NULL"]
    overtaken, of_overtaken = _overtaken(batch)
    taken_back = f"SELECT {', '.join(columns)} FROM ({overtaken}) AS overtaken"  # noqa: S608
    return [(added, [*values, *batch.rows[1]]), (taken_back, of_overtaken)]


def further_of(batch: Batch) -> list[Condition]:
    """The rows of ``further`` that a batch needs."""
    where, values = batch.rows
    later, of_later = _later(batch)
    labels = ", ".join(f"first.{column}" for column in LABELS.values())
    unusual = f"SELECT {', '.join(FURTHER)} FROM ({later}) AS later WHERE usual = 0"  # noqa: S608
    first = (
        f"SELECT DISTINCT first.id, first.call_id, {_FIRST_HOUR}, {labels}, 0 FROM attempt"  # noqa: S608
        f" JOIN {_ITS_FIRST} WHERE {where} AND attempt.call_id <> attempt.id AND NOT {_alike()[1]}"
    )
    lone = f"SELECT call_id FROM further WHERE differs >= {LONE}"  # noqa: S608
    first_of_earlier = (
        f"SELECT attempt.id, attempt.call_id, {HOUR_OF}, {_LABELS}, 0 FROM attempt"  # noqa: S608
        f" WHERE call_id = id AND {where} AND id IN ({lone})"
    )
    return [
        _overtaken(batch),
        (unusual, of_later),
        (first, values),
        (first_of_earlier, values),
    ]


def _later(batch: Batch) -> Condition:
    """The attempts of a batch that are not the first of their call, as rows of ``further``.

    ``usual`` is 1 for the second one of a call whose first one is in this batch as well, where no
    third one is known, and in which only provider, model or outcome differ: that only has to be
    counted.
    """
    rows, values = batch.rows
    others = "SELECT 1 FROM further WHERE further.call_id = those.call_id"
    noted = "SELECT 1 FROM late WHERE late.id = those.call_id"
    usual = (
        f"COUNT(*) OVER (PARTITION BY call_id) = 1 AND (differs & {USUAL}) = differs"
        f" AND call_id >= ? AND call_id < ? AND NOT EXISTS ({others}) AND NOT EXISTS ({noted})"
    )
    hours = [stamp(batch.marks.upto), stamp(batch.upto)]
    those = _with_first(f"{rows} AND attempt.call_id <> attempt.id")
    statement = (
        f"SELECT those.*, CASE WHEN {usual} THEN 1 ELSE 0 END AS usual FROM ({those}) AS those"  # noqa: S608
    )
    return statement, [*hours, *values]


def _overtaken(batch: Batch) -> Condition:
    """Attempts that were counted as the second of their call, which now has more of them."""
    later, values = _later(batch)
    began = f"SELECT call_id FROM ({later}) AS later WHERE usual = 0 AND call_id < ?"  # noqa: S608
    rows = (
        f"attempt.call_id IN ({began})"  # noqa: S608 - our own pieces
        f" AND attempt.call_id <> attempt.id AND attempt.id < ? AND {UNNOTED}"
        " AND NOT EXISTS (SELECT 1 FROM further WHERE further.id = attempt.id)"
    )
    before = stamp(batch.marks.upto)
    return _with_first(rows), [*values, before, before]


def _with_first(rows: str) -> str:
    """These rows as rows of ``further``."""
    labels = ", ".join(f"attempt.{column} AS {column}" for column in LABELS.values())
    differs = f"CASE WHEN first.id IS NULL THEN {2 * LONE - 1} ELSE {_alike()[0]} END"
    return (
        f"SELECT attempt.id AS id, attempt.call_id AS call_id, {HOUR_OF} AS at, {labels},"  # noqa: S608
        f" {differs} AS differs FROM attempt LEFT JOIN {_ITS_FIRST} WHERE {rows}"
    )


def _alike() -> tuple[str, str]:
    """Of a later attempt and its call's first one: what tells them apart, and whether that is all.

    It is where labels differ so that no group has both of them, and else both are in the same.
    """
    sure, bits = [f"{HOUR_OF} = {_FIRST_HOUR}"], []
    for name, column in LABELS.items():
        one, other = f"attempt.{column}", f"first.{column}"
        same = f"{one} = {other} OR ({one} IS NULL AND {other} IS NULL)"
        bits.append(f"CASE WHEN {same} THEN 0 ELSE {BITS[name]} END")
        # A question for rows without a label means empty ones and none.
        sure.append(f"({same} OR {one} <> '' OR {other} <> '')")
    loose = f"CASE WHEN {' AND '.join(sure)} THEN 0 ELSE {LOOSE} END"
    return " + ".join([loose, *bits]), f"{loose} = 0"
