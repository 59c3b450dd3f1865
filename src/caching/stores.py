"""A store from its URL."""

from __future__ import annotations

import importlib.util

from ..clock import Clock, SystemClock
from ..errors import ConfigError
from .memory import MemoryStore
from .sqlite import SqliteStore
from .store import CacheStore

__all__ = ["open_cache"]

_MB = 1024 * 1024


def open_cache(
    url: str,
    *,
    clock: Clock | None = None,
    max_bytes: int | None = None,
    max_entries: int | None = None,
    max_entry_bytes: int = _MB,
    prefix: str = "switchgear",
) -> CacheStore:
    """The store that a URL names. No I/O: it connects when it is first used.

    Args:
        url: ``memory:``, ``sqlite:PATH``, ``redis://…``, ``rediss://…`` or ``unix://…``.
        clock: Time.
        max_bytes: How large it may become; ``None``: 64 MiB in memory, 1 GiB in a file.
        max_entries: How many entries it may hold; ``None``: as many as fit.
        max_entry_bytes: The largest entry.
        prefix: How keys in a Redis begin.

    Raises:
        ConfigError: There is no such kind of store, or what it needs is not installed.
    """
    scheme, _, rest = url.partition(":")
    clock = clock or SystemClock()
    if scheme == "memory" and not rest:
        return MemoryStore(clock, max_bytes or 64 * _MB, max_entries)
    if scheme == "sqlite" and rest:
        return SqliteStore(rest, clock, max_bytes or 1024 * _MB, max_entry_bytes, max_entries)
    if scheme in ("redis", "rediss", "unix") and rest.startswith("//"):
        if importlib.util.find_spec("redis") is None:
            message = "cache.url: a Redis needs its client: pip install 'switchgear[redis]'"
            raise ConfigError(message, param="cache.url")
        from .redis_server import RedisStore

        return RedisStore(url, prefix, max_entry_bytes)
    # Not shown: a password may stand in it.
    message = (
        'cache.url: must be "memory:", "sqlite:PATH", "redis://...", "rediss://..." or unix://'
    )
    raise ConfigError(message, param="cache.url")
