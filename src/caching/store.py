"""What a place for entries is."""

from __future__ import annotations

from typing import Protocol

import msgspec

__all__ = ["CacheStore", "StoreRefusedError", "StoreStats"]


class StoreRefusedError(Exception):
    """A store that can be read did not take an entry: it is full, or read-only."""


class StoreStats(msgspec.Struct, frozen=True):
    """How full a store is; ``None`` where only its server knows.

    Attributes:
        entries: Answers that it holds, expired ones among them.
        bytes: What they take.
        evicted: Answers that had to make room, since the store was made.
    """

    entries: int | None = None
    bytes: int | None = None
    evicted: int | None = None


class CacheStore(Protocol):
    """Bytes by key, for a time. May fail in any way: whoever uses it keeps failures from calls.

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

    async def stats(self) -> StoreStats:
        """How full it is."""

    async def aclose(self) -> None:
        """Let go of everything. Safe to call twice."""
