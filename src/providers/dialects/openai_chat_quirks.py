"""How one provider's Chat Completions differ from OpenAI's own."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["AUTHOR", "ChatQuirks"]

AUTHOR = "openai-chat"
"""The author of what only this API can read."""


class ChatQuirks(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's accent; the defaults are what most compatible servers understand.

    Attributes:
        max_tokens_field: What the longest answer is called.
        system_role: The role of the instructions.
        stream_usage: It takes ``stream_options`` and sends usage at the end of a stream.
        done_marker: It ends every stream with ``[DONE]``, so that one without was cut. Otherwise an
            orderly end of the body after a finish reason will do.
        schema: How an answer is kept to a JSON schema: its own ``json_schema``, its JSON mode with
            the schema written into the instructions, or a forced tool.
        strict: Schemas are rewritten into OpenAI's strict subset unless the request says otherwise.
        reasoning_field: The field in which readable reasoning goes back to its model; ``None``
            where it takes none back.
        reasoning_details: OpenRouter's ``reasoning_details`` go back to it.
        tool_call_ids: ``any`` of up to 40 characters, or ``nine`` letters and digits (Mistral).
        extra_fields: It takes back, or passes over, what other servers of this API add to an answer
            (annotations, audio, signatures, custom calls). Strict ones refuse the whole request.
        file_ids: It keeps uploaded files.
        cache_breakpoints: Blocks of the prompt take marks for its cache.
        cache_control: Blocks and tools take Anthropic's mark for the prompt's cache.
        thinking_blocks: Anthropic's signed thinking goes back, in LiteLLM's ``thinking_blocks``.
        call_fields: A tool call takes back LiteLLM's ``provider_specific_fields``, where Gemini's
            signatures travel.
        openai_models: Its models are OpenAI's, and what they take depends on the effort.
        known_as: OpenAI's name of the model, where a deployment has one of its own.
    """

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    system_role: Literal["system", "developer"] = "system"
    stream_usage: bool = True
    done_marker: bool = False
    schema: Literal["native", "json_object", "tool", "none"] = "native"
    strict: bool = False
    reasoning_field: Literal["reasoning_content", "reasoning"] | None = None
    reasoning_details: bool = False
    tool_call_ids: Literal["any", "nine"] = "any"
    extra_fields: bool = True
    file_ids: bool = False
    cache_breakpoints: bool = False
    cache_control: bool = False
    thinking_blocks: bool = False
    call_fields: bool = False
    openai_models: bool = False
    known_as: str | None = None
