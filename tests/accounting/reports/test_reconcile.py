"""The ledger beside a vendor's export: every difference, and no other."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from switchgear import Usage
from switchgear.accounting.ledger.store import Store
from switchgear.accounting.reports.exports.reader import read_export
from switchgear.accounting.reports.reconcile import reconcile
from switchgear.accounting.reports.reconciliation import Difference, Reconciliation, Tolerance
from tests.accounting.reports import exports as made
from tests.accounting.reports.rows import row

Booked = Callable[..., Store]
DAY = dt.date(2026, 11, 22)
NOON = "2026-11-22T12:00"


def compare(store: Store, data: bytes, **asked: Any) -> Reconciliation:
    return reconcile(store, read_export(data), **asked)


def figures(found: Reconciliation) -> list[tuple[str, str, int, int]]:
    return [
        (each.kind, each.measure, int(each.ledger), int(each.export)) for each in found.differences
    ]


def haiku(when: str = NOON, **fields: Any) -> Any:
    """An attempt whose usage Anthropic bills as 1000 in and 100 out."""
    return row(when, **fields)


def gpt(when: str = NOON, **fields: Any) -> Any:
    given = {
        "provider": "openai",
        "plugin": "openai",
        "model": "gpt-5",
        "answered_model": "gpt-5-2025-08-07",
    }
    return row(when, **{**given, **fields})


def test_a_ledger_that_has_it_all_agrees(booked: Booked) -> None:
    usage = Usage(
        input_tokens=3200,
        output_tokens=50,
        cache_read_tokens=200,
        cache_write_tokens=1500,
        cache_write_1h_tokens=1000,
        web_searches=2,
    )
    result = made.usage(fresh=1500, short=500, hour=1000, read=200, output=50, searches=2)
    found = compare(booked(haiku(usage=usage)), made.anthropic(("2026-11-22", [result])))
    assert found.differences == ()
    assert (found.compared, found.attempts) == (6, 1)
    assert found.since == dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def test_several_lines_and_attempts_are_added_up_by_day_and_model(booked: Booked) -> None:
    store = booked(haiku("2026-11-22T00:00"), haiku("2026-11-22T23:00"), haiku("2026-11-23T00:00"))
    data = made.anthropic(
        (
            "2026-11-22",
            [made.usage(fresh=900, output=90, key="a"), made.usage(fresh=1100, output=110)],
        ),
        ("2026-11-23", [made.usage(fresh=1000, output=100)]),
    )
    assert compare(store, data).differences == ()


def test_an_amount_that_differs(booked: Booked) -> None:
    result = made.usage(fresh=1200, output=100, key="key_a", workspace="space")
    found = compare(booked(haiku()), made.anthropic(("2026-11-22", [result])))
    assert found.differences == (
        Difference(
            kind="amounts differ",
            day=DAY,
            model="claude-haiku-4-5-20251001",
            measure="input_tokens",
            ledger=Decimal(1000),
            export=Decimal(1200),
            api_keys=("key_a",),
            projects=("space",),
        ),
    )
    assert found.differences[0].by == 200


def test_what_the_ledger_lacks(booked: Booked) -> None:
    data = made.anthropic(("2026-11-22", [made.usage("claude-opus-5", fresh=7, output=3)]))
    assert figures(compare(booked(), data)) == [
        ("missing in ledger", "input_tokens", 0, 7),
        ("missing in ledger", "output_tokens", 0, 3),
    ]


def test_what_the_export_lacks_also_on_a_day_without_a_line(booked: Booked) -> None:
    data = made.anthropic(("2026-11-22", []), ("2026-11-23", [made.usage(fresh=1000, output=100)]))
    found = compare(booked(haiku(), haiku("2026-11-23T12:00")), data)
    # Nothing tells what would have been counted of an empty day but what is of the other.
    assert [(each.kind, each.day, each.measure) for each in found.differences] == [
        ("missing in export", DAY, "input_tokens"),
        ("missing in export", DAY, "output_tokens"),
    ]


@pytest.mark.parametrize(
    ("data", "measures"),
    [
        (made.openai(("2026-11-22", [])), ["input_tokens", "output_tokens", "requests", "cost"]),
        (
            made.table(made.DASHBOARD_USAGE, {"start_time": made.seconds("2026-11-22")}),
            ["input_tokens", "output_tokens", "requests"],
        ),
        (made.table(made.DASHBOARD_COST, {"start_time": made.seconds("2026-11-22")}), ["cost"]),
    ],
    ids=["json", "usage", "cost"],
)
def test_an_export_of_openai_that_is_silent_about_a_day_lacks_all_of_it(
    booked: Booked, data: bytes, measures: list[str]
) -> None:
    found = compare(booked(gpt(), gpt()), data)
    assert [each.measure for each in found.differences] == measures
    assert {each.kind for each in found.differences} == {"missing in export"}
    assert (found.verdict, found.attempts) == ("differ", 2)
    assert "it has no line: was it made for this workspace, project or key?" in found.notes


def test_an_export_of_anthropic_that_is_silent_about_a_day_lacks_all_of_it(
    booked: Booked,
) -> None:
    usage = Usage(3200, 50, cache_read_tokens=200, cache_write_tokens=1500, web_searches=2)
    found = compare(booked(haiku(usage=usage)), made.anthropic(("2026-11-22", [])))
    assert {each.measure: each.ledger for each in found.differences} == {
        "input_tokens": Decimal(3200),
        "output_tokens": Decimal(50),
        "cache_read_tokens": Decimal(200),
        "cache_write_tokens": Decimal(1500),
        "web_searches": Decimal(2),
        "cost": Decimal("0.01"),
    }
    assert not any(each.export for each in found.differences)
    assert found.form == "Anthropic's usage or cost report"


def test_an_export_of_completions_says_nothing_of_embeddings_also_where_it_is_silent(
    booked: Booked,
) -> None:
    embedding = gpt(model="text-embedding-3-small", answered_model="text-embedding-3-small")
    silent = made.table(made.DASHBOARD_USAGE, {"start_time": made.seconds("2026-11-22")})
    assert compare(booked(embedding), silent).verdict == "nothing compared"


def test_an_export_about_other_things_alone_is_compared_with_nothing(booked: Booked) -> None:
    images = {"object": "organization.usage.images.result", "images": 9}
    found = compare(booked(gpt()), made.openai(("2026-11-22", [images])))
    assert (found.verdict, found.attempts) == ("nothing compared", 0)
    assert "left out: 1 line about images" in found.notes


def test_attempts_that_nobody_bills_are_nothing_to_compare(booked: Booked) -> None:
    failed = haiku(outcome="failed", tokens=None, status=500, dollars="0")
    found = compare(booked(failed), made.anthropic(("2026-11-22", [])))
    assert (found.verdict, found.attempts, found.notes) == ("nothing compared", 1, ())


def test_only_the_time_of_the_export_is_compared(booked: Booked) -> None:
    store = booked(haiku("2026-11-21T12:00"), haiku(), haiku("2026-11-23T00:00"))
    data = made.anthropic(("2026-11-22", [made.usage(fresh=1000, output=100)]))
    found = compare(store, data)
    assert (found.differences, found.attempts) == ((), 1)


def test_hours_of_an_export_are_compared_and_no_others(booked: Booked) -> None:
    hour = {
        "starting_at": "2026-11-22T10:00:00Z",
        "ending_at": "2026-11-22T11:00:00Z",
        "results": [made.usage(fresh=1000, output=100)],
    }
    data = json.dumps({"data": [hour], "has_more": False}).encode()
    store = booked(
        haiku("2026-11-22T09:59:59"), haiku("2026-11-22T10:30"), haiku("2026-11-22T11:00")
    )
    assert compare(store, data).differences == ()


def test_answers_out_of_the_cache_and_other_peoples_keys_are_on_no_bill_of_ours(
    booked: Booked,
) -> None:
    store = booked(haiku(), haiku(outcome="cached"), haiku(own_key=True))
    data = made.anthropic(("2026-11-22", [made.usage(fresh=1000, output=100)]))
    found = compare(store, data)
    assert found.differences == ()
    assert "left out: 1 attempt with the caller's own key" in found.notes


def test_other_vendors_are_not_compared_unless_a_provider_is_named(booked: Booked) -> None:
    store = booked(haiku(), gpt(), haiku(provider="gateway", plugin="openai-compatible"))
    data = made.anthropic(("2026-11-22", [made.usage(fresh=1000, output=100)]))
    assert compare(store, data).differences == ()
    assert compare(store, data, provider="gateway").differences == ()
    assert len(compare(store, data, provider="nobody").differences) == 2


def test_an_alias_is_compared_with_its_snapshot(booked: Booked) -> None:
    # A broken stream never said which snapshot answered.
    store = booked(haiku(), haiku(answered_model="", outcome="interrupted"))
    data = made.anthropic(("2026-11-22", [made.usage(fresh=2000, output=200)]))
    assert compare(store, data).differences == ()


def test_requests_that_failed_are_not_on_the_bill(booked: Booked) -> None:
    store = booked(gpt(), gpt(outcome="failed", tokens=None, status=500, dollars="0"))
    result = made.completions(input_tokens=1000, output_tokens=100, num_model_requests=1)
    assert compare(store, made.openai(("2026-11-22", [result]))).differences == ()


def test_a_request_that_was_refused_is_not_counted_whatever_it_is_booked_with(
    booked: Booked,
) -> None:
    failed = {"outcome": "failed", "dollars": "0"}
    store = booked(
        gpt(),
        gpt(status=429, usage=Usage(), **failed),
        gpt(status=500, usage=Usage(estimated=True), **failed),
    )
    result = made.completions(input_tokens=1000, output_tokens=100, num_model_requests=1)
    found = compare(store, made.openai(("2026-11-22", [result])))
    assert (found.verdict, found.notes) == ("agree", ())


@pytest.mark.parametrize(
    "ended",
    [
        {"outcome": "answered", "usage": Usage()},
        {"outcome": "answered", "usage": None},
        {"outcome": "interrupted", "usage": Usage(1000, 7, estimated=True)},
        {"outcome": "cancelled", "usage": Usage(1000, estimated=True)},
        {"outcome": "failed", "usage": Usage(1000, estimated=True)},
        {"outcome": "failed", "usage": Usage(web_searches=1), "status": 502},
    ],
)
def test_a_request_that_a_model_ran_for_is_counted_however_it_ended(
    booked: Booked, ended: dict[str, Any]
) -> None:
    found = compare(booked(gpt(dollars="0", **ended)), made.openai(("2026-11-22", [])))
    (requests,) = [each for each in found.differences if each.measure == "requests"]
    assert requests.ledger == 1


def test_embeddings_are_compared_where_the_export_speaks_of_them(booked: Booked) -> None:
    embedding = gpt(model="text-embedding-3-small", answered_model="text-embedding-3-small")
    result = made.completions(input_tokens=1000, output_tokens=100, num_model_requests=1)
    store = booked(gpt(), embedding)
    assert compare(store, made.openai(("2026-11-22", [result]))).differences == ()
    costs = [made.charge("0.01", "gpt-5-2025-08-07, output")]
    (missing,) = compare(store, made.openai(("2026-11-22", costs))).differences
    assert (missing.kind, missing.model) == ("missing in export", "text-embedding-3-small")


def test_costs_of_several_items_are_one_models(booked: Booked) -> None:
    store = booked(gpt(dollars="0.3"))
    costs = [
        made.charge(0.1, "gpt-5-2025-08-07, input"),
        made.charge(0.2, "gpt-5-2025-08-07, output"),
    ]
    found = compare(store, made.openai(("2026-11-22", costs)))
    # 0.1 + 0.2 is 0.3, which it is not for floats.
    assert found.differences == ()
    assert [(total.ledger, total.export) for total in found.totals] == [
        (Decimal("0.3"), Decimal("0.3"))
    ]


def test_a_fee_is_compared_together_with_the_models_that_caused_it(booked: Booked) -> None:
    store = booked(
        haiku(dollars="0.51", usage=Usage(1000, 100, web_searches=50)),
        haiku(dollars="0.20", model="claude-opus-5", answered_model="claude-opus-5"),
    )
    results = [
        made.cost("1"),
        made.cost("50", None, "web_search"),
        made.cost("20", "claude-opus-5"),
    ]
    found = compare(store, made.anthropic(("2026-11-22", results)))
    assert (found.differences, found.compared) == ((), 2)


def test_an_export_without_models_is_compared_as_a_whole(booked: Booked) -> None:
    store = booked(gpt(dollars="0.1"), gpt(dollars="0.2", model="gpt-4o", answered_model="gpt-4o"))
    found = compare(store, made.openai(("2026-11-22", [made.charge("0.4", None)])))
    (difference,) = found.differences
    assert (difference.model, difference.by) == ("all models", Decimal("0.1"))


def test_what_the_export_rounds_is_no_difference(booked: Booked) -> None:
    line = {"usage_date_utc": "2026-11-22", "model": "Claude Haiku 4.5", "cost_type": "token"}

    def console(*cents: str) -> bytes:
        return made.table(made.CONSOLE_COST, *({**line, "cost_usd": each} for each in cents))

    store = booked(haiku(dollars="0.0449"))
    assert compare(store, console("0.02", "0.02")).differences == ()
    assert len(compare(store, console("0.04")).differences) == 0
    assert len(compare(store, console("0.03", "0.00")).differences) == 1


@pytest.mark.parametrize(
    ("tolerance", "agree"),
    [
        (Tolerance(), False),
        (Tolerance(usd=Decimal("0.02")), True),
        (Tolerance(usd=Decimal("0.01")), False),
        (Tolerance(part=Decimal("0.2")), True),
        (Tolerance(part=Decimal("0.1")), False),
    ],
)
def test_a_tolerance_is_an_amount_or_a_part(
    booked: Booked, tolerance: Tolerance, agree: bool
) -> None:
    store = booked(haiku(dollars="0.10"))
    found = compare(store, made.anthropic(("2026-11-22", [made.cost("12")])), tolerance=tolerance)
    assert (not found.differences) == agree


def test_a_tolerance_in_dollars_is_none_for_tokens(booked: Booked) -> None:
    data = made.anthropic(("2026-11-22", [made.usage(fresh=1001, output=100)]))
    found = compare(booked(haiku()), data, tolerance=Tolerance(usd=Decimal(1000)))
    assert len(found.differences) == 1


def test_calls_across_midnight_are_an_explanation(booked: Booked) -> None:
    late = haiku("2026-11-22T23:59:59")  # takes two seconds
    data = made.anthropic(
        ("2026-11-22", [made.usage(fresh=1000, output=100)]),
        ("2026-11-23", [made.usage(fresh=2000, output=200)]),
    )
    found = compare(booked(haiku(), late, haiku("2026-11-23T12:00")), data)
    assert {each.day for each in found.differences} == {DAY, dt.date(2026, 11, 23)}
    assert {each.notes for each in found.differences} == {
        ("calls across midnight may be counted on the other day",)
    }


def test_a_call_that_began_before_the_export_may_be_in_it(booked: Booked) -> None:
    data = made.anthropic(("2026-11-23", [made.usage(fresh=2000, output=200)]))
    found = compare(booked(haiku("2026-11-22T23:59:59"), haiku("2026-11-23T12:00")), data)
    assert found.attempts == 1
    assert all("midnight" in each.notes[0] for each in found.differences)


def test_estimates_and_missing_prices_are_explanations(booked: Booked) -> None:
    store = booked(haiku(dollars=None, usage=Usage(900, 100, estimated=True)))
    (usage,) = compare(
        store, made.anthropic(("2026-11-22", [made.usage(fresh=1000, output=100)]))
    ).differences
    assert usage.notes == ("1 attempt with estimated tokens",)
    (cost,) = compare(store, made.anthropic(("2026-11-22", [made.cost("1")]))).differences
    assert "1 attempt without a price" in cost.notes


def test_many_attempts_are_read_page_by_page(booked: Booked) -> None:
    rows = [haiku(tokens=(1, 1)) for _ in range(5001)]
    data = made.anthropic(("2026-11-22", [made.usage(fresh=5001, output=5001)]))
    assert compare(booked(*rows), data).differences == ()


def test_an_empty_export_has_nothing_to_compare(booked: Booked) -> None:
    found = compare(booked(haiku()), made.table(made.CONSOLE_USAGE))
    assert (found.since, found.compared, found.differences) == (None, 0, ())
    assert found.verdict == "nothing compared"


def test_an_incomplete_export_agrees_with_nothing(booked: Booked) -> None:
    results = [made.usage(fresh=1000, output=100)]
    page = made.anthropic(("2026-11-22", results), more=True)
    other = made.openai(("2026-11-22", [])).replace(b'"has_more": false', b'"has_more": true')
    assert compare(booked(), other).verdict == "incomplete"
    assert compare(booked(haiku()), page).verdict == "incomplete"
    assert compare(booked(), page).verdict == "differ"
    assert compare(booked(haiku()), page + made.anthropic(("2026-11-23", []))).verdict == "agree"


def pages(*days: tuple[str, bool]) -> bytes:
    """Pages of a usage report, a day each, and whether it says that there are more."""
    results = [made.usage(fresh=1000, output=100)]
    return b"".join(made.anthropic((day, results), more=more) for day, more in days)


def test_a_page_that_is_missing_in_the_middle_is_no_agreement(booked: Booked) -> None:
    days = ("2026-11-20", "2026-11-21", "2026-11-22")
    store = booked(*(haiku(f"{day}T12:00") for day in days))
    found = compare(store, pages((days[0], True), (days[2], False)))
    assert (found.verdict, found.differences, found.attempts) == ("incomplete", (), 2)
    page, gap = found.notes
    assert "begins at 2026-11-21 00:00 UTC, and of what is there the next at 2026-11-22" in page
    assert "2026-11-21 00:00 to 2026-11-22 00:00 (UTC), when the ledger has 1 attempt" in gap
    whole = pages((days[2], False), (days[0], True), (days[1], True))
    assert compare(store, whole).verdict == "agree"


def test_a_gap_is_no_agreement_where_the_ledger_has_attempts_in_it(booked: Booked) -> None:
    data = pages(("2026-11-20", False), ("2026-11-22", False))
    both = [haiku("2026-11-20T12:00"), haiku()]
    idle = compare(booked(*both, gpt("2026-11-21T12:00")), data)
    assert idle.verdict == "agree"
    assert "when the ledger has nothing either" in idle.notes[0]
    assert compare(booked(*both, haiku("2026-11-21T12:00")), data).verdict == "incomplete"


def test_attempts_in_a_gap_that_nobody_bills_leave_it_empty(booked: Booked) -> None:
    data = pages(("2026-11-20", False), ("2026-11-22", False))
    store = booked(
        haiku("2026-11-20T12:00"),
        haiku("2026-11-21T09:00", outcome="failed", usage=Usage(), dollars="0", status=429),
        haiku("2026-11-21T10:00", outcome="cached"),
        haiku("2026-11-21T11:00", own_key=True),
        haiku(),
    )
    assert compare(store, data).verdict == "agree"


def test_many_gaps_are_not_all_named(booked: Booked) -> None:
    days = [(f"2026-11-{day:02}", False) for day in range(2, 22, 2)]
    (note,) = compare(booked(*(haiku(f"{day}T12:00") for day, _ in days)), pages(*days)).notes
    assert "2026-11-07 00:00 to 2026-11-08 00:00, 6 other gaps (UTC)" in note


def embeddings(**fields: Any) -> dict[str, Any]:
    counted = {"input_tokens": 50, "num_model_requests": 1, "model": "text-embedding-3-small"}
    return {"object": "organization.usage.embeddings.result", **counted, **fields}


def embedded(when: str = NOON) -> Any:
    name = "text-embedding-3-small"
    return gpt(when, model=name, answered_model=name, usage=Usage(50))


def test_the_pages_of_two_reports_are_told_apart(booked: Booked) -> None:
    store = booked(gpt("2026-11-21T12:00"), embedded("2026-11-21T12:00"))
    result = made.completions(input_tokens=1000, output_tokens=100, num_model_requests=1)
    first = made.openai(("2026-11-21", [result]))
    vectors = made.openai(("2026-11-21", [embeddings()]), ("2026-11-22", []))
    assert compare(store, first + vectors).verdict == "agree"
    more = first.replace(b'"has_more": false', b'"has_more": true')
    # The days have no gap, since the other report is about all of them.
    assert compare(store, more + vectors).verdict == "incomplete"


def test_an_empty_report_beside_one_of_embeddings_does_not_hide_answers(booked: Booked) -> None:
    store = booked(gpt(), embedded())
    found = compare(store, made.openai(("2026-11-22", []), ("2026-11-22", [embeddings()])))
    assert (found.verdict, found.attempts) == ("differ", 2)
    assert {each.model for each in found.differences} == {"gpt-5-2025-08-07"}
    assert any("one of its reports is empty" in note for note in found.notes)
    # On its own, a report of embeddings with an idle day is about nothing else.
    alone = made.openai(("2026-11-22", [embeddings()]), ("2026-11-23", []))
    assert (compare(store, alone).verdict, compare(store, alone).attempts) == ("agree", 1)


def test_a_day_that_is_not_over_is_mentioned(booked: Booked) -> None:
    data = made.anthropic(("2026-11-22", [made.usage(fresh=1000, output=100)]))
    store = booked(haiku())
    during = compare(store, data, now=dt.datetime(2026, 11, 22, 18, tzinfo=dt.UTC))
    after = compare(store, data, now=dt.datetime(2026, 11, 23, tzinfo=dt.UTC))
    assert during.notes == ("its last day is not over: both sides still grow",)
    assert after.notes == ()
