"""What was spent: the question, checked, and the answer, exact."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from switchgear import InvalidRequestError, Usage
from switchgear.accounting.ledger.store import Store
from switchgear.accounting.reports.spend import Spend, SpendRow, report, spend_query
from tests.accounting.reports.rows import ledger, row

Booked = Callable[..., Store]
NOW = dt.datetime(2026, 11, 23, 15, 30, tzinfo=dt.UTC)


def ask(store: Store, **asked: Any) -> Spend:
    return report(store, spend_query(now=NOW, **asked))


def keyed(found: Spend, *names: str) -> list[tuple[str | None, ...]]:
    return [tuple(each.keys[name] for name in names) for each in found.rows]


def test_everything_together(booked: Booked) -> None:
    store = booked(
        row(dollars="0.10", tokens=(1000, 100)),
        row(dollars="0.000000000001", tokens=(1, 1)),
        row(dollars="0", tokens=None, outcome="failed", status=500),
    )
    found = ask(store)
    assert found.cost == Decimal("0.100000000001")
    assert (found.calls, found.attempts, found.failed) == (3, 3, 1)
    assert found.usage == Usage(input_tokens=1001, output_tokens=101)
    assert found.rows == ()
    assert found.latency == 6.0


def test_an_empty_ledger_has_spent_nothing(booked: Booked) -> None:
    assert ask(booked()) == Spend()
    assert ask(booked(), by="project") == Spend(by=("project",))


def test_rows_by_a_label_are_the_dearest_first(booked: Booked) -> None:
    store = booked(
        row(dollars="0.1", project_id="a"),
        row(dollars="0.5", project_id="b"),
        row(dollars="0.3", project_id="a"),
        row(dollars="0.2"),
    )
    found = ask(store, by="project")
    assert found.rows[0] == SpendRow(
        keys={"project": "b"},
        cost=Decimal("0.5"),
        bound=Decimal("0.5"),
        calls=1,
        attempts=1,
        usage=Usage(input_tokens=1000, output_tokens=100),
        latency=2.0,
    )
    assert keyed(found, "project") == [("b",), ("a",), (None,)]
    assert found.cost == Decimal("1.1")


def test_rows_along_time_are_in_order_and_within_a_day_the_dearest_first(booked: Booked) -> None:
    store = booked(
        row("2026-11-22T10:00", "0.1", model="m"),
        row("2026-11-21T10:00", "0.2", model="m"),
        row("2026-11-22T11:00", "0.3", model="n"),
    )
    found = ask(store, by=["day", "model"])
    assert keyed(found, "day", "model") == [
        ("2026-11-21", "m"),
        ("2026-11-22", "n"),
        ("2026-11-22", "m"),
    ]


def test_a_call_that_failed_over_is_one_call_with_two_attempts(booked: Booked) -> None:
    first = row(provider="anthropic", outcome="failed", dollars="0", tokens=None)
    second = row(provider="openai", call=first)
    found = ask(booked(first, second), by="provider")
    assert [each.calls for each in found.rows] == [1, 1]
    assert (found.calls, found.attempts) == (1, 2)


def test_a_sum_that_lacks_prices_or_counts_says_so(booked: Booked) -> None:
    store = booked(
        row(dollars=None),
        row(usage=Usage(input_tokens=5, estimated=True)),
        row(dollars="0.2", bound=300_000_000_000),
    )
    found = ask(store)
    assert (found.unpriced, found.estimated) == (1, 1)
    assert found.usage.estimated
    assert found.bound > found.cost


def test_days_are_those_of_the_time_zone(booked: Booked) -> None:
    store = booked(row("2026-11-22T23:30"))
    assert keyed(ask(store, by="day"), "day") == [("2026-11-22",)]
    berlin = ask(store, by="day", timezone="Europe/Berlin")
    assert keyed(berlin, "day") == [("2026-11-23",)]


def test_the_time_asked_for_is_inclusive_at_its_beginning_and_exclusive_at_its_end(
    booked: Booked,
) -> None:
    store = booked(
        row("2026-10-31T23:59:59.999999", "1"),
        row("2026-11-01T00:00", "2"),
        row("2026-11-30T23:59:59.999999", "4"),
        row("2026-12-01T00:00", "8"),
    )
    found = ask(store, since="2026-11-01", until="2026-11-30")
    assert found.cost == 6
    assert found.since == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    assert found.until == dt.datetime(2026, 12, 1, tzinfo=dt.UTC)


def test_filters_go_by_every_label(booked: Booked) -> None:
    labels: dict[str, Any] = {
        "agent_id": "a1",
        "project_id": "p1",
        "agent_type": "QA",
        "run_id": "r1",
        "session_id": "s1",
        "api_key_id": "k1",
        "group": "fast",
        "provider": "openai",
        "model": "gpt-5",
        "tags": {"team": "red"},
    }
    store = booked(row(dollars="1", **labels), row(dollars="2"))
    for name, value in labels.items():
        assert ask(store, **{name: value}).cost == 1, name
        other = {"team": "blue"} if name == "tags" else "other"
        assert ask(store, **{name: other}).attempts == 0, name
    assert ask(store, **labels).cost == 1
    assert keyed(ask(store, by="tag:team"), "tag:team") == [(None,), ("red",)]


def test_an_empty_label_asks_for_what_has_none(booked: Booked) -> None:
    store = booked(row(dollars="1", project_id="p"), row(dollars="2"))
    assert ask(store, project_id="").cost == 2


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"by": "colour"}, "by"),
        ({"by": ["day", "day"]}, "by"),
        ({"by": "tag:"}, "by"),
        ({"since": "whenever"}, "since"),
        ({"until": 5}, "until"),
        ({"since": "2026-11-02", "until": "2026-11-01"}, "until"),
        ({"timezone": "Nowhere"}, "timezone"),
        ({"project_id": 7}, "project_id"),
        ({"tags": {"team": 1}}, "tags"),
    ],
)
def test_a_wrong_question_names_its_parameter(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        spend_query(now=NOW, **asked)
    assert caught.value.param == param
    assert param in caught.value.message


def test_sums_are_exact_where_64_bits_are_not_enough(booked: Booked) -> None:
    large = 2**62
    store = booked(*(row(cost=large, bound=large) for _ in range(5)))
    assert ask(store).cost == Decimal(large * 5) / 10**12
    assert ask(store, by="project").cost == Decimal(large * 5) / 10**12


amounts = st.integers(0, 10**14)
labels = st.sampled_from([None, "a", "b"])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(amounts, labels, labels, st.integers(1, 28)), max_size=12),
    st.sampled_from(["project", "agent", "day", "model", "hour"]),
)
def test_rows_add_up_to_the_whole_whatever_they_are_by(
    spent: list[tuple[int, str | None, str | None, int]], by: str
) -> None:
    rows = [
        row(f"2026-11-{day:02}T12:00", None, cost=cost, bound=cost, project_id=p, agent_id=a)
        for cost, p, a, day in spent
    ]
    store = ledger(rows)
    try:
        found = ask(store, by=by)
    finally:
        store.close()
    assert found.cost == sum((each.cost for each in found.rows), Decimal(0))
    assert found.cost == Decimal(sum(cost for cost, *_ in spent)) / 10**12
    assert found.attempts == sum(each.attempts for each in found.rows) == len(spent)
    assert found.usage.input_tokens == sum(each.usage.input_tokens for each in found.rows)
