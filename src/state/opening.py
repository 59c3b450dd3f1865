"""A link for what the configuration names."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from ..clock import Clock
from ..config.state import StateConfig
from ..errors import ConfigError
from .exchange import Fleet
from .redis_link import RedisLink

__all__ = ["open_fleet"]


def open_fleet(config: StateConfig, clock: Clock, settings: Sequence[str] = ()) -> Fleet | None:
    """The fleet that the configuration names; ``None`` for a process on its own.

    ``settings`` is what this replica is set to (`shared_settings`), for the others to know.

    No I/O, no import of a client: that begins with ``Fleet.start`` or the first report.

    Raises:
        ConfigError: A Redis is named and its client is not installed.
    """
    if not config.shared:
        return None
    if importlib.util.find_spec("redis") is None:
        raise ConfigError(
            'state.url names a Redis, and its client is missing: pip install "switchgear[redis]"',
            param="state.url",
        )
    return Fleet(RedisLink(config, clock, settings), clock)
