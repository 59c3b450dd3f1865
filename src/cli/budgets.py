"""``switchgear budgets``: how each budget stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .ledger import ledger_option, opened_ledger, read_config
from .output import is_terminal, say, show_table, warn, write_json
from .setup import config_option

if TYPE_CHECKING:
    import datetime as dt
    from decimal import Decimal

    from ..accounting.reports.standing import BudgetStatus
    from ..config import BudgetRule

__all__ = ["budgets"]

_NUMBERS = ("limit", "spent", "reserved", "left", "used")
_METER = 8
_MOST_PLACES = 4
_MOST_ROWS = 40


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, every figure exact.")
@click.option(
    "--reopen",
    "reopened",
    metavar="SCOPE",
    multiple=True,
    help="Open a budget that an attempt closed by costing more than was reserved, as project:p1.",
)
@ledger_option
@config_option
def budgets(
    *,
    as_json: bool,
    reopened: tuple[str, ...],
    ledger_url: str | None,
    config_path: str | None,
) -> None:
    """Show how each budget stands in its present period.

    For a hard budget "spent" is the most that its attempts can have cost, for a soft one what they
    cost. "reserved" is set aside for calls that are under way. Budgets for each of something ("*")
    have a row for each that spent.
    """
    import datetime as dt

    import msgspec

    from ..accounting.reports.standing import budget_statuses

    config = read_config(config_path)
    found: tuple[BudgetStatus, ...] = ()
    now = dt.datetime.now(dt.UTC)
    if config.budgets:
        with opened_ledger(config, ledger_url) as store:
            found = budget_statuses(store, config.budgets, now)
            if reopened:
                store.shut(_closed(found, reopened), closed=False)
                found = budget_statuses(store, config.budgets, now)
    if as_json:
        write_json([msgspec.structs.asdict(status) for status in found])
        return
    if not config.budgets:
        say("no budget is configured")
        return
    show_table(
        "budgets, USD",
        ("budget", *_NUMBERS, *_bar_column(), "period"),
        _rows(config.budgets, found, now),
        note="period",
        numbers=_NUMBERS,
    )
    for status in found:
        if status.closed:
            warn(
                f"{status.name} is closed: an attempt cost more than was reserved for it; "
                f"see that its price and limits are right, then --reopen {status.scope}"
            )
        if status.left < 0:
            warn(f"{status.name} is overspent by {_amounts(-status.left)[0]}")


def _closed(found: Sequence[BudgetStatus], scopes: Sequence[str]) -> list[str]:
    keys = [each.key for each in found if each.closed and {each.scope, each.name} & {*scopes}]
    if not keys:
        closed = ", ".join(each.scope for each in found if each.closed) or "none is"
        message = f"no budget {', '.join(scopes)} is closed; closed: {closed}"
        raise click.BadParameter(message, param_hint="--reopen")
    return keys


def _bar_column() -> tuple[str, ...]:
    return ("",) if is_terminal() else ()


def _rows(
    rules: Sequence[BudgetRule], found: Sequence[BudgetStatus], now: dt.datetime
) -> list[tuple[str, ...]]:
    from ..accounting.reports.standing import is_of

    rows = []
    blank = [""] * len(_NUMBERS)
    for rule in rules:
        own = [status for status in found if is_of(status, rule)]
        rows += [_row(status, now) for status in own[:_MOST_ROWS]]
        if len(own) > _MOST_ROWS:
            more = f"{rule.scope}: {len(own) - _MOST_ROWS:,} more"
            rows.append((more, *blank, *_bar_column(), "less spent; --json has all"))
        if not own:
            limit = _amounts(rule.usd)[0]
            period = f"{_period(rule.period, hard=rule.hard)}; none used so far"
            rows.append((rule.scope, limit, *blank[1:], *_bar_column(), period))
    return rows


def _row(status: BudgetStatus, now: dt.datetime) -> tuple[str, ...]:
    from ..accounting.reports.standing import EMPTY
    from .plot import meter

    bar = (meter(status.part, _METER),) if is_terminal() else ()
    period = _period(status.period, hard=status.hard)
    if status.run_id is not None:
        period += f" {status.run_id or EMPTY}"
    return (
        status.scope,
        *_amounts(status.limit, status.spent, status.reserved, status.left),
        f"{status.part * 100:.0f} %",
        *bar,
        f"{period}{_resets(status.resets_at, now)}",
    )


def _period(period: str, *, hard: bool) -> str:
    words = "for ever" if period == "ever" else f"per {period}"
    return words if hard else f"{words}, soft"


def _amounts(*amounts: Decimal) -> tuple[str, ...]:
    from ..accounting.reports.figures import dollars, places_for

    places = min(_MOST_PLACES, places_for(amounts))
    return tuple(dollars(each, places) if is_terminal() else f"{each:f}" for each in amounts)


def _resets(at: dt.datetime | None, now: dt.datetime) -> str:
    """After the period's own word, and a comma where there is something to say."""
    if at is None:
        return ""
    if not is_terminal():
        return f", resets {at.isoformat()}"
    minutes = max(0, int((at - now).total_seconds()) // 60)
    hours = minutes // 60
    if hours < 2:
        return f", {minutes} min left"
    return f", {hours} h left" if hours < 48 else f", {hours // 24} days left"
