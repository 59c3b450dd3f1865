"""Whether a candidate can serve a request at all: failover never quietly loses a capability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..errors import ContextWindowExceededError, SwitchgearError, UnsupportedParameterError
from ..messages import Audio, File, Image
from ..providers.base import Capabilities
from ..request import ChatRequest

if TYPE_CHECKING:
    from .plan import Candidate

__all__ = ["Needs", "needs_of", "unfit"]


class Needs(msgspec.Struct, frozen=True):
    """What a request asks of a model, found out once for all candidates.

    Attributes:
        meaning: Parameters that change what the answer means.
        knobs: Sampling parameters.
        content: Kinds of content in the conversation (``images``, ``files``, ``audio``).
    """

    meaning: frozenset[str] = frozenset()
    knobs: frozenset[str] = frozenset()
    content: frozenset[str] = frozenset()


_NOTHING = Needs()


_CONTENT = {Image: "images", File: "files", Audio: "audio"}

_BYTES_PER_TOKEN = 8
"""More than any tokenizer puts into a token on average, so that a guess never skips in vain."""


def needs_of(request: ChatRequest) -> Needs:
    """What the request needs."""
    content = [
        _CONTENT[type(part)]
        for message in request.messages
        if not isinstance(message.content, str)
        for part in message.content
        if type(part) in _CONTENT
    ]
    meaning, knobs = _meaning(request), _knobs(request)
    if not (meaning or knobs or content):
        return _NOTHING
    return Needs(frozenset(meaning), frozenset(knobs), frozenset(content))


def _meaning(request: ChatRequest) -> list[str]:
    meaning: list[str] = []
    if request.tools:
        meaning.append("tools")
    choice = request.tool_choice
    if choice is not None and (choice.mode == "required" or choice.name is not None):
        meaning.append("tool_choice")
    form = request.response_format
    if form is not None:
        meaning.append("schema" if form.kind == "schema" else "json_object")
    return meaning


def _knobs(request: ChatRequest) -> list[str]:
    knobs: list[str] = []
    if request.temperature is not None:
        knobs.append("temperature")
    if request.top_p is not None:
        knobs.append("top_p")
    if request.seed is not None:
        knobs.append("seed")
    if request.stop:
        knobs.append("stop")
    return knobs


def unfit(needs: Needs, candidate: Candidate, *, characters: int) -> SwitchgearError | None:
    """Why the candidate can't serve the request; ``None`` where it can.

    What the configuration lets pass with a warning is no reason: the adapter warns.

    Args:
        needs: What the request asks for.
        candidate: What the model can do, and the configuration's word on what it can't.
        characters: Of the prompt's text.
    """
    can, max_tokens = candidate.capabilities, candidate.max_tokens
    if needs is not _NOTHING:
        if candidate.unsupported != "warn":
            for name in sorted(needs.meaning | needs.content):
                if not _offers(can, name):
                    return UnsupportedParameterError(f"it has no {_WORDS[name]}", param=name)
        if candidate.unsupported == "raise":
            for name in sorted(needs.knobs - can.sampling):
                return UnsupportedParameterError(f"it does not take {name}", param=name)
    if max_tokens is not None and can.max_output_tokens and max_tokens > can.max_output_tokens:
        message = f"its answers end at {can.max_output_tokens} tokens, {max_tokens} were asked for"
        return UnsupportedParameterError(message, param="max_tokens")
    # A safe lower estimate, for windows that it can't possibly fit.
    tokens, window = characters // _BYTES_PER_TOKEN, can.context_window
    if window is not None and tokens > window:
        message = f"the prompt has over {tokens} tokens, its window {window}"
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
