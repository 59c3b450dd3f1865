"""Our cost against genai-prices, which computes from a table of its own: equal to the pico-dollar.

Every model of Anthropic and OpenAI that both know, in every tier, with every kind of token alone
and all of them together, below, on and above each long-context step.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from switchgear.accounting.cost import cost_of
from switchgear.accounting.prices.table import Price, default_prices
from switchgear.completion import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

Counts: TypeAlias = dict[str, Any]  # whole numbers by their names

TODAY = dt.date(2026, 11, 23)
NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)

# Our word for a tier, and what genai-prices calls it.
TIERS: dict[str, dict[str | None, dict[str, str]]] = {
    "anthropic": {None: {}, "batch": {"processing": "batch"}, "fast": {"speed": "fast"}},
    "openai": {
        None: {"service_tier": "default"},
        "batch": {"processing": "batch"},
        "flex": {"service_tier": "flex"},
        "priority": {"service_tier": "priority"},
    },
}

# Where the two differ, and why ours is as it is. An entry that is no longer needed fails.
LONG_PRIORITY = "priority has no long-context rates of its own: the standard step is applied to it"
LONG_BATCH = (
    "the page gives no long-context rates for this tier: LiteLLM applies the step, so do we"
)
ROUNDED = "0.13 is published for half of 0.25, and twice that above the step: a cent more"
SPOKEN = "genai-prices leaves the spoken tokens of the previews out"
EXCEPT: dict[tuple[str, str | None, str], str] = {
    ("gpt-5.5", "priority", "above"): LONG_PRIORITY,
    ("gpt-5.4", "priority", "above"): LONG_PRIORITY,
    ("gpt-5.5-pro", "batch", "above"): LONG_BATCH,
    ("gpt-5.5-pro", "flex", "above"): LONG_BATCH,
    ("gpt-5.6-cyber", None, "above"): "LiteLLM has a step, genai-prices none: the dearer stands",
    ("gpt-5.4", "batch", "above"): ROUNDED,
    ("gpt-5.4", "flex", "above"): ROUNDED,
    ("gpt-4o-audio-preview", None, "spoken"): SPOKEN,
    ("gpt-4o-mini-audio-preview", None, "spoken"): SPOKEN,
}

# Kinds of tokens: ours, theirs, and the price that they must have for it. Where they have none,
# they count the token as another kind, or not at all, and there is nothing to compare with.
KINDS: tuple[tuple[Counts, Counts, str], ...] = (
    ({"input_tokens": 1}, {"input_tokens": 1}, "input_mtok"),
    ({"output_tokens": 1}, {"output_tokens": 1}, "output_mtok"),
    (
        {"input_tokens": 1, "cache_read_tokens": 1},
        {"input_tokens": 1, "cache_read_tokens": 1},
        "input_mtok",
    ),
    (
        {"input_tokens": 1, "cache_write_tokens": 1},
        {"input_tokens": 1, "cache_write_tokens": 1},
        "input_mtok",
    ),
    (
        {"input_tokens": 1, "cache_write_tokens": 1, "cache_write_1h_tokens": 1},
        {"input_tokens": 1, "cache_write_tokens": 1, "cache_write_1h_tokens": 1},
        "cache_write_1h_mtok",
    ),
)
SPEECH: tuple[tuple[Counts, Counts], ...] = (
    ({"input_tokens": 1, "audio_input_tokens": 1}, {"input_tokens": 1, "input_audio_tokens": 1}),
    (
        {"output_tokens": 1, "audio_output_tokens": 1},
        {"output_tokens": 1, "output_audio_tokens": 1},
    ),
)
FEES = (
    ("web_searches", "web_searches", "web_searches_kcount"),
    ("file_searches", "storage_searches", "storage_searches_kcount"),
)


@functools.cache
def provider(name: str) -> Provider:
    from genai_prices.data import providers

    return next(known for known in providers if known.id == name)


def models() -> Iterator[tuple[str, str, str | None]]:
    """Each model and tier that both tables price today."""
    for kind, tiers in TIERS.items():
        for model in default_prices().models(kind):
            known = provider(kind).find_model(model)
            for tier, context in tiers.items():
                priced = default_prices().lookup(kind, model, TODAY, tier=tier) is not None
                if known is not None and priced and (tier is None or offered(known, context)):
                    yield kind, model, tier


def offered(known: ModelInfo, context: dict[str, str]) -> bool:
    return any(
        variant.when.items() <= context.items()
        and (variant.constraint is None or variant.constraint.active(NOON))
        for variant in known.price_variants or ()
    )


def stated(kind: str, model: str, tier: str | None) -> tuple[ModelInfo, ModelPrice]:
    known = provider(kind).find_model(model)
    assert known is not None
    return known, known.get_prices(NOON, TIERS[kind][tier] or None)


def theirs(kind: str, known: ModelInfo, tier: str | None, counts: Counts) -> Decimal:
    from genai_prices.types import Usage as TheirUsage

    given: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0} | counts
    priced = known.calc_price(
        TheirUsage(**given),
        provider(kind),
        genai_request_timestamp=NOON,
        price_context=TIERS[kind][tier] or None,
    )
    return priced.total_price * 10**12


def usages(price: Price, rates: ModelPrice) -> Iterator[tuple[str, Counts, Counts]]:
    """Where it stands, our counts and theirs: each kind alone, and all kinds together."""
    steps = [step.above for step in price.steps]
    kinds = [(o, t) for o, t, needed in KINDS if getattr(rates, needed) is not None]
    for size in (1, 999, *steps, *(above + 1 for above in steps)):
        place = "above" if any(size > above for above in steps) else "below"
        together: tuple[Counts, Counts] = ({}, {})
        for number, (ours, other) in enumerate(kinds):
            yield place, times(ours, size), times(other, size)
            share = size // (number + 2)
            together = (
                added(together[0], times(ours, share)),
                added(together[1], times(other, share)),
            )
        rest = max(size - together[0]["input_tokens"], 0)
        both = {"input_tokens": rest, "output_tokens": 77}
        yield place, added(together[0], both), added(together[1], both)


def times(counts: Counts, number: int) -> Counts:
    return {name: count * number for name, count in counts.items()}


def added(one: Counts, other: Counts) -> Counts:
    return {name: one.get(name, 0) + other.get(name, 0) for name in one | other}


@pytest.mark.parametrize(("kind", "model", "tier"), list(models()))
def test_every_kind_of_token_costs_the_same(kind: str, model: str, tier: str | None) -> None:
    price = default_prices().lookup(kind, model, TODAY, tier=tier)
    assert price is not None
    known, rates = stated(kind, model, tier)
    differ = {
        place
        for place, ours, other in usages(price, rates)
        if cost_of(Usage(**ours), price) != theirs(kind, known, tier, other)
    }
    assert differ == {place for name, t, place in EXCEPT if (name, t) == (model, tier)} - {"spoken"}


@pytest.mark.parametrize(("kind", "model", "tier"), list(models()))
def test_spoken_tokens_cost_the_same(kind: str, model: str, tier: str | None) -> None:
    price = default_prices().lookup(kind, model, TODAY, tier=tier)
    assert price is not None
    known, _ = stated(kind, model, tier)
    same = all(
        cost_of(Usage(**times(ours, 321)), price) == theirs(kind, known, tier, times(other, 321))
        for ours, other in SPEECH
    )
    assert same is ((model, tier, "spoken") not in EXCEPT)


@pytest.mark.parametrize(("kind", "model", "tier"), list(models()))
def test_fees_are_the_same_where_both_have_them(kind: str, model: str, tier: str | None) -> None:
    price = default_prices().lookup(kind, model, TODAY, tier=tier)
    assert price is not None
    known, rates = stated(kind, model, tier)
    for ours, other, needed in FEES:
        used: Counts = {ours: 7}
        cost = cost_of(Usage(**used), price)
        if getattr(rates, needed) is not None and cost is not None:
            assert cost == theirs(kind, known, tier, {other: 7})


def test_most_models_are_compared() -> None:
    compared = {(kind, model) for kind, model, _ in models()}
    known = {(kind, model) for kind in TIERS for model in default_prices().models(kind)}
    # Not in genai-prices: the Mythos models, what came this week, tuned models.
    assert len(compared) >= 0.85 * len(known)
