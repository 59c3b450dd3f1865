"""From an entry of the price table to a price: tiers, regions and long-context steps applied."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final

from ..money import pico
from .file import STANDARD, ModelEntry, PriceEntry, ProviderEntry, Tier, billed_as
from .rates import FREE, FREE_RATES, Fees, Price, Rates, Step

__all__ = [
    "build",
    "free_price",
    "index_on",
    "regions_of",
    "surcharge_of",
    "tiers_of",
]

_ANYWHERE: Final = "global"
_ONE: Final = Fraction(1)
# Pico-dollars for a token where a million tokens cost a dollar.
_PICO_IN_MICRO: Final = 1_000_000


def free_price(name: str, model: str, provider: ProviderEntry) -> Price:
    """The price at a provider that is free by declaration."""
    return Price(
        provider=name,
        model=model,
        rates=FREE_RATES,
        fees=FREE,
        free=True,
        source=provider.source,
        checked=provider.checked,
    )


def index_on(entry: ModelEntry, on: dt.date) -> int | None:
    """Which of a model's price lists holds on a day."""
    for index, period in enumerate(entry.periods):
        if (period.since is None or period.since <= on) and (
            period.until is None or on < period.until
        ):
            return index
    return None


def tiers_of(provider: ProviderEntry, entry: ModelEntry, period: PriceEntry) -> Mapping[str, Tier]:
    """The tiers on offer: the nearest statement holds, whole."""
    for tiers in (period.tiers, entry.tiers, provider.default.tiers):
        if tiers is not None:
            return tiers
    return {}


def regions_of(provider: ProviderEntry, entry: ModelEntry) -> Mapping[str, Decimal]:
    """What data residency multiplies every rate by: a model's own statement holds, whole."""
    own = entry.regions
    return (own if own is not None else provider.default.regions) or {}


def surcharge_of(provider: ProviderEntry, entry: ModelEntry, region: str | None) -> Fraction:
    """What a region multiplies every rate by."""
    if region is None or region == _ANYWHERE:
        return _ONE
    regions = regions_of(provider, entry)
    return Fraction(regions.get(region, regions.get("*", Decimal(1))))


def build(
    provider: ProviderEntry, *, name: str, model: str, index: int, tier: str, region: str | None
) -> Price | None:
    """One price out of an entry; ``None`` where the tier is not priced.

    Everything is exact: decimals become fractions, and where a token costs a fraction of a
    pico-dollar the rates are for as many tokens as make it a whole number.

    Args:
        provider: The provider's table.
        name: Its name.
        model: The entry in it.
        index: Which of the entry's price lists.
        tier: The tier, in our word.
        region: The region that is charged extra for, if one is.
    """
    entry = provider.models[model]
    surcharge = surcharge_of(provider, entry, region)
    period = entry.periods[index]
    stated = _stated(provider, entry, period, tier)
    if stated is None:
        return None
    exact = [
        _exact(stated, surcharge, surcharge),
        *(
            _exact(stated, surcharge * Fraction(s.input), surcharge * Fraction(s.output))
            for s in period.steps
        ),
    ]
    per = math.lcm(*(amount.denominator for rates in exact for amount in rates.values()))
    whole = [Rates(**{kind: int(amount * per) for kind, amount in r.items()}) for r in exact]
    return Price(
        provider=name,
        model=model,
        rates=whole[0],
        steps=tuple(map(Step, (s.above for s in period.steps), whole[1:])),
        per=per,
        fees=_fees(provider, entry),
        tier=tier,
        region=region,
        since=period.since,
        until=period.until,
        source=entry.source or provider.source,
        checked=entry.checked or provider.checked,
    )


def _fees(provider: ProviderEntry, entry: ModelEntry) -> Fees:
    own = entry.fees
    stated = (own if own is not None else provider.default.fees) or {}
    return Fees(**{use: pico(fee) for use, fee in stated.items()})


def _stated(
    provider: ProviderEntry, entry: ModelEntry, period: PriceEntry, tier: str
) -> dict[str, Fraction] | None:
    """USD per million tokens for each kind in a tier; ``None`` where the tier is not priced."""
    prices = {kind: Fraction(price) for kind, price in period.amounts.items()}
    if tier != STANDARD:
        change = tiers_of(provider, entry, period).get(tier)
        if change is None:
            return None
        if isinstance(change, Decimal):
            prices = {kind: price * Fraction(change) for kind, price in prices.items()}
        else:
            prices |= {kind: Fraction(price) for kind, price in change.items()}
    return billed_as(prices)


def _exact(
    stated: Mapping[str, Fraction], of_input: Fraction, of_output: Fraction
) -> dict[str, Fraction]:
    """Pico-dollars for a token of each kind."""
    return {
        kind: price * (of_output if kind.endswith("output") else of_input) * _PICO_IN_MICRO
        for kind, price in stated.items()
    }
