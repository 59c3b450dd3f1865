"""What the response cache did, in figures."""

from __future__ import annotations

from decimal import Decimal

import msgspec

__all__ = ["CacheStats"]


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the response cache of a router did since the router was made; zeros without a cache.

    Of this process only: what a fleet saved is in the ledger, as ``Spend.saved``. Requests that
    are not cached (see ``docs/caching.md``) count nowhere.

    Attributes:
        hits: Answers out of the store.
        misses: Requests that a provider answered.
        joined: Requests that another one's call answered.
        stale: Expired answers given since every candidate failed.
        stored: Answers put into the store.
        damaged: Entries that were none.
        slow: How often the store took longer than it may.
        failed: How often it failed.
        passed_over: How often it was not asked, for these reasons.
        saved: What ``hits``, ``joined`` and ``stale`` would have cost, in USD, exactly; answers
            whose cost is unknown are not in it.
        entries: Answers in the store, expired ones among them, as far as it knows without asking;
            ``None`` where only its server knows. Of a store that is shared, all of them.
        bytes: What they take, likewise.
        evicted: Answers that had to make room, likewise.
    """

    hits: int = 0
    misses: int = 0
    joined: int = 0
    stale: int = 0
    stored: int = 0
    damaged: int = 0
    slow: int = 0
    failed: int = 0
    passed_over: int = 0
    saved: Decimal = Decimal(0)
    entries: int | None = None
    bytes: int | None = None
    evicted: int | None = None
