"""The usage of the Responses API: tokens, and what its hosted tools cost beside them.

Sources: the SDK's types and the guides on tools. A search of the web is charged by search, and
``tool_usage.web_search.num_requests`` counts those that are; where it is missing, the searches
among the items are counted, opening a page or finding a text in it being free. A search of files is
charged by call. Code runs in a container that is charged by session: each container that shows in
the answer counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...completion import Usage
from .counts import Counter, count

__all__ = ["billed_apart", "usage_of"]

_NO_SEARCH = frozenset({"open_page", "find_in_page", "find"})
_IMAGES = "image_generation_call"


def usage_of(given: Any, tool_usage: Any, items: Sequence[Mapping[str, Any]]) -> Usage | None:
    """Tokens as inclusive totals; ``None`` where the prompt or the answer was not counted.

    Args:
        given: ``usage`` as it came.
        tool_usage: ``tool_usage`` as it came.
        items: The items of the answer.
    """
    if not isinstance(given, Mapping):
        return None
    asked, said = count(given.get("input_tokens")), count(given.get("output_tokens"))
    if asked is None or said is None:
        return None
    read = Counter()
    prompt = read.inside(given, "input_tokens_details")
    answer = read.inside(given, "output_tokens_details")
    kept = read.inside(prompt, "cache_write_tokens_details")
    tools = read.inside(given, "server_side_tool_usage_details")
    charged = read.inside(tool_usage, "web_search") if isinstance(tool_usage, Mapping) else {}
    searches, containers = _searches(items), _containers(items)
    if charged.get("num_requests") is not None:
        searches = read(charged["num_requests"])
    elif tools:
        searches = read(tools.get("web_search_calls")) + read(tools.get("x_search_calls"))
        containers = max(containers, read(tools.get("code_interpreter_calls")))
    written = read(prompt.get("cache_write_tokens"))
    unsaid = max((count(given.get("total_tokens")) or 0) - asked - said, 0)
    return Usage(
        input_tokens=asked,
        output_tokens=said + unsaid,
        cache_read_tokens=read(prompt.get("cached_tokens"), prompt.get("cache_read_input_tokens")),
        cache_write_tokens=written,
        cache_write_1h_tokens=min(read(kept.get("ttl_12h_tokens")), written),
        reasoning_tokens=read(answer.get("reasoning_tokens")),
        # What made images is billed at another model's price.
        estimated=read.doubtful or any(item.get("type") == _IMAGES for item in items),
        web_searches=searches,
        file_searches=sum(item.get("type") == "file_search_call" for item in items),
        code_sessions=containers,
    )


def billed_apart(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What was billed at another model's price than the asked one's, a line each."""
    images = sum(item.get("type") == _IMAGES for item in items)
    if not images:
        return ()
    return (f"usage: {images} generated image(s) are billed at a price of their own, not counted",)


def _searches(items: Sequence[Mapping[str, Any]]) -> int:
    return sum(
        item.get("type") == "web_search_call" and _action(item) not in _NO_SEARCH for item in items
    )


def _action(item: Mapping[str, Any]) -> Any:
    action = item.get("action")
    kind = action.get("type") if isinstance(action, Mapping) else None
    return kind if isinstance(kind, str) else None


def _containers(items: Sequence[Mapping[str, Any]]) -> int:
    """How many containers ran code, hosted shells among them."""
    found = set()
    for item in items:
        if item.get("type") == "code_interpreter_call":
            found.add(str(item.get("container_id")))
        elif item.get("type") == "shell_call":
            place = item.get("environment")
            if isinstance(place, Mapping) and place.get("container_id"):
                found.add(str(place["container_id"]))
    return len(found)
