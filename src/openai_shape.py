"""Our values in the shape of OpenAI's chat API, without loss.

Whatever the shape can't say (the order of parts that is not reasoning, text, tool calls; another
vendor's signatures; a tool's failure) travels under one additional key, ``switchgear``, which is
there only when it is needed. ``normalise_messages`` reads it back; where the visible fields were
edited in between, these hold.
"""

from __future__ import annotations

from typing import Any

from .completion import Completion, Usage
from .errors import InvalidRequestError
from .messages import Message, Refusal
from .normalise import normalise_message
from .normalise.exact import EXACT, exact_form, visible

__all__ = ["completion_to_openai", "message_to_openai"]


def message_to_openai(message: Message) -> dict[str, Any]:
    """A message as OpenAI's chat API takes it: plain data, ready for JSON.

    Reading it back gives the same message, up to the canonical form that ``normalise_messages``
    gives to the message itself (a tool call's empty arguments become ``{}``).
    """
    if isinstance(message.content, str) and not message.is_error:
        return visible(message)
    shown = visible(message)
    if not _reads_back(shown, message):
        shown[EXACT] = exact_form(message)
    return shown


def _reads_back(shown: dict[str, Any], message: Message) -> bool:
    try:
        return normalise_message(shown) == [message]
    except InvalidRequestError:
        return False


def completion_to_openai(completion: Completion) -> dict[str, Any]:
    """An answer as OpenAI's ``chat.completion``: plain data, ready for JSON.

    Its message's content is a string or None, as clients expect of an answer. What the shape has
    no place for (provider, cost in USD as a decimal string, warnings, our finish reason) stands
    under ``switchgear``.
    """
    choice = {
        "index": 0,
        "message": _answer(completion.message),
        "logprobs": None,
        "finish_reason": _finish_reason(completion),
    }
    return {
        "id": completion.id,
        "object": "chat.completion",
        "created": completion.created,
        "model": completion.model,
        "choices": [choice],
        "usage": _usage(completion.usage),
        EXACT: {
            "provider": completion.provider,
            "group": completion.group,
            "finish_reason": completion.finish_reason,
            "native_finish_reason": completion.native_finish_reason,
            "cost": None if completion.cost is None else format(completion.cost, "f"),
            "cached": completion.cached,
            "estimated": completion.usage.estimated,
            "warnings": list(completion.warnings),
        },
    }


def _answer(message: Message) -> dict[str, Any]:
    shown = visible(message, flat=True)
    shown.setdefault("refusal", None)
    try:
        (read,) = normalise_message(shown)
    except InvalidRequestError:
        read = None
    # A lone text and a string are the same answer: no extra key for that.
    if read is None or (read.parts, read.name) != (message.parts, message.name):
        shown[EXACT] = exact_form(message)
    return shown


def _finish_reason(completion: Completion) -> str:
    """One of the words that OpenAI's clients know."""
    reason = completion.finish_reason
    if reason == "refusal":
        # OpenAI itself says "stop" beside a refusal in words.
        said = any(isinstance(part, Refusal) for part in completion.message.parts)
        return "stop" if said else "content_filter"
    if reason in {"pause", "error"}:
        # Anything but "stop": an unfinished answer must not look finished.
        return "length"
    return reason


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": usage.audio_input_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
