"""Anthropic's signed thinking inside Chat Completions: LiteLLM's ``thinking_blocks``.

The blocks are Anthropic's own, so what comes this way is its author's for every adapter, and a
conversation may go on at Anthropic itself.
"""

from __future__ import annotations

from typing import Any

from ...completion import StreamEvent
from ...messages import Native, Reasoning
from ..assemble import Assembler
from ..history import own
from .anthropic_blocks import AUTHOR

__all__ = ["ThinkingPieces", "block_of", "reasoning_of"]

_THINKING = "thinking"
_REDACTED = "redacted_thinking"


def reasoning_of(blocks: Any) -> list[Reasoning]:
    """The parts that whole blocks make; empty where these are none."""
    return [part for block in _known(blocks) if (part := _part(block)) is not None]


def block_of(part: Reasoning) -> dict[str, Any] | None:
    """The block to send back; ``None`` where Anthropic did not sign the part."""
    if part.native is None or not own(part.native, AUTHOR):
        return None
    data = part.native.data
    if data.get("type") == _REDACTED:
        return data
    return {"type": _THINKING, "thinking": part.text, **data}


class ThinkingPieces:
    """Puts streamed blocks together. A signature, or a redacted block, ends one."""

    __slots__ = ("_number",)

    def __init__(self) -> None:
        self._number = 0

    def add(self, blocks: Any, assembler: Assembler) -> list[StreamEvent]:
        """The events that these pieces make."""
        events: list[StreamEvent] = []
        for block in _known(blocks):
            key = f"thinking-{self._number}"
            text = block.get("thinking")
            event = assembler.reasoning(key, text if isinstance(text, str) else "")
            if event is not None:
                events.append(event)
            part = _part(block)
            if part is not None and part.native is not None:
                assembler.set_native("reasoning", key, part.native)
                self._number += 1
        return events


def _known(blocks: Any) -> list[dict[str, Any]]:
    if not isinstance(blocks, list):
        return []
    return [
        block
        for block in blocks
        if isinstance(block, dict) and block.get("type") in {_THINKING, _REDACTED}
    ]


def _part(block: dict[str, Any]) -> Reasoning | None:
    if block["type"] == _REDACTED:
        kept = {"type": _REDACTED, "data": block.get("data") or ""}
        return Reasoning("", Native(AUTHOR, kept))
    text = block.get("thinking")
    signature = block.get("signature")
    native = Native(AUTHOR, {"signature": signature}) if signature else None
    if native is None and not text:
        return None
    return Reasoning(text if isinstance(text, str) else "", native)
