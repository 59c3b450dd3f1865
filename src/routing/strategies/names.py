"""Strategies by the names that configurations use."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from ...errors import ConfigError
from .base import Strategy
from .cost import Cost
from .latency import Latency
from .least_busy import LeastBusy
from .priority import Priority
from .usage import Usage
from .weighted import Weighted

__all__ = ["ALIASES", "STRATEGIES", "StrategyFactory", "strategy_for"]

StrategyFactory: TypeAlias = Callable[[random.Random], Strategy]
"""Makes the strategy of one pool from the router's source of random numbers."""


def _priority(draw: random.Random) -> Strategy:  # noqa: ARG001 - nothing is left to chance
    return Priority()


STRATEGIES: Mapping[str, StrategyFactory] = MappingProxyType(
    {
        "priority": _priority,
        "latency": Latency,
        "cost": Cost,
        "least-busy": LeastBusy,
        "weighted": Weighted,
        "usage": Usage,
    }
)
"""Those that come with the package."""

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
"""Other names for them."""


def strategy_for(
    name: str,
    draw: random.Random | None = None,
    *,
    factories: Mapping[str, StrategyFactory] = STRATEGIES,
) -> Strategy:
    """A new strategy, for one pool.

    Args:
        name: One of ``factories`` or of ``ALIASES``.
        draw: Random numbers; from the system's by default.
        factories: What there is; more than the package's own, where plugins bring some.

    Raises:
        ConfigError: There is none of that name; the message says which there are.
    """
    factory = factories.get(ALIASES.get(name, name))
    if factory is None:
        names = [*factories, *ALIASES]
        close = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        message = f"there is no strategy {name!r}; {hint}there are: {', '.join(names)}"
        raise ConfigError(message, param="strategy")
    return factory(draw or random.Random())  # noqa: S311 - chooses providers, keeps no secret
