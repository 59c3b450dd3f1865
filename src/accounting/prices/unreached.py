"""Names in a user's table that would change nothing, as no call is ever looked up by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .file import STANDARD, our_word

__all__ = ["unreached"]


def unreached(
    own: Mapping[str, Any], name: str, tier_names: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Tiers and regions under names that are not the table's: place and complaint.

    Args:
        own: What a user's table says of a provider, raw.
        name: Of the provider.
        tier_names: The vendor's words for tiers, and ours for them.
    """
    for where, entry in _entries(own, name):
        for tier in _names(entry.get("tiers")):
            word = our_word(tier, tier_names)
            if word != tier:
                yield f"{where}.tiers.{tier}", _other_word(word, tier)
        for region in _names(entry.get("regions")):
            if region != region.lower():
                at = f"{where}.regions.{region}"
                yield at, f"regions are in small letters: {region.lower()!r}"


def _other_word(word: str, tier: str) -> str:
    if word == STANDARD:
        return "is another word for the standard tier, which is what `prices` states"
    if word == tier.lower():
        return f"tiers are in small letters: {word!r}"
    return f"is the vendor's word for the tier {word!r}: name that"


def _entries(own: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Whatever may have tiers or regions, with its place."""
    models = own.get("models")
    entries = [(f"{name}.default", own.get("default"))]
    if isinstance(models, Mapping):
        entries += [(f"{name}.models.{model!r}", entry) for model, entry in models.items()]
    for where, entry in entries:
        if isinstance(entry, Mapping):
            yield where, entry
            yield from _periods(entry.get("prices"), f"{where}.prices")


def _periods(prices: Any, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    listed = prices if isinstance(prices, list | tuple) else [prices]
    for index, period in enumerate(listed):
        if isinstance(period, Mapping):
            yield f"{where}[{index}]" if len(listed) > 1 else where, period


def _names(table: Any) -> Iterator[str]:
    if isinstance(table, Mapping):
        yield from (name for name in table if isinstance(name, str))
