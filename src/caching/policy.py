"""Which requests are cached, and which answers may be stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from ..config.cache import CacheRules
from ..messages import Part, Refusal
from ..request import ChatRequest
from .entry import Entry
from .keys import CacheTarget

__all__ = ["CacheMode", "why_not_cached", "why_not_stored"]

CacheMode: TypeAlias = Literal["use", "skip", "refresh"]
"""A call's own word: take a stored answer, leave the cache alone, or replace what is stored."""

_ACTING: Final = frozenset(
    {
        "background",
        "container",
        "conversation",
        "mcp_servers",
        "plugins",
        "tools",
        "web_search",
        "web_search_options",
    }
)
"""Fields of vendors' bodies by which a model reaches beyond its prompt: it searches, runs code, or
goes on with a conversation that changes at the vendor's."""


def why_not_cached(
    request: ChatRequest, target: CacheTarget, rules: CacheRules, mode: CacheMode | None
) -> str | None:
    """Why a request is not cached; ``None`` where it is.

    A call that says ``use`` or ``refresh`` itself has asked for it, whatever it holds.

    Args:
        request: What is asked.
        target: Whom.
        rules: What holds for its group.
        mode: The call's own word; ``None`` where it has none.
    """
    if mode == "skip":
        return "the call asked to"
    if not rules.enabled:
        return "its group has no cache"
    if mode is not None:
        return None
    temperature = request.temperature
    if temperature is not None and temperature > rules.max_temperature:
        return f"its temperature, {temperature:g}, is above {rules.max_temperature:g}"
    if any(tool.native is not None for tool in request.tools):
        return "a vendor's own tool may act"
    may_call = request.tool_choice is None or request.tool_choice.mode != "none"
    if request.tools and may_call and not rules.tools:
        return "its tools may act"
    if any(_acts(fields) for fields in _extras(request, target)):
        return "a vendor's own field may act"
    return None


def _extras(request: ChatRequest, target: CacheTarget) -> Iterable[Mapping[str, Any]]:
    yield from (fields for name, fields in request.extra.items() if name in target.providers)
    yield from (entry.extra for pool in target.pools for entry in pool.candidates)


def _acts(fields: Mapping[str, Any]) -> bool:
    return any(fields[name] for name in _ACTING & fields.keys())


def why_not_stored(entry: Entry, request: ChatRequest, rules: CacheRules) -> str | None:
    """Why an answer is not stored; ``None`` where it is.

    Stored are whole answers only. One that was cut at its longest counts as whole where the request
    itself said how long it may be: it would be cut there again.

    Args:
        entry: The answer.
        request: What was asked.
        rules: What holds for its group.
    """
    if not entry.first_choice and not rules.fallbacks:
        return "a fallback answered"
    reason = entry.finish_reason
    if reason == "length" and request.max_tokens is None:
        return "it was cut at a length that the request did not name"
    if reason not in ("stop", "tool_calls", "length"):
        return f"it ended with {reason!r}"
    if not entry.parts:
        return "it is empty"
    if any(_declines(part) for part in entry.parts):
        return "it declines"
    return None


def _declines(part: Part) -> bool:
    return isinstance(part, Refusal)
