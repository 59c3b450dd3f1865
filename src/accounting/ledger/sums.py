"""Adding up rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ...errors import LedgerError
from .columns import COUNTS
from .database import Database
from .kept import (
    AGAIN,
    LABELS,
    LONE,
    LOOSE,
    SUMMED,
    UNITS,
    USED,
    Split,
    differing,
    split,
    together,
)
from .matching import Condition, Subject, between, conditions, in_nano
from .store import SpendQuery, SpendSum

__all__ = ["amounts", "spend"]

_COLUMNS: Final = LABELS | {"run": "run_id", "session": "session_id"}
_FAILED: Final = "outcome NOT IN ('answered', 'cached')"
_COUNTED: Final = {
    "attempt": (
        "1",
        "CASE WHEN call_id = id THEN 1 ELSE 0 END",
        f"CASE WHEN {_FAILED} THEN 1 ELSE 0 END",
        f"CASE WHEN cost IS NULL AND ({USED}) THEN 1 ELSE 0 END",
        "CASE WHEN estimated THEN 1 ELSE 0 END",
    ),
    "hourly": (
        "attempts",
        "calls",
        f"CASE WHEN {_FAILED} THEN attempts ELSE 0 END",
        "unpriced",
        "estimated",
    ),
}
"""What tells attempts, calls, failed, unpriced and estimated ones, by where it is added up."""
_RAW: Final = 2 * LONE
"""A bit beside those of ``further.differs``: it is a row that has no sum."""
_ATTEMPTS: Final = 0
_CALLS: Final = 1


def _joined(high: Any, low: Any) -> int:
    # PostgreSQL adds integers up to a Decimal.
    return (int(high) << 32) + int(low)


def amounts(
    database: Database, subject: Subject, *, before: int | None, drift: int
) -> tuple[int, int]:
    """Bound and cost, in 10⁻⁹ USD, of a counter's rows that began before then."""
    start, end = (None if at is None else at * 1_000_000 for at in subject.bounds())
    if before is not None and start is not None and start >= before:
        return 0, 0
    until = min((at for at in (end, before) if at is not None), default=None)
    where, values = together([between(start, until, drift), *conditions(database, subject)])
    bound, cost = database.exact(in_nano("bound")), database.exact(in_nano("cost"))
    statement = f"SELECT {bound}, {cost} FROM attempt WHERE {where}"  # noqa: S608 - our own pieces
    (row,) = database.query(statement, values)
    return _joined(row[0], row[1]), _joined(row[2], row[3])


def spend(database: Database, query: SpendQuery, drift: int) -> list[SpendSum]:
    """Add up rows in groups, sorted by their keys: out of the kept sums, and the rows they lack.

    Hours, days and months are told apart by the database, in the zone asked for, so a call that has
    attempts in two quarters of a day is still one call.
    """
    database.use_zone(query.timezone)
    parts = split(database, query, drift)
    keys = [_expression(database, name, query.timezone) for name in query.by]
    chosen = together([_equal(database, name, value, query) for name, value in query.where.items()])
    totals: dict[tuple[str | None, ...], list[int]] = {}
    for piece in parts.raw:
        _add_up(database, totals, "attempt", keys, together([piece, chosen]))
    if parts.kept is not None:
        kept = together([parts.kept, chosen])
        again = [name for name, bits in AGAIN.items() if bits & differing(query)]
        _add_up(database, totals, "hourly", keys, kept, again)
        _add_upper_parts(database, totals, keys, kept)
    if any(total[_CALLS] < total[_ATTEMPTS] for total in totals.values()):
        for found in _other_calls(database, query, keys, chosen, parts):
            totals[tuple(found[:-1])][_CALLS] += int(found[-1])
    sums = [_sum_of(own, total) for own, total in totals.items()]
    return sorted(sums, key=lambda s: tuple((k is not None, k or "") for k in s.keys))


def _add_up(  # noqa: PLR0917 - a statement's pieces
    database: Database,
    totals: dict[tuple[str | None, ...], list[int]],
    table: str,
    keys: Sequence[Condition],
    where: Condition,
    again: Sequence[str] = (),
) -> None:
    counted = list(_COUNTED[table])
    counted[_CALLS] = " + ".join([counted[_CALLS], *again])
    columns = [
        *(expression for expression, _ in keys),
        *(f"COALESCE(SUM({expression}), 0)" for expression in counted),
        *(database.exact(name) for name in SUMMED),
    ]
    statement = f"SELECT {', '.join(columns)} FROM {table} WHERE {where[0]}"  # noqa: S608
    values = [*_values(keys), *where[1]]
    for row in database.query(statement + _grouped(keys), values):
        counts = row[len(keys) : len(keys) + len(_COUNTED[table])]
        pairs = row[len(keys) + len(counts) :]
        total = totals.setdefault(tuple(row[: len(keys)]), [0] * (len(counts) + len(SUMMED)))
        sums = [_joined(pairs[2 * i], pairs[2 * i + 1]) for i in range(len(SUMMED))]
        for place, each in enumerate([*map(int, counts), *sums]):
            total[place] += each


def _add_upper_parts(
    database: Database,
    totals: dict[tuple[str | None, ...], list[int]],
    keys: Sequence[Condition],
    where: Condition,
) -> None:
    columns = ", ".join([*(expression for expression, _ in keys), "high"])
    statement = f"SELECT {columns} FROM hourly WHERE {where[0]} AND high IS NOT NULL"  # noqa: S608
    for *own, high in database.query(statement, [*_values(keys), *where[1]]):
        total = totals[tuple(own)]
        for place, part in enumerate(high.split(","), len(total) - len(SUMMED)):
            total[place] += int(part) << 32


def _other_calls(
    database: Database,
    query: SpendQuery,
    keys: Sequence[Condition],
    chosen: Condition,
    parts: Split,
) -> list[Any]:
    """Calls by group, without those whose first attempt is in the group.

    A call has the id of its first attempt, so first attempts count by themselves. Only the others,
    which are few, have to be told apart; to tell all of them apart would mean sorting every row. Of
    those that have sums, only the ones that differ from their call's first attempt in what is asked
    about: any other is where the first one is. And most of these are counted with the sums.
    """
    sources = [("attempt", together([piece, chosen])) for piece in parts.raw]
    known = [("attempt", together([parts.whole, chosen]), "1 = 1")]
    names = "".join(f"k{i}, " for i in range(len(keys)))
    if parts.kept is not None:
        kept, values = together([parts.kept, chosen])
        differs = f" AND (differs & {differing(query)}) <> 0"
        sources.append(("further", (kept + differs, values)))
        # The first one of any other has another label, and is in another group.
        loose = f"(differs & {LONE | LOOSE}) <> 0"
        # One that has no sums yet is among the rows, which know when in its hour it began.
        has_sums = " AND id < ? AND id NOT IN (SELECT id FROM late)"
        with_sums = (kept + has_sums, [*values, parts.mark])
        known = [("further", with_sums, loose), ("attempt", known[0][1], loose)]
    later, given = [], []
    for table, (where, values) in sources:
        differs = "differs" if table == "further" else str(_RAW | LONE)
        columns = [*_labelled(keys), "call_id", f"{differs} AS differs"]
        later.append(f"SELECT {', '.join(columns)} FROM {table} WHERE {where} AND call_id <> id")  # noqa: S608
        given += [*_values(keys), *values]
    first = []
    for table, (where, values), needed in known:
        of_later = f"id IN (SELECT call_id FROM later WHERE {needed})"  # noqa: S608
        chosen_too = f"{where} AND call_id = id AND {of_later}"
        columns = [*_labelled(keys), "id"]
        first.append(f"SELECT {', '.join(columns)} FROM {table} WHERE {chosen_too}")  # noqa: S608
        given += [*_values(keys), *values]
    if parts.summed is not None:
        second, values = _second(keys, chosen, parts.summed, parts.mark)
        first.append(second)
        given += values
    statement = (
        f"WITH later AS ({' UNION ALL '.join(later)}) SELECT {names}COUNT(*) FROM"  # noqa: S608
        f" (SELECT {names}call_id FROM later EXCEPT SELECT * FROM ({' UNION ALL '.join(first)})"
        " AS firsts) AS others"
    )
    found: list[Any] = database.query(statement + _grouped(keys), given)
    return found


def _second(
    keys: Sequence[Condition], chosen: Condition, summed: Condition, mark: bytes
) -> Condition:
    """Attempts that count as their call's second one, of calls of which there are rows left.

    They have the hour of the first one, and that has sums.
    """
    began = "SELECT call_id FROM later WHERE differs >= ? AND call_id < ?"
    its_first = f"SELECT id FROM attempt WHERE {summed[0]} AND call_id = id AND id IN ({began})"  # noqa: S608
    where, values = together([summed, chosen])
    columns = ", ".join([*_labelled(keys), "call_id"])
    statement = (
        f"SELECT {columns} FROM attempt WHERE {where} AND call_id <> id"  # noqa: S608
        " AND NOT EXISTS (SELECT 1 FROM further WHERE further.id = attempt.id)"
        f" AND call_id IN ({its_first})"
    )
    return statement, [*_values(keys), *values, *summed[1], _RAW, mark]


def _labelled(keys: Sequence[Condition]) -> list[str]:
    return [f"{expression} AS k{i}" for i, (expression, _) in enumerate(keys)]


def _values(keys: Sequence[Condition]) -> list[Any]:
    return [value for _, own in keys for value in own]


def _grouped(keys: Sequence[Condition]) -> str:
    # By number: with values of their own, two equal expressions would not count as the same.
    return f" GROUP BY {', '.join(str(i + 1) for i in range(len(keys)))}" if keys else ""


def _expression(database: Database, name: str, timezone: str) -> Condition:
    if name in _COLUMNS:
        return _COLUMNS[name], []
    if name in UNITS:
        sql = database.local(name)
        return sql, [timezone] * sql.count("?")
    if name.startswith("tag:"):
        return database.tag(), [name[4:]]
    known = ", ".join((*_COLUMNS, *UNITS, "tag:NAME"))
    raise LedgerError(f"spending can't be told apart by {name!r}, only by {known}")


def _equal(database: Database, name: str, value: str, query: SpendQuery) -> Condition:
    sql, values = _expression(database, name, query.timezone)
    if value:
        return f"{sql} = ?", [*values, value]
    return f"COALESCE({sql}, '') = ''", values


def _sum_of(keys: tuple[str | None, ...], total: Sequence[int]) -> SpendSum:
    attempts, calls, failed, unpriced, estimated = total[: len(total) - len(SUMMED)]
    sums = dict(zip(SUMMED, total[len(total) - len(SUMMED) :], strict=True))
    return SpendSum(
        keys=keys,
        attempts=attempts,
        calls=calls,
        failed=failed,
        unpriced=unpriced,
        estimated=estimated,
        cost=sums["cost"],
        bound=sums["bound"],
        saved=sums["saved"],
        latency=sums["latency"],
        usage={name: sums[name] for name in COUNTS},
    )
