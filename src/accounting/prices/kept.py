"""What a user's price list keeps of the one that it is laid over.

A list that names two kinds of tokens says nothing of the others, and a vendor goes on charging for
them. So what is not named stays, and a bound is never below what a vendor could bill by all that is
known: an amount keeps its price, or rises as the kind does beside which it is billed, where that is
dearer than below. In a tier's amounts it is the same, over what the tier costs without them.
Multipliers (tiers, long prompts, regions) multiply what is named.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeAlias, TypeVar

from .file import BILLED_AS, KINDS, NamedPrices, PriceEntry, Tier, billed_as

__all__ = ["Tiers", "laid_prices"]

Tiers: TypeAlias = Mapping[str, Tier]

_Period = TypeVar("_Period", bound=NamedPrices)
_NOTHING: Final = NamedPrices()
# The finest price: 0.000001 USD for a million tokens.
_FINEST: Final = 6


def laid_prices(
    below: Sequence[PriceEntry],
    named: Sequence[NamedPrices] | None,
    *,
    tiers: tuple[Tiers, Tiers | None, Tiers],
) -> tuple[PriceEntry, ...]:
    """A price list over another, for each day by itself.

    On days for which the one below has no price, it counts as on the last day before, or the first
    one after, for which it has.

    Args:
        below: The one that it is laid over; at least one period.
        named: The periods that are laid over it; ``None``: only tiers are.
        tiers: Those of the entry below, those that are named beside the prices (``None``: nothing
            is said of them), and those that the entry will have: a period states its own where they
            are not the same.
    """
    spans = list(_spans(below, named if named is not None else ()))
    return tuple(
        _laid(old, new or _NOTHING, since, until, tiers) for old, new, since, until in spans
    )


_Span: TypeAlias = tuple[PriceEntry, NamedPrices | None, dt.date | None, dt.date | None]


def _spans(below: Sequence[PriceEntry], named: Sequence[NamedPrices]) -> Iterator[_Span]:
    """The times in which one period of each holds, none of them for ever before or after."""
    days = {day for each in (*below, *named) for day in (each.since, each.until) if day is not None}
    found: list[_Span] = []
    for since, until in itertools.pairwise((None, *sorted(days), None)):
        new = _holding(named, since, until)
        old = _holding(below, since, until) or (_nearest(below, since) if new is not None else None)
        if old is None:
            continue
        if found and found[-1][:2] == (old, new) and found[-1][3] == since:
            found[-1] = (old, new, found[-1][2], until)
        else:
            found.append((old, new, since, until))
    yield from found


def _holding(
    periods: Sequence[_Period], since: dt.date | None, until: dt.date | None
) -> _Period | None:
    for each in periods:
        starts = each.since is None or (since is not None and each.since <= since)
        if starts and (each.until is None or (until is not None and until <= each.until)):
            return each
    return None


def _nearest(periods: Sequence[PriceEntry], since: dt.date | None) -> PriceEntry:
    before = [e for e in periods if e.since is None or (since is not None and e.since <= since)]
    return before[-1] if before else periods[0]


def _laid(
    old: PriceEntry,
    new: NamedPrices,
    since: dt.date | None,
    until: dt.date | None,
    tiers: tuple[Tiers, Tiers | None, Tiers],
) -> PriceEntry:
    amounts = _amounts(old.amounts, new.amounts)
    of_entry, beside, result = tiers
    was = old.tiers if old.tiers is not None else of_entry
    named = new.tiers if new.tiers is not None else beside
    none_is_left = named is not None and not named
    offered = {} if none_is_left else _tiers(was, named or {}, old.amounts, amounts)
    return PriceEntry(
        **amounts,
        long=new.long if new.long is not None else old.long,
        tiers=None if offered == result else offered,
        since=since,
        until=until,
    )


def _amounts(
    old: Mapping[str, Decimal | Fraction], named: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """USD per million tokens of each kind that has a price of its own."""
    kept = {kind: Fraction(old[kind]) for kind in KINDS if kind in old}
    said = {kind: Fraction(price) for kind, price in named.items()}
    before = billed_as(kept)
    amounts: dict[str, Fraction] = {}
    # A kind comes after the one that it is billed as.
    for kind, price in kept.items():
        if kind in BILLED_AS and kind not in said:
            beside = BILLED_AS[kind]
            after = billed_as({**amounts, **said})[beside]
            amounts[kind] = _risen(price, before[beside], after)
        else:
            amounts[kind] = said.get(kind, price)
    return {kind: _up(price) for kind, price in {**amounts, **said}.items()}


def _tiers(
    old: Tiers, new: Tiers, was_stated: Mapping[str, Decimal], stated: Mapping[str, Decimal]
) -> dict[str, Tier]:
    """The tiers, given what is stated of the standard one: below, and now."""
    offered: dict[str, Tier] = {}
    for tier in dict.fromkeys((*old, *new)):
        was, now = old.get(tier), new.get(tier)
        if isinstance(now, Decimal):
            offered[tier] = now
        elif isinstance(was, Decimal):
            # What is not named in amounts goes on being a multiple of the standard tier's.
            offered[tier] = was if now is None else _amounts(_times(stated, was), now)
        else:
            kept = {} if was is None else _kept(was, was_stated, stated)
            whole = _amounts({**stated, **kept}, now or {})
            said = kept.keys() | (now or {}).keys()
            offered[tier] = {k: p for k, p in whole.items() if k in said or p != stated[k]}
    return offered


def _kept(
    tier: Mapping[str, Decimal], was_stated: Mapping[str, Decimal], stated: Mapping[str, Decimal]
) -> dict[str, Fraction]:
    """A tier's amounts, each dearer by as much as its kind has become in the standard tier.

    Among them what a kind was billed as that only now has a price of its own: that is the standard
    tier's, and says nothing of this one.
    """
    was, before, after = (
        billed_as({kind: Fraction(price) for kind, price in each.items()})
        for each in ({**was_stated, **tier}, was_stated, stated)
    )
    new = (kind for kind in stated if kind not in was_stated)
    return {k: _risen(was[k], before[k], after[k]) for k in dict.fromkeys((*tier, *new))}


def _times(stated: Mapping[str, Decimal], factor: Decimal) -> dict[str, Fraction]:
    return {kind: Fraction(price) * Fraction(factor) for kind, price in stated.items()}


def _risen(price: Fraction, before: Fraction, after: Fraction) -> Fraction:
    """A price, dearer by as much as another has become; never cheaper."""
    return price * after / before if after > before > 0 else price


def _up(price: Fraction) -> Decimal:
    """The next price that can be written down; made from text, as no context then rounds it."""
    return Decimal(f"{math.ceil(price * 10**_FINEST)}e-{_FINEST}")
