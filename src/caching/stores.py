"""A store from its URL."""

from __future__ import annotations

from ..clock import Clock, SystemClock
from ..errors import ConfigError
from ..plugins import Plugins
from .store import CacheStore, CacheStoreSettings

__all__ = ["GROUP", "open_cache"]

GROUP = "switchgear.cache_stores"

_MB = 1024 * 1024
_REQUIRED = ("instant", "place", "open", "get", "put", "delete", "stats", "aclose")


def open_cache(
    url: str,
    *,
    clock: Clock | None = None,
    max_bytes: int | None = None,
    max_entries: int | None = None,
    max_entry_bytes: int = _MB,
    prefix: str = "switchgear",
    plugins: Plugins | None = None,
) -> CacheStore:
    """The store that a URL names. No I/O: it connects when it is first used.

    Args:
        url: ``memory:``, ``sqlite:PATH``, ``redis://…``, ``rediss://…``, ``unix://…``, or one whose
            scheme a plugin serves.
        clock: Time.
        max_bytes: How large it may become; ``None``: 64 MiB in memory, 1 GiB in a file.
        max_entries: How many entries it may hold; ``None``: as many as fit.
        max_entry_bytes: The largest entry.
        prefix: How keys in a Redis begin.
        plugins: Where stores are found; the installed ones by default.

    Raises:
        ConfigError: There is no such kind of store, or what it needs is not installed.
        PluginError: The plugin that serves it is broken.
    """
    plugins = plugins or Plugins(GROUP)
    scheme, colon, _ = url.partition(":")
    if not colon or scheme not in plugins:
        # Not shown: a password may stand in it.
        kinds = ", ".join(f"{name}:" for name in plugins.names())
        message = f"cache.url: names no kind of store that is installed; there are: {kinds}"
        raise ConfigError(message, param="cache.url")
    settings = CacheStoreSettings(
        url=url,
        clock=clock or SystemClock(),
        max_bytes=max_bytes,
        max_entries=max_entries,
        max_entry_bytes=max_entry_bytes,
        prefix=prefix,
    )
    store: CacheStore = plugins.make(scheme, settings, requires=_REQUIRED, where="cache.url")
    return store
