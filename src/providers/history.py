"""What makes a conversation travel: histories begun at one vendor, continued at another."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from ..messages import (
    Audio,
    File,
    Image,
    Message,
    Native,
    NativeBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from .unsupported import Unexpressed

__all__ = ["as_text", "foreign", "own", "with_valid_ids"]


def own(native: Native | None, author: str) -> bool:
    """This author wrote it and gets it back unmodified."""
    return native is not None and native.author == author


def foreign(what: str, native: Native | None) -> str:
    """The warning for something that only its author can read."""
    author = f" of {native.author}" if native is not None else ""
    return f"history: {what}{author} left out: only its author can read it"


def with_valid_ids(
    messages: Sequence[Message], *, valid: re.Pattern[str], prefix: str = "call_"
) -> Sequence[Message]:
    """The messages with tool-call ids that this vendor accepts, each unique.

    An id is replaced where the vendor refuses its form, or where an earlier turn has used it
    already (local models count from ``call_0`` in every turn). The results follow their calls, in
    the order of the calls. Messages that need no change are the same objects.
    """
    seen: set[str] = set()
    names: dict[str, str] = {}
    result: list[Message] = []
    for message in messages:
        if message.role == "assistant":
            names = {}
            result.append(_rename_calls(message, valid, prefix, seen, names))
        elif message.role == "tool":
            wanted = names.get(message.tool_call_id or "", message.tool_call_id)
            changed = wanted != message.tool_call_id
            result.append(
                msgspec.structs.replace(message, tool_call_id=wanted) if changed else message
            )
        else:
            result.append(message)
    return result


def _rename_calls(
    message: Message, valid: re.Pattern[str], prefix: str, seen: set[str], names: dict[str, str]
) -> Message:
    changed = False
    parts: list[Part] = []
    for part in message.parts:
        new = part
        if isinstance(part, ToolCall):
            new_id = part.id
            if new_id in seen or not valid.fullmatch(new_id):
                new_id = _fresh(prefix, seen)
                new = msgspec.structs.replace(part, id=new_id)
                changed = True
            seen.add(new_id)
            names[part.id] = new_id
        parts.append(new)
    return msgspec.structs.replace(message, content=tuple(parts)) if changed else message


def _fresh(prefix: str, seen: set[str]) -> str:
    number = len(seen)
    while f"{prefix}{number}" in seen:
        number += 1
    return f"{prefix}{number}"


def as_text(message: Message, notes: Unexpressed) -> str:
    """What a model that reads nothing but text gets of a message; the rest is noted.

    Calls of tools and their results read as text, since the conversation is about them.

    Raises:
        UnsupportedParameterError: It has an image, a document or sound, which may not be left out.
    """
    said: list[str] = []
    for part in message.parts:
        if isinstance(part, Text | Image | File) and part.cache is not None:
            notes.knob("cache", "it takes no marks for the prompt's cache")
        match part:
            case Text() | Refusal():
                said.append(part.text)
            case ToolCall():
                notes.note("history: tool calls and their results are sent as text")
                said.append(f"[{part.name} was called with {part.arguments}]")
            case Reasoning():
                if part.native is not None:
                    notes.note(foreign("reasoning", part.native))
            case NativeBlock():
                notes.note(foreign("a block", part.native))
            case Image() | File() | Audio():
                kind = "audio" if isinstance(part, Audio) else f"{type(part).__name__.lower()}s"
                notes.meaning(kind, f"{notes.model} reads nothing but text")
    if message.role == "tool":
        return f"[the tool {'failed' if message.is_error else 'answered'}: {' '.join(said)}]"
    return "\n".join(said)
