"""Deliberately broken adapters: how they stream, and how their answers end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from switchgear.completion import StreamEvent, Usage
from switchgear.errors import (
    MalformedResponseError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    ServerError,
    SwitchgearError,
)
from switchgear.providers.base import (
    Call,
    Reply,
)
from tests.testing.conformance.sabotage import AnthropicAdapter, as_other, fails
from tests.testing.conformance.wrapped import Wrapped, WrappedStream

# ── Streams ─────────────────────────────────────────────────────────────────────────────────────


class _Uncounted(WrappedStream):
    def snapshot(self) -> Reply:
        return msgspec.structs.replace(super().snapshot(), usage=None)


@fails("stream_equals_whole", "usage_adds_up")
class CountsNoStreams(Wrapped):
    stream_class = _Uncounted


class _Again(WrappedStream):
    """Gives every delta of some kind twice."""

    last: StreamEvent | None = None

    def doubled(self, event: StreamEvent) -> bool:
        return bool(event.text)

    async def __anext__(self) -> StreamEvent:
        if self.last is not None:
            event, self.last = self.last, None
            return event
        event = await super().__anext__()
        self.last = event if self.doubled(event) else None
        return event


class _CallsAgain(_Again):
    def doubled(self, event: StreamEvent) -> bool:
        return event.tool_call is not None and bool(event.tool_call.arguments)


@fails("stream_of_tools_equals_whole")
class StuttersInTools(Wrapped):
    stream_class = _CallsAgain


@fails("deltas_in_order")
class Stutters(Wrapped):
    stream_class = _Again


class _Swapped(WrappedStream):
    async def __anext__(self) -> StreamEvent:
        event = await super().__anext__()
        return StreamEvent(text=event.text[::-1]) if event.text.startswith("time") else event


@fails("deltas_in_order")
class ReadsBackwards(Wrapped):
    stream_class = _Swapped


class _Crowded(WrappedStream):
    async def __anext__(self) -> StreamEvent:
        return msgspec.structs.replace(await super().__anext__(), reasoning="hm")


@fails("deltas_in_order")
class FillsTwoFields(Wrapped):
    stream_class = _Crowded


class _Held(WrappedStream):
    held: list[StreamEvent] | None = None

    async def __anext__(self) -> StreamEvent:
        if self.held is None:
            self.held = [event async for event in self.inner]
        if not self.held:
            raise StopAsyncIteration
        return self.held.pop(0)


@fails("snapshot_midway")
class HoldsTheStreamBack(Wrapped):
    stream_class = _Held


class _Hasty(WrappedStream):
    @property
    def finished(self) -> bool:
        return True


@fails("snapshot_midway", "cut_stream", "early_end")
class CallsEverythingFinished(Wrapped):
    stream_class = _Hasty


class _Reader(Wrapped):
    """Spoils the bytes of a stream before they are decoded, piece by piece."""

    def spoilt(self, data: bytes) -> bytes:
        raise NotImplementedError

    async def stream(self, call: Call) -> Any:
        stream = await self.inner.stream(call)
        read = stream._source.read

        async def spoiling() -> bytes:
            while data := await read():
                if spoilt := self.spoilt(data):
                    return spoilt
            return b""

        stream._source = _Source(stream._source, spoiling)
        return stream


class _Source:
    def __init__(self, inner: Any, read: Callable[[], Any]) -> None:
        self.meta = inner.meta
        self.read = read
        self.aclose = inner.aclose


@fails("text_at_every_cut")
class DecodesEachPiece(_Reader, AnthropicAdapter):
    def spoilt(self, data: bytes) -> bytes:
        return data.decode(errors="replace").encode()


@fails("text_at_every_cut", "tool_arguments_at_every_cut")
class ReadsWholeLinesOnly(_Reader):
    def spoilt(self, data: bytes) -> bytes:
        return data[: data.rfind(b"\n") + 1]


class _Quiet(WrappedStream):
    async def __anext__(self) -> StreamEvent:
        try:
            return await super().__anext__()
        except SwitchgearError as exc:
            raise StopAsyncIteration from exc


@fails(
    "cut_stream",
    "early_end",
    "missing_end",
    "error_in_stream",
    "stalled_stream",
    "malformed_stream",
)
class TakesHalvesForWholes(Wrapped):
    stream_class = _Quiet


class _Raw(WrappedStream):
    async def __anext__(self) -> StreamEvent:
        try:
            return await super().__anext__()
        except SwitchgearError as exc:
            raise ValueError("Expecting value: line 1 column 1") from exc


@fails("malformed_stream", "error_in_stream", "cut_stream")
class RaisesWhatItGets(Wrapped):
    stream_class = _Raw


@fails("error_in_stream")
class BlamesTheRequest(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        return ProviderError(error.message) if isinstance(error, ServerError) else error


@fails("stalled_stream", "timeout")
class CallsSilenceALostConnection(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        late = isinstance(error, ProviderTimeoutError)
        return as_other(error, ProviderConnectionError) if late else error


@fails("malformed_answer")
class AnswersWithNothing(Wrapped):
    async def complete(self, call: Call) -> Reply:
        try:
            return await super().complete(call)
        except MalformedResponseError:
            return Reply(parts=(), finish_reason="stop")


# ── Why it ended, and what it cost ──────────────────────────────────────────────────────────────


@fails("finish_length", "finish_content_filter")
class AlwaysStops(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        return msgspec.structs.replace(reply, finish_reason="stop")


@fails("usage_adds_up")
class LeavesTheCacheOut(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        usage = reply.usage
        if usage is None:
            return reply
        rest = usage.input_tokens - usage.cache_read_tokens
        return msgspec.structs.replace(
            reply, usage=msgspec.structs.replace(usage, input_tokens=rest)
        )


@fails("no_usage")
class CountsZero(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        return msgspec.structs.replace(reply, usage=reply.usage or Usage())


@fails("answering_model")
class NamesNoModel(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        return msgspec.structs.replace(reply, model="")


class _AsAsked(WrappedStream):
    def snapshot(self) -> Reply:
        return msgspec.structs.replace(super().snapshot(), model="some-model")


@fails("answering_model")
class NamesTheModelThatWasAsked(Wrapped):
    stream_class = _AsAsked
