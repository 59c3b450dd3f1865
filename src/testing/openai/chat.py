"""OpenAI chat completions: whole bodies and chunk streams."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

from ..answers import Answer, TokenUsage
from ..records import RecordedRequest
from ..rendering import (
    Frame,
    Json,
    Reply,
    json_reply,
    merged,
    new_id,
    pieces_of,
    pretty,
    split_json,
    sse,
    sse_reply,
)
from ..wire import usage_of
from .models import is_reasoning, snapshot, usage_chat

__all__ = ["Dialect", "completion", "completion_stream", "render_chat"]

_FINISH = {
    "stop": "stop",
    "stop_sequence": "stop",
    # A refusal of the model's own has its text in `refusal` and an ordinary finish reason.
    "refusal": "stop",
    "pause": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}
_FINGERPRINT = "fp_44709d6fcb"


class Dialect:
    """Where servers that speak this format differ; OpenAI itself is the default."""

    obfuscation = True
    reasoning_field: str | None = None
    filter_results = False


def render_chat(call: RecordedRequest, answer: Answer, dialect: Dialect) -> Reply:
    """The reply to a chat completion request."""
    usage = usage_of(
        call, answer, prompt={"messages": call.body["messages"], "tools": call.body.get("tools")}
    )
    if call.stream:
        return sse_reply(completion_stream(call, answer, usage, dialect), answer)
    return json_reply(pretty(completion(call, answer, usage, dialect)), answer)


def _usage(usage: TokenUsage, call: RecordedRequest) -> Json:
    return usage_chat(
        usage.input_tokens or 0,
        usage.output_tokens or 0,
        cached=usage.cache_read_tokens,
        reasoning=(usage.reasoning_tokens or 0) if is_reasoning(call.model) else 0,
        audio=(usage.audio_input_tokens, usage.audio_output_tokens),
    )


def _tool_calls(answer: Answer) -> list[Json]:
    return [
        {
            "id": call.id if call.id is not None else new_id("call_", 24),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments_text()},
        }
        for call in answer.tool_calls
    ]


def _message(answer: Answer, dialect: Dialect) -> Json:
    message: Json = {
        "role": "assistant",
        "content": answer.text,
        "refusal": answer.refusal,
        "annotations": [],
    }
    if answer.tool_calls:
        message["tool_calls"] = _tool_calls(answer)
    if dialect.reasoning_field is not None and answer.reasoning:
        message[dialect.reasoning_field] = answer.reasoning
    return message


def completion(call: RecordedRequest, answer: Answer, usage: TokenUsage, dialect: Dialect) -> Json:
    """A `chat.completion`; with `n` above one, the same choice n times."""
    finish = answer.finish()
    choices: list[Json] = [
        {
            "index": index,
            "message": _message(answer, dialect),
            "logprobs": None,
            "finish_reason": _FINISH.get(finish, finish),
        }
        for index in range(call.body.get("n") or 1)
    ]
    body: Json = {
        "id": answer.id or new_id("chatcmpl-", 29),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.model or snapshot(call.model),
        "choices": choices,
        "usage": _usage(usage, call),
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }
    if not answer.send_usage:
        del body["usage"]
    if dialect.filter_results:
        body["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": SAFE}]
        for choice in choices:
            choice["content_filter_results"] = {} if answer.tool_calls else SAFE
    return merged(body, answer.extra)


SAFE: Json = {
    kind: {"filtered": False, "severity": "safe"}
    for kind in ("hate", "self_harm", "sexual", "violence")
}


def completion_stream(
    call: RecordedRequest, answer: Answer, usage: TokenUsage, dialect: Dialect
) -> Iterator[Frame]:
    """The chunks of a `chat.completion.chunk` stream, `[DONE]` included."""
    options = call.body.get("stream_options") or {}
    with_usage = bool(options.get("include_usage")) and answer.send_usage
    base: Json = {
        "id": answer.id or new_id("chatcmpl-", 29),
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": answer.model or snapshot(call.model),
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }
    obfuscate = dialect.obfuscation and options.get("include_obfuscation", True)
    if dialect.filter_results:
        empty = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        yield sse(
            {
                **empty,
                "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}],
            }
        )
    for index in range(call.body.get("n") or 1):
        for delta, content in _deltas(answer, dialect):
            finish = answer.finish() if delta is None else None
            choice = {
                "index": index,
                "delta": delta or {},
                "logprobs": None,
                "finish_reason": _FINISH.get(finish, finish) if finish else None,
            }
            chunk: Json = {**base, "choices": [choice]}
            if with_usage:
                chunk["usage"] = None
            if obfuscate:
                # Padding of random length, so that the size of a packet does not tell the length of
                # a token.
                chunk["obfuscation"] = secrets.token_urlsafe(12)[: 4 + secrets.randbelow(10)]
            yield sse(merged(chunk, answer.extra), content=content)
    if with_usage:
        last: Json = {**base, "choices": [], "usage": _usage(usage, call)}
        if obfuscate:
            last["obfuscation"] = ""
        yield sse(last)
    yield sse("[DONE]", terminal=True)


def _deltas(answer: Answer, dialect: Dialect) -> Iterator[tuple[Json | None, bool]]:
    """Deltas with a flag for content; None is the empty one with the finish reason."""
    yield (
        {
            "role": "assistant",
            "content": None if answer.tool_calls and not answer.text else "",
            "refusal": None,
        },
        False,
    )
    if dialect.reasoning_field is not None and answer.reasoning:
        for piece in pieces_of(answer.reasoning, None):
            yield {dialect.reasoning_field: piece}, True
    for piece in pieces_of(answer.text or "", answer.chunks if answer.text else None):
        yield {"content": piece}, True
    for piece in pieces_of(answer.refusal or "", None):
        yield {"refusal": piece}, True
    for index, call in enumerate(_tool_calls(answer)):
        head = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        yield {"tool_calls": [head]}, True
        for piece in split_json(call["function"]["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, True
    yield None, False
