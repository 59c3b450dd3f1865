"""Takes out of a request what a model's capabilities deny, each with its note.

An adapter whose vendor has a way for everything still has models that lack something, and users who
know more of a model than the adapter: ``models`` in the provider's table. Both speak through the
capabilities, which this holds a request to.
"""

from __future__ import annotations

import operator
from typing import TypeVar

import msgspec

from ..messages import Audio, File, Image, Message, Part, Tool
from ..request import ChatRequest
from .base import Capabilities
from .unsupported import Unexpressed

__all__ = ["without_denied"]

T = TypeVar("T", Part, Tool)


def without_denied(
    request: ChatRequest, capabilities: Capabilities, notes: Unexpressed
) -> ChatRequest:
    """The request without tools, parts and knobs that the model does not take.

    Schemas and sampling are left to the adapter: which form an answer can have, and which values a
    knob, is for the vendor's dialect to say.

    Args:
        request: What is asked. It is given back as it is where nothing is denied.
        capabilities: What the model can do.
        notes: Where each thing that is left out is noted.

    Raises:
        UnsupportedParameterError: Leaving it out is not allowed.
    """
    changes: dict[str, object] = {}
    if request.tools and not capabilities.tools:
        notes.meaning("tools")
        changes.update(tools=(), tool_choice=None, parallel_tool_calls=None)
    serial = request.tools and request.parallel_tool_calls is not None
    if serial and capabilities.tools and not capabilities.parallel_tool_calls:
        notes.knob("parallel_tool_calls")
        changes["parallel_tool_calls"] = None
    if request.reasoning_effort not in {None, "none"} and not capabilities.reasoning:
        notes.knob("reasoning_effort")
        changes["reasoning_effort"] = None
    if request.stop and "stop" not in capabilities.sampling:
        notes.knob("stop")
        changes["stop"] = ()
    messages = [
        each if type(each.content) is str else _message(each, capabilities, notes)
        for each in request.messages
    ]
    if not all(map(operator.is_, messages, request.messages)):
        changes["messages"] = tuple(messages)
    if not capabilities.prompt_cache and any(tool.cache for tool in request.tools):
        changes.setdefault("tools", tuple(_unmarked(tool, notes) for tool in request.tools))
    return msgspec.structs.replace(request, **changes) if changes else request


def _message(message: Message, capabilities: Capabilities, notes: Unexpressed) -> Message:
    if isinstance(message.content, str):
        return message
    parts: list[Part] = []
    for part in message.content:
        denied = _denied(part, capabilities)
        if denied is not None:
            notes.meaning(denied)
            continue
        marked = not capabilities.prompt_cache and getattr(part, "cache", None) is not None
        parts.append(_unmarked(part, notes) if marked else part)
    if len(parts) == len(message.content) and all(map(operator.is_, parts, message.content)):
        return message
    return msgspec.structs.replace(message, content=tuple(parts))


def _denied(part: Part, capabilities: Capabilities) -> str | None:
    """The capability that a part needs and the model lacks."""
    match part:
        case Image() if not capabilities.images:
            return "images"
        case File() if not capabilities.files:
            # An image in a file is one all the same.
            seen = (part.media_type or "").startswith("image/") and capabilities.images
            return None if seen else "files"
        case Audio() if not capabilities.audio:
            return "audio"
    return None


def _unmarked(marked: T, notes: Unexpressed) -> T:
    if getattr(marked, "cache", None) is None:
        return marked
    notes.knob("cache")
    return msgspec.structs.replace(marked, cache=None)
