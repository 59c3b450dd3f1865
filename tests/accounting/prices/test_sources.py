"""Our prices against ``genai-prices``, which others keep from the same pages."""

from __future__ import annotations

import datetime as dt
import fnmatch
import sys
from decimal import Decimal

import pytest

from switchgear.accounting.prices.check import PROVIDERS, check
from switchgear.accounting.prices.diff import Difference, per_million, tables
from switchgear.accounting.prices.table import PriceTable, default_prices
from switchgear.errors import ConfigError

genai_prices = pytest.importorskip("genai_prices", reason="genai-prices is not installed")

TODAY = dt.date(2026, 11, 23)

# "model: what", with wildcards, and why ours stands.
REASONED = {
    "anthropic/claude-sonnet-4-5: *above 200000 *": "the beta with a surcharge ended 2026-04-30",
    "azure-openai/*o4-mini*: *": "their o4-mini takes whatever has its name in it",
    "deepseek/deepseek-chat: *": "theirs is V3 of early 2025; the last model of the name was V3.2",
    "mistral/mistral-embed: *output": "an embedding has no output",
    "openai/gpt-5.6-cyber: above 272000 *": "the step is LiteLLM's; theirs has none",
    "openai/gpt-5.[45]: priority above *": "no rate of priority's own is published: the dearer one",
    "openai/gpt-5.5-pro: * above *": "the pages have no step for batch and flex, LiteLLM has",
    "openai/gpt-5.4: * above 272000 cache_read": "twice 0.13; published is 0.25",
    "openrouter/google/*: *cache_write_5m": "theirs is the storage, on top of the input",
    "openrouter/x-ai/grok-4.*: above 199999 *": "one token: xAI's step includes its bound",
    "together/meta-llama/Llama-3.3-70B-Instruct-Turbo: *": "LiteLLM's is newer, and dearer",
    "xai/grok-code-fast-1: *": "its names lead to Grok Build since 2026-05-15",
}


def reason(found: Difference) -> str | None:
    name = f"{found.provider}/{found.model}: {found.what}"
    return next((rule for rule in REASONED if fnmatch.fnmatchcase(name, rule)), None)


def test_every_price_that_both_have_agrees_or_has_a_reason_not_to() -> None:
    found = check(default_prices(), TODAY)
    assert [str(each) for each in found if reason(each) is None] == []


def test_no_reason_outlives_its_difference() -> None:
    used = {reason(each) for each in check(default_prices(), TODAY)}
    assert used == set(REASONED)


def test_every_table_of_ours_that_costs_something_is_compared() -> None:
    prices = default_prices()
    assert {name for name in tables(prices) if not prices.is_free(name)} == set(PROVIDERS)


def test_most_of_our_models_are_known_there() -> None:
    """So that the comparison can't become empty without anybody noticing."""
    prices = default_prices()
    unknown = [
        each
        for each in check(prices, TODAY, everything=True)
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
    found = [str(each) for each in check(table, TODAY, providers=["openai"]) if not reason(each)]
    assert "openai/gpt-6.1-terra: output: 6 here, 5 there" in found
    assert "openai/gpt-6.1-terra: batch output: 3 here, 2.5 there" in found
    assert "openai/gpt-6.1-terra: above 272000 output: 6 here, 7.5 there" in found
    assert {each.provider for each in check(table, TODAY, providers=["groq"])} <= {"groq"}


def test_what_only_one_side_states_is_told_on_request() -> None:
    table = changed("openai/gpt-6.1-terra", input="1", output="5", audio_input="9").merged(
        {"openai": {"models": {"gpt-of-my-own": {"prices": {"input": 1, "output": 1}}}}}
    )
    brief = {str(each) for each in check(table, TODAY)}
    full = {str(each) for each in check(table, TODAY, everything=True)}
    alone = {
        "openai/gpt-6.1-terra: audio_input: 9 here, nothing there",
        "openai/gpt-of-my-own: model: known here, nothing there",
        "openai/whisper-1: model: nothing here, known there",
    }
    assert brief < full
    assert not alone & brief
    assert alone - full == {"openai/whisper-1: model: nothing here, known there"}, (
        "not by the token"
    )
    assert "openai/gpt-4.5-preview: model: nothing here, known there" in full


def test_prices_by_the_hour_are_compared_at_the_dearest() -> None:
    assert check(default_prices(), TODAY, providers=["deepseek"]) != ()
    table = changed("deepseek/deepseek-flash", input="0.15", output="0.6", cache_read="0.003")
    found = {str(each) for each in check(table, TODAY, providers=["deepseek"])}
    assert "deepseek/deepseek-flash: input: 0.15 here, 0.3 there" in found


def test_prices_are_those_of_the_day() -> None:
    found = check(default_prices(), dt.date(2026, 12, 1), providers=["google"])
    assert found == ()
    price = default_prices().lookup("google", "gemini-4-argon", dt.date(2026, 12, 1))
    assert price is not None
    assert per_million(price.rates.input) == 4


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    with pytest.raises(ConfigError, match="genai-prices is not installed") as caught:
        check(default_prices(), TODAY)
    assert caught.value.__notes__ == ["pip install genai-prices"]
