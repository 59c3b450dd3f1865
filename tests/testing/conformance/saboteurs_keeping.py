"""Deliberately broken adapters: what they keep open, and what else they offer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from switchgear.completion import StreamEvent
from switchgear.providers.base import (
    Call,
    EmbedCall,
    Embedding,
    ProviderSettings,
    Reply,
)
from tests.testing.conformance.sabotage import AnthropicAdapter, fails
from tests.testing.conformance.wrapped import Wrapped, WrappedStream

# ── Resources ───────────────────────────────────────────────────────────────────────────────────


@fails("cancelled_call")
class FinishesAnyway(Wrapped):
    async def complete(self, call: Call) -> Reply:
        self.going = asyncio.ensure_future(super().complete(call))
        return await asyncio.shield(self.going)

    async def aclose(self) -> None:
        self.going.cancel()
        await asyncio.wait({self.going})
        await super().aclose()


@fails("cancelled_call")
class SwallowsCancellation(Wrapped):
    async def complete(self, call: Call) -> Reply:
        try:
            return await super().complete(call)
        except asyncio.CancelledError:
            return Reply(parts=(), finish_reason="stop")


class _Unstoppable(WrappedStream):
    async def __anext__(self) -> StreamEvent:
        try:
            return await super().__anext__()
        except asyncio.CancelledError as exc:
            raise StopAsyncIteration from exc


@fails("cancelled_stream")
class SwallowsCancellationOfStreams(Wrapped):
    stream_class = _Unstoppable


class _LeftOpen(WrappedStream):
    async def aclose(self) -> None:
        self.provider.left_open.append(self.inner)


@fails("closed_stream")
class LeavesStreamsOpen(Wrapped):
    stream_class = _LeftOpen


@fails("closing_twice")
class ClosesOnce(Wrapped):
    closed = False

    async def aclose(self) -> None:
        if self.closed:
            raise RuntimeError("already closed")
        self.closed = True
        await super().aclose()


@fails("closing_twice", "no_leak")
class ForgetsToClose(Wrapped):
    async def aclose(self) -> None:
        pass


@fails("use_after_close")
class OpensAnew(Wrapped):
    async def aclose(self) -> None:
        await super().aclose()
        self.inner = self.make(self.settings)


@fails("use_after_close")
class FailsInItsOwnWay(Wrapped):
    closed = False

    def asked(self, call: Call) -> Call:
        if self.closed:
            raise AttributeError("'NoneType' object has no attribute 'post'")
        return call

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()


@fails("concurrency")
class HasOneDesk(Wrapped):
    """It puts what it is asked where the next call finds it."""

    desk: Call

    async def complete(self, call: Call) -> Reply:
        self.desk = call
        await asyncio.sleep(0)
        return await super().complete(self.desk)


@fails("no_leak")
class KeepsEverything(Wrapped):
    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self.kept: list[Reply] = []

    def answered(self, reply: Reply) -> Reply:
        self.kept.append(reply)
        return reply


@fails("no_leak")
class LeavesTasks(Wrapped):
    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self.watching: asyncio.Task[None] | None = None

    async def complete(self, call: Call) -> Reply:
        if self.watching is None:
            self.watching = asyncio.create_task(asyncio.sleep(1000))
        return await super().complete(call)


# ── What a provider may offer besides ───────────────────────────────────────────────────────────


@fails("lists_models")
class ListsTwice(Wrapped):
    async def list_models(self) -> Sequence[str]:
        return [*await super().list_models()] * 2


@fails("embeds")
class MixesVectors(Wrapped):
    async def embed(self, call: EmbedCall) -> Embedding:
        made = await super().embed(call)
        return msgspec.structs.replace(made, vectors=made.vectors[::-1])


@fails("counts_tokens")
class CannotCount(AnthropicAdapter):
    async def count_tokens(self, call: Call) -> int:
        await super().count_tokens(call)
        return 1
