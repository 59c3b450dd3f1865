"""Whether a candidate can serve a request at all: failover never quietly loses a capability."""

from __future__ import annotations

import msgspec

from ..errors import ContextWindowExceededError, SwitchgearError, UnsupportedParameterError
from ..messages import Audio, File, Image
from ..providers.base import Capabilities, Unsupported
from ..request import ChatRequest

__all__ = ["Needs", "needs_of", "unfit"]


class Needs(msgspec.Struct, frozen=True):
    """What a request asks of a model, found out once for all candidates.

    Attributes:
        meaning: Parameters that change what the answer means.
        knobs: Sampling parameters.
        content: Kinds of content in the conversation (``images``, ``files``, ``audio``).
    """

    meaning: frozenset[str]
    knobs: frozenset[str]
    content: frozenset[str]


_CONTENT = {Image: "images", File: "files", Audio: "audio"}


def needs_of(request: ChatRequest) -> Needs:
    """What the request needs."""
    meaning: set[str] = set()
    if request.tools:
        meaning.add("tools")
    choice = request.tool_choice
    if choice is not None and (choice.mode == "required" or choice.name is not None):
        meaning.add("tool_choice")
    if request.response_format is not None:
        meaning.add("schema" if request.response_format.kind == "schema" else "json_object")
    knobs = {
        name for name in ("temperature", "top_p", "seed") if getattr(request, name) is not None
    }
    if request.stop:
        knobs.add("stop")
    content = {
        _CONTENT[type(part)]
        for message in request.messages
        if not isinstance(message.content, str)
        for part in message.content
        if type(part) in _CONTENT
    }
    return Needs(frozenset(meaning), frozenset(knobs), frozenset(content))


def unfit(
    needs: Needs,
    can: Capabilities,
    *,
    unsupported: Unsupported,
    max_tokens: int | None,
    prompt_tokens: int,
) -> SwitchgearError | None:
    """Why the candidate can't serve the request; ``None`` where it can.

    What the configuration lets pass with a warning is no reason: the adapter warns.

    Args:
        needs: What the request asks for.
        can: What the model can do.
        unsupported: The configuration's word on what can't be done.
        max_tokens: The longest answer asked for.
        prompt_tokens: A safe lower estimate of the prompt.
    """
    if unsupported != "warn":
        for name in sorted(needs.meaning | needs.content):
            if not _offers(can, name):
                return UnsupportedParameterError(f"it has no {_WORDS[name]}", param=name)
    if unsupported == "raise":
        for name in sorted(needs.knobs - can.sampling):
            return UnsupportedParameterError(f"it does not take {name}", param=name)
    if max_tokens is not None and can.max_output_tokens and max_tokens > can.max_output_tokens:
        message = f"its answers end at {can.max_output_tokens} tokens, {max_tokens} were asked for"
        return UnsupportedParameterError(message, param="max_tokens")
    if can.context_window is not None and prompt_tokens > can.context_window:
        message = f"the prompt has over {prompt_tokens} tokens, its window {can.context_window}"
        return ContextWindowExceededError(message, param="messages")
    return None


_WORDS = {
    "tools": "tools",
    "tool_choice": "forced tool choice",
    "schema": "structured output",
    "json_object": "JSON mode",
    "images": "image input",
    "files": "document input",
    "audio": "audio input",
}


def _offers(can: Capabilities, name: str) -> bool:
    if name == "schema":
        return can.schema is not None
    if name == "json_object":
        return can.json_object or can.schema is not None
    return bool(getattr(can, name))
