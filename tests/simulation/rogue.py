"""A third-party plugin with bad manners."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear.completion import StreamEvent, ToolCallDelta, Usage
from switchgear.errors import OverloadedError
from switchgear.messages import Part, Text, ToolCall
from switchgear.providers.base import (
    Call,
    Capabilities,
    EmbedCall,
    Embedding,
    Reply,
    ResponseMeta,
)
from switchgear.testing.answers import Answer

from .client import call_number
from .records import Exchange
from .vendors import Vendor

if TYPE_CHECKING:
    from .world import World

__all__ = ["Rogue"]

_BEHAVIOURS = {
    "answer": 12,
    "slow": 3,
    "key_error": 2,
    "own_timeout": 1,
    "os_error": 1,
    "own_error": 2,
    "nothing": 1,
    "lingers": 2,
    "late": 1,
    "late_error": 1,
    "dies": 2,
    "stops": 2,
    "bad_close": 1,
    "cancels_itself": 1,
}
_STUBBORN_SECONDS = 0.03
"""How long it ignores a cancellation: less than what the invariants allow a call to be late."""


class Rogue:
    """Answers, mostly.

    It raises what is none of our errors, returns nothing, ignores cancellations for a while and
    answers after them, ends streams without a word, fails to close.
    """

    client = None

    def __init__(self, vendor: Vendor, world: World) -> None:
        self.name = vendor.plan.name
        self._vendor = vendor
        self._world = world
        self._requests = 0

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(context_window=8000 if model == "m-small" else None)

    async def complete(self, call: Call) -> Reply:
        exchange = self._exchange(call)
        try:
            await self._work(exchange)
            if exchange.behaviour == "nothing":
                return None  # type: ignore[return-value]  # what rogues do
            exchange.whole = True
            return _reply(exchange)
        finally:
            self._close(exchange)

    async def stream(self, call: Call) -> _RogueStream:
        exchange = self._exchange(call)
        try:
            if exchange.behaviour not in {"dies", "stops"}:
                await self._work(exchange)
        except BaseException:
            self._close(exchange)
            raise
        if exchange.behaviour == "nothing":
            self._close(exchange)
            return None  # type: ignore[return-value]  # what rogues do
        return _RogueStream(exchange, self, self._vendor.draw)

    async def embed(self, call: EmbedCall) -> Embedding:
        exchange = self._exchange(call)
        try:
            await self._work(exchange)
            exchange.whole = True
            vectors = [(float(exchange.number), float(i)) for i in range(len(call.inputs))]
            if exchange.behaviour == "nothing":
                vectors.pop()
            said = exchange.said
            assert said is not None
            exchange.said = msgspec.structs.replace(said, embeddings=tuple(vectors))
            meta = ResponseMeta(exchange.request_id)
            return Embedding(vectors=tuple(vectors), model=said.model or "", meta=meta)
        finally:
            self._close(exchange)

    async def aclose(self) -> None:
        await asyncio.sleep(self._vendor.plan.close_delay)

    def _exchange(self, call: Call | EmbedCall) -> Exchange:
        self._requests += 1
        if isinstance(call, EmbedCall):
            number, tools, schema = call_number(call.inputs[0]), False, False
        else:
            request = call.request
            number = call_number(request.messages[-1].text)
            tools, schema = bool(request.tools), request.response_format is not None
        exchange = Exchange(
            number=number,
            provider=self.name,
            model=call.model,
            behaviour=self._behaviour(),
            request_id=f"req-{self.name}-{self._requests}",
            said=self._vendor.answer(number, tools=tools, schema=schema),
        )
        self._world.sent(exchange)
        return exchange

    def _behaviour(self) -> str:
        chosen = self._vendor.draw.choices(list(_BEHAVIOURS), list(_BEHAVIOURS.values()))[0]
        features = self._world.features
        if chosen == "cancels_itself" and not features.own_cancellations:
            return "key_error"
        return chosen

    async def _work(self, exchange: Exchange) -> None:
        draw = self._vendor.draw
        seconds = draw.uniform(1, 20) if exchange.behaviour == "slow" else draw.uniform(0, 1)
        stubborn = exchange.behaviour in {"lingers", "late", "late_error"}
        try:
            await asyncio.sleep(seconds * 10 if stubborn else seconds)
        except asyncio.CancelledError:
            if stubborn:
                await asyncio.sleep(_STUBBORN_SECONDS)
            if exchange.behaviour == "late_error":
                raise OverloadedError(f"{self.name}: too late", provider=self.name) from None
            if exchange.behaviour != "late":
                raise
        match exchange.behaviour:
            case "key_error":
                raise KeyError("choices")
            case "own_timeout":
                raise TimeoutError("its own")
            case "os_error":
                raise OSError(5, "Input/output error")
            case "own_error":
                raise OverloadedError(f"{self.name}: busy", provider=self.name, status=529)
            case "cancels_itself":
                raise asyncio.CancelledError

    def _close(self, exchange: Exchange) -> None:
        if not exchange.closed:
            exchange.closed = True
            self._world.closed(exchange)


class _RogueStream:
    def __init__(self, exchange: Exchange, provider: Rogue, draw: random.Random) -> None:
        self._exchange = exchange
        self._provider = provider
        self._reply = _reply(exchange)
        self._events = _events(self._reply)
        self._given = 0
        broken = exchange.behaviour in {"dies", "stops"}
        self._ends_at = draw.randint(0, len(self._events) - 1) if broken else len(self._events)
        # Once it has ignored the end of its time it must not take more of it.
        self._gap = draw.choice((0.0, 0.01, 0.5)) if exchange.behaviour != "late" else 0.0
        self.finished = False
        self.meta = ResponseMeta(exchange.request_id)

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._gap:
            await asyncio.sleep(self._gap)
        if self._given == self._ends_at:
            if self._exchange.behaviour == "dies":
                raise IndexError("list index out of range")
            self.finished = self._exchange.whole = self._exchange.behaviour != "stops"
            raise StopAsyncIteration
        self._given += 1
        return self._events[self._given - 1]

    def snapshot(self) -> Reply:
        if self.finished:
            return self._reply
        said = "".join(event.text for event in self._events[: self._given])
        parts = (Text(said),) if said else ()
        return msgspec.structs.replace(self._reply, parts=parts, usage=None)

    async def aclose(self) -> None:
        self._provider._close(self._exchange)
        if self._exchange.behaviour == "bad_close":
            raise RuntimeError("close() of a closed transport")


def _reply(exchange: Exchange) -> Reply:
    said = exchange.said
    assert said is not None
    parts: list[Part] = [Text(said.text)] if said.text else []
    parts += [ToolCall(call.id or "", call.name, call.arguments_text()) for call in said.tool_calls]
    return Reply(
        parts=tuple(parts),
        finish_reason="tool_calls" if said.tool_calls else "stop",
        native_finish_reason="done",
        usage=_usage(said),
        id=said.id or "",
        model=said.model or "",
        meta=ResponseMeta(exchange.request_id),
    )


def _usage(said: Answer) -> Usage | None:
    usage = said.usage
    if usage is None:
        return None
    return Usage(input_tokens=usage.input_tokens or 0, output_tokens=usage.output_tokens or 0)


def _events(reply: Reply) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    calls = 0
    for part in reply.parts:
        if isinstance(part, Text):
            events += [StreamEvent(text=piece) for piece in _split(part.text)]
        elif isinstance(part, ToolCall):
            events.append(StreamEvent(tool_call=ToolCallDelta(calls, part.id, part.name)))
            pieces: Any = _split(part.arguments)
            events += [
                StreamEvent(tool_call=ToolCallDelta(calls, arguments=piece)) for piece in pieces
            ]
            calls += 1
    return events


def _split(text: str) -> list[str]:
    return [text[at : at + 9] for at in range(0, len(text), 9)]
