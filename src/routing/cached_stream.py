"""A stream in front of which the response cache stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Self

from ..completion import Completion, StreamEvent, Usage
from ..errors import (
    DeadlineExceededError,
    LifecycleError,
    MalformedResponseError,
    StreamInterruptedError,
    SwitchgearError,
)
from ..messages import Message, Part, Reasoning, Text
from .streaming import CompletionStream

if TYPE_CHECKING:
    from ..caching.cache import Asked, Ticket
    from ..caching.entry import Answer, Made
    from ..caching.flight import Emit
    from .cached import CachedCall

__all__ = ["CachedStream"]

_CLOSED = "the stream was closed before its end"


class CachedStream(CompletionStream):
    """A :class:`CompletionStream` in front of which the response cache stands.

    Its deltas may come out of the cache, or from an identical call that is under way. Leaving it
    early lets go of the provider's connection where nobody else waits for that answer.

    Args:
        cached: The call.
        on_open: Told when it is entered.
        on_close: Told once, when it no longer holds anything.
    """

    def __init__(
        self,
        cached: CachedCall,
        *,
        on_open: Callable[[CompletionStream], None],
        on_close: Callable[[CompletionStream], None],
    ) -> None:
        super().__init__(cached.call, on_open=on_open, on_close=on_close)
        self._cached = cached
        self._asking: Asked | None = None
        self._live: CompletionStream | None = None
        self._pending: StreamEvent | None = None
        self._reading: asyncio.Timeout | None = None
        self._heard: list[StreamEvent] = []
        self._first_token: float | None = None
        self._parsed: tuple[object] | None = None

    async def __aenter__(self) -> Self:
        if self._entered or self._done:
            raise LifecycleError("a stream is entered once; ask the router for another one")
        self._entered = True
        self._on_open(self)
        try:
            found = await self._begin()
        except BaseException:
            await self._let_go()
            raise
        if self._done:
            await self._let_go()
            raise LifecycleError("the stream was closed while it was being opened")
        if not found:
            self._entered = False
            await super().__aenter__()
        return self

    async def _begin(self) -> bool:
        """Ask the cache. False where the call is to be made without it."""
        ticket = await self._cached.ticket()
        if ticket is None or self._done:
            return False
        asking = self._asking = self._cached.ask(ticket, self._make)
        await asking.__aenter__()
        self._pending = await self._read(asking)
        self._first_token = self._call.recorder.elapsed()
        if asking.settled:
            return await self._is_of_use(ticket, asking)
        return True

    async def _is_of_use(self, ticket: Ticket, asking: Asked) -> bool:
        """Whether a whole answer has the form that was asked for, before any of it is given."""
        answer = await asking.answer()
        if answer.completion is not None:
            return True
        try:
            self._parsed = (self._cached.parse(answer),)
        except MalformedResponseError:
            await asking.__aexit__(None, None, None)
            self._asking = self._pending = None
            await self._cached.refuse(ticket, answer)
            return False
        return True

    async def _make(self, emit: Emit) -> Made:
        """The call itself, which identical ones may join."""
        live = self._live = CompletionStream(
            self._cached.call, on_open=self._on_open, on_close=self._on_close
        )
        async with live:
            async for event in live:
                emit(event)
        return self._cached.made(live.call, live.completion)

    async def aclose(self) -> None:
        """Let go of it; a provider's connection is closed where nobody else waits for its answer.

        Safe to call twice and from any task of the loop: a task that reads the stream meanwhile
        gets a ``LifecycleError``.
        """
        if self._asking is None:
            await super().aclose()
            return
        if self._done:
            return
        self._done = self._left = True
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(asyncio.get_running_loop().time())
        await self._let_go()
        if self._asking.settled and self._completion is None:
            await self._settle(await self._asking.answer())
        elif self._completion is None:
            self._completion = self._partial()

    async def __anext__(self) -> StreamEvent:
        asking = self._asking
        if asking is None:
            return await super().__anext__()
        if self._left:
            raise LifecycleError(_CLOSED)
        if self._done:
            raise StopAsyncIteration
        if self._reading is not None:
            raise LifecycleError("another task is reading this stream: one at a time may")
        event, self._pending = self._pending, None
        if event is None:
            event = await self._read(asking)
        if self._left:
            raise LifecycleError(_CLOSED)
        if event is None:
            await self._end(asking)
            raise StopAsyncIteration
        self._heard.append(event)
        return event

    async def _read(self, asking: Asked) -> StreamEvent | None:
        scope = self._reading = asyncio.timeout(None)
        try:
            async with scope:
                return await asking.event()
        except SwitchgearError as exc:
            if self._left:
                raise LifecycleError(_CLOSED) from None
            error = self._failure(exc)
            await self._let_go()
            if error is exc:
                raise
            raise error from exc
        except TimeoutError:  # the scope's own; a call's is one of ours
            if self._left:
                raise LifecycleError(_CLOSED) from None
            raise
        finally:
            self._reading = None

    def _failure(self, exc: SwitchgearError) -> SwitchgearError:
        """What a reader is told; what had arrived is in ``completion``."""
        self._cached.own(exc)
        if not self._heard:
            return exc
        self._done = True
        if isinstance(exc, StreamInterruptedError) and exc.completion is not None:
            self._completion = exc.completion
            return exc
        self._completion = self._partial()
        if not isinstance(exc, DeadlineExceededError):
            return exc
        message = f"the stream broke after its first token: {exc.message}"
        error = StreamInterruptedError(message, provider=exc.provider, model=exc.model)
        error.completion, error.trace = self._completion, exc.trace
        return error

    async def _end(self, asking: Asked) -> None:
        """The answer is complete."""
        self._done = True
        try:
            await self._settle(await asking.answer())
        finally:
            await self._let_go()

    async def _settle(self, answer: Answer) -> None:
        if answer.completion is not None:
            self._completion = answer.completion
            return
        malformed: SwitchgearError | None = None
        parsed = self._parsed
        if parsed is None:
            try:
                parsed = (self._cached.parse(answer),)
            except MalformedResponseError as exc:
                malformed, parsed = exc, (None,)
        self._completion = self._cached.reply(answer, parsed[0], self._first_token)
        await self._cached.book(answer, self._completion)
        if malformed is not None and not self._left:
            malformed.trace = self._completion.trace
            raise malformed

    async def _let_go(self) -> None:
        try:
            if self._asking is not None:
                await self._asking.__aexit__(None, None, None)
        finally:
            self._on_close(self)

    def _partial(self) -> Completion:
        """What had arrived, of a call that others may still wait for."""
        if self._live is not None:
            try:
                return self._live.completion
            except LifecycleError:
                pass  # it goes on for somebody else, in whose time it is settled
        text = "".join(event.text for event in self._heard)
        thought = "".join(event.reasoning for event in self._heard)
        parts: list[Part] = [Reasoning(thought)] if thought else []
        parts += [Text(text)] if text else []
        group = self._call.target.group
        line = "usage: unknown, the stream was left while others waited for the same answer"
        return Completion(
            id="",
            message=Message("assistant", tuple(parts)),
            finish_reason="error",
            usage=Usage(estimated=True),
            provider="",
            model="",
            trace=self._call.recorder.trace(),
            group=group.name if group is not None else None,
            # Whoever brought the call pays for it, once it has ended.
            cost=None if self._live is not None else Decimal(0),
            latency=self._call.recorder.elapsed(),
            time_to_first_token=self._first_token,
            warnings=(line,),
        )
