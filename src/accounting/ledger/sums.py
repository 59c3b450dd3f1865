"""Adding up rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from ...errors import LedgerError
from .columns import COUNTS
from .database import Database
from .matching import Condition, Subject, between, conditions, in_nano
from .store import SpendQuery, SpendSum

__all__ = ["amounts", "spend"]

_SUMMED: Final = ("cost", "bound", "saved", "latency", *COUNTS)
_COLUMNS: Final = {
    "agent": "agent_id",
    "project": "project_id",
    "agent_type": "agent_type",
    "run": "run_id",
    "session": "session_id",
    "api_key": "api_key_id",
    "group": '"group"',
    "provider": "provider",
    "model": "model",
    "outcome": "outcome",
}
_UNITS: Final = ("hour", "day", "month")
_USED: Final = " OR ".join(
    f"{name} > 0"
    for name in ("input_tokens", "output_tokens", "web_searches", "file_searches", "code_sessions")
)


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
    where, values = _all([between(start, until, drift), *conditions(database, subject)])
    bound, cost = database.exact(in_nano("bound")), database.exact(in_nano("cost"))
    statement = f"SELECT {bound}, {cost} FROM attempt WHERE {where}"  # noqa: S608 - our own pieces
    (row,) = database.query(statement, values)
    return _joined(row[0], row[1]), _joined(row[2], row[3])


def spend(database: Database, query: SpendQuery, drift: int) -> list[SpendSum]:
    """Add up rows in groups, sorted by their keys.

    Hours, days and months are told apart by the database row by row, in the zone asked for, so a
    call that has attempts in two quarters of a day is still one call.
    """
    database.use_zone(query.timezone)
    keys = [_expression(database, name, query.timezone) for name in query.by]
    chosen = [_equal(database, name, value, query) for name, value in query.where.items()]
    where = _all([between(query.since, query.until, drift), *chosen])
    columns = [
        *(expression for expression, _ in keys),
        "COUNT(*)",
        "COALESCE(SUM(CASE WHEN call_id = id THEN 1 ELSE 0 END), 0)",
        "COALESCE(SUM(CASE WHEN outcome NOT IN ('answered', 'cached') THEN 1 ELSE 0 END), 0)",
        f"COALESCE(SUM(CASE WHEN cost IS NULL AND ({_USED}) THEN 1 ELSE 0 END), 0)",
        "COALESCE(SUM(CASE WHEN estimated THEN 1 ELSE 0 END), 0)",
        *(database.exact(name) for name in _SUMMED),
    ]
    statement = f"SELECT {', '.join(columns)} FROM attempt WHERE {where[0]}"  # noqa: S608
    found = database.query(statement + _grouped(keys), [*_values(keys), *where[1]])
    sums = [_sum_of(row, len(keys)) for row in found]
    if any(each.calls < each.attempts for each in sums):
        others = _other_calls(database, keys, where)
        sums = [replace(each, calls=each.calls + others.get(each.keys, 0)) for each in sums]
    return sorted(sums, key=lambda s: tuple((k is not None, k or "") for k in s.keys))


def _other_calls(
    database: Database, keys: Sequence[Condition], where: Condition
) -> dict[tuple[str | None, ...], int]:
    """Calls by group, without those whose first attempt is in the group.

    A call has the id of its first attempt, so first attempts count by themselves. Only the others,
    which are few, have to be told apart; to tell all of them apart would mean sorting every row.
    """
    labels = [f"{expression} AS k{i}" for i, (expression, _) in enumerate(keys)]
    chosen, values = where
    later = f"SELECT {', '.join([*labels, 'call_id'])} FROM attempt"  # noqa: S608
    later += f" WHERE {chosen} AND call_id <> id"
    first = f"SELECT {', '.join([*labels, 'id'])} FROM attempt WHERE {chosen} AND call_id = id"  # noqa: S608
    first += f" AND id IN (SELECT call_id FROM attempt WHERE {chosen} AND call_id <> id)"  # noqa: S608
    names = [f"k{i}" for i in range(len(keys))]
    statement = f"SELECT {', '.join([*names, 'COUNT(*)'])} FROM ({later} EXCEPT {first}) AS others"  # noqa: S608
    given = [*_values(keys), *values, *_values(keys), *values, *values]
    found = database.query(statement + _grouped(keys), given)
    return {tuple(row[:-1]): int(row[-1]) for row in found}


def _values(keys: Sequence[Condition]) -> list[Any]:
    return [value for _, own in keys for value in own]


def _grouped(keys: Sequence[Condition]) -> str:
    # By number: with values of their own, two equal expressions would not count as the same.
    return f" GROUP BY {', '.join(str(i + 1) for i in range(len(keys)))}" if keys else ""


def _all(pieces: Sequence[Condition]) -> Condition:
    return " AND ".join(sql for sql, _ in pieces), [v for _, values in pieces for v in values]


def _expression(database: Database, name: str, timezone: str) -> Condition:
    if name in _COLUMNS:
        return _COLUMNS[name], []
    if name in _UNITS:
        sql = database.local(name)
        return sql, [timezone] * sql.count("?")
    if name.startswith("tag:"):
        return database.tag(), [name[4:]]
    known = ", ".join((*_COLUMNS, *_UNITS, "tag:NAME"))
    raise LedgerError(f"spending can't be told apart by {name!r}, only by {known}")


def _equal(database: Database, name: str, value: str, query: SpendQuery) -> Condition:
    sql, values = _expression(database, name, query.timezone)
    if value:
        return f"{sql} = ?", [*values, value]
    return f"COALESCE({sql}, '') = ''", values


def _sum_of(row: Sequence[Any], keys: int) -> SpendSum:
    attempts, calls, failed, unpriced, estimated = map(int, row[keys : keys + 5])
    pairs = row[keys + 5 :]
    totals = {name: _joined(pairs[2 * i], pairs[2 * i + 1]) for i, name in enumerate(_SUMMED)}
    return SpendSum(
        keys=tuple(row[:keys]),
        attempts=attempts,
        calls=calls,
        failed=failed,
        unpriced=unpriced,
        estimated=estimated,
        cost=totals["cost"],
        bound=totals["bound"],
        saved=totals["saved"],
        latency=totals["latency"],
        usage={name: totals[name] for name in COUNTS},
    )
