"""A user's table over the package's: what it names is replaced, the rest stays as dear."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.accounting.bounds import Worst, worst_case
from switchgear.accounting.cost import cost_of
from switchgear.accounting.prices.diff import amounts, compare
from switchgear.accounting.prices.file import BILLED_AS, KINDS
from switchgear.accounting.prices.table import Price, PriceTable, default_prices
from switchgear.accounting.tokens.counter import TokenCounter
from switchgear.completion import Usage
from switchgear.errors import ConfigError
from switchgear.messages import Message, Text
from switchgear.request import ChatRequest

ROOT = Path(__file__).resolve().parents[3]
TODAY = dt.date(2026, 11, 23)
SONNET = "claude-sonnet-4-6"

TABLE = """
[acme]
source = "https://acme.example/prices"
[acme.default]
tiers = { batch = 0.5 }
regions = { us = 1.1 }
fees = { web_search = 0.01 }
[acme.models.anvil]
aliases = ["hammer"]
context_window = 1000
[[acme.models.anvil.prices]]
input = 2
output = 10
cache_read = 0.2
cache_write_5m = 2.5
cache_write_1h = 4
audio_input = 8
audio_output = 20
long = { above = 100, input = 2, output = 1.5 }
[acme.models.little-anvil]
like = "anvil"
aliases = ["tap"]
[acme.models.rocket]
prices = [
  { from = 2026-01-01, until = 2026-06-01, input = 4, output = 8, cache_read = 2 },
  { from = 2026-06-01, input = 2, output = 6, cache_read = 0.25 },
]
tiers = { batch = { input = 1, output = 3, cache_read = 0.125 }, priority = 2 }
[seller]
like = "acme"
hosts = ["api.seller.example"]
[seller.default]
regions = { us = 1.2 }
"""


def table() -> PriceTable:
    return PriceTable.from_toml(TABLE)


def over(text: str, below: PriceTable | None = None) -> PriceTable:
    """A user's table, as it stands in a file, over another."""
    return (below or table()).merged(tomllib.loads(text, parse_float=Decimal))


def price_of(prices: PriceTable, name: str, day: dt.date = TODAY, **asked: str) -> Price:
    kind, _, model = name.partition("/")
    price = prices.lookup(kind, model, day, **asked)
    assert price is not None, name
    return price


def stated(prices: PriceTable, name: str, day: dt.date = TODAY, **asked: str) -> dict[str, Any]:
    """USD per million tokens of each kind that has a price of its own."""
    price = price_of(prices, name, day, **asked)
    return {kind: float(dollars) for kind, dollars in amounts(price.rates, price.per).items()}


# -- kinds of tokens -------------------------------------------------------------------------


def test_kinds_that_are_not_named_keep_their_price() -> None:
    mine = over("[acme.models.anvil]\nprices = { input = 1.5, output = 9 }")
    assert stated(mine, "acme/anvil") == {
        "input": 1.5,
        "output": 9,
        "cache_read": 0.2,
        "cache_write_5m": 2.5,
        "cache_write_1h": 4,
        "audio_input": 8,
        "audio_output": 20,
    }


def test_they_rise_with_the_kind_beside_which_they_are_billed() -> None:
    mine = over("[acme.models.anvil]\nprices = { input = 3, output = 11, cache_write_5m = 5 }")
    assert stated(mine, "acme/anvil") == {
        "input": 3,
        "output": 11,
        "cache_read": 0.3,
        "cache_write_5m": 5,
        "cache_write_1h": 8,
        "audio_input": 12,
        "audio_output": 22,
    }


def test_what_rises_by_an_odd_factor_is_rounded_up_to_what_can_be_written() -> None:
    below = over("[acme.models.x]\nprices = { input = 0.7, output = 1, cache_read = 0.05 }")
    mine = over("[acme.models.x]\nprices = { input = 0.8 }", below)
    assert stated(mine, "acme/x")["cache_read"] == 0.057143


def test_a_price_list_may_name_one_kind_alone() -> None:
    mine = over("[acme.models.anvil]\nprices = { cache_write_1h = 3 }")
    assert stated(mine, "acme/anvil") == stated(table(), "acme/anvil") | {"cache_write_1h": 3}


def test_every_kind_can_be_named() -> None:
    named = {kind: number + 1 for number, kind in enumerate(KINDS)}
    mine = table().merged({"acme": {"models": {"anvil": {"prices": named}}}})
    assert stated(mine, "acme/anvil") == named


def test_a_kind_that_the_vendor_does_not_price_is_billed_as_the_named_one() -> None:
    mine = over("[acme.models.rocket]\nprices = { input = 1, output = 2 }")
    price = price_of(mine, "acme/rocket")
    assert price.rates.cache_write_5m == price.rates.cache_write_1h == price.rates.input


def test_a_model_that_is_nowhere_needs_both_prices() -> None:
    with pytest.raises(ConfigError) as wrong:
        over("[acme.models.new]\nprices = { input = 1 }")
    assert wrong.value.param == "acme.models.'new'.prices"
    assert "output" in wrong.value.message


@pytest.mark.parametrize(
    ("own", "place", "says"),
    [
        ({"prices": {"input": -1}}, ".prices.input", "zero or more"),
        ({"prices": {"input": "NaN"}}, ".prices.input", "zero or more"),
        ({"prices": {"cache_read": "1e-9"}}, ".prices.cache_read", "finer"),
        ({"prices": {"cash_read": 1}}, ".prices", "cash_read"),
        ({"prices": {"input": True}}, ".prices.input", "bool"),
        ({"prices": []}, ".prices", "at least one"),
        ({"prices": [{"input": 1}, {"output": 2}]}, ".prices", "follow each other"),
        ({"prices": {"long": {"above": 0, "input": 1, "output": 1}}}, ".prices.long.above", "pos"),
        ({"tiers": {"batch": 0}}, ".tiers.batch", "positive"),
        ({"tiers": {"batch": {"inn": 1}}}, ".tiers.batch.inn", "one of"),
        ({"tiers": 2}, ".tiers", "object"),
        ({"replace": "yes"}, ".replace", "bool"),
        ({"like": "nobody"}, ".like", "no model 'nobody'"),
        ({"like": "anvil"}, ".like", "circle"),
    ],
)
def test_a_mistake_is_named_at_its_place_in_the_users_table(
    own: dict[str, Any], place: str, says: str
) -> None:
    with pytest.raises(ConfigError) as wrong:
        table().merged({"acme": {"models": {"anvil": own}}}, origin="prices.toml")
    assert wrong.value.param == f"acme.models.'anvil'{place}"
    assert says in wrong.value.message


# -- tiers, long prompts, regions, fees ------------------------------------------------------


def test_multipliers_multiply_what_is_named() -> None:
    mine = over("[acme.models.anvil]\nprices = { input = 1, output = 5 }")
    price = price_of(mine, "acme/anvil")
    assert price.rates_for(101).output == 7_500_000
    assert price.rates_for(101).cache_write_1h == 8_000_000
    assert stated(mine, "acme/anvil", tier="batch")["input"] == 0.5
    assert stated(mine, "acme/anvil", region="us")["output"] == 5.5
    assert price.fees == price_of(table(), "acme/anvil").fees


def test_amounts_of_a_tier_stay_or_rise() -> None:
    cheaper = over("[acme.models.rocket]\nprices = { input = 1, output = 3 }")
    assert stated(cheaper, "acme/rocket", tier="batch") == {
        "input": 1,
        "output": 3,
        "cache_read": 0.125,
    }
    dearer = over("[acme.models.rocket]\nprices = { input = 3, output = 6 }")
    assert stated(dearer, "acme/rocket", tier="batch") == {
        "input": 1.5,
        "output": 3,
        "cache_read": 0.1875,
    }
    assert stated(dearer, "acme/rocket", tier="priority")["input"] == 6


def test_a_tier_that_is_named_replaces_that_tier() -> None:
    mine = over(
        "[acme.models.rocket]\ntiers = { batch = { cache_read = 0.1 }, fast = 6 }\n"
        "[acme.models.anvil]\ntiers = { priority = 3 }\n"
    )
    assert stated(mine, "acme/rocket", tier="batch") == {"input": 1, "output": 3, "cache_read": 0.1}
    assert stated(mine, "acme/rocket", tier="priority")["input"] == 4
    assert stated(mine, "acme/rocket", tier="fast")["input"] == 12
    assert stated(mine, "acme/anvil", tier="priority")["input"] == 6
    assert stated(mine, "acme/anvil", tier="batch")["input"] == 1, "the provider's default stays"


def test_amounts_over_a_multiplier_keep_the_multiplier_for_the_other_kinds() -> None:
    mine = over("[acme.models.rocket]\ntiers = { priority = { output = 7 } }")
    assert stated(mine, "acme/rocket", tier="priority") == {
        "input": 4,
        "output": 7,
        "cache_read": 0.5,
    }


FASTER = "tiers = { fast = { input = 18, output = 90 } }"


@pytest.mark.parametrize("was", ["", "tiers = { fast = 2 }", "tiers = { fast = { input = 4 } }"])
def test_in_a_tier_too_kinds_rise_with_the_one_that_is_named(was: str) -> None:
    below = over(f"[acme.models.anvil]\n{was}")
    mine = over(f"[acme.models.anvil]\n{FASTER}", below)
    assert stated(mine, "acme/anvil", tier="fast") == {
        "input": 18,
        "output": 90,
        "cache_read": 1.8,
        "cache_write_5m": 22.5,
        "cache_write_1h": 36,
        "audio_input": 72,
        "audio_output": 180,
    }
    assert stated(mine, "acme/anvil") == stated(table(), "acme/anvil")
    assert stated(mine, "acme/anvil", tier="batch") == stated(table(), "acme/anvil", tier="batch")


def test_in_a_tier_they_rise_in_long_prompts_and_regions_too() -> None:
    mine = over(f"[acme.models.anvil]\n{FASTER}")
    price = price_of(mine, "acme/anvil", tier="fast", region="us")
    assert price.rates.cache_write_1h == Decimal("39.6") * 1_000_000 * price.per
    assert price.rates_for(101).cache_write_1h == Decimal("79.2") * 1_000_000 * price.per
    assert price.rates_for(101).audio_output == 297 * 1_000_000 * price.per


def test_a_tier_of_one_period_rises_likewise() -> None:
    mine = over(
        "[acme.models.rocket]\nprices = { input = 3, output = 6, tiers = "
        "{ batch = { input = 6 }, priority = { input = 9 }, fast = { input = 30 } } }"
    )
    batch = {"input": 6, "output": 3, "cache_read": 0.75}
    assert stated(mine, "acme/rocket", tier="batch") == batch
    assert stated(mine, "acme/rocket", tier="priority")["cache_read"] == 1.125
    assert stated(mine, "acme/rocket", tier="fast")["cache_read"] == 3.75


def test_a_tier_that_gets_cheaper_leaves_the_kinds_that_it_does_not_name() -> None:
    mine = over("[acme.models.rocket]\ntiers = { priority = { input = 0.1, output = 0.1 } }")
    assert stated(mine, "acme/rocket", tier="priority")["cache_read"] == 0.5


def test_a_kind_that_only_now_has_a_price_makes_no_tiers_amounts_cheaper() -> None:
    below = over("[acme.models.rocket]\ntiers = { priority = { input = 8, output = 9 } }")
    for named, becomes in ((0.1, 8), (4, 16)):
        mine = over(f"[acme.models.rocket]\nprices = {{ cache_write_5m = {named} }}", below)
        assert stated(mine, "acme/rocket").get("cache_write_5m") == named
        price = price_of(mine, "acme/rocket", tier="priority")
        assert price.rates.cache_write_5m == becomes * 1_000_000 * price.per


def test_what_is_dearer_by_a_tiny_price_is_not_rounded_before() -> None:
    below = over(
        "[acme.models.x]\nprices = { input = 0.000001, output = 1, cache_read = 0.000001 }\n"
        "tiers = { fast = 0.5 }"
    )
    mine = over("[acme.models.x]\ntiers = { fast = { input = 1 } }", below)
    assert price_of(mine, "acme/x", tier="fast").rates.cache_read == 1_000_000


@pytest.mark.parametrize(
    ("vendor", "model", "tier", "says"),
    [
        ("openai", "gpt-4o", "fast", "'priority': name that"),
        ("openai", "gpt-4o", "scale", "standard tier, which is what `prices` states"),
        ("openai", "gpt-4o", "Priority", "small letters: 'priority'"),
        ("anthropic", SONNET, "priority", "standard tier, which is what `prices` states"),
        ("groq", "openai/gpt-oss-120b", "flex", "standard tier, which is what `prices` states"),
        ("google", "gemini-2.5-pro", "on_demand", "standard tier, which is what"),
        ("google", "gemini-2.5-pro", "default", "standard tier, which is what `prices` states"),
    ],
)
def test_a_tier_by_the_vendors_own_word_is_refused_with_the_right_one(
    vendor: str, model: str, tier: str, says: str
) -> None:
    """No call is looked up by such a word, so the price would never be reckoned with."""
    entry = f"{vendor}.models.{model!r}"
    tiers = {tier: Decimal(9)}
    periods = [{"until": dt.date(2027, 1, 1)}, {"from": dt.date(2027, 1, 1), "tiers": tiers}]
    for own, place in (
        ({"models": {model: {"tiers": tiers}}}, f"{entry}.tiers.{tier}"),
        ({"models": {model: {"prices": {"tiers": tiers}}}}, f"{entry}.prices.tiers.{tier}"),
        ({"models": {model: {"prices": periods}}}, f"{entry}.prices[1].tiers.{tier}"),
        ({"default": {"tiers": tiers}}, f"{vendor}.default.tiers.{tier}"),
    ):
        with pytest.raises(ConfigError) as wrong:
            default_prices().merged({vendor: own})
        assert wrong.value.param == place
        assert says in wrong.value.message


def test_what_a_vendors_word_stands_for_can_be_changed() -> None:
    mine = over(
        '[openai]\ntier_names = { fast = "fast" }\n[openai.models."gpt-4o"]\ntiers = { fast = 9 }',
        default_prices(),
    )
    price = price_of(mine, "openai/gpt-4o", tier="fast")
    assert (price.tier, price.rates.input) == ("fast", 22_500_000)


def test_a_region_that_no_call_is_looked_up_by_is_refused() -> None:
    with pytest.raises(ConfigError, match="small letters: 'us'") as wrong:
        over("[acme.models.anvil]\nregions = { US = 1.3 }")
    assert wrong.value.param == "acme.models.'anvil'.regions.US"


def test_amounts_of_a_tier_are_a_models_and_not_a_vendors() -> None:
    """They could be below what a vendor bills of any model that has dearer kinds."""
    with pytest.raises(ConfigError, match="state a multiplier, or amounts in a model's") as wrong:
        over("[acme.default]\ntiers = { fast = { input = 3, output = 15 } }")
    assert wrong.value.param == "acme.default.tiers.fast"
    mine = over(
        "[own.default]\ntiers = { fast = { input = 3, output = 15 } }\n"
        "[own.models.x]\nprices = { input = 1, output = 2 }"
    )
    assert stated(mine, "own/x", tier="fast")["output"] == 15


def test_an_empty_table_among_what_a_vendors_models_share_says_so_of_them() -> None:
    mine = over("[acme.default]\ntiers = {}\nregions = {}\nfees = {}\n")
    price = price_of(mine, "acme/anvil", region="us")
    assert (price.region, price.fees.web_search) == (None, None)
    assert mine.lookup("acme", "anvil", TODAY, tier="batch") is None
    assert stated(mine, "acme/rocket", tier="batch")["input"] == 1, "a model's own stay"
    like = over('[mine]\nlike = "acme"\n[mine.default]\ntiers = {}\n[acme.default]\nfees = {}')
    assert like.lookup("mine", "anvil", TODAY, tier="batch") is None
    assert price_of(like, "mine/anvil").fees.web_search is None


def test_an_empty_table_says_that_there_is_none() -> None:
    mine = over(
        "[acme.models.anvil]\ntiers = {}\nregions = {}\nfees = {}\nprices = { long = [] }\n"
        "[acme.models.rocket]\nprices = { tiers = {} }\n"
    )
    price = price_of(mine, "acme/anvil", region="us")
    assert (price.steps, price.region, price.fees.web_search) == ((), None, None)
    assert mine.lookup("acme", "anvil", TODAY, tier="batch") is None
    assert mine.lookup("acme", "rocket", TODAY, tier="priority") is None


def test_regions_and_fees_that_are_named_leave_the_others() -> None:
    mine = over("[acme.models.anvil]\nregions = { eu = 1.3 }\nfees = { file_search = 0.002 }\n")
    assert stated(mine, "acme/anvil", region="eu")["input"] == 2.6
    assert stated(mine, "acme/anvil", region="us")["input"] == 2.2
    fees = price_of(mine, "acme/anvil").fees
    assert (fees.web_search, fees.file_search) == (10_000_000_000, 2_000_000_000)


def test_tiers_that_a_second_table_names_hold_for_the_first_ones_prices() -> None:
    first = over("[acme.models.rocket]\nprices = { input = 3, output = 6 }")
    second = over("[acme.models.rocket]\ntiers = { batch = 0.9 }", first)
    assert stated(second, "acme/rocket", tier="batch")["input"] == 2.7


# -- days ------------------------------------------------------------------------------------


def days(prices: PriceTable, *asked: str) -> list[tuple[float, float] | None]:
    """Input and cache reads of the rocket on days."""
    found = []
    for day in asked:
        price = prices.lookup("acme", "rocket", dt.date.fromisoformat(day))
        rates = price.rates if price is not None else None
        found.append(None if rates is None else (rates.input / 1e6, rates.cache_read / 1e6))
    return found


def test_a_price_without_dates_holds_on_every_day_over_what_held_then() -> None:
    mine = over("[acme.models.rocket]\nprices = { input = 1, output = 1 }")
    asked = ("2025-01-01", "2026-05-31", "2026-06-01", "2030-01-01")
    assert days(table(), *asked) == [None, (4, 2), (2, 0.25), (2, 0.25)]
    assert days(mine, *asked) == [(1, 2), (1, 2), (1, 0.25), (1, 0.25)]


def test_on_days_that_a_contract_does_not_cover_the_price_is_the_usual_one() -> None:
    mine = over(
        "[acme.models.rocket]\n"
        "prices = { from = 2026-05-01, until = 2026-07-01, input = 1, output = 1 }"
    )
    asked = ("2026-04-30", "2026-05-01", "2026-06-01", "2026-06-30", "2026-07-01")
    assert days(mine, *asked) == [(4, 2), (1, 2), (1, 0.25), (1, 0.25), (2, 0.25)]
    assert days(mine, "2025-12-31") == [None]


def test_contracts_follow_each_other() -> None:
    mine = over(
        "[acme.models.rocket]\nprices = [\n"
        "  { until = 2026-06-01, input = 3, output = 1 },\n"
        "  { from = 2026-09-01, input = 1, output = 1, cache_read = 0.1 },\n]"
    )
    asked = ("2026-05-31", "2026-06-01", "2026-08-31", "2026-09-01")
    assert days(mine, *asked) == [(3, 2), (2, 0.25), (2, 0.25), (1, 0.1)]


def test_a_price_for_every_day_is_one_price() -> None:
    mine = over("[acme.models.anvil]\nprices = { input = 1 }")
    price = price_of(mine, "acme/anvil")
    assert (price.since, price.until) == (None, None)


# -- other models ----------------------------------------------------------------------------


def test_to_name_a_model_changes_no_other() -> None:
    mine = over(
        '[acme.models.anvil]\nprices = { input = 1, output = 1 }\n[acme.models."*"]\n'
        "prices = { input = 9, output = 9 }"
    )
    for name in ("acme/little-anvil", "acme/rocket", "seller/anvil", "seller/little-anvil"):
        assert price_of(mine, name) == price_of(table(), name)
    assert price_of(mine, "acme/unheard-of").rates.input == 9_000_000


def test_the_packages_other_models_do_not_follow() -> None:
    mine = over(
        '[openai.models."gpt-4o-mini"]\nprices = { input = 0.12, output = 0.48 }', default_prices()
    )
    changed = {f"{each.provider}/{each.model}" for each in compare(default_prices(), mine, TODAY)}
    assert changed == {"openai/gpt-4o-mini"}


def test_like_means_the_other_one_with_the_users_prices() -> None:
    mine = over(
        "[acme.models.anvil]\nprices = { input = 1, output = 5 }\n"
        '[acme.models.deployment]\nlike = "anvil"\nprices = { output = 4 }\n'
        '[acme.models.rocket]\nlike = "anvil"\n'
        '[mine]\nlike = "acme"\nhosts = ["llm.mine.example"]\n'
        "[mine.models.rocket]\nprices = { input = 3 }\n"
    )
    assert stated(mine, "acme/deployment") == stated(mine, "acme/anvil") | {"output": 4}
    assert stated(mine, "acme/rocket") == stated(mine, "acme/anvil")
    assert stated(mine, "mine/anvil") == stated(mine, "acme/anvil")
    assert stated(mine, "mine/little-anvil") == stated(table(), "acme/little-anvil")
    assert stated(mine, "mine/rocket")["input"] == 3


def test_a_seller_that_is_there_already_follows_only_where_the_user_says_so() -> None:
    contract = "[acme.models.anvil]\nprices = { input = 1 }\n"
    assert stated(over(contract), "seller/anvil")["input"] == 2
    mine = over(contract + '[seller]\nlike = "acme"\n')
    assert stated(mine, "seller/anvil")["input"] == 1
    assert stated(mine, "seller/anvil", region="us")["input"] == 1.2, "its own surcharge stays"
    assert mine.hosts == {"api.seller.example": "seller"}


def test_a_snapshot_by_its_own_name_keeps_what_it_would_have_cost() -> None:
    mine = over('[acme.models."anvil-2026-02-02"]\nprices = { input = 1 }')
    assert stated(mine, "acme/anvil-2026-02-02") == stated(table(), "acme/anvil") | {"input": 1}
    assert price_of(mine, "acme/anvil") == price_of(table(), "acme/anvil")
    info = mine.info("acme", "anvil-2026-02-02")
    assert info is not None
    assert (info.context_window, info.aliases) == (1000, ())


def test_an_alias_is_the_model_that_it_names() -> None:
    mine = over("[acme.models.hammer]\nprices = { input = 1 }")
    for name in ("acme/hammer", "acme/anvil", "acme/anvil-2026-02-02"):
        assert stated(mine, name) == stated(table(), "acme/anvil") | {"input": 1}


def test_a_model_and_its_alias_are_one_entry() -> None:
    with pytest.raises(ConfigError) as wrong:
        over("[acme.models.hammer.prices]\ninput = 50\n[acme.models.anvil.prices]\noutput = 60")
    assert wrong.value.param == "acme.models.'anvil'"
    assert "same model as acme.models.'hammer'" in wrong.value.message
    mine = over(
        '[acme.models.hammer]\nfees = { web_search = 1 }\n[mine]\nlike = "acme"\n'
        "[mine.models.anvil]\nprices = { input = 3 }"
    )
    price = price_of(mine, "mine/hammer")
    assert (price.rates.input, price.fees.web_search) == (3_000_000, 10**12)


def test_a_seller_with_prices_of_its_own_is_like_another_in_what_the_user_says() -> None:
    with pytest.raises(ConfigError) as wrong:
        over('[seller]\nlike = "own"\n[own]\nhosts = ["own.example"]')
    assert wrong.value.param == "seller.like"
    assert "changes nothing" in wrong.value.message
    assert "replace = true" in wrong.value.message
    mine = over('[mistral]\nlike = "openai"\nreplace = true', default_prices())
    assert stated(mine, "mistral/gpt-4o") == stated(mine, "openai/gpt-4o")
    assert mine.lookup("mistral", "mistral-large-latest", TODAY) is None


def test_replace_keeps_nothing_but_names() -> None:
    mine = over(
        "[acme.models.hammer]\nreplace = true\nprices = { input = 1, output = 2 }\n"
        "[seller]\nreplace = true\n[seller.models.x]\nprices = { input = 3, output = 4 }"
    )
    for name in ("acme/anvil", "acme/hammer"):
        assert stated(mine, name) == {"input": 1, "output": 2}
    assert price_of(mine, "acme/anvil").steps == ()
    assert stated(mine, "acme/anvil", tier="batch")["input"] == 0.5, "the provider's still"
    assert mine.models("seller") == ("x",)
    assert price_of(mine, "seller/x", region="us").region is None
    assert mine.hosts == {"api.seller.example": "seller"}
    alone = PriceTable({"a": {"replace": True, "models": {}}})
    assert alone.kinds == {"a"}, "over nothing it says nothing"


# -- what holds for every table --------------------------------------------------------------


def test_the_packages_own_table_over_itself_changes_nothing() -> None:
    """A user may keep a copy of pricing.toml and edit that."""
    again = over((ROOT / "pricing.toml").read_text(), default_prices())
    for day in (dt.date(2025, 1, 1), TODAY, dt.date(2027, 6, 1)):
        assert compare(default_prices(), again, day) == ()
    for kind in again.kinds:
        for model in again.models(kind):
            for price in again.variants(kind, model, TODAY):
                assert price.own is None
                assert price == default_prices().lookup(
                    kind, model, TODAY, tier=price.tier, region=price.region
                )


MODELS = [
    (kind, model)
    for kind in ("anthropic", "openai", "google", "xai", "openrouter", "azure-openai")
    for model in default_prices().models(kind)
]
DOLLARS = st.decimals("0", "100", places=3)
NAMED = st.dictionaries(st.sampled_from(KINDS), DOLLARS, min_size=1)


@given(st.sampled_from(MODELS), NAMED)
def test_no_kind_that_is_priced_and_not_named_gets_cheaper(
    which: tuple[str, str], named: dict[str, Decimal]
) -> None:
    kind, model = which
    mine = default_prices().merged({kind: {"models": {model: {"prices": named}}}})
    old, new = (price_of(each, f"{kind}/{model}") for each in (default_prices(), mine))
    for each in KINDS:
        before, after = getattr(old.rates, each), getattr(new.rates, each)
        if each in named:
            assert after == named[each] * 1_000_000 * new.per
        elif each in amounts(old.rates, old.per):
            assert after * old.per >= before * new.per
            beside = BILLED_AS.get(each)
            if beside is not None:  # its part of the other kind is no smaller, where that is dearer
                was, now = getattr(old.rates, beside), getattr(new.rates, beside)
                if now * old.per > was * new.per:
                    assert after * was >= before * now
    again = mine.merged({kind: {"models": {model: {"prices": named}}}})
    assert price_of(again, f"{kind}/{model}") == new


def reckoned(before: dict[str, Fraction], named: Mapping[str, Decimal]) -> dict[str, Fraction]:
    """What each kind costs by the rule, of prices in which every kind has one."""
    after: dict[str, Fraction] = {}
    for kind in ("input", "output", *BILLED_AS):
        beside = BILLED_AS.get(kind)
        if kind in named:
            after[kind] = Fraction(named[kind])
        elif beside is None or not before[beside]:
            after[kind] = before[kind]
        else:
            after[kind] = before[kind] * max(Fraction(1), after[beside] / before[beside])
    return after


CLAUDES = [
    model
    for model in default_prices().models("anthropic")
    if default_prices().lookup("anthropic", model, TODAY) is not None
]
WAS = st.sampled_from([None, Decimal("0.75"), Decimal(2), {"input": Decimal(7)}])


@given(st.sampled_from(CLAUDES), WAS, NAMED)
def test_a_bound_is_not_below_what_a_tier_can_cost_by_all_that_is_known(
    model: str, was: Any, named: dict[str, Decimal]
) -> None:
    """Whether the tier was a multiplier, amounts or nothing, and whichever kinds are named."""
    below = default_prices()
    if was is not None:
        below = below.merged({"anthropic": {"models": {model: {"tiers": {"fast": was}}}}})
    mine = below.merged({"anthropic": {"models": {model: {"tiers": {"fast": named}}}}})
    had = below.lookup("anthropic", model, TODAY, tier="fast")
    old = had or price_of(below, f"anthropic/{model}")
    before = {k: Fraction(getattr(old.rates, k), old.per * 1_000_000) for k in KINDS}
    after = reckoned(before, named)
    new = price_of(mine, f"anthropic/{model}", tier="fast")
    for kind in KINDS[:5]:
        assert Fraction(getattr(new.rates, kind), new.per * 1_000_000) >= after[kind]
    for ttl, marked in ((None, ()), ("5m", KINDS[3:4]), ("1h", KINDS[3:5])):
        worst = worst_of(mine, ttl, model, speed="fast")
        dearest = max(after[kind] for kind in ("input", "cache_read", *marked))
        least = worst.input_tokens * dearest + worst.output_tokens * after["output"]
        assert worst.amount >= least * 1_000_000


def test_the_entry_in_the_docs_is_a_whole_one_and_can_be_laid_over_the_packages() -> None:
    page = (ROOT / "docs/accounting.md").read_text()
    (block,) = (part for part in page.split("```") if part.startswith("toml\n[pricing.prices."))
    own = tomllib.loads(block.removeprefix("toml"), parse_float=Decimal)["pricing"]["prices"]
    [[entry]] = [provider["models"].values() for provider in own.values()]
    assert set(entry) == {"tiers", "regions", "fees", "prices"}
    assert set(entry["prices"][0]) == {*KINDS, "long", "until"}
    mine = default_prices().merged(own)
    fast = price_of(mine, f"anthropic/{SONNET}", tier="fast")
    assert (fast.rates.cache_write_1h, fast.rates.cache_read) == (36_000_000, 1_800_000)
    price = price_of(mine, f"anthropic/{SONNET}")
    assert price.rates.cache_write_1h == 4_800_000
    assert price.steps[0].rates.cache_write_1h == 9_600_000


# -- what a call costs, and the most that it can ---------------------------------------------


def worst_of(prices: PriceTable, ttl: Any, model: str = SONNET, **extra: Any) -> Worst:
    request = ChatRequest(messages=(Message("user", (Text("a" * 50_000, cache=ttl),)),))
    worst = worst_case(
        request,
        kind="anthropic",
        model=model,
        max_tokens=10,
        extra=extra,
        headers={},
        context_window=None,
        max_output_tokens=None,
        prices=prices,
        day=TODAY,
        tokens=TokenCounter(),
    )
    assert isinstance(worst, Worst)
    return worst


def bound(prices: PriceTable, ttl: Any) -> int:
    return worst_of(prices, ttl).amount


def test_a_dearer_tier_sets_aside_what_its_cache_can_cost() -> None:
    tripled = over(
        '[anthropic.models."claude-opus-5"]\ntiers = { fast = { input = 30, output = 150 } }',
        default_prices(),
    )
    for ttl in (None, "5m", "1h"):
        usual = worst_of(default_prices(), ttl, "claude-opus-5", speed="fast")
        assert worst_of(tripled, ttl, "claude-opus-5", speed="fast").amount == 3 * usual.amount


@pytest.mark.parametrize("ttl", ["5m", "1h"])
def test_naming_the_list_price_of_input_and_output_leaves_bounds_alone(ttl: str) -> None:
    mine = over(
        f'[anthropic.models."{SONNET}"]\nprices = {{ input = 3, output = 15 }}', default_prices()
    )
    assert bound(mine, ttl) == bound(default_prices(), ttl)


def test_a_discount_on_input_does_not_lower_the_bound_of_what_is_written_to_the_cache() -> None:
    mine = over(
        f'[anthropic.models."{SONNET}"]\nprices = {{ input = 2.4, output = 15 }}', default_prices()
    )
    assert bound(mine, None) < bound(default_prices(), None)
    assert bound(mine, "5m") == bound(default_prices(), "5m")
    assert bound(mine, "1h") == bound(default_prices(), "1h")
    named = over(f'[anthropic.models."{SONNET}"]\nprices = {{ cache_write_1h = 5 }}', mine)
    assert bound(named, "1h") < bound(mine, "1h")


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(input_tokens=1_000_000), "2.4"),
        (Usage(input_tokens=1_000_000, cache_read_tokens=1_000_000), "0.3"),
        (Usage(input_tokens=1_000_000, cache_write_tokens=1_000_000), "3.75"),
        (
            Usage(
                input_tokens=1_000_000,
                cache_write_tokens=1_000_000,
                cache_write_1h_tokens=1_000_000,
            ),
            "6",
        ),
    ],
)
def test_cached_tokens_cost_what_they_did(usage: Usage, dollars: str) -> None:
    mine = over(
        f'[anthropic.models."{SONNET}"]\nprices = {{ input = 2.4, output = 12 }}', default_prices()
    )
    cost = cost_of(usage, price_of(mine, f"anthropic/{SONNET}"))
    assert cost == Decimal(dollars) * 10**12
