"""Whose prices a provider's calls are billed at, and tables that are laid over another's."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from switchgear.accounting.prices.table import PriceTable, default_prices
from switchgear.accounting.prices.vendors import vendor_of
from switchgear.errors import ConfigError

TODAY = dt.date(2026, 11, 23)
PLUGINS = ("anthropic", "azure-openai", "bedrock", "embedded", "ollama", "openai", "vertex")


@pytest.mark.parametrize(
    ("base_url", "vendor"),
    [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.x.ai/v1", "xai"),
        ("https://us-east-1.api.x.ai/v1", "xai"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "google"),
        ("https://api.together.xyz/v1", "together"),
        ("https://api.fireworks.ai/inference/v1", "fireworks"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://eu.openrouter.ai/api/v1", "openrouter"),
        ("https://api.cerebras.ai/v1", "cerebras"),
        ("https://api.perplexity.ai", "perplexity"),
        ("https://api.moonshot.ai/v1", "moonshot"),
        ("https://acme.openai.azure.com/openai/v1", "azure-openai"),
        ("https://api.openai.com/v1", "openai"),
        ("https://API.Groq.com:443/openai/v1", "groq"),
        ("https://api.groq.com./openai/v1", "groq"),
    ],
)
def test_an_address_tells_whose_prices_they_are(base_url: str, vendor: str) -> None:
    assert vendor_of("openai-compatible", base_url, default_prices()) == vendor


@pytest.mark.parametrize(
    "base_url",
    [
        None,
        "",
        "http://127.0.0.1:8000/v1",
        "http://localhost:8000",
        "https://api.moonshot.cn/v1",
        "https://notapi.groq.com.evil.example/v1",
        "https://xapi.x.ai/v1",
        "https://example.com/?x=api.groq.com",
        "https://[oops",
    ],
)
def test_an_unknown_address_has_no_prices(base_url: str | None) -> None:
    """Neither somebody else's nor none: a model without a price is flagged, or refused."""
    prices = default_prices()
    kind = vendor_of("openai-compatible", base_url, prices)
    assert kind == "openai-compatible"
    assert prices.lookup(kind, "gpt-4o", TODAY) is None


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_behind_a_proxy_keeps_its_prices(plugin: str) -> None:
    prices = default_prices()
    for base_url in (None, "http://127.0.0.1:4000", "https://llm-proxy.acme.example/v1"):
        assert vendor_of(plugin, base_url, prices) == plugin


def test_another_vendors_anthropic_address_costs_what_that_vendor_asks() -> None:
    assert vendor_of("anthropic", "https://api.z.ai/api/anthropic", default_prices()) == "zai"


def test_a_users_table_can_name_an_address_of_its_own() -> None:
    own = {"acme": {"hosts": ["llm.acme.example"], "models": {"x": {"prices": CHEAP}}}}
    prices = default_prices().merged(own)
    kind = vendor_of("openai-compatible", "https://llm.acme.example/v1", prices)
    price = prices.lookup(kind, "x", TODAY)
    assert price is not None
    assert price.rates.input == 1_000_000


CHEAP = {"input": 1, "output": 2}
TABLE = """
[maker]
source = "https://maker.example/prices"
hosts = ["api.maker.example"]
[maker.default]
regions = { us = 1.1 }
[maker.models.big]
prices = { input = 4, output = 8 }
[maker.models.small]
like = "big"
prices = { input = 1, output = 2 }
[cloud]
like = "maker"
source = "https://cloud.example/prices"
[cloud.default]
regions = { "*" = 1.5 }
[cloud.models.small]
prices = { input = 3, output = 6 }
"""


def test_a_seller_of_anothers_models_states_only_what_differs() -> None:
    prices = PriceTable.from_toml(TABLE)
    inputs = {}
    for model in prices.models("cloud"):
        price = prices.lookup("cloud", model, TODAY)
        assert price is not None
        assert price.provider == "cloud"
        assert price.source == "https://cloud.example/prices"
        inputs[model] = price.rates.input
    assert inputs == {"big": 4_000_000, "small": 3_000_000}
    assert prices.hosts == {"api.maker.example": "maker"}
    regional = prices.lookup("cloud", "big", TODAY, region="eu")
    assert regional is not None
    assert regional.rates.input == 6_000_000


def test_a_users_price_of_a_model_is_not_that_of_others_who_sell_it() -> None:
    own = {"maker": {"models": {"big": {"prices": CHEAP}}}}
    prices = PriceTable.from_toml(TABLE)
    price = prices.merged(own).lookup("cloud", "big", TODAY)
    assert price is not None
    assert price.rates.input == 4_000_000
    follows = prices.merged({**own, "cloud": {"like": "maker"}}).lookup("cloud", "big", TODAY)
    assert follows is not None
    assert follows.rates.input == 1_000_000


@pytest.mark.parametrize(
    ("table", "param"),
    [
        ({"a": {"like": "b"}}, "a.like"),
        ({"a": {"like": 1}}, "a.like"),
        ({"a": {"like": "a"}}, "a.like"),
        ({"a": {"like": "b"}, "b": {"like": "c"}, "c": {}}, "a.like"),
        ({"a": {"hosts": ["x.example"]}, "b": {"hosts": ["x.example"]}}, "b.hosts"),
        ({"a": {"default": {"fees": {"coffee": Decimal(1)}}}}, "a.default.fees.coffee"),
        ({"a": {"default": {"fees": {"web_search": Decimal(-1)}}}}, "a.default.fees.web_search"),
    ],
)
def test_a_mistake_in_a_sellers_table_is_named(table: dict[str, object], param: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PriceTable(table)
    assert caught.value.param == param
