"""Entries in this process's memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ..clock import Clock
from ..errors import ConfigError
from .store import CacheStoreSettings, StoreStats

__all__ = ["MemoryStore", "create"]

_USUAL_BYTES: Final = 64 * 1024 * 1024

_EACH: Final = 256
"""Bytes that an entry takes besides its own."""


class MemoryStore:
    """Entries in memory; whichever was used least lately makes room.

    Args:
        clock: Time.
        max_bytes: What all may take.
        max_entries: How many there may be; ``None``: as many as fit.
    """

    instant = True
    place = "memory:"

    def __init__(self, clock: Clock, max_bytes: int, max_entries: int | None = None) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._kept: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0
        self._evicted = 0

    async def open(self) -> None:
        """Nothing to do."""

    async def get(self, key: bytes) -> bytes | None:
        """What stands under a key and has not expired."""
        found = self._kept.get(key)
        if found is None:
            return None
        value, until = found
        if self._clock.monotonic() >= until:
            self._forget(key)
            return None
        self._kept.move_to_end(key)
        return value

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        """Keep something; where it is larger than the store, it is not kept."""
        self._forget(key)
        if len(value) + _EACH > self._max_bytes:
            return
        self._kept[key] = (value, self._clock.monotonic() + ttl)
        self._bytes += len(value) + _EACH
        most = self._max_entries
        while self._bytes > self._max_bytes or (most is not None and len(self._kept) > most):
            self._forget(next(iter(self._kept)))
            self._evicted += 1

    async def delete(self, key: bytes) -> None:
        """Forget what stands under a key."""
        self._forget(key)

    def _forget(self, key: bytes) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._bytes -= len(found[0]) + _EACH

    def stats(self) -> StoreStats:
        """How full it is."""
        return StoreStats(len(self._kept), self._bytes, self._evicted)

    async def aclose(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0


def create(settings: CacheStoreSettings) -> MemoryStore:
    """The store of ``memory:``.

    Raises:
        ConfigError: Something stands behind the scheme.
    """
    if settings.rest:
        message = 'cache.url: nothing stands behind "memory:"'
        raise ConfigError(message, param="cache.url")
    return MemoryStore(settings.clock, settings.max_bytes or _USUAL_BYTES, settings.max_entries)
