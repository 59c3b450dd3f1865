"""The section ``[cache]``: the response cache."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any, cast

import msgspec

from .addresses import others_serving, read_url
from .cache import CacheConfig, CacheRules, CacheScope, GroupCache
from .secret_reader import SecretReader
from .table import Table, as_float, closest
from .values import FrozenDict, shorten

__all__ = ["read_cache", "show_cache"]

_RULES = CacheRules.__struct_fields__
_TOP = (
    "url",
    "scope",
    "timeout",
    "max_mb",
    "max_entries",
    "max_entry_kb",
    "compress",
    "single_flight",
    "prefix",
    "groups",
)
_REDIS = ("redis", "rediss", "unix")
_URL = (
    'must be "memory:", "sqlite:PATH", "redis://HOST:PORT/DB", "rediss://...", "unix://PATH"{} or '
    '"env:NAME"'
)
_GROUP = "switchgear.cache_stores"


def read_cache(top: Table, base: FilePath, secrets: SecretReader) -> CacheConfig | None:
    """The ``[cache]`` table; ``None`` where there is none, and so no cache.

    A relative path becomes an absolute one, from ``base``.
    """
    table = top.table("cache")
    if table is None:
        return None
    # A whole cache is switched off by leaving its table out; `enabled` is for groups.
    own = tuple(name for name in _RULES if name != "enabled")
    table.only((*_TOP, *own))
    url = _url(table, base, secrets)
    usual = CacheConfig()
    single = table.flag("single_flight")
    config = CacheConfig(
        url=url,
        scope=cast("CacheScope", table.choice("scope", ("project", "global")) or "project"),
        rules=CacheRules(**{k: v for k, v in _rules(table).items() if v is not None}),
        groups=_groups(top, table),
        timeout=table.seconds("timeout") or usual.timeout,
        max_mb=table.integer("max_mb", least=1, most=1_000_000),
        max_entries=table.integer("max_entries", least=1),
        max_entry_kb=table.integer("max_entry_kb", least=1, most=65_536) or usual.max_entry_kb,
        compress=table.flag("compress"),
        single_flight=usual.single_flight if single is None else single,
        prefix=_prefix(table) or usual.prefix,
    )
    if url.partition(":")[0] in _REDIS:
        for key in ("max_mb", "max_entries"):
            if key in table.data:
                message = "means nothing to a Redis: set its own maxmemory and allkeys-lru there"
                table.problems.add((*table.path, key), message)
    return config


def show_cache(cache: CacheConfig | None) -> dict[str, Any] | None:
    """The cache as plain data, without the password of its Redis."""
    if cache is None:
        return None
    shown = {**msgspec.structs.asdict(cache), "url": cache.shown_url}
    del shown["rules"]
    rules = msgspec.structs.asdict(cache.rules)
    del rules["enabled"]
    groups = {
        name: {k: v for k, v in msgspec.structs.asdict(group).items() if v is not None}
        for name, group in cache.groups.items()
    }
    return {**shown, **rules, "groups": groups}


def _url(table: Table, base: FilePath, secrets: SecretReader) -> str:
    url = read_url(table, secrets, "memory:")
    if url is None:
        return "memory:"
    path = (*table.path, "url")
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest == ":memory:":
        table.problems.add(path, 'write "memory:" for a cache in memory')
    elif scheme == "sqlite" and rest:
        return f"sqlite:{_path(base, rest)}"
    elif not (url == "memory:" or (scheme in _REDIS and rest.startswith("//") and rest != "//")):
        # Only now: to look at the installed packages takes milliseconds.
        others = others_serving(_GROUP)
        if scheme not in others:
            # Not shown: a password may stand in it.
            table.problems.add(path, _URL.format("".join(f', "{name}:..."' for name in others)))
            return "memory:"
    return url


def _rules(table: Table) -> dict[str, Any]:
    return {
        "ttl": table.seconds("ttl"),
        "stale_if_error": _from_zero(table, "stale_if_error", "a number of seconds from 0"),
        "max_temperature": _from_zero(table, "max_temperature", "a number from 0 to 2", 2),
        "tools": table.flag("tools"),
        "fallbacks": table.flag("fallbacks"),
    }


def _groups(top: Table, table: Table) -> FrozenDict:
    known = top.data.get("groups")
    names = known if isinstance(known, Mapping) else {}
    found: dict[str, GroupCache] = {}
    for name, group in table.tables("groups").items():
        if name not in names:
            message = f"there is no group {shorten(name)}{closest(name, names)}"
            group.problems.add(group.path, message)
        group.only(_RULES)
        found[name] = GroupCache(enabled=group.flag("enabled"), **_rules(group))
    return FrozenDict(found)


def _prefix(table: Table) -> str:
    prefix = table.text("prefix", "switchgear")
    # A brace would make a hash tag of it, and put all keys onto one node of a cluster.
    if (
        not prefix.isprintable()
        or not prefix.isascii()
        or len(prefix) > 64
        or set("{}") & {*prefix}
    ):
        table.wrong("prefix", "up to 64 printable ASCII characters without braces")
    return prefix


def _from_zero(table: Table, key: str, what: str, most: float | None = None) -> float | None:
    value = table.data.get(key)
    if value is None:
        return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = as_float(value)
        if number is not None and number >= 0 and (most is None or number <= most):
            return number
    table.wrong(key, what)
    return None


def _path(base: FilePath, path: str) -> FilePath:
    """A path of the configuration's, from its own folder; ``~`` is the user's home."""
    try:
        return base / FilePath(path).expanduser()
    except RuntimeError:  # there is no such user
        return base / path
