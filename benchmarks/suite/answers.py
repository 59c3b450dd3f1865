"""What the upstream answers: bytes made once, in the shapes and with the headers of the vendors."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

__all__ = ["ANSWERS", "CHUNKS", "MODELS", "STREAMED", "WHOLE", "Answer", "http_chunk"]

CHUNKS = 100
"""Pieces of text in a stream."""

WHOLE = 8 * len("The capital of France is Paris. ")
"""Characters of text in a whole answer."""

STREAMED = CHUNKS * len(" word")
"""Characters of text in a stream."""

MODELS = {"openai": "gpt-4o", "anthropic": "claude-haiku-4-5"}
"""What subjects ask for, by vendor."""

_TEXT = 8 * "The capital of France is Paris. "
_COMMON = {
    "date": "Mon, 23 Nov 2026 20:00:00 GMT",
    "server": "cloudflare",
    "cf-ray": "9a2f1c3d4e5f6a7b-FRA",
    "cf-cache-status": "DYNAMIC",
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "x-content-type-options": "nosniff",
    "via": "1.1 google",
}
_OPENAI = _COMMON | {
    "x-request-id": "req_4c7f8a2b9d1e4f60a3b5c7d9e1f20314",
    "openai-organization": "org-example",
    "openai-processing-ms": "412",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-limit-tokens": "30000000",
    "x-ratelimit-remaining-tokens": "29999900",
    "x-ratelimit-reset-tokens": "0s",
}
_ANTHROPIC = _COMMON | {
    "request-id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    "anthropic-organization-id": "8f2c1d3e-0000-4000-8000-000000000000",
    "anthropic-ratelimit-requests-limit": "4000",
    "anthropic-ratelimit-requests-remaining": "3999",
    "anthropic-ratelimit-requests-reset": "2026-11-23T20:00:00Z",
    "anthropic-ratelimit-input-tokens-limit": "400000",
    "anthropic-ratelimit-input-tokens-remaining": "399000",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-23T20:00:00Z",
    "anthropic-ratelimit-output-tokens-limit": "80000",
    "anthropic-ratelimit-output-tokens-remaining": "80000",
    "anthropic-ratelimit-output-tokens-reset": "2026-11-23T20:00:00Z",
    "anthropic-ratelimit-tokens-limit": "480000",
    "anthropic-ratelimit-tokens-remaining": "479000",
    "anthropic-ratelimit-tokens-reset": "2026-11-23T20:00:00Z",
}


class Answer(NamedTuple):
    """One vendor's answers, ready to be sent.

    Attributes:
        whole: Head and body of an answer in one piece.
        head: The head of a streamed one.
        chunks: Its events, each a chunk of HTTP's chunked encoding; the end is not among them.
    """

    whole: bytes
    head: bytes
    chunks: tuple[bytes, ...]


def http_chunk(data: bytes) -> bytes:
    """A piece of a body in chunked encoding; of nothing, the end of the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode()


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _answer(headers: dict[str, str], body: dict[str, Any], events: list[bytes]) -> Answer:
    whole = _json(body)
    sizes = {"content-type": "application/json", "content-length": str(len(whole))}
    stream = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
    return Answer(
        _head(sizes | headers) + whole,
        _head(stream | headers),
        tuple(http_chunk(event) for event in events),
    )


def _openai() -> Answer:
    common = {
        "id": "chatcmpl-CfR2m0Zs8yqKcQ1vJpTn5wXaBdE7u",
        "created": 1795464000,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_50cad350e4",
    }
    details = {
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }

    def usage(output: int) -> dict[str, Any]:
        tokens = {"prompt_tokens": 40, "completion_tokens": output, "total_tokens": 40 + output}
        return tokens | details

    message: dict[str, Any] = {
        "role": "assistant",
        "content": _TEXT,
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = common | {"object": "chat.completion", "choices": [choice], "usage": usage(60)}

    def event(choices: list[dict[str, Any]], tokens: dict[str, Any] | None = None) -> bytes:
        chunk = {"object": "chat.completion.chunk", "choices": choices, "usage": tokens}
        return b"data: " + _json(common | chunk | {"obfuscation": "x7Kq2Lm9"}) + b"\n\n"

    def delta(piece: dict[str, Any], finish: str | None = None) -> bytes:
        return event([{"index": 0, "delta": piece, "logprobs": None, "finish_reason": finish}])

    events = [
        delta({"role": "assistant", "content": "", "refusal": None}),
        *[delta({"content": " word"})] * CHUNKS,
        delta({}, "stop"),
        event([], usage(CHUNKS)),
        b"data: [DONE]\n\n",
    ]
    return _answer(_OPENAI, body, events)


def _anthropic() -> Answer:
    def usage(output: int) -> dict[str, Any]:
        return {
            "input_tokens": 40,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output,
            "service_tier": "standard",
        }

    def message(content: list[dict[str, Any]], stop: str | None, output: int) -> dict[str, Any]:
        return {
            "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
            "type": "message",
            "role": "assistant",
            "model": "claude-haiku-4-5-20251001",
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": usage(output),
        }

    def event(kind: str, **fields: Any) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), _json({"type": kind, **fields}))

    piece = event("content_block_delta", index=0, delta={"type": "text_delta", "text": " word"})
    block = {"type": "text", "text": ""}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    events = [
        event("message_start", message=message([], None, 1)),
        event("content_block_start", index=0, content_block=block),
        event("ping"),
        *[piece] * CHUNKS,
        event("content_block_stop", index=0),
        event("message_delta", delta=stop, usage={"output_tokens": CHUNKS}),
        event("message_stop"),
    ]
    return _answer(_ANTHROPIC, message([{"type": "text", "text": _TEXT}], "end_turn", 60), events)


ANSWERS = {"openai": _openai(), "anthropic": _anthropic()}
"""By vendor."""
