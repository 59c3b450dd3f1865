"""A provider without a network, for tests of what stands above the adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec

from ..completion import StreamEvent, ToolCallDelta, Usage
from ..messages import Reasoning, Text, ToolCall
from ..providers.base import Call, Capabilities, Reply, ResponseMeta

__all__ = ["Scripted", "ScriptedProvider", "ScriptedStream", "scripted_reply"]


class Scripted(msgspec.Struct, frozen=True, kw_only=True):
    """What one call meets.

    Attributes:
        reply: The answer, where it gets that far.
        error: Raised instead of an answer; in a stream after ``events_before_error`` events.
        events_before_error: How many deltas a stream delivers before ``error``; ``None`` raises
            when it is opened.
        cut_after: A stream stops, without a word, after so many deltas.
        delay: Seconds before the answer or the opening of the stream.
        gap: Seconds before each delta.
    """

    reply: Reply | None = None
    error: Exception | None = None
    events_before_error: int | None = None
    cut_after: int | None = None
    delay: float = 0.0
    gap: float = 0.0


Script: TypeAlias = Scripted | Reply | Exception | str


def scripted_reply(text: str = "ok", *, input_tokens: int = 10, output_tokens: int = 5) -> Reply:
    """A plain answer with a usage."""
    return Reply(
        parts=(Text(text),),
        finish_reason="stop",
        native_finish_reason="stop",
        usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
        id="scripted-1",
        meta=ResponseMeta("req-1"),
    )


class ScriptedProvider:
    """Answers from a script, one entry a call; the last entry answers all calls after it.

    Attributes:
        calls: Every call it got, in order.
        streams: Every stream it opened.
        closed: How often it was closed.
    """

    def __init__(
        self,
        name: str = "scripted",
        script: Iterable[Script] = (),
        *,
        capabilities: Capabilities | None = None,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        self.name = name
        self.client = None
        self.calls: list[Call] = []
        self.streams: list[ScriptedStream] = []
        self.closed = 0
        self._script = [_entry(item) for item in script] or [_entry("ok")]
        self._capabilities = capabilities or Capabilities()
        self._on_call = on_call

    def capabilities(self, model: str) -> Capabilities:  # noqa: ARG002 - all models are alike
        """The same for every model."""
        return self._capabilities

    async def complete(self, call: Call) -> Reply:
        """The script's next answer."""
        entry = self._next(call)
        if entry.delay:
            await asyncio.sleep(entry.delay)
        if entry.error is not None:
            raise entry.error
        return entry.reply or scripted_reply()

    async def stream(self, call: Call) -> ScriptedStream:
        """The script's next answer as a stream: text word by word, tool calls in two pieces."""
        entry = self._next(call)
        if entry.delay:
            await asyncio.sleep(entry.delay)
        if entry.error is not None and entry.events_before_error is None:
            raise entry.error
        stream = ScriptedStream(entry)
        self.streams.append(stream)
        return stream

    async def aclose(self) -> None:
        """Counts."""
        self.closed += 1

    def _next(self, call: Call) -> Scripted:
        self.calls.append(call)
        if self._on_call is not None:
            self._on_call(call)
        return self._script[min(len(self.calls), len(self._script)) - 1]


class ScriptedStream:
    """The stream of a :class:`ScriptedProvider`."""

    def __init__(self, entry: Scripted) -> None:
        self._entry = entry
        self._reply = entry.reply or scripted_reply()
        self._events = _events(self._reply)
        self._given = 0
        self.closed = 0
        self.finished = False
        self.meta = self._reply.meta

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        entry = self._entry
        if entry.gap:
            await asyncio.sleep(entry.gap)
        if entry.error is not None and self._given == entry.events_before_error:
            raise entry.error
        if entry.cut_after is not None and self._given >= entry.cut_after:
            raise StopAsyncIteration
        if self._given == len(self._events):
            self.finished = True
            raise StopAsyncIteration
        event = self._events[self._given]
        self._given += 1
        return event

    def snapshot(self) -> Reply:
        """The whole reply once finished, else the text so far without a usage."""
        if self.finished:
            return self._reply
        text = "".join(event.text for event in self._events[: self._given])
        return msgspec.structs.replace(self._reply, parts=(Text(text),), usage=None)

    async def aclose(self) -> None:
        """Counts."""
        self.closed += 1


def _entry(item: Script) -> Scripted:
    if isinstance(item, Scripted):
        return item
    if isinstance(item, Reply):
        return Scripted(reply=item)
    if isinstance(item, Exception):
        return Scripted(error=item)
    return Scripted(reply=scripted_reply(item))


def _events(reply: Reply) -> Sequence[StreamEvent]:
    events: list[StreamEvent] = []
    calls = 0
    for part in reply.parts:
        if isinstance(part, Text):
            words = part.text.split(" ")
            events += [
                StreamEvent(text=word if i == 0 else f" {word}") for i, word in enumerate(words)
            ]
        elif isinstance(part, Reasoning) and part.text:
            events.append(StreamEvent(reasoning=part.text))
        elif isinstance(part, ToolCall):
            events.append(StreamEvent(tool_call=ToolCallDelta(calls, part.id, part.name)))
            events.append(StreamEvent(tool_call=ToolCallDelta(calls, arguments=part.arguments)))
            calls += 1
    return events
