"""A whole answer of the Responses API as a reply, and what its stream shares with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...completion import FinishReason
from ...errors import MalformedResponseError
from ...messages import Native, NativeBlock, Part, Reasoning, Refusal, Text, ToolCall
from .. import faults
from ..base import Reply
from ..wire import WireResponse
from . import Encoded
from .counts import word
from .openai_responses_usage import billed_apart, usage_of

__all__ = [
    "Answer",
    "CallItem",
    "Unpromised",
    "call_item",
    "decode",
    "finish",
    "message_contents",
    "reasoning_text",
    "text_native",
]


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class Answer(msgspec.Struct):
    """The fields of a response object that matter here; items stay raw until they are needed.

    What is told of usage and tier is read leniently: ``openai_responses_usage`` says how.
    """

    output: list[msgspec.Raw]
    id: str = ""
    model: str | None = None
    status: str | None = None
    usage: Any = None
    tool_usage: Any = None
    service_tier: Any = None
    error: dict[str, Any] | None = None
    incomplete_details: _Incomplete | None = None


class Unpromised(ValueError):  # noqa: N818 - becomes MalformedResponseError where the provider is known
    """An item lacks what the API promises; says what, with its place inside the item."""


class CallItem(msgspec.Struct, frozen=True):
    """A tool call, whichever kind of item it came as."""

    id: str
    name: str
    arguments: str
    native: Native | None


_answers = msgspec.json.Decoder(Answer)
_items = msgspec.json.Decoder(dict[str, Any])

# What every function call has; more than this must go back with the call.
_PLAIN_CALL = frozenset({"arguments", "call_id", "id", "name", "status", "type"})

_NOTHING = (None, False, {"type": "direct"})

_INCOMPLETE: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}


def decode(
    response: WireResponse,
    encoded: Encoded,
    *,
    provider: str,
    model: str,
    author: str,
    region: str | None = None,
) -> Reply:
    """Read a whole answer.

    Raises:
        MalformedResponseError: It is not what the API promises; the message names the field.
        SwitchgearError: It says that the call failed.
    """
    request_id = response.meta.request_id
    parts: list[Part] = []
    items: list[dict[str, Any]] = []
    index = -1
    try:
        answer = _answers.decode(response.body)
        _check(answer, provider=provider, model=model, request_id=request_id)
        for index, raw in enumerate(answer.output):  # noqa: B007 - named in the error
            item = _items.decode(raw)
            items.append(item)
            _append(parts, item, author, encoded.answer_tool)
    except (msgspec.DecodeError, UnicodeDecodeError, Unpromised) as exc:
        place = f"output[{index}]: " if index >= 0 else ""
        raise MalformedResponseError(
            f"{provider}: malformed response: {place}{exc}",
            provider=provider,
            model=model,
            request_id=request_id,
        ) from exc
    finish_reason, native_finish_reason = finish(answer, parts)
    return Reply(
        parts=tuple(parts),
        finish_reason=finish_reason,
        native_finish_reason=native_finish_reason,
        usage=usage_of(answer.usage, answer.tool_usage, items),
        id=answer.id,
        model=answer.model or model,
        meta=response.meta,
        warnings=(*encoded.warnings, *billed_apart(items)),
        body=response.body,
        tier=word(answer.service_tier),
        region=region,
    )


def _check(answer: Answer, *, provider: str, model: str, request_id: str | None) -> None:
    """An answer that is not one: it failed, or it is still being made."""
    if answer.status == "failed":
        raise faults.stream_error(
            {"error": answer.error or {}},
            provider=provider,
            model=model,
            request_id=request_id,
            where="the answer",
        )
    if answer.status in {"queued", "in_progress", "cancelled"}:
        raise Unpromised(
            f"status {answer.status!r} instead of an answer; `background` and answers that are"
            " fetched later are not supported"
        )


def finish(answer: Answer, parts: Sequence[Part]) -> tuple[FinishReason, str | None]:
    """Why the answer ended, in the common words and in the API's own."""
    if answer.status == "incomplete":
        reason = answer.incomplete_details.reason if answer.incomplete_details else None
        return _INCOMPLETE.get(reason or "", "pause"), reason or answer.status
    for part in parts:
        if isinstance(part, ToolCall):
            return "tool_calls", answer.status
    if any(isinstance(part, Refusal) for part in parts):
        return "refusal", answer.status
    return "stop", answer.status


def _append(parts: list[Part], item: dict[str, Any], author: str, answer_tool: str | None) -> None:
    match item.get("type"):
        case "message":
            for _place, content in message_contents(item):
                refusal = content.get("type") == "refusal"
                said = _text(content, "refusal" if refusal else "text", "content[]")
                if said:
                    native = text_native(item, content, author)
                    parts.append(Refusal(said) if refusal else Text(said, native=native))
        case "reasoning":
            parts.append(Reasoning(reasoning_text(item), Native(author, item)))
        case "function_call" | "custom_tool_call":
            call = call_item(item, author)
            if call.name == answer_tool:
                parts.append(Text(call.arguments))
                return
            count = sum(isinstance(part, ToolCall) for part in parts)
            call_id = call.id or f"call_{count}"
            parts.append(ToolCall(call_id, call.name, call.arguments or "{}", call.native))
        case str():
            parts.append(NativeBlock(Native(author, item)))
        case _:
            raise Unpromised("the item has no type")


def message_contents(item: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The texts and refusals of a message with their places; other content is passed over.

    Raises:
        Unpromised: There is no content.
    """
    contents = item.get("content")
    if not isinstance(contents, list):
        raise Unpromised("`content` of a message is not a list")
    return [
        (place, content)
        for place, content in enumerate(contents)
        if isinstance(content, dict) and content.get("type") in {"output_text", "refusal", "text"}
    ]


def text_native(item: dict[str, Any], content: dict[str, Any], author: str) -> Native | None:
    """What must go back with a text: its annotations, and the phase that it was said in.

    Most texts have neither and need nothing of their author's.
    """
    annotations = content.get("annotations")
    logprobs = content.get("logprobs")
    phase = item.get("phase")
    if not (annotations or phase):
        return None
    data: dict[str, Any] = {"id": item.get("id")}
    if phase:
        data["phase"] = phase
    if annotations:
        data["status"] = item.get("status")
        data["annotations"] = annotations
        if logprobs:
            data["logprobs"] = logprobs
    return Native(author, data)


def reasoning_text(item: dict[str, Any]) -> str:
    """What may be read of the reasoning: its own text (open models), else its summary."""
    for field in ("content", "summary"):
        pieces = item.get(field)
        if isinstance(pieces, list) and pieces:
            texts = [_text(piece, "text", f"{field}[]") for piece in pieces]
            return "\n\n".join(text for text in texts if text)
    return ""


def call_item(item: dict[str, Any], author: str) -> CallItem:
    """A function call, or the call of a custom tool, whose free text becomes ``{"input": …}``.

    Raises:
        Unpromised: It has no name, or arguments that are not text.
    """
    name = _text(item, "name", "")
    if not name:
        raise Unpromised("`name` of a tool call is empty")
    call_id = item.get("call_id") or item.get("id") or ""
    if item["type"] == "custom_tool_call":
        given = msgspec.json.encode({"input": _text(item, "input", "")}).decode()
        return CallItem(call_id, name, given, Native(author, item))
    arguments = item.get("arguments")
    if arguments is None:
        arguments = ""
    if not isinstance(arguments, str):
        raise Unpromised("`arguments` of a tool call is not text")
    more = any(key not in _PLAIN_CALL and value not in _NOTHING for key, value in item.items())
    return CallItem(call_id, name, arguments, Native(author, item) if more else None)


def _text(data: Any, field: str, place: str) -> str:
    value = data.get(field) if isinstance(data, dict) else None
    if not isinstance(value, str):
        where = f"{place}.{field}" if place else field
        raise Unpromised(f"`{where}` is not text")
    return value
