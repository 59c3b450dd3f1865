"""How budgets stand in their present period."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from switchgear.accounting.budgets.applied import counted_by as counted
from switchgear.accounting.budgets.keys import counter_key
from switchgear.accounting.ledger.store import Claim, Need, Store
from switchgear.accounting.reports.standing import BudgetStatus, budget_statuses
from switchgear.config.budgets import BudgetRule
from tests.accounting.reports.rows import row

Booked = Callable[..., Store]
NOW = dt.datetime(2026, 11, 23, 15, 30, tzinfo=dt.UTC)


def rule(scope: str, usd: str = "1", period: Any = "day", **more: Any) -> BudgetRule:
    return BudgetRule(scope=scope, usd=Decimal(usd), period=period, **more)


def book(store: Store, upto: int, *rows: Any) -> None:
    store.book("another", upto, rows, frozenset())


def standing(store: Store, *rules: BudgetRule, now: dt.datetime = NOW) -> list[BudgetStatus]:
    return list(budget_statuses(store, rules, now))


def test_a_budget_that_nothing_was_spent_of_is_whole(booked: Booked) -> None:
    (found,) = standing(booked(), rule("global", "5", "month"))
    assert found.name == "global per month"
    assert [found.limit, found.spent, found.reserved, found.left] == [5, 0, 0, 5]
    assert found.resets_at == dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    assert not found.in_use


def test_what_was_spent_before_the_budget_was_there_counts(booked: Booked) -> None:
    store = booked(
        row("2026-11-23T01:00", "0.30", project_id="p1"),
        row("2026-11-22T23:00", "9", project_id="p1"),
        row("2026-11-23T01:00", "9", project_id="p2"),
    )
    (found,) = standing(store, rule("project:p1"))
    assert (found.name, found.spent, found.left) == (
        "project:p1 per day",
        Decimal("0.3"),
        Decimal("0.7"),
    )
    assert found.part == Decimal("0.3")


def test_asking_is_being_counted_from_now_on(booked: Booked) -> None:
    store = booked(row("2026-11-23T01:00", "0.30", project_id="p1"))
    standing(store, rule("project:p1"))
    book(store, 1, row("2026-11-23T02:00", "0.30", project_id="p1"))
    (found,) = standing(store, rule("project:p1"))
    assert found.spent == Decimal("0.6")


def test_a_budget_for_each_has_a_row_for_each_the_fullest_first(booked: Booked) -> None:
    store = booked()
    each = rule("project:*")
    store.register([counted(each)], 0)
    book(
        store,
        1,
        row("2026-11-23T01:00", "0.10", project_id="p1"),
        row("2026-11-23T01:00", "1.20", project_id="p2"),
        row("2026-11-23T01:00", "0.20"),
        row("2026-11-22T01:00", "0.90", project_id="yesterday"),
    )
    found = standing(store, each)
    assert [(status.scope, status.left) for status in found] == [
        ("project:p2", Decimal("-0.2")),
        ('project:""', Decimal("0.8")),
        ("project:p1", Decimal("0.9")),
    ]
    assert {status.rule for status in found} == {"project:*"}


def test_a_hard_budget_counts_bounds_and_a_soft_one_costs(booked: Booked) -> None:
    store = booked(row("2026-11-23T01:00", "0.1", bound=400_000_000_000))
    hard, soft = standing(store, rule("global"), rule("global", enforcement="soft"))
    assert (hard.spent, hard.hard) == (Decimal("0.4"), True)
    assert (soft.spent, soft.hard) == (Decimal("0.1"), False)
    assert (soft.cost, soft.bound) == (hard.cost, hard.bound)


def test_what_is_set_aside_is_neither_spent_nor_left(booked: Booked) -> None:
    store = booked()
    key = counter_key("global", "", "day", "UTC", NOW.timestamp())
    need = Need(key, 1_000_000_000, 250_000_000)
    store.claim("somebody", [Claim((need,))], int(NOW.timestamp() * 1_000_000))
    (found,) = standing(store, rule("global"))
    assert found.spent == 0
    assert (found.reserved, found.left) == (Decimal("0.25"), Decimal("0.75"))
    assert found.in_use


def test_periods_are_those_of_the_budgets_own_time_zone(booked: Booked) -> None:
    store = booked(row("2026-11-22T23:30", "0.1"))
    (found,) = standing(store, rule("global", timezone="Europe/Berlin"))
    assert found.spent == Decimal("0.1")
    assert found.resets_at == dt.datetime(2026, 11, 23, 23, tzinfo=dt.UTC)


def test_a_budget_per_run_has_a_row_for_each_run(booked: Booked) -> None:
    store = booked()
    each = rule("global", period="run")
    store.register([counted(each)], 0)
    book(
        store,
        1,
        row(dollars="0.1", run_id="r1"),
        row(dollars="0.2", run_id="r2"),
        row(dollars="0.3"),
    )
    found = standing(store, each)
    assert [(status.name, status.run_id, status.spent) for status in found] == [
        ('global per run ""', "", Decimal("0.3")),
        ("global per run r2", "r2", Decimal("0.2")),
        ("global per run r1", "r1", Decimal("0.1")),
    ]
    assert found[0].resets_at is None


def test_a_budget_for_ever_never_resets(booked: Booked) -> None:
    (found,) = standing(booked(row("2025-01-01T00:00", "0.1")), rule("global", period="ever"))
    assert (found.name, found.spent, found.resets_at) == ("global for ever", Decimal("0.1"), None)


def test_a_budget_of_nothing_is_full_once_anything_is_spent(booked: Booked) -> None:
    (empty,) = standing(booked(), rule("global", "0"))
    (used,) = standing(booked(row("2026-11-23T01:00")), rule("global", "0"))
    assert [empty.part, used.part] == [0, 1]


def test_tags_are_named_as_in_the_configuration(booked: Booked) -> None:
    store = booked(row("2026-11-23T01:00", "0.1", tags={"team": "red"}))
    (found,) = standing(store, rule("tag:team=red"))
    assert (found.scope, found.spent) == ("tag:team=red", Decimal("0.1"))
