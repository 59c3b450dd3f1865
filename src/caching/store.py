"""What a place for entries is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec

from ..clock import Clock
from ..config.hiding import without_password

__all__ = [
    "CacheStore",
    "CacheStoreFactory",
    "CacheStoreSettings",
    "StoreRefusedError",
    "StoreStats",
]


class CacheStoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a store is made from.

    Attributes:
        url: As the configuration has it, its scheme being the plugin's name. It may hold a
            password, which a store shows nowhere: not in ``place`` and not in an error.
        clock: Time.
        max_bytes: How large it may become; ``None`` where nobody said.
        max_entries: How many entries it may hold; ``None``: as many as fit.
        max_entry_bytes: The largest entry: nothing larger is put or need be read.
        prefix: How its keys begin where others use the same server.
    """

    url: str
    clock: Clock
    max_bytes: int | None = None
    max_entries: int | None = None
    max_entry_bytes: int = 1024 * 1024
    prefix: str = "switchgear"

    @property
    def rest(self) -> str:
        """The URL behind its scheme and the colon."""
        return self.url.partition(":")[2]

    def __repr__(self) -> str:
        return f"CacheStoreSettings(url={without_password(self.url)!r})"


class StoreRefusedError(Exception):
    """A store that can be read did not take an entry: it is full, or read-only."""


class StoreStats(msgspec.Struct, frozen=True):
    """How full a store is, as far as it knows without asking; ``None`` where it does not.

    Attributes:
        entries: Answers that it holds, expired ones among them.
        bytes: What they take.
        evicted: Answers that had to make room.
    """

    entries: int | None = None
    bytes: int | None = None
    evicted: int | None = None


class CacheStore(Protocol):
    """Bytes by key, for a time. May fail in any way: whoever uses it keeps failures from calls.

    A store of another package is an entry point of the group ``switchgear.cache_stores``, its name
    the scheme of the URLs that it serves: a :data:`CacheStoreFactory`. Making it does no I/O. It
    belongs to one event loop, and everything may be cancelled. It may lose entries whenever it
    likes, but gives under a key only what was put there, whole.

    Attributes:
        instant: Its methods never wait for anything, so that they need no time limit.
        place: Where it is, fit to be shown.
    """

    @property
    def instant(self) -> bool:
        """Its methods never wait for anything."""

    @property
    def place(self) -> str:
        """Where it is, fit to be shown."""

    async def open(self) -> None:
        """Get ready, where that was not done yet; everything else does it too.

        It may take far longer than any look later: a client is imported, a server connected to.
        """

    async def get(self, key: bytes) -> bytes | None:
        """What stands under a key and has not expired; ``None`` where there is nothing."""

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        """Keep something for ``ttl`` seconds, in place of what was there.

        Raises:
            StoreRefusedError: It can't take it, but can still be read.
        """

    async def delete(self, key: bytes) -> None:
        """Forget what stands under a key, if anything does."""

    def stats(self) -> StoreStats:
        """How full it is, without I/O: ``StoreStats()`` where it can't tell."""

    async def aclose(self) -> None:
        """Let go of everything. Safe to call twice."""


CacheStoreFactory: TypeAlias = Callable[[CacheStoreSettings], CacheStore]
"""Makes the store that a URL names. It raises ``ConfigError`` where the URL makes no sense."""
