"""What the package's own table says, held against what can be known without the network."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
from decimal import Decimal
from typing import get_args

import pytest

from switchgear.accounting.money import pico
from switchgear.accounting.prices.diff import per_million, tables
from switchgear.accounting.prices.rates import Price
from switchgear.accounting.prices.table import PriceTable, default_prices
from switchgear.providers.anthropic_models import _LINES, capabilities_of
from switchgear.providers.openai_models import facts

ENTRY_POINTS = "switchgear.providers"
TODAY = dt.date(2026, 11, 23)
M = 1_000_000


@pytest.fixture(scope="module")
def prices() -> PriceTable:
    return default_prices()


def price_of(prices: PriceTable, kind: str, model: str, tier: str | None = None) -> Price:
    price = prices.lookup(kind, model, TODAY, tier=tier)
    assert price is not None, f"{kind}/{model} has no price"
    return price


# The table of ADR-004, in USD per million tokens.
@pytest.mark.parametrize(
    ("kind", "model", "dollars_in", "dollars_out"),
    [
        ("anthropic", "claude-3-5-sonnet-20241022", "3", "15"),
        ("anthropic", "claude-3-haiku-20240307", "0.25", "1.25"),
        ("openai", "gpt-4-turbo", "10", "30"),
        ("openai", "gpt-4o-mini", "0.15", "0.60"),
        ("ollama", "llama3", "0", "0"),
        ("embedded", "smollm2-135m", "0", "0"),
    ],
)
def test_the_models_of_the_adr_cost_what_it_says(
    prices: PriceTable, kind: str, model: str, dollars_in: str, dollars_out: str
) -> None:
    rates = price_of(prices, kind, model).rates
    assert (rates.input, rates.output) == (float(dollars_in) * M, float(dollars_out) * M)


@pytest.mark.parametrize(
    "model", ["claude-3-5-sonnet-20241022", "claude-3-haiku-20240307", "gpt-4-turbo"]
)
def test_retired_models_are_marked(prices: PriceTable, model: str) -> None:
    info = prices.info("anthropic" if "claude" in model else "openai", model)
    assert info is not None
    assert info.retires is not None
    assert info.retires < TODAY


@pytest.mark.parametrize(
    "name",
    [
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "claude-sonnet-4-5@20250929",
        "claude-sonnet-4-5@default",
        "publishers/anthropic/models/claude-sonnet-4-5@20250929",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-4-5",
    ],
)
def test_the_clouds_names_of_a_model_lead_to_its_entry(prices: PriceTable, name: str) -> None:
    for kind in ("anthropic", "bedrock", "vertex"):
        assert price_of(prices, kind, name).model == "claude-sonnet-4-5"


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet"),
        ("anthropic.claude-3-haiku-20240307-v1:0:200k", "claude-3-haiku"),
        ("eu.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("claude-opus-4-20250514", "claude-opus-4-0"),
        ("anthropic.claude-opus-5-5", "claude-opus-5-5"),
    ],
)
def test_older_cloud_names_are_understood_too(prices: PriceTable, name: str, entry: str) -> None:
    assert price_of(prices, "bedrock", name).model == entry


def test_a_snapshot_with_a_price_of_its_own_keeps_it(prices: PriceTable) -> None:
    assert price_of(prices, "openai", "gpt-4o-2024-05-13").rates.input == 5 * M
    assert price_of(prices, "openai", "gpt-4o-2024-08-06").rates.input == 2.5 * M


def test_a_tuned_model_costs_by_its_base(prices: PriceTable) -> None:
    assert (
        price_of(prices, "openai", "ft:gpt-4o-mini-2024-07-18:acme::8x").model == "ft:gpt-4o-mini"
    )
    assert price_of(prices, "openai", "ft:gpt-4o-2024-08-06:acme::8x").model == "ft:gpt-4o"
    assert prices.lookup("openai", "ft:gpt-9:acme::8x", TODAY) is None


def test_every_model_of_anthropics_sdk_has_a_price(prices: PriceTable) -> None:
    from anthropic.types.model import Model

    literal = next(part for part in get_args(Model) if get_args(part))
    missing = [name for name in get_args(literal) if not prices.lookup("anthropic", name, TODAY)]
    assert missing == []


def test_every_model_of_openais_sdk_that_is_still_sold_has_a_price(prices: PriceTable) -> None:
    from openai.types.embedding_model import EmbeddingModel
    from openai.types.shared.all_models import AllModels
    from openai.types.shared.chat_model import ChatModel

    extra = [name for part in get_args(AllModels) for name in get_args(part)]
    names = {*get_args(ChatModel), *get_args(EmbeddingModel), *extra}
    missing = {name for name in names if not prices.lookup("openai", name, TODAY)}
    # Shut down by the SDK's own list before this table began, but for the last: nobody states
    # what GPT-6.2 Astra Law costs.
    assert missing == {
        *("gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613", "gpt-3.5-turbo-1106"),
        *("gpt-3.5-turbo-16k", "gpt-3.5-turbo-16k-0613"),
        *("gpt-4-32k", "gpt-4-32k-0314", "gpt-4-32k-0613", "gpt-4-vision-preview"),
        *("o1-mini", "o1-mini-2024-09-12", "o1-preview", "o1-preview-2024-09-12"),
        *("codex-mini-latest", "computer-use-preview", "computer-use-preview-2025-03-11"),
        "gpt-6.2-astra-law",
    }


@pytest.mark.parametrize(
    ("line", "version"),
    [(line, version) for line, known in _LINES.items() for version, _ in known],
)
def test_every_claude_that_the_adapter_knows_has_a_price(
    prices: PriceTable, line: str, version: tuple[int, int]
) -> None:
    number = "-".join(str(part) for part in version if part or version[0] == part)
    name = f"claude-{line}-{number}" if version[0] > 3 else f"claude-{number}-{line}"
    for kind in ("anthropic", "bedrock", "vertex"):
        price_of(prices, kind, name)


def test_the_table_and_the_adapters_agree_on_limits(prices: PriceTable) -> None:
    for name in prices.models("anthropic"):
        info = prices.info("anthropic", name)
        known = capabilities_of(name)
        assert info is not None
        assert info.context_window == known.context_window, name
        assert info.max_output_tokens == known.max_output_tokens, name
    for name in prices.models("openai"):
        info = prices.info("openai", name)
        known = facts(name).capabilities
        assert info is not None
        for field in ("context_window", "max_output_tokens"):
            stated = getattr(known, field)
            if stated is not None and "embeddings" not in info.capabilities:
                assert getattr(info, field) in (None, stated), (name, field)


def entries(prices: PriceTable) -> list[tuple[str, str]]:
    return [
        (kind, name)
        for kind in tables(prices)
        if not prices.is_free(kind)
        for name in prices.models(kind)
    ]


def cost(price: Price, kind: str) -> Decimal:
    return per_million(getattr(price.rates, kind), price.per)


def test_every_entry_names_its_page_and_the_day_it_was_checked(prices: PriceTable) -> None:
    for kind, model in entries(prices):
        info = prices.info(kind, model)
        assert info is not None
        assert info.source.startswith("https://"), model
        assert info.checked is not None, model
        assert info.checked <= TODAY, model


def test_every_entry_has_a_price_today(prices: PriceTable) -> None:
    for kind, model in entries(prices):
        price_of(prices, kind, model)


def test_prices_are_in_a_sane_order(prices: PriceTable) -> None:
    """Catches a slipped decimal point or a swapped column."""
    for kind, model in entries(prices):
        for price in prices.variants(kind, model, TODAY):
            of_input, of_output = cost(price, "input"), cost(price, "output")
            assert 0 < cost(price, "cache_read") <= of_input <= 165, model
            short, long = cost(price, "cache_write_5m"), cost(price, "cache_write_1h")
            assert of_input <= short <= long <= 3 * of_input, model
            info = prices.info(kind, model)
            assert info is not None
            if "embeddings" in info.capabilities:
                assert of_output == 0, model
            else:
                assert of_input <= of_output <= 10 * of_input, model


def test_steps_make_dearer_and_ascend(prices: PriceTable) -> None:
    for kind, model in entries(prices):
        price = price_of(prices, kind, model)
        before = price.rates
        for step in price.steps:
            assert step.rates.input > before.input, model
            assert step.rates.output > before.output, model
            before = step.rates


def test_the_vendors_own_entries_say_how_long_an_answer_can_be(prices: PriceTable) -> None:
    """Under a hard budget a bound needs it, and Anthropic's API a max_tokens."""
    for kind in ("anthropic", "openai", "bedrock", "vertex", "azure-openai"):
        for model in prices.models(kind):
            info = prices.info(kind, model)
            assert info is not None
            if "embeddings" not in info.capabilities:
                assert info.max_output_tokens, model
                assert info.default_max_tokens, model


def test_cheap_tiers_are_cheaper_and_fast_ones_dearer(prices: PriceTable) -> None:
    ratios = {
        "batch": ("0.49", "0.8"),
        "flex": ("0.49", "1"),
        "off_peak": ("0.5", "0.5"),
        "priority": ("1", "2.5"),
        "fast": ("1.6", "2.5"),
    }
    for kind, model in entries(prices):
        standard = price_of(prices, kind, model)
        for tier, (low, high) in ratios.items():
            price = prices.lookup(kind, model, TODAY, tier=tier)
            if price is None:
                continue
            for field in ("input", "output"):
                if plain := cost(standard, field):
                    ratio = cost(price, field) / plain
                    assert Decimal(low) <= ratio <= Decimal(high), (model, tier, field)
            # A discount never makes a cached token dearer than it is without one.
            if tier in ("batch", "flex", "off_peak"):
                assert cost(price, "cache_read") <= cost(standard, "cache_read"), (model, tier)


@pytest.mark.parametrize(
    ("kind", "model", "word"),
    [
        ("groq", "openai/gpt-oss-120b", "on_demand"),
        ("openai", "gpt-6.1-sol", "default"),
        ("openai", "gpt-6.1-sol", "scale"),
        ("anthropic", "claude-opus-5-5", "priority"),
        ("google", "gemini-3.8-flash", "standard"),
        ("cerebras", "gpt-oss-120b", "default"),
    ],
)
def test_the_vendors_words_for_the_usual_tier_are_understood(
    prices: PriceTable, kind: str, model: str, word: str
) -> None:
    assert price_of(prices, kind, model, word).tier == "standard"


def test_no_two_vendors_answer_at_one_address(prices: PriceTable) -> None:
    for host, name in prices.hosts.items():
        assert host == host.lower()
        assert "/" not in host
        assert name in prices.kinds


def test_fees_are_cents_not_dollars(prices: PriceTable) -> None:
    fees = {
        use: fee
        for kind, model in entries(prices)
        for use in ("web_search", "file_search", "code_session")
        if (fee := getattr(price_of(prices, kind, model).fees, use)) is not None
    }
    assert set(fees) == {"web_search", "file_search", "code_session"}
    assert all(0 < fee <= pico("0.05") for fee in fees.values())


def test_the_vendors_own_tools_cost_what_they_state(prices: PriceTable) -> None:
    fees = price_of(prices, "openai", "gpt-6.1-sol").fees
    assert (fees.web_search, fees.file_search) == (pico("0.01"), pico("0.0025"))
    assert fees.code_session == pico("0.03")
    assert price_of(prices, "anthropic", "claude-opus-5-5").fees.web_search == pico("0.01")
    assert price_of(prices, "azure-openai", "gpt-6.1-sol").fees.web_search == pico("0.014")


def test_every_kind_of_price_that_a_plugin_needs_is_there(prices: PriceTable) -> None:
    """A plugin without a table has no prices, and budgets would refuse it."""
    plugins = {entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    # These two speak for many vendors, and are priced as them.
    assert plugins - set(prices.kinds) == {"litellm", "openai-compatible"}


@pytest.mark.parametrize(
    ("kind", "model", "dollars_in", "dollars_out"),
    [
        ("groq", "openai/gpt-oss-120b", "0.15", "0.6"),
        ("mistral", "mistral-large-4", "0.7", "2.1"),
        ("deepseek", "deepseek-v4-pro", "1.32", "3.96"),
        ("xai", "grok-4.7", "2", "6"),
        ("google", "gemini-4-argon", "2", "10"),
        ("together", "moonshotai/Kimi-K3", "3", "15"),
        ("fireworks", "accounts/fireworks/models/glm-5p3", "1.4", "4.4"),
        ("openrouter", "anthropic/claude-opus-5.5", "4", "20"),
        ("cerebras", "gpt-oss-120b", "0.35", "0.75"),
        ("perplexity", "perplexity/sonar", "0.25", "2.5"),
        ("moonshot", "kimi-k3.1-pro", "2", "10"),
        ("zai", "glm-5.3", "1.4", "4.4"),
        ("minimax", "MiniMax-M3", "0.3", "1.2"),
        ("meta", "muse-wonder-1.0", "4", "20"),
        ("cohere", "command-a-03-2025", "2.5", "10"),
        ("voyage", "voyage-4-large", "0.12", "0"),
    ],
)
def test_the_compatible_vendors_are_priced(
    prices: PriceTable, kind: str, model: str, dollars_in: str, dollars_out: str
) -> None:
    price = price_of(prices, kind, model)
    assert (cost(price, "input"), cost(price, "output")) == (
        Decimal(dollars_in),
        Decimal(dollars_out),
    )


def test_an_introductory_price_ends_on_its_day(prices: PriceTable) -> None:
    for day, dollars in ((dt.date(2026, 11, 30), 2), (dt.date(2026, 12, 1), 4)):
        price = prices.lookup("google", "gemini-4-argon", day)
        assert price is not None
        assert cost(price, "input") == dollars


def test_a_prompt_of_200000_tokens_is_a_long_one_for_grok(prices: PriceTable) -> None:
    price = price_of(prices, "xai", "grok-4.7")
    assert price.rates_for(199_999) == price.rates
    assert price.rates_for(200_000).input == 2 * price.rates.input


def test_a_prompt_of_haiku_5_5_over_a_hundred_thousand_tokens_costs_five_times(
    prices: PriceTable,
) -> None:
    price = price_of(prices, "anthropic", "claude-haiku-5-5")
    assert price.rates_for(100_001).output == 5 * price.rates_for(100_000).output


def test_us_inference_costs_a_tenth_more_where_anthropic_charges_it(prices: PriceTable) -> None:
    new = prices.lookup("anthropic", "claude-opus-5-5", TODAY, region="us")
    old = prices.lookup("anthropic", "claude-haiku-4-5", TODAY, region="us")
    assert new is not None
    assert old is not None
    assert (new.rates.input, old.rates.input) == (4.4 * M, M)


@pytest.mark.parametrize(
    ("kind", "model", "region", "dollars"),
    [
        ("bedrock", "claude-opus-5-5", "global", "4"),
        ("bedrock", "claude-opus-5-5", "us", "4.4"),
        ("bedrock", "claude-opus-5-5", "eu", "4.4"),
        ("bedrock", "claude-opus-5-5", "us-gov", "4.8"),
        ("bedrock", "claude-haiku-4-5", "eu", "1.1"),
        ("bedrock", "claude-opus-4-1", "eu", "15"),
        ("vertex", "claude-opus-5-5", "global", "4"),
        ("vertex", "claude-sonnet-4-5", "europe-west1", "3.3"),
        ("vertex", "claude-3-5-sonnet", "europe-west1", "3"),
        ("azure-openai", "gpt-6.1-sol", "us", "2.2"),
        ("azure-openai", "gpt-6.1-sol", "eu", "2.4"),
        ("azure-openai", "gpt-4o", "eu", "2.75"),
        ("openai", "gpt-6.1-sol", "eu", "2.2"),
        ("openai", "gpt-4o", "eu", "2.5"),
        ("mistral", "mistral-large-4", "eu", "0.77"),
    ],
)
def test_a_region_costs_what_the_seller_asks_for_it(
    prices: PriceTable, kind: str, model: str, region: str, dollars: str
) -> None:
    price = prices.lookup(kind, model, TODAY, region=region)
    assert price is not None
    assert cost(price, "input") == Decimal(dollars)


def test_sonnet_4_5_has_its_step_on_vertex_only(prices: PriceTable) -> None:
    assert price_of(prices, "vertex", "claude-sonnet-4-5").steps[0].above == 200_000
    assert price_of(prices, "anthropic", "claude-sonnet-4-5").steps == ()
