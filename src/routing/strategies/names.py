"""Strategies by the names that configurations use."""

from __future__ import annotations

import difflib
import random
from typing import Any

from ...config.strategies import ALIASES
from ...errors import ConfigError
from ...plugins import OWN, Plugins
from .base import Strategy, StrategySettings
from .checked import Checked

__all__ = ["ALIASES", "GROUP", "STRATEGIES", "strategy_for"]

GROUP = "switchgear.strategies"

STRATEGIES: tuple[str, ...] = tuple(OWN[GROUP])
"""Those that come with the package."""


def strategy_for(
    name: str,
    draw: random.Random | None = None,
    *,
    pool: str = "",
    members: tuple[str, ...] = (),
    plugins: Plugins | None = None,
) -> Strategy:
    """A new strategy, for one pool.

    Args:
        name: One of ``STRATEGIES`` or of ``ALIASES``, or one that a plugin brings.
        draw: Random numbers; from the system's by default.
        pool: The group in which the pool stands.
        members: Its candidates, ``provider/model`` each.
        plugins: Where strategies are found; the installed ones by default.

    Raises:
        ConfigError: There is none of that name; the message says which there are.
        PluginError: The plugin that brings it is broken.
    """
    plugins = plugins or Plugins(GROUP)
    name = ALIASES.get(name, name)
    if name not in plugins:
        names = [
            *STRATEGIES,
            *ALIASES,
            *(each for each in plugins.names() if each not in STRATEGIES),
        ]
        close = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        message = f"there is no strategy {name!r}; {hint}there are: {', '.join(names)}"
        raise ConfigError(message, param="strategy")
    settings = StrategySettings(
        name=name,
        pool=pool,
        members=members,
        draw=draw or random.Random(),  # noqa: S311 - chooses providers, keeps no secret
    )
    made: Any = plugins.make(name, settings, requires=("needs", "order"), where="strategy")
    return made if plugins.is_own(name) else Checked(made, name, pool)
