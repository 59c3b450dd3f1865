"""A conversation as Ollama's messages: text, and beside it images, thinking and tool calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ...errors import InvalidRequestError
from ...messages import (
    Audio,
    File,
    Image,
    Message,
    NativeBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from ..base import Capabilities
from ..history import foreign, own, with_valid_ids
from ..unsupported import Unexpressed

__all__ = ["AUTHOR", "Body", "write_messages"]

AUTHOR = "ollama"
"""The author of what only this API can read."""

Body: TypeAlias = dict[str, Any]

_ANY_ID = re.compile(r".+", re.DOTALL)
_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


def write_messages(
    messages: Sequence[Message], capabilities: Capabilities, notes: Unexpressed
) -> list[Body]:
    """The messages, in order.

    Args:
        messages: The conversation, whoever its other turns came from.
        capabilities: What the model can do.
        notes: Where what can't be expressed goes.

    Raises:
        UnsupportedParameterError: Something can't be expressed and may not be dropped.
    """
    written: list[Body] = []
    names: dict[str, str] = {}
    for message in with_valid_ids(messages, valid=_ANY_ID):
        if message.name is not None and message.role != "tool":
            notes.knob("name", "Ollama has no names of participants")
        if message.role == "assistant":
            written.append(_assistant(message, names, notes))
        elif message.role == "tool":
            written.append(_result(message, names, capabilities, notes))
        else:
            role = "user" if message.role == "user" else "system"
            written.append({"role": role, **_content(message.parts, capabilities, notes)})
    return written


def _assistant(message: Message, names: dict[str, str], notes: Unexpressed) -> Body:
    said: list[str] = []
    thought: list[str] = []
    calls: list[Body] = []
    for part in message.parts:
        match part:
            case Text() | Refusal():
                said.append(_said(part, notes))
            case Reasoning():
                thought.append(_thought(part, notes))
            case ToolCall():
                names[part.id] = part.name
                calls.append(_call(part, notes))
            case NativeBlock():
                notes.note(foreign("a block", part.native))
            case _:
                kind = "audio" if isinstance(part, Audio) else f"{type(part).__name__.lower()}s"
                notes.meaning(kind, "Ollama takes none from the assistant")
    block: Body = {"role": "assistant", "content": "".join(said)}
    if any(thought):
        block["thinking"] = "".join(thought)
    if calls:
        block["tool_calls"] = calls
    return block


def _said(part: Text | Refusal, notes: Unexpressed) -> str:
    if isinstance(part, Text) and part.native is not None and not own(part.native, AUTHOR):
        notes.note(foreign("a text's annotations", part.native))
    return part.text


def _thought(part: Reasoning, notes: Unexpressed) -> str:
    """Readable thinking; the model's template decides how much of it the model sees again.

    Thinking that carries a signature belongs to its signer.
    """
    if part.native is None or own(part.native, AUTHOR):
        return part.text
    notes.note(foreign("reasoning", part.native))
    return ""


def _call(part: ToolCall, notes: Unexpressed) -> Body:
    try:
        arguments = part.parse()
    except InvalidRequestError:
        # Another vendor's model wrote it, the tool has answered it: the conversation goes on.
        notes.note(
            f"messages: the arguments of tool call {part.id} are no JSON object, sent as text"
        )
        arguments = {"arguments": part.arguments}
    if part.native is not None and not own(part.native, AUTHOR):
        notes.note(foreign("a tool call's signature", part.native))
    return {"id": part.id, "function": {"name": part.name, "arguments": arguments}}


def _result(
    message: Message, names: Mapping[str, str], capabilities: Capabilities, notes: Unexpressed
) -> Body:
    call_id = message.tool_call_id or ""
    block: Body = {"role": "tool", **_content(message.parts, capabilities, notes)}
    if message.is_error:
        # The API has no field for it, and the model should know.
        block["content"] = _failed(block["content"])
    name = names.get(call_id) or message.name
    if name:
        block["tool_name"] = name
    if call_id:
        block["tool_call_id"] = call_id
    return block


def _failed(said: str) -> str:
    if said.lower().startswith("error"):
        return said
    return f"Error: {said}" if said else "Error: the tool failed"


def _content(parts: Sequence[Part], capabilities: Capabilities, notes: Unexpressed) -> Body:
    """Text and images of one message; Ollama keeps the images in a list beside the text."""
    texts: list[str] = []
    images: list[str] = []
    for part in parts:
        if isinstance(part, Text | Image | File) and part.cache is not None:
            notes.knob("cache", "Ollama caches prompts by itself and takes no marks")
        match part:
            case Text():
                texts.append(part.text)
            case Image():
                data = _image(part, capabilities, notes)
                if data is not None:
                    images.append(data)
            case File():
                notes.meaning("files", "Ollama reads text and images only")
            case Audio():
                notes.meaning("audio", "Ollama reads text and images only")
            case NativeBlock():
                notes.note(foreign("a block", part.native))
            case _:
                notes.meaning("messages", f"a {type(part).__name__} has no place here")
    block: Body = {"content": "\n".join(texts)}
    if images:
        block["images"] = images
    return block


def _image(part: Image, capabilities: Capabilities, notes: Unexpressed) -> str | None:
    """The image as bare base64."""
    if not capabilities.images:
        notes.meaning("images", f"{notes.model} is not known to see")
        return None
    if part.detail not in {None, "auto"}:
        notes.knob("detail", "Ollama decides itself how closely a model looks")
    if part.data is not None:
        return _bare(part.data)
    if part.url is not None and _DATA_URL.match(part.url):
        return _bare(part.url)
    notes.meaning("images", "Ollama fetches nothing: send the image's data instead of its URL")
    return None


def _bare(data: str) -> str:
    prefix = _DATA_URL.match(data)
    return data[prefix.end() :] if prefix is not None else data
