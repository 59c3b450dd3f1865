"""A ``chat.completion`` as a reply."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from ...errors import MalformedResponseError, SwitchgearError
from ...messages import Native, NativeBlock, Part, Reasoning, Refusal, Text, ToolCall
from ..base import Reply
from ..faults import stream_error
from ..wire import WireResponse
from . import Encoded
from .counts import word
from .openai_chat_quirks import AUTHOR
from .openai_chat_thinking import reasoning_of
from .openai_chat_usage import usage_of
from .openai_chat_values import (
    Choice,
    Completion,
    Said,
    WrittenCall,
    arguments_text,
    finish_reason,
    split,
)

__all__ = ["call_native", "decode", "details_text", "read_completion"]

_DECODER = msgspec.json.Decoder(Completion)


def decode(
    response: WireResponse,
    encoded: Encoded,
    *,
    provider: str,
    model: str,
    region: str | None = None,
) -> Reply:
    """Read a whole answer; of several, the first.

    Raises:
        MalformedResponseError: It is not what the API promises.
        SwitchgearError: The body is an error in spite of its status, as some gateways send it.
    """
    request_id = response.meta.request_id
    answer = read_completion(response.body, provider=provider, model=model, request_id=request_id)
    if not answer.choices:
        _malformed("choices: missing or empty", provider, model, request_id)
    choice = answer.choices[0] if len(answer.choices) == 1 else min(answer.choices, key=_place)
    if choice.error:
        raise _failure(choice.error, provider, model, request_id)
    message = choice.message
    if message is None:
        _malformed("choices[0].message: missing", provider, model, request_id)
    calls, hidden = _calls(message, encoded.answer_tool)
    for call in calls:
        if not call.name:
            place = "choices[0].message.tool_calls: a call without a name"
            _malformed(place, provider, model, request_id)
    said = _said(message, hidden)
    warnings = encoded.warnings
    if len(answer.choices) > 1:
        warnings = (*warnings, f"n: {len(answer.choices)} answers came; this is the first")
    refused = any(isinstance(part, Refusal) for part in said)
    return Reply(
        parts=(*said, *calls),
        finish_reason=finish_reason(choice.finish_reason, calls=bool(calls), refused=refused),
        native_finish_reason=choice.finish_reason,
        usage=usage_of(
            answer.usage, model=answer.model or model, called=[call.name for call in calls]
        ),
        id=answer.id or "",
        model=answer.model or model,
        meta=response.meta,
        warnings=warnings,
        body=response.body,
        tier=word(answer.service_tier),
        region=region,
    )


def read_completion(
    body: bytes, *, provider: str, model: str, request_id: str | None
) -> Completion:
    """A body as a ``Completion``.

    Raises:
        MalformedResponseError: It is none.
        SwitchgearError: It is an error.
    """
    try:
        answer = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        message = f"{provider}: malformed answer: {exc}"
        raise MalformedResponseError(
            message, provider=provider, model=model, request_id=request_id
        ) from exc
    if answer.error or answer.object == "error":
        data = {"error": answer.error} if answer.error else {"message": answer.message}
        raise _failure(data, provider, model, request_id)
    return answer


def call_native(item: WrittenCall) -> Native | None:
    """What of a call only its own vendor reads."""
    data: dict[str, Any] = {}
    if item.extra_content:
        data["extra_content"] = item.extra_content
    if isinstance(item.provider_specific_fields, dict) and item.provider_specific_fields:
        data["provider_specific_fields"] = item.provider_specific_fields
    return Native(AUTHOR, data) if data else None


def details_text(details: list[dict[str, Any]] | None) -> str:
    """What may be read of OpenRouter's reasoning details."""
    texts = (item.get("text") or item.get("summary") for item in details or ())
    return "".join(text for text in texts if isinstance(text, str))


def _said(message: Said, hidden: str) -> tuple[Part, ...]:
    """Everything but the tool calls, in the order in which models speak."""
    parts: list[Part] = []
    thought, text = split(message.content)
    readable = message.reasoning_content or message.reasoning or thought
    details = message.reasoning_details
    if signed := reasoning_of(message.thinking_blocks):
        parts.extend(signed)
    elif details:
        native = Native(AUTHOR, {"reasoning_details": details})
        parts.append(Reasoning(readable or details_text(details), native))
    elif readable:
        parts.append(Reasoning(readable))
    audio = message.audio
    if audio is not None and not text:
        text = audio.transcript or ""
    text += hidden
    notes = Native(AUTHOR, {"annotations": message.annotations}) if message.annotations else None
    if text:
        parts.append(Text(text, native=notes))
    if audio is not None:
        parts.append(NativeBlock(Native(AUTHOR, {"audio": msgspec.to_builtins(audio)})))
    if message.images:
        parts.append(NativeBlock(Native(AUTHOR, {"images": message.images})))
    if message.refusal:
        parts.append(Refusal(message.refusal))
    return tuple(parts)


def _calls(message: Said, answer_tool: str | None) -> tuple[tuple[ToolCall, ...], str]:
    """The tool calls, and the arguments of the tool whose arguments are the answer."""
    written = list(message.tool_calls or ())
    if message.function_call is not None:
        written.append(WrittenCall(function=message.function_call))
    calls: list[ToolCall] = []
    hidden = ""
    for index, item in enumerate(written):
        call = _call(item, index)
        if answer_tool is not None and call.name == answer_tool:
            hidden += call.arguments
        else:
            calls.append(call)
    return tuple(calls), hidden


def _call(item: WrittenCall, index: int) -> ToolCall:
    # Every call needs an id to be answered; some servers send none.
    call_id = item.id or f"call_{index}"
    if item.custom is not None:
        given = item.custom.input or ""
        data: dict[str, Any] = {"custom": {"name": item.custom.name, "input": given}}
        arguments = msgspec.json.encode({"input": given}).decode()
        return ToolCall(call_id, item.custom.name or "", arguments, Native(AUTHOR, data))
    native = call_native(item)
    name = item.function.name if item.function is not None else None
    arguments = arguments_text(item.function.arguments if item.function is not None else None)
    return ToolCall(call_id, name or "", arguments or "{}", native)


def _place(choice: Choice) -> int:
    return choice.index or 0


def _failure(data: object, provider: str, model: str, request_id: str | None) -> SwitchgearError:
    return stream_error(
        data, provider=provider, model=model, request_id=request_id, where="the answer"
    )


def _malformed(what: str, provider: str, model: str, request_id: str | None) -> NoReturn:
    raise MalformedResponseError(
        f"{provider}: malformed answer: {what}",
        provider=provider,
        model=model,
        request_id=request_id,
    )
