"""The response cache: an answer that is there already is not asked and paid for again.

``keys`` says when two requests are the same, ``policy`` which are cached at all, ``entry`` and
``codec`` what is stored and in which form, ``memory``, ``sqlite`` and ``redis_server`` where
(``stores`` opens one, ``guard`` keeps a slow or absent one from holding up calls), ``flight`` how
identical requests that are under way become one call, and ``cache`` brings all of it together.

What a store of another package is built with is here: ``CacheStore``, ``CacheStoreSettings``,
``StoreRefusedError``, ``StoreStats``. ``docs/extending.md`` shows one.
"""

from .store import (
    CacheStore,
    CacheStoreFactory,
    CacheStoreSettings,
    StoreRefusedError,
    StoreStats,
)

__all__ = [
    "CacheStore",
    "CacheStoreFactory",
    "CacheStoreSettings",
    "StoreRefusedError",
    "StoreStats",
]
