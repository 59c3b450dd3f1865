"""What replicas must be set to alike, in a few bytes, so that they can tell whether they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from ..config import Config

__all__ = ["differing", "shared_settings"]

_DIGITS = 16
_OWN = ("pattern", "share")
"""Of a limit: what names it, and what is each replica's by its very meaning."""


def shared_settings(config: Config) -> tuple[str, ...]:
    """A line for everything that replicas decide together: a digest, and its place.

    Values that were left at their defaults count for nothing, so that a version that knows more of
    them says the same of an old file.
    """
    return tuple(f"{_digest(values)} {place}" for place, values in _places(config))


def differing(mine: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """The places that both know, and that others have set to something else."""
    own = set(mine)
    places = {_place(line) for line in own}
    return tuple(sorted(places & {_place(line) for line in others if line not in own}))


def _places(config: Config) -> Iterator[tuple[str, Any]]:
    yield "[breaker]", _changed(config.breaker)
    for rule in config.limits:
        yield f'[limits."{rule.pattern}"]', _changed(rule, but=_OWN)
    for budget in config.budgets:
        # Its thresholds and exchanges are what a replica does by itself.
        place = f'[[budgets]] "{budget.scope}" per {budget.period}, {budget.timezone}'
        yield place, [_plain(budget.usd), budget.enforcement]


def _changed(settings: msgspec.Struct, but: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        field.name: _plain(value)
        for field in msgspec.structs.fields(settings)
        if field.name not in but and (value := getattr(settings, field.name)) != field.default
    }


def _plain(value: object) -> object:
    """Equal values as equal text: 30 is 30.0, and 20.00 is 20."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return f"{Decimal(str(value)).normalize():f}"
    return value


def _digest(values: object) -> str:
    return hashlib.sha256(msgspec.json.encode(values, order="sorted")).hexdigest()[:_DIGITS]


def _place(line: str) -> str:
    return line.partition(" ")[2]
