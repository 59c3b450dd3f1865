"""Our prices against ``genai-prices``, which others keep from the same pages."""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal

import pytest

from switchgear.accounting.prices.check import PROVIDERS, check
from switchgear.accounting.prices.diff import per_million, tables
from switchgear.accounting.prices.explained import read_explanations
from switchgear.accounting.prices.table import PriceTable, default_prices
from switchgear.errors import ConfigError

genai_prices = pytest.importorskip("genai_prices", reason="genai-prices is not installed")

TODAY = dt.date(2026, 11, 23)

# From each of these on some price is another one, here or there; and a day after all of them.
DAYS = [TODAY, dt.date(2026, 12, 1), dt.date(2027, 1, 1), dt.date(2027, 6, 1)]


@pytest.mark.parametrize("day", DAYS)
def test_every_price_that_both_have_agrees_or_has_a_reason_not_to(day: dt.date) -> None:
    assert [str(each) for each in check(default_prices(), day).unexplained] == []


@pytest.mark.parametrize("day", DAYS)
def test_no_reason_outlives_its_difference(day: dt.date) -> None:
    assert check(default_prices(), day).stale == ()


def test_every_reason_is_one_that_a_day_needs() -> None:
    explanations = read_explanations()
    lines = [line for each in explanations.known for line in each.differences]
    met = {str(found) for day in DAYS for found, _ in check(default_prices(), day).explained}
    assert set(lines) == met
    assert all(len(each.reason) > 15 for each in explanations.known)
    assert explanations.checked == TODAY


def test_a_reason_is_for_both_figures() -> None:
    """So that no reason hides an error that somebody makes later at the same place."""
    known = "anthropic/claude-sonnet-4-5: above 200000 input: 3 here, 6 there"
    report = check(default_prices(), TODAY, providers=["anthropic"])
    assert known in {str(found) for found, _ in report.explained}
    table = changed("anthropic/claude-sonnet-4-5", input="2")
    report = check(table, TODAY, providers=["anthropic"])
    assert known in report.stale
    unexplained = {str(found) for found in report.unexplained}
    assert "anthropic/claude-sonnet-4-5: above 200000 input: 2 here, 6 there" in unexplained
    before = check(table, TODAY - dt.timedelta(days=1), providers=["anthropic"])
    assert before.stale == (), "nobody has looked at days before"


def test_two_reasons_for_one_difference_on_one_day_there_are_not() -> None:
    for day in DAYS:
        lines = [
            line
            for each in read_explanations().known
            if each.holds(day)
            for line in each.differences
        ]
        assert len(lines) == len(set(lines))


def test_every_table_of_ours_that_costs_something_is_compared() -> None:
    prices = default_prices()
    assert {name for name in tables(prices) if not prices.is_free(name)} == set(PROVIDERS)


def test_most_of_our_models_are_known_there() -> None:
    """So that the comparison can't become empty without anybody noticing."""
    prices = default_prices()
    unknown = [
        each
        for each in check(prices, TODAY).one_sided
        if each.what == "model" and each.theirs is None and each.provider != "azure-openai"
    ]
    total = sum(len(prices.models(name)) for name in PROVIDERS if name != "azure-openai")
    assert len(unknown) < total / 5


def changed(model: str, **prices: str) -> PriceTable:
    provider, _, name = model.partition("/")
    stated = {kind: Decimal(dollars) for kind, dollars in prices.items()}
    return default_prices().merged({provider: {"models": {name: {"prices": stated}}}})


def test_a_wrong_figure_is_found_in_every_tier() -> None:
    table = changed("openai/gpt-6.1-terra", input="1", output="6")
    found = [str(each) for each in check(table, TODAY, providers=["openai"]).unexplained]
    assert "openai/gpt-6.1-terra: output: 6 here, 5 there" in found
    assert "openai/gpt-6.1-terra: batch output: 3 here, 2.5 there" in found
    assert "openai/gpt-6.1-terra: above 272000 output: 9 here, 7.5 there" in found
    assert {line.partition("/")[0] for line in found} == {"openai"}


def test_what_only_one_side_states_is_told_apart_and_counted() -> None:
    table = changed("openai/gpt-6.1-terra", input="1", output="5", audio_input="9").merged(
        {"openai": {"models": {"gpt-of-my-own": {"prices": {"input": 1, "output": 1}}}}}
    )
    usual, report = check(default_prices(), TODAY), check(table, TODAY)
    assert report.unexplained == ()
    added = {str(each) for each in report.one_sided} - {str(each) for each in usual.one_sided}
    assert "openai/gpt-6.1-terra: audio_input: 9 here, nothing there" in added
    assert "openai/gpt-of-my-own: model: known here, nothing there" in added
    alone = {str(each) for each in report.one_sided}
    assert "openai/gpt-4.5-preview: model: nothing here, known there" in alone
    assert "openai/whisper-1: model: nothing here, known there" not in alone, "not by the token"


def test_how_many_of_which_kind_are_one_sided_is_said() -> None:
    report = check(default_prices(), TODAY)
    parts = [part.partition(" ") for part in report.left_out().split(", ")]
    said = {what: int(number) for number, _, what in parts}
    assert sum(said.values()) == len(report.one_sided)
    assert set(said) == {
        *("models here", "models there", "kinds of tokens here"),
        *("tiers here", "tiers there", "fees here", "fees there"),
    }
    assert said["models there"] == sum(
        each.what == "model" and each.ours is None for each in report.one_sided
    )


def test_prices_by_the_hour_are_compared_at_the_dearest() -> None:
    table = changed("deepseek/deepseek-flash", input="0.15", output="0.6", cache_read="0.003")
    found = {str(each) for each in check(table, TODAY, providers=["deepseek"]).unexplained}
    assert "deepseek/deepseek-flash: input: 0.15 here, 0.3 there" in found


def test_prices_are_those_of_the_day() -> None:
    report = check(default_prices(), dt.date(2026, 12, 1), providers=["google"])
    assert (report.unexplained, report.explained) == ((), ())
    price = default_prices().lookup("google", "gemini-4-argon", dt.date(2026, 12, 1))
    assert price is not None
    assert per_million(price.rates.input) == 4


def test_the_report_says_what_it_was_compared_with() -> None:
    from importlib import metadata

    assert check(default_prices(), TODAY, providers=[]).version == metadata.version("genai-prices")


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    with pytest.raises(ConfigError, match="genai-prices is not installed") as caught:
        check(default_prices(), TODAY)
    assert caught.value.__notes__ == ["pip install genai-prices"]
