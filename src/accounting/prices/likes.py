"""``like`` in a table of prices: an entry, or a whole provider, that begins as another one is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError

__all__ = [
    "SHARED",
    "merge",
    "other_model",
    "other_provider",
    "own_names",
    "resolved",
    "shared_entry",
    "shared_table",
    "with_base",
    "wrong_place",
]

# What is an entry's own, and not that of another which is like it.
_OF_A_PROVIDER = frozenset({"kinds", "hosts", "like", "replace"})
_OF_A_MODEL = frozenset({"aliases", "retires", "source", "checked", "like", "replace"})

SHARED = ("tiers", "regions", "fees")
"""What merges key by key, and is the provider's where a model says nothing."""


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """One raw table over another: tables merge key by key, everything else is replaced.

    A model's ``prices`` are replaced whole, since half of one price list and half of another is
    neither. Empty ``tiers``, ``regions`` or ``fees`` say that there are none.
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        none = key in SHARED and not value
        if key != "prices" and isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = {} if none else merge(below, value)
        else:
            merged[key] = value
    return merged


def resolved(raw: Mapping[str, Any], *, origin: str) -> dict[str, Any]:
    """A raw table with what every ``like`` in it stands for.

    Args:
        raw: As ``tomllib`` reads it, or a dict.
        origin: What to call it in an error (``pricing.toml``).

    Raises:
        ConfigError: A ``like`` leads nowhere, or round in a circle; ``param`` names the place.
    """
    whole: dict[str, Any] = {}
    for name, table in raw.items():
        if isinstance(table, Mapping) and "like" in table:
            other = other_provider(raw, raw, name, origin)
            table = with_base(raw.get(other, {}), table)  # noqa: PLW2901
        whole[name] = _with_likes(table, name, origin)
    return whole


def shared_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """What another provider may have of this one."""
    return {key: value for key, value in table.items() if key not in _OF_A_PROVIDER}


def shared_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What another model may have of this one: not its names and dates."""
    return {key: value for key, value in entry.items() if key not in _OF_A_MODEL}


def own_names(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What of a model's entry is its own: its names and dates."""
    return {key: value for key, value in entry.items() if key in _OF_A_MODEL}


def wrong_place(origin: str, where: str, complaint: str) -> ConfigError:
    """The error for something wrong in a table; ``param`` names the place."""
    return ConfigError(f"{origin}: {where}: {complaint}", param=where)


def with_base(other: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """A provider that sells another's models: that one's table with its own over it."""
    own = {key: value for key, value in table.items() if key != "like"}
    return merge(shared_table(other), own)


def other_provider(raw: Mapping[str, Any], known: Mapping[str, Any], name: str, origin: str) -> str:
    """Which provider one is like.

    Args:
        raw: The table in which it says so.
        known: All the providers that it may name.
        name: Its own name.
        origin: What to call the table in an error.
    """
    where, other = f"{name}.like", raw[name]["like"]
    if not isinstance(other, str) or not isinstance(known.get(other), Mapping):
        raise wrong_place(origin, where, f"there is no provider {other!r} here")
    if "like" in raw.get(other, {}):
        raise wrong_place(origin, where, f"{other!r} is itself like another one: name that")
    return other


def _with_likes(table: Any, name: str, origin: str) -> Any:
    """Replace each ``like = "other"`` by what the other entry says, names and dates left out."""
    if not isinstance(table, Mapping) or not isinstance(table.get("models"), Mapping):
        return table
    models: Mapping[str, Any] = table["models"]

    def whole(model: str, seen: tuple[str, ...]) -> Any:
        entry = models[model]
        if not isinstance(entry, Mapping) or "like" not in entry:
            return entry
        other = other_model(models, entry["like"], seen, f"{name}.models.{model!r}.like", origin)
        shared = shared_entry(whole(other, (*seen, other)))
        return {**shared, **{key: value for key, value in entry.items() if key != "like"}}

    return {**table, "models": {model: whole(model, (model,)) for model in models}}


def other_model(
    known: Mapping[str, Any], other: Any, seen: tuple[str, ...], where: str, origin: str
) -> str:
    """Which entry one is like.

    Args:
        known: All that it may name.
        other: What it names.
        seen: From which entries ``like`` has led here.
        where: The place, for an error.
        origin: What to call the table in an error.
    """
    if not isinstance(other, str) or not isinstance(known.get(other), Mapping):
        raise wrong_place(origin, where, f"there is no model {other!r} here")
    if other in seen:
        circle = " -> ".join((*seen, other))
        raise wrong_place(origin, where, f"goes round in a circle: {circle}")
    return other
