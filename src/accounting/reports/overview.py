"""What the pictures of a report show: spending along time, and who spent most."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec

from ...completion import Usage
from ..ledger.store import SpendQuery
from .moments import first_instant, instant
from .spend import TIMES, Spend, SpendRow, report

if TYPE_CHECKING:
    from ..ledger.store import Store

__all__ = ["BUCKETS", "NO_LABEL", "Overview", "Step", "buckets_of", "label", "overview"]

NO_LABEL: Final = "(none)"
OTHERS: Final = "others"
BUCKETS: Final = ("fresh input", "cache read", "cache write", "output", "reasoning")
"""Kinds of tokens that do not overlap, which the inclusive totals of ``Usage`` do."""

_MOST_SERIES: Final = 6
_IN_HOURS: Final = dt.timedelta(days=2)
_IN_DAYS: Final = dt.timedelta(days=120)
_MOST_STEPS: Final = 400


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One hour, day or month.

    Attributes:
        name: ``2026-11-23``.
        cost: By the names in ``Overview.series``.
        tokens: By the names in ``BUCKETS``.
        answered: Attempts that gave an answer.
        failed: Attempts that gave none.
    """

    name: str
    cost: tuple[Decimal, ...]
    tokens: tuple[int, ...]
    answered: int
    failed: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """A report with what its pictures need.

    Attributes:
        spend: The report itself.
        unit: ``hour``, ``day`` or ``month``: how long a step is.
        stacked: The column that the costs of a step are split by.
        series: Its values, the dearest first; the last may be all others.
        steps: Every step of the time, also those in which nothing was spent.
        projects: Spending by project, the dearest first.
        agents: By agent.
        models: By provider and model.
    """

    spend: Spend
    unit: str
    stacked: str
    series: tuple[str, ...]
    steps: tuple[Step, ...]
    projects: tuple[SpendRow, ...]
    agents: tuple[SpendRow, ...]
    models: tuple[SpendRow, ...]


def overview(store: Store, query: SpendQuery, now: dt.datetime) -> Overview:
    """Ask the ledger's database for everything that the pictures show; blocks.

    Raises:
        LedgerError: It can't be read.
    """
    labels = [name for name in query.by if name not in TIMES]
    stacked = labels[0] if labels else "model"
    first, last = _span(store, query, now)
    unit = _unit(last - first)
    along = report(store, msgspec.structs.replace(query, by=(unit, stacked)))
    series = _series(along.rows, stacked)
    return Overview(
        spend=report(store, query),
        unit=unit,
        stacked=stacked,
        series=series,
        steps=_steps(along.rows, unit, stacked, series, _names(first, last, unit)),
        projects=report(store, msgspec.structs.replace(query, by=("project",))).rows,
        agents=report(store, msgspec.structs.replace(query, by=("agent",))).rows,
        models=report(store, msgspec.structs.replace(query, by=("provider", "model"))).rows,
    )


def label(row: SpendRow, columns: Iterable[str] | None = None) -> str:
    """The row's name: ``p1 · 2026-11-23``; provider and model as they are written in a chain."""
    keys = {name: row.keys[name] for name in columns} if columns is not None else dict(row.keys)
    if tuple(keys) == ("provider", "model"):
        return f"{keys['provider'] or '?'}/{keys['model'] or '?'}"
    return " · ".join(
        NO_LABEL if value is None or value == "" else value for value in keys.values()
    )


def buckets_of(usage: Usage) -> tuple[int, ...]:
    """Tokens by ``BUCKETS``: parts that add up to input and output."""
    fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    spoken = usage.output_tokens - usage.reasoning_tokens
    return (
        max(0, fresh),
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        max(0, spoken),
        usage.reasoning_tokens,
    )


def _span(store: Store, query: SpendQuery, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """From when to when the pictures go, in the query's time zone; the end is exclusive."""
    zone = ZoneInfo(query.timezone)
    first, last = query.since, query.until
    end = now if last is None else instant(last)
    if first is not None:
        begin = instant(first)
    else:
        days = [
            day
            for each in store.spend(msgspec.structs.replace(query, by=("day",)))
            if (day := each.keys[0]) is not None
        ]
        begin = first_instant(dt.date.fromisoformat(min(days)), zone) if days else end
    # A month that has just begun need not be drawn to its end.
    end = max(begin, min(end, now + dt.timedelta(microseconds=1)))
    return begin.astimezone(zone), end.astimezone(zone)


def _unit(length: dt.timedelta) -> str:
    if length <= _IN_HOURS:
        return "hour"
    return "day" if length <= _IN_DAYS else "month"


def _names(first: dt.datetime, last: dt.datetime, unit: str) -> list[str]:
    """The steps from the first to the last, as the ledger's database names them."""
    final = last - dt.timedelta(microseconds=1)
    names: list[str] = []
    if unit == "hour":
        at = first.astimezone(dt.UTC)
        while at <= final and len(names) < _MOST_STEPS:
            names.append(_hour(at.astimezone(first.tzinfo)))
            at += dt.timedelta(hours=1)
        return [*names, _hour(final)] if names else []
    day = first.date()
    while day <= final.date() and len(names) < _MOST_STEPS:
        names.append(f"{day:%Y-%m}" if unit == "month" else day.isoformat())
        day = day + dt.timedelta(days=1) if unit == "day" else _next_month(day)
    return names


def _hour(at: dt.datetime) -> str:
    # With its offset, which tells the two hours apart that a clock set back makes of one.
    return at.replace(minute=0, second=0, microsecond=0).isoformat(timespec="minutes")


def _next_month(day: dt.date) -> dt.date:
    return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)


def _series(rows: Sequence[SpendRow], stacked: str) -> tuple[str, ...]:
    costs: dict[str, Decimal] = {}
    for row in rows:
        name = label(row, (stacked,))
        costs[name] = costs.get(name, Decimal(0)) + row.cost
    ordered = sorted(costs, key=lambda name: (-costs[name], name))
    if len(ordered) <= _MOST_SERIES:
        return tuple(ordered)
    return (*ordered[: _MOST_SERIES - 1], OTHERS)


def _steps(
    rows: Sequence[SpendRow],
    unit: str,
    stacked: str,
    series: tuple[str, ...],
    names: Sequence[str],
) -> tuple[Step, ...]:
    known = {row.keys[unit] or "" for row in rows}
    by_step: dict[str, list[SpendRow]] = {name: [] for name in sorted({*names, *known})}
    for row in rows:
        by_step[row.keys[unit] or ""].append(row)
    steps = []
    for name, of_step in by_step.items():
        cost = dict.fromkeys(series, Decimal(0))
        tokens = [0] * len(BUCKETS)
        for row in of_step:
            of = label(row, (stacked,))
            of = of if of in cost else OTHERS
            cost[of] += row.cost
            tokens = [sum(pair) for pair in zip(tokens, buckets_of(row.usage), strict=True)]
        failed = sum(row.failed for row in of_step)
        steps.append(
            Step(
                name=name,
                cost=tuple(cost.values()),
                tokens=tuple(tokens),
                answered=sum(row.attempts for row in of_step) - failed,
                failed=failed,
            )
        )
    return tuple(steps)
