"""A provider that speaks OpenAI's dialect and has its answers at hand: all but the network."""

from __future__ import annotations

import json
from typing import Any

from switchgear.providers.base import Call, Capabilities, Reply, ReplyStream, ResponseMeta
from switchgear.providers.dialects.openai_chat import ChatDialect, ChatQuirks
from switchgear.providers.stream import DecodedStream
from switchgear.providers.wire import WireResponse, encode_body

__all__ = ["Canned"]

_META = ResponseMeta(
    "req_1",
    {
        "content-type": "application/json",
        "x-request-id": "req_1",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-limit-tokens": "30000000",
        "x-ratelimit-remaining-tokens": "29999900",
        "x-ratelimit-reset-tokens": "0s",
    },
)
_USAGE = {"prompt_tokens": 20, "completion_tokens": 60, "total_tokens": 80}


class Canned:
    """Gives every call the same answer (a ``Provider``).

    Args:
        name: Its name.
        chunks: Of a streamed answer; each comes with a read of its own.
    """

    client = None

    def __init__(self, name: str, chunks: int = 100) -> None:
        self.name = name
        self._can = Capabilities(context_window=128_000, max_output_tokens=16_384)
        self._dialect = ChatDialect(name, ChatQuirks(done_marker=True))
        answer = {"index": 0, "message": {"role": "assistant", "content": "Paris. " * 30}}
        self._whole = json.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "model": "gpt-4o-2024-08-06",
                "choices": [{**answer, "finish_reason": "stop"}],
                "usage": _USAGE,
            }
        ).encode()
        self._events = [
            _event([{"index": 0, "delta": {"role": "assistant", "content": ""}}]),
            *[_event([{"index": 0, "delta": {"content": " word"}}])] * chunks,
            _event([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
            _event([], usage=_USAGE),
            b"data: [DONE]\n\n",
        ]

    def capabilities(self, model: str) -> Capabilities:
        """The same of every model."""
        del model
        return self._can

    async def complete(self, call: Call) -> Reply:
        """Encoded, and decoded, as if it had been sent."""
        encoded = self._dialect.encode(call, self._can, stream=False)
        encode_body(encoded.body)
        return self._dialect.decode(WireResponse(self._whole, _META), call, encoded)

    async def stream(self, call: Call) -> ReplyStream:
        """The same, event by event."""
        encoded = self._dialect.encode(call, self._can, stream=True)
        encode_body(encoded.body)
        decoder = self._dialect.decoder(call, encoded)
        return DecodedStream(_Source(self._events), decoder, provider=self.name, model=call.model)

    async def aclose(self) -> None:
        """Nothing is open."""


class _Source:
    def __init__(self, events: list[bytes]) -> None:
        self._events = iter(events)
        self.meta = _META

    async def read(self) -> bytes:
        return next(self._events, b"")

    async def aclose(self) -> None:
        pass


def _event(choices: list[Any], **more: Any) -> bytes:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06"}
    return b"data: " + json.dumps({**chunk, "choices": choices, **more}).encode() + b"\n\n"
