"""The names of routing strategies."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..plugins import OWN, Plugins
from .table import Table

__all__ = ["ALIASES", "ignores_weights", "read_strategy"]

_GROUP = "switchgear.strategies"

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        # What LiteLLM calls them; its "least-busy" has the same name here.
        "simple-shuffle": "weighted",
        "latency-based-routing": "latency",
        "cost-based-routing": "cost",
        "usage-based-routing": "usage",
        "usage-based-routing-v2": "usage",
    }
)
"""Other names for those that come with the package."""


def read_strategy(table: Table) -> str:
    """A group's ``strategy``: one of the package's, or one that a plugin brings."""
    value = table.data.get("strategy")
    names: list[str] = [*OWN[_GROUP], *ALIASES]
    if value is not None and value not in names:
        # Only now: to look at the installed packages takes milliseconds.
        names += (name for name in Plugins(_GROUP).names() if name not in names)
    name = table.choice("strategy", names) or "priority"
    return ALIASES.get(name, name)


def ignores_weights(strategy: str) -> bool:
    """Weights have no part in it, as far as is known: another package's may read them."""
    return strategy in OWN[_GROUP] and strategy != "weighted"
