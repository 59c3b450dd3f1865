"""Entries in a Redis, which a fleet shares."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from ..config.hiding import without_password
from ..errors import ConfigError
from .store import CacheStoreSettings, StoreRefusedError, StoreStats

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisStore", "create"]

_CONNECTIONS: Final = 32
_SECONDS: Final = 5.0
"""For a connection, and for an answer. How long a call waits is not decided here."""

_REFUSED: Final = ("OOM", "READONLY", "MISCONF", "NOPERM")


class RedisStore:
    """Entries in a Redis; it forgets them itself, by their time and by its own ``maxmemory``.

    The server needs ``maxmemory`` and the policy ``allkeys-lru`` (or ``volatile-lru``: every key
    has an expiry), else it fills up and refuses.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        prefix: How keys begin.
        max_entry_bytes: The largest that is read.
    """

    instant = False

    def __init__(self, url: str, prefix: str, max_entry_bytes: int) -> None:
        self._url = url
        self._prefix = f"{prefix}:cache:".encode()
        self._max_entry = max_entry_bytes
        self._client: Redis | None = None
        self._making: asyncio.Future[Redis] | None = None
        self._closed = False
        parts = urlsplit(without_password(url))
        self.place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    async def open(self) -> None:
        """Import the client, connect, and ask once."""
        # Not PING: a user of the server may be allowed nothing but what the cache does.
        await self.get(b"")

    async def get(self, key: bytes) -> bytes | None:
        """What stands under a key; as much of it as an entry may be long, and one byte more."""
        from redis.exceptions import ResponseError

        client = await self._ready()
        try:
            # Bounded, since whoever shares the server may have put anything there.
            found = await client.getrange(self._prefix + key.hex().encode(), 0, self._max_entry)
        except ResponseError as exc:
            if str(exc).startswith("WRONGTYPE"):
                return None
            raise
        fits = isinstance(found, bytes) and 0 < len(found) <= self._max_entry
        return cast("bytes", found) if fits else None

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        """Keep something; the server forgets it by its own clock."""
        from redis.exceptions import ResponseError

        client = await self._ready()
        if len(value) > self._max_entry:
            await self.delete(key)
            return
        try:
            await client.set(self._prefix + key.hex().encode(), value, px=max(1, int(ttl * 1000)))
        except ResponseError as exc:
            if _refused(exc):
                message = f"{exc}; set maxmemory-policy to allkeys-lru on a server for caching"
                raise StoreRefusedError(message) from exc
            raise

    async def delete(self, key: bytes) -> None:
        """Forget what stands under a key."""
        client = await self._ready()
        await client.delete(self._prefix + key.hex().encode())

    def stats(self) -> StoreStats:
        """Nothing: counting keys would walk through all that the server has."""
        return StoreStats()

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        if self._making is not None:
            # A thread can't be stopped; what it makes holds no connection yet.
            await asyncio.wait({self._making})
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ready(self) -> Redis:
        if self._closed:
            raise RuntimeError("the store is closed")
        if self._client is None:
            if self._making is None:
                # The client takes half a second to import.
                loop = asyncio.get_running_loop()
                self._making = loop.run_in_executor(None, _client, self._url)
            making = self._making
            try:
                self._client = await asyncio.shield(making)
            finally:
                if making.done() and self._making is making:
                    self._making = None
        return self._client


def _client(url: str) -> Redis:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    settings: dict[str, Any] = {
        "max_connections": _CONNECTIONS,
        "timeout": _SECONDS,
        "socket_timeout": _SECONDS,
        "socket_connect_timeout": _SECONDS,
        "socket_keepalive": True,
        # Once: a connection that the server has closed meanwhile is noticed when it is used.
        "retry": Retry(NoBackoff(), 1),
        "decode_responses": False,
        "protocol": 2,
    }
    if url.startswith("unix:"):
        del settings["socket_keepalive"]
    try:
        return Redis.from_pool(BlockingConnectionPool.from_url(url, **settings))
    except ValueError:
        # Its own words may quote a password that is not encoded.
        message = "cache.url: the redis package can't read it; a password is percent-encoded in it"
        raise ConfigError(message, param="cache.url") from None


def _refused(exc: Exception) -> bool:
    from redis.exceptions import OutOfMemoryError, ReadOnlyError

    return isinstance(exc, OutOfMemoryError | ReadOnlyError) or str(exc).startswith(_REFUSED)


def create(settings: CacheStoreSettings) -> RedisStore:
    """The store of ``redis://…``, ``rediss://…`` and ``unix://…``.

    Raises:
        ConfigError: No address stands in it, or the client is not installed.
    """
    if not settings.rest.startswith("//"):
        message = "cache.url: a Redis is named as redis://HOST:PORT/DB, rediss://… or unix://PATH"
        raise ConfigError(message, param="cache.url")
    if importlib.util.find_spec("redis") is None:
        message = "cache.url: a Redis needs its client: pip install 'switchgear[redis]'"
        raise ConfigError(message, param="cache.url")
    return RedisStore(settings.url, settings.prefix, settings.max_entry_bytes)
