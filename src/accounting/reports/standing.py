"""How each configured budget stands in its present period."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from ..budgets.applied import EMPTY, budget_name, budget_scope, counted_by
from ..budgets.keys import counter_key
from ..budgets.periods import span_of
from ..ledger.store import Standing
from ..money import PICO_IN_NANO, pico, usd

if TYPE_CHECKING:
    from ...config.budgets import BudgetRule
    from ..ledger.store import Store

__all__ = ["EMPTY", "BudgetStatus", "budget_statuses", "is_of", "status_of"]


class BudgetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One budget in its present period. Amounts in USD, exact.

    Attributes:
        name: ``project:p1 per day``.
        scope: What it is about, its own value in place of a ``*``: ``project:p1``.
        rule: The scope as it is configured: ``project:*``.
        period: ``hour``, ``day``, ``week``, ``month``, ``run`` or ``ever``.
        timezone: Where its day, week and month begin.
        run_id: Whose, where the period is a run.
        limit: What may be spent.
        hard: Whether it is never exceeded.
        spent: What counts against the limit: for a hard budget the most that its attempts can have
            cost, for a soft one what they cost.
        cost: What its attempts cost, as far as is known.
        bound: The most that they can have cost.
        reserved: Set aside by processes for calls that are under way or to come.
        left: What is neither spent nor reserved; below zero where it is overspent.
        resets_at: When its period ends (UTC); ``None`` for one that has no end.
        in_use: Whether anything was booked or reserved in this period.
        closed: Nothing more is spent of it, whatever is left: an attempt cost more than was
            reserved for it. ``switchgear budgets --reopen`` opens it.
        key: Its counter in the ledger.
    """

    name: str
    scope: str
    rule: str
    period: str
    timezone: str
    run_id: str | None = None
    limit: Decimal
    hard: bool
    spent: Decimal
    cost: Decimal
    bound: Decimal
    reserved: Decimal
    left: Decimal
    resets_at: dt.datetime | None
    in_use: bool
    closed: bool = False
    key: str = ""

    @property
    def part(self) -> Decimal:
        """The part of the limit that is spent: 0.25 for a quarter. For people: it is rounded."""
        if not self.limit:
            return Decimal(0) if self.spent <= 0 else Decimal(1)
        return self.spent / self.limit


def budget_statuses(
    store: Store, rules: Sequence[BudgetRule], now: dt.datetime
) -> tuple[BudgetStatus, ...]:
    """Ask the ledger's database how each rule stands; blocks.

    A rule for each value of something answers with every value that has a counter in its present
    period, the fullest first; a rule for one value always answers. Rules that nobody counted so far
    are counted from now on, as a router with them would have it.

    Raises:
        LedgerError: It can't be read.
    """
    at = int(now.timestamp() * 1_000_000)
    wanted = list(dict.fromkeys(counted_by(rule) for rule in rules))
    if not wanted:
        return ()
    store.register(wanted, at)
    found = {each.key: each for each in store.counters(wanted, at)}
    single = {
        counter_key(rule.kind, rule.value, rule.period, rule.timezone, now.timestamp())
        for rule in rules
        if rule.value != "*" and rule.period != "run"
    }
    if missing := sorted(single - found.keys()):
        # Its first look makes the counter, out of the rows that are booked already.
        found.update((each.key, each) for each in store.standings(missing, at))
    return tuple(status for rule in rules for status in _statuses(rule, found.values(), now))


def _statuses(
    rule: BudgetRule, standings: Iterable[Standing], now: dt.datetime
) -> list[BudgetStatus]:
    found = []
    for standing in standings:
        status = status_of(rule, standing, now)
        if status is not None:
            found.append(status)
    return sorted(found, key=lambda each: (-each.part, -each.reserved, each.name))


def status_of(rule: BudgetRule, standing: Standing, now: dt.datetime) -> BudgetStatus | None:
    """How a counter stands under a rule; ``None`` where it is not a counter of it, or of now."""
    kind, value, period, timezone, start = msgspec.json.decode(standing.key)
    if (kind, period, timezone) != (rule.kind, rule.period, rule.timezone):
        return None
    if rule.value not in {"*", value}:
        return None
    span = span_of(period, timezone, now.timestamp())
    if period != "run" and start != span.start:
        return None
    run_id = str(start) if period == "run" else None
    limit = pico(rule.usd)
    spent = _pico(standing.bound if rule.hard else standing.cost)
    reserved = _pico(standing.leased)
    resets_at = None if span.end is None else dt.datetime.fromtimestamp(span.end, dt.UTC)
    amounts: dict[str, Any] = {
        "limit": usd(limit),
        "spent": usd(spent),
        "cost": usd(_pico(standing.cost)),
        "bound": usd(_pico(standing.bound)),
        "reserved": usd(reserved),
        "left": usd(limit - spent - reserved),
    }
    return BudgetStatus(
        name=budget_name(rule, value, run_id),
        scope=budget_scope(rule, value),
        rule=rule.scope,
        period=period,
        timezone=timezone,
        run_id=run_id,
        hard=rule.hard,
        resets_at=resets_at,
        in_use=bool(standing.bound or standing.cost or standing.leased),
        closed=standing.closed and rule.hard,
        key=standing.key,
        **amounts,
    )


def is_of(status: BudgetStatus, rule: BudgetRule) -> bool:
    """Whether a status is one of this rule's."""
    return (status.rule, status.period, status.timezone, status.limit, status.hard) == (
        rule.scope,
        rule.period,
        rule.timezone,
        rule.usd,
        rule.hard,
    )


def _pico(nano: int) -> int:
    return nano * PICO_IN_NANO
