"""What a ``chat.completion`` and its chunks hold, as far as it matters here.

Everything may be missing or null: compatible servers leave out what they please. Fields that are
not named are passed over.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...completion import FinishReason

__all__ = [
    "Audio",
    "Choice",
    "Completion",
    "Content",
    "Said",
    "WrittenCall",
    "arguments_text",
    "finish_reason",
    "split",
]


class Function(msgspec.Struct, frozen=True, gc=False):
    """A call's name and arguments; some servers send the arguments as an object."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class Custom(msgspec.Struct, frozen=True, gc=False):
    """A call of a custom tool, which takes free text."""

    name: str | None = None
    input: str | None = None


class WrittenCall(msgspec.Struct, frozen=True):
    """A tool call, or a piece of one. LiteLLM adds what only the vendor's own models read."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: dict[str, Any] | None = None
    provider_specific_fields: Any = None


class Content(msgspec.Struct, frozen=True):
    """A block of content, where a server sends blocks (Mistral's reasoning models)."""

    type: str = ""
    text: str | None = None
    thinking: str | list[Content] | None = None


class Audio(msgspec.Struct, frozen=True):
    """A spoken answer, or a piece of one."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


class Said(msgspec.Struct, frozen=True):
    """A message, or a delta of one.

    Cloudflare's JSON mode sends the answer parsed already. ``thinking_blocks`` are LiteLLM's.
    """

    content: str | list[Content] | dict[str, Any] | None = None
    refusal: str | None = None
    tool_calls: list[WrittenCall] | None = None
    function_call: Function | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    thinking_blocks: Any = None
    annotations: list[dict[str, Any]] | None = None
    images: list[dict[str, Any]] | None = None
    audio: Audio | None = None


class Choice(msgspec.Struct, frozen=True):
    """One answer, or a piece of it. Moonshot counts the tokens here."""

    index: int | None = None
    message: Said | None = None
    delta: Said | None = None
    finish_reason: str | None = None
    usage: Any = None
    error: Any = None


class Groq(msgspec.Struct, frozen=True):
    """Groq's own place for the usage of a stream."""

    usage: Any = None


class Completion(msgspec.Struct, frozen=True):
    """A whole answer, or a chunk of one; ``error`` and ``message`` where it is neither.

    What is told of usage and tier is read leniently: ``openai_chat_usage`` says how.
    """

    id: str | None = None
    object: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    message: Any = None
    x_groq: Groq | None = None
    service_tier: Any = None


_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "refusal": "refusal",
    "error": "error",
    "abort": "error",
    "insufficient_system_resource": "error",
}


def finish_reason(native: str | None, *, calls: bool, refused: bool) -> FinishReason:
    """The common word for why an answer ended.

    A refusal is recorded as ``stop``, and some servers say ``stop`` beside tool calls.

    Args:
        native: The server's word; ``None`` where it gave none, which counts as ``stop``.
        calls: The answer asks for tools.
        refused: The answer is a refusal.
    """
    reason = _FINISH.get(native.lower(), "stop") if native else "stop"
    if reason in {"stop", "tool_calls"}:
        if calls:
            return "tool_calls"
        return "refusal" if refused else "stop"
    return reason


def arguments_text(arguments: str | dict[str, Any] | None) -> str:
    """Arguments as JSON text, whichever way they came; empty for none."""
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    return arguments or ""


def split(content: str | list[Content] | dict[str, Any] | None) -> tuple[str, str]:
    """Content as what was thought and what was said."""
    if content is None or isinstance(content, str):
        return "", content or ""
    if isinstance(content, dict):
        return "", arguments_text(content)
    thought = said = ""
    for block in content:
        if block.thinking is not None:
            inner = split(block.thinking)
            thought += inner[0] + inner[1]
        else:
            said += block.text or ""
    return thought, said
