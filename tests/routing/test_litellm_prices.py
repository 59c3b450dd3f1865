"""What LiteLLM's answers cost: the vendor's price where there is one, else its own word."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from switchgear import Config, Router, UnboundedCostError
from switchgear.accounting.prices.table import default_prices
from switchgear.accounting.prices.vendors import priced_as
from switchgear.completion import Usage
from switchgear.config import ProviderConfig
from switchgear.config.values import FrozenDict
from switchgear.messages import Text
from switchgear.providers.base import Reply
from switchgear.testing.scripted import ScriptedProvider


def settings(vendor: str | None, base_url: str | None = None) -> ProviderConfig:
    options = FrozenDict({"vendor": vendor} if vendor else {})
    return ProviderConfig(name="lite", plugin="litellm", base_url=base_url, options=options)


@pytest.mark.parametrize(
    ("vendor", "model", "kind", "name"),
    [
        ("anthropic", "claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
        (None, "anthropic/claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
        (None, "claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
        (None, "gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("azure", "gpt-4o", "azure-openai", "gpt-4o"),
        ("bedrock", "converse/us.anthropic.claude-opus-4-5-20251101-v1:0", "bedrock",
         "us.anthropic.claude-opus-4-5-20251101-v1:0"),
        (None, "bedrock/us-west-2/anthropic.claude-opus-4-5-20251101-v1:0", "bedrock",
         "anthropic.claude-opus-4-5-20251101-v1:0"),
        ("vertex_ai", "claude-opus-4-5@20251101", "vertex", "claude-opus-4-5@20251101"),
        ("gemini", "gemini-3-flash-preview", "google", "gemini-3-flash-preview"),
        ("groq", "openai/gpt-oss-20b", "groq", "openai/gpt-oss-20b"),
        ("together_ai", "openai/gpt-oss-120b", "together", "openai/gpt-oss-120b"),
        (None, "ollama_chat/llama3.1", "ollama", "llama3.1"),
        (None, "mistral/mistral-large-2512", "mistral", "mistral-large-2512"),
    ],
)  # fmt: skip
def test_a_model_behind_litellm_is_priced_as_its_vendors(
    vendor: str | None, model: str, kind: str, name: str
) -> None:
    assert priced_as(settings(vendor), model, default_prices()) == (kind, name)
    assert default_prices().lookup(kind, name, dt.date(2026, 11, 23))


def test_a_known_address_decides_here_too() -> None:
    found = priced_as(settings("openai", "https://api.deepseek.com"), "x", default_prices())
    assert found.kind == "deepseek"


def reply(stated: str | None, **fields: Any) -> Reply:
    return Reply(
        parts=(Text("Hi."),),
        finish_reason="stop",
        usage=Usage(input_tokens=1000, output_tokens=100),
        stated_cost=Decimal(stated) if stated is not None else None,
        **fields,
    )


async def answered(model: str, given: Reply, **sections: Any) -> Any:
    provider = ScriptedProvider("lite", [given])
    config = Config.from_dict(
        {"providers": {"lite": {"plugin": "litellm", "vendor": "anthropic"}}, **sections}
    )
    async with Router(config, providers={"lite": provider}) as router:
        return await router.complete(f"lite/{model}", "Hi", max_tokens=10)


async def test_a_model_that_we_know_costs_our_price_whatever_litellm_says() -> None:
    found = await answered("claude-haiku-4-5", reply("9.99"))
    assert found.cost == Decimal("0.0015")
    assert found.warnings == ()


async def test_a_model_that_we_do_not_know_costs_what_litellm_says_and_that_is_said() -> None:
    found = await answered("claude-unheard-of", reply("0.0123"))
    assert found.cost == Decimal("0.0123")
    [warning] = found.warnings
    assert warning.startswith("price: 0.0123 USD by LiteLLM's own table, unchecked")


@pytest.mark.parametrize("stated", [None, "NaN", "Infinity", "-1", "1E+5000"])
async def test_no_word_or_nonsense_is_no_price(stated: str | None) -> None:
    found = await answered("claude-unheard-of", reply(stated))
    assert found.cost is None
    assert found.warnings[0].startswith("cost: unknown")


async def test_a_word_that_is_no_decimal_does_not_cost_the_answer() -> None:
    wrong: Any = 0.5
    found = await answered(
        "claude-unheard-of", msgspec.structs.replace(reply(None), stated_cost=wrong)
    )
    assert found.text == "Hi."
    assert found.cost is None


async def test_a_tier_that_we_do_not_know_is_not_priced_by_litellm() -> None:
    found = await answered("claude-haiku-4-5", reply("9.99", tier="warp"))
    assert found.cost is None


async def test_a_word_finer_than_our_unit_is_rounded_up() -> None:
    found = await answered("claude-unheard-of", reply("0.00000000000012345"))
    assert found.cost == Decimal("0.000000000001")


async def test_no_word_of_litellms_gets_past_a_hard_budget() -> None:
    budget = [{"scope": "global", "usd": 5, "period": "day"}]
    with pytest.raises(UnboundedCostError, match="has no price"):
        await answered("claude-unheard-of", reply("0.01"), budgets=budget)


@pytest.mark.parametrize(
    ("params", "bounded"),
    [
        ({}, True),
        ({"aws_region_name": "us-east-1", "api_version": "v1"}, True),
        ({"temperature": 1}, True),
        ({"web_search_options": {}}, False),
        ({"n": 5}, False),
    ],
)
async def test_what_the_table_adds_to_every_request_is_bounded_too(
    params: dict[str, Any], bounded: bool
) -> None:
    table = {"plugin": "litellm", "vendor": "anthropic", "params": params}
    budget = [{"scope": "global", "usd": 5, "period": "day"}]
    config = Config.from_dict({"providers": {"lite": table}, "budgets": budget})
    provider = ScriptedProvider("lite", [reply(None)])
    async with Router(config, providers={"lite": provider}) as router:
        asked = router.complete("lite/claude-haiku-4-5", "Hi", max_tokens=10)
        if bounded:
            assert (await asked).text == "Hi."
        else:
            with pytest.raises(UnboundedCostError, match="|".join(params)):
                await asked


async def test_what_was_stated_is_booked_as_stated() -> None:
    provider = ScriptedProvider("lite", [reply("0.0123")])
    config = Config.from_dict({"providers": {"lite": {"plugin": "litellm", "vendor": "anthropic"}}})
    async with Router(config, providers={"lite": provider}) as router:
        await router.complete("lite/claude-unheard-of", "Hi")
        spend = await router.spend()
    assert (spend.cost, spend.unpriced) == (Decimal("0.0123"), 0)
