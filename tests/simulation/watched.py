"""What stands between the router and a provider and sees every attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

from switchgear.completion import StreamEvent
from switchgear.providers.base import (
    Call,
    Capabilities,
    CountsTokens,
    EmbedCall,
    Embedding,
    Embeds,
    Provider,
    Reply,
    ReplyStream,
    ResponseMeta,
)

from .client import call_number
from .records import Attempt

if TYPE_CHECKING:
    from .world import World

__all__ = ["watched"]

T = TypeVar("T")


def watched(inner: Provider, world: World) -> Provider:
    """The provider, with the protocols that it has and no others."""
    if isinstance(inner, CountsTokens):
        return _WatchedCounts(inner, world)
    return _WatchedEmbeds(inner, world)


class _Watched:
    def __init__(self, inner: Any, world: World) -> None:
        self._inner = inner
        self._world = world

    @property
    def name(self) -> str:
        name: str = self._inner.name
        return name

    @property
    def client(self) -> Any:
        return None

    def capabilities(self, model: str) -> Capabilities:
        found: Capabilities = self._inner.capabilities(model)
        return found

    async def complete(self, call: Call) -> Reply:
        return await self._attempt(call, self._inner.complete(call))

    async def stream(self, call: Call) -> ReplyStream:
        attempt = self._began(call, streamed=True)
        try:
            source: Any = await self._inner.stream(call)
        except BaseException as exc:
            self._world.attempt_over(attempt, error=exc)
            raise
        if source is None:
            self._world.attempt_over(attempt, replied=None)
            return source  # type: ignore[return-value]  # a rogue's
        return _WatchedStream(source, attempt, self._world)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _attempt(self, call: Call | EmbedCall, work: Awaitable[T]) -> T:
        attempt = self._began(call, streamed=False)
        try:
            reply = await work
        except BaseException as exc:
            self._world.attempt_over(attempt, error=exc)
            raise
        self._world.attempt_over(attempt, replied=reply)
        return reply

    def _began(self, call: Call | EmbedCall, *, streamed: bool) -> Attempt:
        prompt = call.inputs[0] if isinstance(call, EmbedCall) else call.request.messages[-1].text
        return self._world.attempt_began(
            call_number(prompt), f"{self.name}/{call.model}", call.timeout, streamed=streamed
        )


class _WatchedCounts(_Watched):
    async def count_tokens(self, call: Call) -> int:
        return await self._attempt(call, self._inner.count_tokens(call))


class _WatchedEmbeds(_Watched):
    async def embed(self, call: EmbedCall) -> Embedding:
        assert isinstance(self._inner, Embeds)
        return await self._attempt(call, self._inner.embed(call))


class _WatchedStream:
    def __init__(self, inner: ReplyStream, attempt: Attempt, world: World) -> None:
        self._inner = inner
        self._attempt = attempt
        self._world = world
        attempt.outcome = "open"

    @property
    def finished(self) -> bool:
        return self._inner.finished

    @property
    def meta(self) -> ResponseMeta:
        return self._inner.meta

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        attempt = self._attempt
        try:
            event = await self._inner.__anext__()
        except StopAsyncIteration:
            attempt.finished = self._inner.finished
            self._world.attempt_over(attempt, replied=self._inner.snapshot())
            raise
        except BaseException as exc:
            attempt.finished = self._inner.finished
            self._world.attempt_over(attempt, error=exc)
            raise
        attempt.events.append(event)
        return event

    def snapshot(self) -> Reply:
        return self._inner.snapshot()

    async def aclose(self) -> None:
        self._attempt.finished = self._attempt.finished or self._inner.finished
        self._world.attempt_over(self._attempt, closed=True)
        await self._inner.aclose()
