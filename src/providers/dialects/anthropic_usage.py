"""The usage of Anthropic's Messages API, as its own platform, Bedrock and Vertex send it.

Sources: the SDK's types, the guides on prompt caching, tools, fast mode and data residency, and
recorded traffic. ``input_tokens`` leave out what a cache has to do with; ``cache_creation`` splits
the writes by their time to live. Searches of the web are charged one by one, fetches are free, and
so is running code beside either; code alone runs in a container, whose hours are charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ...completion import Usage
from .counts import Count, Counter, count, word

__all__ = ["RawUsage", "billed_apart", "later", "raw_usage", "region_of", "tier_of", "usage_of"]

# Older models and other platforms say so; no data residency is charged for there.
_NOWHERE = frozenset({"not_available", "global"})


class RawUsage(msgspec.Struct):
    """``usage`` as it came; ``later`` joins those of a stream, field by field."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation: Any = None
    output_tokens_details: Any = None
    server_tool_use: Any = None
    iterations: Any = None
    service_tier: Any = None
    inference_geo: Any = None
    speed: Any = None


def raw_usage(given: Any) -> RawUsage | None:
    """``usage`` of an answer or an event; ``None`` where it is missing or no object."""
    return msgspec.convert(given, RawUsage) if _is_object(given) else None


def later(first: RawUsage | None, last: RawUsage) -> RawUsage:
    """The counts of ``message_delta`` are totals so far, and win where they are given."""
    if first is None:
        return last
    told = {
        name: value
        for name in RawUsage.__struct_fields__
        if (value := getattr(last, name)) is not None
    }
    return msgspec.structs.replace(first, **told)


def usage_of(raw: RawUsage | None, *, container: Any = None, final: bool = True) -> Usage | None:
    """Inclusive totals; ``None`` where the prompt or the answer was not counted.

    Args:
        raw: What the API says.
        container: Where code ran, if it did.
        final: No more will come; what is not final is marked as estimated.
    """
    if raw is None:
        return None
    unsaid = raw.output_tokens is None and not final
    if count(raw.input_tokens) is None or (count(raw.output_tokens) is None and not unsaid):
        return None
    read = Counter()
    given = answered = cached = written = hour = 0
    for run in (raw, *_compactions(raw)):
        from_cache = read(run.cache_read_input_tokens)
        to_cache = read(run.cache_creation_input_tokens)
        if run.cache_creation is not None:
            kept = read.group(run.cache_creation)
            kept_hour = read(kept.get("ephemeral_1h_input_tokens"))
            to_cache = max(to_cache, kept_hour + read(kept.get("ephemeral_5m_input_tokens")))
            hour += kept_hour
        given += read(run.input_tokens) + from_cache + to_cache
        answered += read(run.output_tokens)
        cached += from_cache
        written += to_cache
    if answered and not given:
        return None  # no prompt is empty: a server that says so did not count
    thought = searches = beside = 0
    if raw.output_tokens_details is not None:
        thought = read(read.group(raw.output_tokens_details).get("thinking_tokens"))
    if raw.server_tool_use is not None:
        tools = read.group(raw.server_tool_use)
        searches = read(tools.get("web_search_requests"))
        beside = searches or read(tools.get("web_fetch_requests"))
    return Usage(
        input_tokens=given,
        output_tokens=answered,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        reasoning_tokens=thought,
        estimated=not final or read.doubtful or bool(billed_apart(raw)),
        web_searches=searches,
        code_sessions=int(_is_object(container) and not beside),
    )


def _is_object(given: Any) -> bool:
    return type(given) is dict or (given is not None and isinstance(given, Mapping))


def _compactions(raw: RawUsage) -> list[RawUsage]:
    """What was spent on summing up the context, which the totals leave out."""
    return [
        msgspec.convert(run, RawUsage)
        for run in _iterations(raw)
        if run.get("type") == "compaction"
    ]


def tier_of(raw: RawUsage | None) -> str | None:
    """The service tier; fast mode is one of its own."""
    if raw is None:
        return None
    return "fast" if raw.speed == "fast" else word(raw.service_tier)


def region_of(raw: RawUsage | None) -> str | None:
    """Where it was answered, where that was asked for."""
    place = word(raw.inference_geo) if raw is not None else None
    return None if place in _NOWHERE else place


def billed_apart(raw: RawUsage | None) -> tuple[str, ...]:
    """What was billed at another model's price than the asked one's, a line each."""
    lines = []
    for run in _iterations(raw):
        if run.get("type") == "advisor_message":
            lines.append(
                f"usage: {count(run.get('input_tokens')) or 0} input and"
                f" {count(run.get('output_tokens')) or 0} output tokens of the advisor"
                f" {run.get('model')} are billed at its own price and not counted here"
            )
        elif run.get("type") == "fallback_message":
            lines.append(
                f"model: {run.get('model')} stepped in for the asked one, at its own price"
            )
    return tuple(lines)


def _iterations(raw: RawUsage | None) -> list[Mapping[str, Any]]:
    runs = raw.iterations if raw is not None else None
    if runs is None:
        return []
    return [run for run in runs if isinstance(run, Mapping)] if isinstance(runs, list) else []
