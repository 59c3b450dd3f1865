from __future__ import annotations

import datetime as dt
from decimal import Decimal

from switchgear.accounting.prices.diff import Difference, compare, facts_of, per_million
from switchgear.accounting.prices.table import PriceTable

TODAY = dt.date(2026, 11, 23)
TABLE = """
[acme]
source = "https://acme.example/prices"
checked = 2026-11-01
[acme.default]
context_window = 100_000
tiers = { batch = 0.5 }
regions = { us = 1.1 }
fees = { web_search = 0.01 }
[acme.models.anvil]
prices = [
  { until = 2026-06-01, input = 4, output = 8 },
  { from = 2026-06-01, input = 2, output = 6, cache_read = 0.25, long = [
    { above = 1000, input = 2, output = 1.5 },
  ] },
]
tiers = { batch = { input = 1, output = 3 }, fast = 2 }
[acme.models.rocket]
prices = { input = 10, output = 20 }
[local]
free = true
"""


def differences(change: str, *, on: dt.date = TODAY) -> list[Difference]:
    old, _, new = change.partition(" -> ")
    assert TABLE.count(old) == 1
    theirs = PriceTable.from_toml(TABLE.replace(old, new))
    return list(compare(PriceTable.from_toml(TABLE), theirs, on))


def test_a_table_does_not_differ_from_itself() -> None:
    assert compare(PriceTable.from_toml(TABLE), PriceTable.from_toml(TABLE), TODAY) == ()


def test_what_is_said_of_a_model() -> None:
    assert facts_of(PriceTable.from_toml(TABLE), "acme", "anvil", TODAY) == {
        "input": Decimal(2),
        "output": Decimal(6),
        "cache_read": Decimal("0.25"),
        "above 1000 input": Decimal(4),
        "above 1000 output": Decimal(9),
        "above 1000 cache_read": Decimal("0.5"),
        "batch input": Decimal(1),
        "batch output": Decimal(3),
        "batch cache_read": Decimal("0.25"),
        "fast": "×2",
        "region us": "×1.1",
        "fee web_search": Decimal("0.01"),
        "since": "2026-06-01",
        "context_window": 100_000,
    }


def test_a_changed_price_is_one_difference() -> None:
    change = "prices = { input = 10, output = 20 } -> prices = { input = 10, output = 30 }"
    assert differences(change) == [
        Difference("acme", "rocket", "output", Decimal(20), Decimal(30)),
    ]


def test_everything_that_a_call_would_feel_is_compared() -> None:
    assert [str(each) for each in differences("fast = 2 -> fast = 3")] == [
        "acme/anvil: fast: ×2 here, ×3 there"
    ]
    assert differences("above = 1000 -> above = 2000")
    assert {each.what for each in differences("us = 1.1 -> us = 1.2")} == {"region us"}
    assert {each.model for each in differences("web_search = 0.01 -> web_search = 0.02")} == {
        "anvil",
        "rocket",
    }
    assert {each.what for each in differences("= 100_000 -> = 200_000")} == {"context_window"}
    assert [each.what for each in differences("free = true -> free = false")] == ["free"]


def test_what_the_page_is_called_is_no_difference() -> None:
    assert differences("acme.example/prices -> acme.example/pricing") == []
    assert differences("checked = 2026-11-01 -> checked = 2026-11-02") == []


def test_prices_are_those_of_the_day() -> None:
    change = "input = 4, output = 8 -> input = 5, output = 8"
    assert differences(change) == []
    assert [each.what for each in differences(change, on=dt.date(2026, 5, 31))] == ["input"]


def test_a_model_that_only_one_has_counts_for_whole_tables() -> None:
    ours = PriceTable.from_toml(TABLE)
    theirs = PriceTable.from_toml(TABLE.replace("acme.models.rocket", "acme.models.comet"))
    assert [str(each) for each in compare(ours, theirs, TODAY)] == [
        "acme/rocket: model: known here, nothing there",
        "acme/comet: model: nothing here, known there",
    ]
    assert compare(ours, theirs, TODAY, whole=False) == ()


def test_amounts_are_plain_numbers() -> None:
    assert str(per_million(20_000_000)) == "20"
    assert str(per_million(75_000)) == "0.075"
    assert str(per_million(0)) == "0"
    assert per_million(1, 8) == Decimal("0.000000125")
