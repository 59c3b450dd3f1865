"""Letting go of old rows, without the counters of budgets losing what they counted."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import Any, Final

from ...errors import LedgerError
from . import accounts as acc
from .database import Database
from .matching import Keyring, between, made_at
from .months import Month
from .rollup import Run, fold, forget_below
from .row import Row
from .store import Counted

__all__ = ["forget"]

_PAUSE: Final = 0.05
"""Seconds until it is tried again, where something has changed or somebody is adding up rows."""
_LABELS: Final = {
    "global": (),
    "project": ("project_id",),
    "agent": ("agent_id",),
    "agent-type": ("agent_type",),
    "run": ("run_id",),
    "api-key": ("api_key_id",),
    "provider": ("provider",),
    "model": ("provider", "model"),
    "key": ("provider", "own_key"),
}


def forget(db: Database, run: Run, before: int, now: int) -> int:
    """Delete the rows of all months of UTC that ended by then; microseconds since 1970.

    Returns:
        The first microsecond of what is kept.

    Raises:
        LedgerError: The present month or the last one would go, or the rows are in use.
    """
    end = _end_of(before, now)
    start = made_at(end)

    def settle() -> dict[Counted, int]:
        rules = acc.registered(db)
        _settle_counters(db, rules, before)
        return rules

    def mark(rules: Mapping[Counted, int]) -> bool | None:
        if acc.registered(db) != rules or not forget_below(db, start):
            return None
        return drop()

    def drop() -> bool:
        return db.drop_rows(end, acc.drift_of(db))

    while True:
        # Not alone over the long parts, which would keep everybody from booking.
        fold(db, run, start)
        rules = run("write", settle)
        gone = run("alone", functools.partial(mark, rules))
        if gone is not None:
            break
        time.sleep(_PAUSE)
    while not gone:
        gone = run("write", drop)
    return start


def _end_of(before: int, now: int) -> bytes:
    """What the first ids that are kept begin with: those of the month in which ``before`` is.

    Raises:
        LedgerError: The present month or the one before it would go. Budgets that are under way
            begin there, whatever their zone.
    """
    month, present = Month.at(before / 1e6), Month.at(now / 1e6)
    if month > present.plus(-1):
        raise LedgerError(
            f"the ledger keeps at least the present month and the last one: give a moment before "
            f"the end of {'{}-{:02}'.format(*present.plus(-1))}"
        )
    return month.first


def _settle_counters(db: Database, rules: Mapping[Counted, int], before: int) -> None:
    """Make the counters that rows from before then belong to, and that nobody looked at yet.

    A counter that is made later starts with the rows that are there, so these must be made while
    they are. Rows that were booked since a rule is registered have made theirs; and a period that
    ended needs none.
    """
    drift = acc.drift_of(db)
    for rule, registered_at in rules.items():
        if rule.period not in {"ever", "run"}:
            continue
        names, columns, values = _columns(db, rule)
        where, bounds = between(None, min(before, registered_at), drift)
        statement = f"SELECT DISTINCT {', '.join(columns)} FROM attempt WHERE {where}"  # noqa: S608
        ring = Keyring([rule])
        keys: dict[str, None] = {}
        for found in db.query(statement, [*values, *bounds]):
            keys |= ring.keys_of(_row(rule, dict(zip(names, found, strict=True))))
        acc.ensure(db, keys, rules)


def _columns(db: Database, rule: Counted) -> tuple[list[str], list[str], list[Any]]:
    names = [*_LABELS.get(rule.kind, ()), *(["run_id"] if rule.period == "run" else [])]
    columns = ["1", *names]
    if rule.kind.startswith("tag:"):
        return ["one", *names, "tag"], [*columns, db.tag()], [rule.kind[4:]]
    return ["one", *names], columns, []


def _row(rule: Counted, labels: dict[str, Any]) -> Row:
    del labels["one"]
    tag = labels.pop("tag", None)
    if "own_key" in labels:
        labels["own_key"] = bool(labels["own_key"])
    tags = {} if tag is None else {rule.kind[4:]: tag}
    return Row(id=b"", call_id=b"", at=0, tags=tags, **labels)
