"""Keeps cache marks within what Anthropic's API takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..unsupported import Unexpressed

__all__ = ["limit_marks"]

_MOST = 4

Place = tuple[list[dict[str, Any]], int]


def limit_marks(body: dict[str, Any], notes: Unexpressed) -> None:
    """Keep the last four marks, since each covers the whole prefix before it.

    A mark for an hour may not follow one for five minutes: it then becomes one for five minutes.
    """
    places = list(_places(body))
    surplus = len(places) - _MOST
    if surplus > 0:
        notes.knob("cache", f"{_MOST} marks at most, the first {surplus} of {len(places)} dropped")
        for blocks, index in places[:surplus]:
            # Blocks may be a history's own, so a copy changes, not they.
            blocks[index] = {k: v for k, v in blocks[index].items() if k != "cache_control"}
        places = places[surplus:]
    short = False
    for blocks, index in places:
        if blocks[index]["cache_control"].get("ttl", "5m") == "5m":
            short = True
        elif short:
            notes.approximate("cache", "1h behind a mark of 5m is not taken: 5m instead")
            blocks[index] = blocks[index] | {"cache_control": {"type": "ephemeral"}}


def _places(body: dict[str, Any]) -> Iterator[Place]:
    """Where the marks are, in the order in which the API reads the prompt."""
    yield from _marked(body.get("tools", ()))
    system = body.get("system", ())
    if isinstance(system, list):
        yield from _marked(system)
    for turn in body["messages"]:
        yield from _marked(turn["content"])


def _marked(blocks: list[dict[str, Any]]) -> Iterator[Place]:
    for index, block in enumerate(blocks):
        inner = block.get("content")
        if isinstance(inner, list) and block.get("type") == "tool_result":
            yield from _marked(inner)
        if block.get("cache_control"):
            yield blocks, index
