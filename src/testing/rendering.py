"""The parts every wire module builds its replies from."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from .answers import Answer

__all__ = [
    "Frame",
    "Json",
    "Reply",
    "compact",
    "estimate_tokens",
    "hex_id",
    "json_reply",
    "merged",
    "new_id",
    "pieces_of",
    "pretty",
    "split_json",
    "sse",
    "sse_reply",
]

Json = dict[str, Any]

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class Frame(msgspec.Struct, frozen=True):
    """A piece of a body that is written at once: an event, a line, a whole JSON body.

    `content` says that it carries something of the answer, `terminal` that it ends a stream: faults
    such as `no_terminal` and `cut(after_chunks=...)` go by them.
    """

    data: bytes
    content: bool = False
    terminal: bool = False


class Reply(msgspec.Struct, kw_only=True):
    """A response before it is played onto the socket. Durations are seconds.

    `last_word` makes the event that ends a stream in an error, told how many events went before.
    """

    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    frames: list[Frame] = msgspec.field(default_factory=list)
    stream: bool = False
    last_word: Callable[[int], Frame] | None = None
    latency: float = 0.0
    first_token_delay: float = 0.0
    chunk_delay: float = 0.0


def compact(value: object) -> bytes:
    """JSON without whitespace."""
    return msgspec.json.encode(value)


def pretty(value: object) -> bytes:
    """Indented JSON with a final newline, as OpenAI sends bodies that are no streams."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def json_reply(body: bytes, answer: Answer) -> Reply:
    """A JSON body with the answer's headers and latency."""
    return Reply(
        frames=[Frame(body, content=True, terminal=True)],
        headers=dict(answer.headers),
        latency=answer.latency,
        first_token_delay=answer.first_token_delay,
    )


def sse_reply(frames: Iterable[Frame], answer: Answer) -> Reply:
    """A stream of server-sent events with the answer's headers and pace."""
    return Reply(
        content_type="text/event-stream; charset=utf-8",
        headers={"cache-control": "no-cache", **answer.headers},
        frames=list(frames),
        stream=True,
        latency=answer.latency,
        first_token_delay=answer.first_token_delay,
        chunk_delay=answer.chunk_delay,
    )


def sse(
    data: object, *, event: str | None = None, content: bool = False, terminal: bool = False
) -> Frame:
    """One server-sent event; `data` is JSON unless it is a string already."""
    payload = data.encode() if isinstance(data, str) else compact(data)
    head = b"" if event is None else b"event: " + event.encode() + b"\n"
    return Frame(head + b"data: " + payload + b"\n\n", content=content, terminal=terminal)


def new_id(prefix: str, length: int = 22) -> str:
    """A fresh identifier such as `msg_01RiZf5w2bQ3qPCnAETmsdqt`."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def hex_id(prefix: str, length: int = 48) -> str:
    """A fresh identifier such as `resp_68d32fabf964819099874bb6c4e0b11a089ed203175045cf`."""
    return prefix + secrets.token_hex((length + 1) // 2)[:length]


def pieces_of(text: str, chunks: int | tuple[str, ...] | None) -> list[str]:
    """Split `text` for streaming: as given, in `chunks` equal parts, or one word a piece."""
    if isinstance(chunks, tuple):
        return list(chunks)
    if not text:
        return []
    if chunks is not None:
        size = max(1, math.ceil(len(text) / max(1, chunks)))
        return [text[start : start + size] for start in range(0, len(text), size)]
    return list(_words(text))


def _words(text: str) -> Iterator[str]:
    start = 0
    for index in range(1, len(text)):
        if text[index] == " " and text[index - 1] != " ":
            yield text[start:index]
            start = index
    yield text[start:]


def split_json(text: str, size: int = 7) -> list[str]:
    """Tool arguments in small pieces that respect no boundary of JSON, as vendors stream them."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def estimate_tokens(value: object) -> int:
    """A deterministic stand-in for a tokenizer: four bytes of UTF-8 a token, never zero."""
    data = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
    return max(1, math.ceil(len(data) / 4))


def merged(body: Json, extra: Mapping[str, Any]) -> Json:
    """`body` with the answer's extra top-level fields."""
    return {**body, **extra} if extra else body
