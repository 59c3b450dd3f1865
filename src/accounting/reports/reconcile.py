"""The ledger beside a vendor's usage or cost export: every difference, day by day."""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from ...completion import Usage
from ...errors import LedgerError
from ..ledger.row import Row
from ..money import Pico, pico
from .coverage import gap_note, gaps, merged
from .exports.values import REQUESTS, Export, ExportLine, day_of
from .figures import times
from .matching import EVERYTHING, groups_of
from .moments import instant, microseconds
from .reconciliation import (
    NONE,
    Difference,
    Kind,
    Reconciliation,
    Tolerance,
    Total,
    in_users_terms,
)

if TYPE_CHECKING:
    from ..ledger.store import Store

__all__ = ["reconcile"]

_PAGE: Final = 5000
_COUNTERS: Final = tuple(name for name in Usage.__struct_fields__ if name != "estimated")
_LONGEST_CALL: Final = dt.timedelta(hours=1)


class _Side:
    """What one side says about one group of models on one day."""

    def __init__(self) -> None:
        self.sums: dict[str, int] = {}
        self.entries = 0
        self.rounding = 0
        self.estimated = 0
        self.unpriced = 0
        self.api_keys: dict[str, None] = {}
        self.projects: dict[str, None] = {}
        # Of calls across midnight: what the vendor may count on the next day, or on this one.
        self.leaving: dict[str, int] = {}
        self.coming: dict[str, int] = {}


_Sides: TypeAlias = dict[tuple[dt.date, str], _Side]


def reconcile(
    store: Store,
    export: Export,
    *,
    provider: str | None = None,
    tolerance: Tolerance = NONE,
    now: dt.datetime | None = None,
) -> Reconciliation:
    """Compare; blocks.

    The ledger's side are the attempts at providers of the vendor's kind that began in the times
    that the export covers. Answers out of the cache are left out, and calls that brought their own
    key, which are on somebody else's bill. Days are UTC's, as on both vendors' bills.

    Args:
        store: The ledger's database.
        export: What the vendor says.
        provider: Only the attempts at this provider, by its name in the configuration; whatever
            kind it is of.
        tolerance: What is too little to be called a difference.
        now: In place of the present.

    Raises:
        LedgerError: The ledger can't be read, or no longer has all attempts of that time.
    """
    _must_be_there(store, export)
    booked, foreign = _booked(store, export, provider)
    inside = [row for row, covered in booked if covered is not None]
    fees = {
        line.fee: [_model(row) for row in inside if row.usage and getattr(row.usage, line.fee)]
        for line in export.lines
        if line.fee is not None
    }
    group = groups_of(
        (_model(row) for row, _ in booked),
        (line.model for line in export.lines if line.model is not None),
        fees,
        split=all(line.model is not None or line.fee is not None for line in export.lines),
    )
    measures = export.measures
    ours = _of_ledger(booked, group, measures)
    theirs = _of_export(export.lines, group)
    differences, compared = _compare(ours, theirs, measures, tolerance)
    spans = export.covered
    notes = [*export.notes, *_notes(inside, foreign)]
    uncompared, gap = _left_out(store, export, provider)
    if gap:
        notes.append(gap)
    if compared and not export.lines:
        notes.append("it has no line: was it made for this workspace, project or key?")
    if any(end > (now or dt.datetime.now(dt.UTC)) for _, end in spans):
        notes.append("its last day is not over: both sides still grow")
    return Reconciliation(
        vendor=export.vendor,
        form=export.form,
        since=min((start for start, _ in spans), default=None),
        until=max((end for _, end in spans), default=None),
        attempts=len(inside),
        compared=compared,
        differences=tuple(differences),
        totals=tuple(_total(measure, ours, theirs) for measure in measures),
        notes=tuple(notes),
        complete=export.complete and not uncompared,
    )


def _booked(
    store: Store, export: Export, provider: str | None
) -> tuple[list[tuple[Row, dt.datetime | None]], int]:
    """The attempts that may be on the bill, each with the day of the bucket that it belongs to.

    ``None`` for those that began just before what the export covers: they may have ended in it.
    Besides: how many brought their own key.
    """
    found: list[tuple[Row, dt.datetime | None]] = []
    foreign = 0
    starts = sorted({start for start, _ in export.covered})
    for start, end in merged(export.covered):
        for row in _rows(store, start - _LONGEST_CALL, end):
            if not _concerned(row, export, provider):
                continue
            at = instant(row.at)
            if row.own_key:
                foreign += at >= start
            else:
                bucket = starts[bisect.bisect_right(starts, at) - 1] if at >= start else None
                found.append((row, bucket and day_of(bucket)))
    return found, foreign


def _concerned(row: Row, export: Export, provider: str | None) -> bool:
    """Whether a row may be on the vendor's bill, as far as its time doesn't matter."""
    asked = row.provider == provider if provider else row.plugin == export.vendor
    return asked and row.outcome != "cached" and _spoken_of(row, export)


def _left_out(store: Store, export: Export, provider: str | None) -> tuple[int, str]:
    """How many billed attempts began in gaps of the export, and what is to be said of these."""
    found = gaps(export.covered)
    if not found:
        return 0, ""
    attempts = sum(
        _concerned(row, export, provider) and not row.own_key and _billed(row)
        for start, end in found
        for row in _rows(store, start, end)
    )
    return attempts, gap_note(found, attempts)


def _must_be_there(store: Store, export: Export) -> None:
    since = instant(store.kept_since())
    if any(start < since for start, _ in export.covered):
        raise LedgerError(
            f"the ledger keeps single attempts since {since:%Y-%m-%d} (UTC) only, which is what a "
            "bill is compared with: export a later time"
        )


def _rows(store: Store, start: dt.datetime, end: dt.datetime) -> Iterator[Row]:
    after = b""
    while True:
        page = store.rows(microseconds(start), microseconds(end), after=after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _spoken_of(row: Row, export: Export) -> bool:
    embedding = "embed" in row.model.lower()
    return export.embeddings if embedding else export.answers


def _model(row: Row) -> str:
    return row.answered_model or row.model


def _of_ledger(
    booked: Iterable[tuple[Row, dt.datetime | None]],
    group: Mapping[str, str],
    measures: Sequence[str],
) -> _Sides:
    sides: _Sides = {}
    days = {day.date() for _, day in booked if day is not None}
    for row, day in booked:
        name = group[_model(row)]
        sums = _measured(row, measures)
        ended = instant(row.at + row.latency).date()
        if day is not None:
            side = sides.setdefault((day.date(), name), _Side())
            side.entries += any(sums.values())
            side.estimated += _estimated(row)
            side.unpriced += row.cost is None and row.usage is not None
            _add(side.sums, sums)
            if ended != day.date():
                _add(side.leaving, sums)
        if ended in days and ended != instant(row.at).date():
            _add(sides.setdefault((ended, name), _Side()).coming, sums)
    return sides


def _measured(row: Row, measures: Sequence[str]) -> dict[str, int]:
    sums = {}
    for measure in measures:
        if measure == "cost":
            value = row.cost or 0
        elif measure == REQUESTS:
            value = int(_billed(row))
        else:
            value = getattr(row.usage, measure) if row.usage is not None else 0
        sums[measure] = value
    return sums


def _billed(row: Row) -> bool:
    """Whether the vendor counts it as a request.

    One that was refused, or answered with an error, is booked with a usage of nothing and is not
    on the bill. One that was cut, cancelled or timed out is booked with an estimate: a model ran.
    """
    return row.outcome == "answered" or _used(row) or bool(row.cost)


def _used(row: Row) -> bool:
    return row.usage is not None and any(getattr(row.usage, name) for name in _COUNTERS)


def _estimated(row: Row) -> bool:
    # Of an error nobody knows what it used, and nothing is what it is booked with.
    return row.usage is not None and row.usage.estimated and _used(row)


def _of_export(lines: Iterable[ExportLine], group: Mapping[str, str]) -> _Sides:
    sides: _Sides = {}
    for line in lines:
        named = line.model if line.model is not None else line.fee
        name = group[named] if named is not None else EVERYTHING
        side = sides.setdefault((day_of(line.start).date(), name), _Side())
        side.entries += any(line.counts.values()) or bool(line.cost)
        _add(side.sums, line.counts)
        if line.cost is not None:
            _add(side.sums, {"cost": line.cost})
            side.rounding += line.rounding
        if line.api_key is not None:
            side.api_keys[line.api_key] = None
        if line.project is not None:
            side.projects[line.project] = None
    return sides


def _add(sums: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, 0) + value


def _compare(
    ours: _Sides, theirs: _Sides, measures: Sequence[str], tolerance: Tolerance
) -> tuple[list[Difference], int]:
    differences = []
    compared = 0
    for place in sorted({*ours, *theirs}):
        mine, their = ours.get(place, _Side()), theirs.get(place, _Side())
        for measure in measures:
            ledger, export = mine.sums.get(measure, 0), their.sums.get(measure, 0)
            if not (ledger or export):
                continue
            compared += 1
            if not _agree(measure, ledger, export, their.rounding, tolerance):
                differences.append(_difference(place, measure, mine, their))
    return differences, compared


def _agree(measure: str, ledger: int, export: int, rounding: Pico, allowed: Tolerance) -> bool:
    gap = abs(ledger - export)
    if measure == "cost" and gap <= rounding + pico(allowed.usd):
        return True
    return gap <= allowed.part * max(abs(ledger), abs(export))


def _difference(place: tuple[dt.date, str], measure: str, mine: _Side, their: _Side) -> Difference:
    ledger, export = mine.sums.get(measure, 0), their.sums.get(measure, 0)
    notes = []
    least = ledger - mine.leaving.get(measure, 0)
    most = ledger + mine.coming.get(measure, 0)
    if least <= export <= most and least != most:
        notes.append("calls across midnight may be counted on the other day")
    if mine.estimated:
        notes.append(f"{times(mine.estimated, 'attempt')} with estimated tokens")
    if measure == "cost" and mine.unpriced:
        notes.append(f"{times(mine.unpriced, 'attempt')} without a price")
    kind: Kind = "amounts differ"
    if not mine.entries:
        kind = "missing in ledger"
    elif not their.entries:
        kind = "missing in export"
    return Difference(
        kind=kind,
        day=place[0],
        model=place[1],
        measure=measure,
        ledger=in_users_terms(measure, ledger),
        export=in_users_terms(measure, export),
        api_keys=tuple(their.api_keys),
        projects=tuple(their.projects),
        notes=tuple(notes),
    )


def _total(measure: str, ours: _Sides, theirs: _Sides) -> Total:
    ledger = sum(side.sums.get(measure, 0) for side in ours.values())
    export = sum(side.sums.get(measure, 0) for side in theirs.values())
    return Total(measure, in_users_terms(measure, ledger), in_users_terms(measure, export))


def _notes(inside: Sequence[Row], foreign: int) -> list[str]:
    notes = []
    if foreign:
        notes.append(f"left out: {times(foreign, 'attempt')} with the caller's own key")
    if unpriced := sum(row.cost is None and row.usage is not None for row in inside):
        notes.append(f"{times(unpriced, 'attempt')} without a price")
    if estimated := sum(map(_estimated, inside)):
        notes.append(f"{times(estimated, 'attempt')} with estimated tokens")
    return notes
