"""From the bytes of Anthropic's answers to a :class:`Reply`, whole or streamed.

A block becomes a common part, and ``native`` keeps what else in it goes back to the API unmodified:
the signature of thinking, the citations of a text, who called a tool. What has no common form, a
server's own tool and its result, stays a block.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...completion import FinishReason
from ...errors import MalformedResponseError
from ...messages import Native, NativeBlock, Part, Reasoning, Text, ToolCall
from .. import faults
from ..base import Reply, ResponseMeta
from .anthropic_blocks import AUTHOR
from .anthropic_usage import billed_apart, raw_usage, region_of, tier_of, usage_of

__all__ = [
    "StopDetails",
    "decode_count",
    "decode_models",
    "decode_reply",
    "finish_reason",
    "native_of",
    "refusal_warning",
    "tool_native",
]

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",  # the context was summarised, and the answer is still to come
    "refusal": "refusal",
}


_TOOL_USE = frozenset({"type", "id", "name", "input"})


class StopDetails(msgspec.Struct):
    """Why the model refused."""

    type: str | None = None
    category: str | None = None
    explanation: str | None = None


class _Message(msgspec.Struct):
    type: str = "message"
    id: str = ""
    model: str = ""
    content: list[dict[str, Any]] = []
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: Any = None
    container: Any = None
    error: Any = None


class _Count(msgspec.Struct):
    input_tokens: int


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]
    has_more: bool = False
    last_id: str | None = None


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_count = msgspec.json.Decoder(_Count).decode
_decode_models = msgspec.json.Decoder(_Models).decode


def decode_reply(
    body: bytes,
    *,
    provider: str,
    model: str,
    meta: ResponseMeta,
    answer_tool: str | None,
    warnings: tuple[str, ...],
    region: str | None = None,
) -> Reply:
    """Decode a whole answer.

    Args:
        body: The answer as received.
        provider: The provider's name in the configuration.
        model: The model that was asked.
        meta: Headers.
        answer_tool: The tool whose arguments are the answer's text.
        warnings: What the request already has to say.
        region: Where it was answered, where the platform knows better than the answer.

    Raises:
        MalformedResponseError: It is not what the API promises.
        SwitchgearError: It is an error that came with a status of 200.
    """
    try:
        message = _decode_message(body)
        if message.type == "error":
            raise faults.stream_error(
                {"error": message.error}, provider=provider, model=model, request_id=meta.request_id
            )
        parts = [part for block in message.content if (part := _part(block, answer_tool))]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError) as exc:
        raise _malformed(exc, provider, model, meta) from exc
    if not message.content and message.stop_reason is None:
        raise _malformed("no content and no stop_reason", provider, model, meta)
    if (warning := refusal_warning(message.stop_details)) is not None:
        warnings = (*warnings, warning)
    usage = raw_usage(message.usage)
    warnings += billed_apart(usage)
    calls = any(isinstance(part, ToolCall) for part in parts)
    return Reply(
        parts=tuple(parts),
        finish_reason=finish_reason(message.stop_reason, calls=calls),
        native_finish_reason=message.stop_reason,
        usage=usage_of(usage, container=message.container),
        id=message.id,
        model=message.model or model,
        meta=meta,
        warnings=warnings,
        body=body,
        tier=tier_of(usage),
        region=region or region_of(usage),
    )


def decode_count(body: bytes, *, provider: str, model: str, meta: ResponseMeta) -> int:
    """The answer of ``count_tokens``."""
    try:
        return _decode_count(body).input_tokens
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _malformed(exc, provider, model, meta) from exc


def decode_models(
    body: bytes, *, provider: str, meta: ResponseMeta
) -> tuple[list[str], str | None]:
    """One page of the list of models, and after which one the next page begins."""
    try:
        page = _decode_models(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _malformed(exc, provider, None, meta) from exc
    return [model.id for model in page.data], page.last_id if page.has_more else None


def native_of(data: dict[str, Any]) -> Native:
    """What only this vendor reads."""
    return Native(AUTHOR, data)


def tool_native(block: dict[str, Any]) -> Native | None:
    """What a ``tool_use`` says beyond id, name and input; a direct call is the rule."""
    extra = {key: value for key, value in block.items() if key not in _TOOL_USE and value}
    caller = extra.get("caller")
    if isinstance(caller, dict) and caller.get("type") == "direct":
        del extra["caller"]
    return native_of(extra) if extra else None


def _part(block: dict[str, Any], answer_tool: str | None) -> Part | None:
    kind = block["type"]
    if kind == "text":
        citations = block.get("citations")
        native = native_of({"citations": citations}) if citations else None
        return Text(block["text"], native=native) if block["text"] else None
    if kind == "thinking":
        signature = block.get("signature")
        return Reasoning(
            block["thinking"], native_of({"signature": signature}) if signature else None
        )
    if kind == "redacted_thinking":
        return Reasoning("", native_of(block))
    if kind == "tool_use":
        arguments = msgspec.json.encode(block["input"]).decode()
        if block["name"] == (answer_tool or ""):
            return Text(arguments)
        return ToolCall(block["id"], block["name"], arguments, tool_native(block))
    return NativeBlock(native_of(block))


def finish_reason(word: str | None, *, calls: bool) -> FinishReason:
    """The common word. An answer that the answer tool gave ended normally."""
    reason = _FINISH.get(word or "", "stop")
    if reason in {"stop", "tool_calls"}:
        return "tool_calls" if calls else "stop"
    return reason


def refusal_warning(details: StopDetails | None) -> str | None:
    """What the API says about a refusal, as a line."""
    if details is None or details.type != "refusal":
        return None
    said = [word for word in (details.category, details.explanation) if word]
    return f"refusal: {': '.join(said)}" if said else None


def _malformed(
    what: object, provider: str, model: str | None, meta: ResponseMeta
) -> MalformedResponseError:
    return MalformedResponseError(
        f"{provider}: malformed answer: {what!s}"
        if not isinstance(what, KeyError)
        else f"{provider}: malformed answer: a content block without {what}",
        provider=provider,
        model=model,
        request_id=meta.request_id,
    )
