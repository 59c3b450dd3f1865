"""The one frozen form that every request takes before it goes anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from .messages import Message, Tool, ToolChoice

__all__ = ["ChatRequest", "ResponseFormat"]


class ResponseFormat(msgspec.Struct, frozen=True, omit_defaults=True):
    """The form that the answer must have.

    Attributes:
        kind: ``json`` (any JSON object) or ``schema``.
        name: The schema's name, which the model sees.
        schema: JSON schema of the answer, where ``kind`` is ``schema``.
        strict: The provider must keep the answer to the schema.
        description: What the answer is, for the model.
        type: The Python type that ``reply.parsed`` becomes; a plain value without one.
    """

    kind: Literal["json", "schema"]
    name: str = "answer"
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None
    type: Any = None


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request for one completion, independent of who will answer it.

    ``None`` everywhere means: not asked for, the provider's own default holds.

    Attributes:
        messages: The conversation, checked: every tool result has its call, in order.
        tools: What the model may ask to have run.
        tool_choice: Whether it may, must or must not.
        response_format: The form of the answer; ``None`` is free text.
        temperature: Sampling temperature, 0 to 2.
        top_p: Nucleus sampling, 0 to 1.
        max_tokens: The longest answer, in tokens, reasoning included.
        stop: Strings that end the answer.
        seed: For reproducible sampling, where a provider has it.
        reasoning_effort: ``none``, ``minimal``, ``low``, ``medium``, ``high``, ``xhigh``, ``max``.
        parallel_tool_calls: Whether several tools may be asked for in one answer.
        extra: Provider-specific fields by provider name, merged into the body as they are.
        extra_headers: Provider-specific headers by provider name.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    response_format: ResponseFormat | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool | None = None
    extra: Mapping[str, Mapping[str, Any]] = {}
    extra_headers: Mapping[str, Mapping[str, str]] = {}
