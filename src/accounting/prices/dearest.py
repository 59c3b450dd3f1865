"""The dearest rates that can apply to a request, of all that it leaves open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from ..money import Pico
from ..request_terms import Family
from ..tokens.prompt_bounds import Marks

if TYPE_CHECKING:
    from .rates import Price, Rates
    from .table import PriceTable

__all__ = ["Dearest", "Open", "dearest"]

_STANDARD: Final = "standard"
_BATCH: Final = "batch"

# What a project's settings can make of a tier that a request leaves open. Ultrafast is for those
# who ask for it by name and were let in.
_OPENAI_AUTO: Final = frozenset({_STANDARD, "priority", "flex"})
_AUTO: Final = frozenset({None, "auto", "scale"})


class Open(msgspec.Struct, frozen=True):
    """What a request leaves open, or asks for.

    Attributes:
        family: Whose request it is.
        tier: The service tier that it names, in the vendor's word.
        fast: Anthropic's fast mode.
        everywhere: It may be answered where that costs extra.
        marks: The cache marks in it.
        hears: Something in the prompt may be spoken.
        speaks: The answer may be spoken.
    """

    family: Family
    tier: str | None = None
    fast: bool = False
    everywhere: bool = True
    marks: Marks = 0
    hears: bool = False
    speaks: bool = False


class Dearest(msgspec.Struct, frozen=True):
    """What one token can cost at most, by the prompt's length.

    Attributes:
        steps: ``(above, input, output)``: rates that hold for prompts longer than ``above`` tokens,
            pico-dollars a token. None of them is below another in everything.
        free: Costs nothing, by declaration.
    """

    steps: tuple[tuple[int, Pico, Pico], ...]
    free: bool = False

    def amount(self, input_tokens: int, output_tokens: int) -> Pico:
        """The most that so many tokens, or fewer, can cost, in pico-dollars."""
        # A shorter prompt than the bound is on a lower step, so each step must be looked at.
        most = 0
        for above, into, out in self.steps:
            if above < input_tokens or above == 0:
                amount = input_tokens * into + output_tokens * out
                most = max(most, amount)
        return most


@lru_cache(maxsize=512)  # pure: neither a table nor a price ever changes
def dearest(prices: PriceTable, kind: str, model: str, day: dt.date, asked: Open) -> Dearest | None:
    """The dearest rates of a model for a request; ``None`` where something of it has no price.

    Args:
        prices: The price table.
        kind: The provider's plugin.
        model: The model as the provider calls it.
        day: The day (UTC).
        asked: What the request leaves open.
    """
    variants = prices.variants(kind, model, day)
    if variants and variants[0].free:
        return Dearest(steps=((0, 0, 0),), free=True)
    tiers = _tiers(prices, kind, model, day, asked)
    if tiers is None:
        return None
    steps = [
        # A fraction of a pico-dollar for one token counts as a whole one.
        (above, -(-_input(rates, asked) // price.per), -(-_output(rates, asked) // price.per))
        for price in variants
        if (price.tier in tiers if tiers else price.tier != _BATCH)
        and (asked.everywhere or price.region in {None, "global"})
        for above, rates in _steps(price)
    ]
    return Dearest(steps=_highest(steps)) if steps else None


def _tiers(
    prices: PriceTable, kind: str, model: str, day: dt.date, asked: Open
) -> frozenset[str] | None:
    """The tiers that may answer; none for any but batches, ``None`` where one has no price."""
    if asked.family == "anthropic":
        if not asked.fast:
            return frozenset({_STANDARD})
        named = prices.lookup(kind, model, day, tier="fast")
    elif asked.tier in _AUTO:
        return _OPENAI_AUTO if asked.family == "openai" else frozenset()
    else:
        named = prices.lookup(kind, model, day, tier=asked.tier)
    # A tier that is full may hand its calls down to the standard one.
    return frozenset({_STANDARD, named.tier}) if named is not None else None


def _steps(price: Price) -> Iterable[tuple[int, Rates]]:
    yield 0, price.rates
    for step in price.steps:
        yield step.above, step.rates


def _input(rates: Rates, asked: Open) -> Pico:
    kinds = [rates.input, rates.cache_read]
    # Anthropic writes only what is marked. The others may cache by themselves, at the usual rate.
    if asked.marks or asked.family != "anthropic":
        kinds.append(rates.cache_write_5m)
    if asked.marks == 2:
        kinds.append(rates.cache_write_1h)
    if asked.hears:
        kinds.append(rates.audio_input)
    return max(kinds)


def _output(rates: Rates, asked: Open) -> Pico:
    return max(rates.output, rates.audio_output) if asked.speaks else rates.output


def _highest(steps: list[tuple[int, Pico, Pico]]) -> tuple[tuple[int, Pico, Pico], ...]:
    """Without those that another one, which holds for shorter prompts too, is never below."""
    kept: list[tuple[int, Pico, Pico]] = []
    for step in sorted(set(steps), key=lambda s: (s[0], -s[1], -s[2])):
        if not any(into >= step[1] and out >= step[2] for _, into, out in kept):
            kept.append(step)
    return tuple(kept)
