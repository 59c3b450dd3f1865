"""What the response cache is set to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from .hiding import without_password
from .values import EMPTY

__all__ = ["CacheConfig", "CacheRules", "CacheScope", "GroupCache"]

CacheScope: TypeAlias = Literal["project", "global"]


class CacheRules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the calls of one group, or for those that name a model.

    Attributes:
        enabled: They use the cache at all.
        ttl: Seconds for which an answer is given again.
        stale_if_error: Seconds for which it is kept after that, for the case that every candidate
            fails; 0: not at all.
        max_temperature: A request with a higher temperature is not cached; one without is.
        tools: Requests that offer functions as tools are cached. Vendors' own tools, which act by
            themselves, never are unless the call asks for it.
        fallbacks: An answer of a fallback is stored as well as one of the first choice.
    """

    enabled: bool = True
    ttl: float = 3600.0
    stale_if_error: float = 0.0
    max_temperature: float = 0.3
    tools: bool = False
    fallbacks: bool = False


class GroupCache(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[cache.groups.NAME]`` table; ``None`` is what ``[cache]`` says. See ``CacheRules``."""

    enabled: bool | None = None
    ttl: float | None = None
    stale_if_error: float | None = None
    max_temperature: float | None = None
    tools: bool | None = None
    fallbacks: bool | None = None


class CacheConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The ``[cache]`` table. Without one there is no cache.

    Attributes:
        url: ``memory:``, ``sqlite:PATH`` (relative to the configuration's folder),
            ``redis://…``, ``rediss://…`` or ``unix://PATH`` (a Redis on a socket), or one whose
            scheme a plugin serves.
        scope: ``project`` keeps each project's answers apart; ``global`` shares them.
        rules: What holds where a group says nothing else.
        groups: By group, what differs.
        timeout: Seconds that reading or writing the cache may hold up a call.
        max_mb: How large it may become, in MiB; ``None``: 64 in memory, 1024 in a file. A Redis
            has its own ``maxmemory``.
        max_entries: How many answers it may hold; ``None``: as many as fit.
        max_entry_kb: A larger answer is not stored, in KiB before compression.
        compress: Entries are compressed; ``None``: yes, except in memory.
        single_flight: Identical requests that are under way at once make one call.
        prefix: How its keys in a Redis begin.
    """

    url: str = "memory:"
    scope: CacheScope = "project"
    rules: CacheRules = CacheRules()
    groups: Mapping[str, GroupCache] = EMPTY
    timeout: float = 0.05
    max_mb: int | None = None
    max_entries: int | None = None
    max_entry_kb: int = 1024
    compress: bool | None = None
    single_flight: bool = True
    prefix: str = "switchgear"

    def rules_for(self, group: str | None) -> CacheRules:
        """What holds for a group; for a call that names a model, ``None``."""
        own = self.groups.get(group) if group is not None else None
        if own is None:
            return self.rules
        said = {k: v for k, v in msgspec.structs.asdict(own).items() if v is not None}
        return msgspec.structs.replace(self.rules, **said)

    @property
    def shown_url(self) -> str:
        """The URL without a password, fit to be shown."""
        return without_password(self.url)

    def __repr__(self) -> str:
        return f"CacheConfig(url={self.shown_url!r}, scope={self.scope!r}, rules={self.rules!r})"
