"""A stream as the caller sees it: complete, or a typed error; never cut without saying so."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import msgspec

from ..completion import Completion, StreamEvent
from ..errors import (
    DeadlineExceededError,
    LifecycleError,
    ProviderConnectionError,
    ProviderTimeoutError,
    StreamInterruptedError,
    SwitchgearError,
)
from ..providers.base import Reply
from ..providers.stream import DecodedStream
from .call import RoutedCall, let_go
from .lifecycle import is_cancelled
from .plan import plugin_fault
from .watch import Watch

if TYPE_CHECKING:
    from ..decision import Outcome
    from .call import Opened

__all__ = ["CompletionStream"]

_log = logging.getLogger("switchgear.routing")
_CLOSED = "the stream was closed before its end"


class CompletionStream:
    """The deltas of one answer. Use it in ``async with``, then iterate it once, in one task.

    Entering it runs the chain until a provider has sent its first token: until then failures go
    to the next candidate. After the first token a failure is a :class:`StreamInterruptedError`,
    whose ``completion`` holds what had arrived. Leaving the ``with`` block early lets go of the
    connection at once.

    Args:
        call: The call that it belongs to.
        on_open: Told when it is entered.
        on_close: Told once, when it no longer holds a connection.
    """

    def __init__(
        self,
        call: RoutedCall,
        *,
        on_open: Callable[[CompletionStream], None],
        on_close: Callable[[CompletionStream], None],
    ) -> None:
        self._call = call
        self._on_open = on_open
        self._on_close = on_close
        self._entered = False
        self._opened: Opened | None = None
        self._ready: Iterator[StreamEvent] = iter(())
        self._more: Callable[[], Awaitable[Iterator[StreamEvent]]] = _nothing
        self._watch: Watch | None = None
        self._now: Callable[[], float] = float
        self._ends = 0.0
        self._idle = math.inf
        self._completion: Completion | None = None
        self._done = False
        self._left = False

    @property
    def call(self) -> RoutedCall:
        """The call that answers: another one than at first where it was exchanged or resumed."""
        return self._call

    @property
    def completion(self) -> Completion:
        """The whole answer, usage and cost settled; what had arrived, where the stream broke.

        A broken or abandoned stream's completion has ``finish_reason="error"``.

        Raises:
            LifecycleError: The stream is not at its end yet.
        """
        if self._completion is None:
            raise LifecycleError("the stream is not at its end: iterate it first")
        return self._completion

    async def __aenter__(self) -> Self:
        if self._entered or self._done:
            raise LifecycleError("a stream is entered once; ask the router for another one")
        self._entered = True
        self._watch = Watch(asyncio.get_running_loop())
        self._on_open(self)
        try:
            self._call, opened = await self._call.within_budget(RoutedCall.open)
        except BaseException:
            self._on_close(self)
            raise
        self._serve(opened)
        if self._done:
            await self._leave(opened)
            raise LifecycleError("the stream was closed while it was being opened")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the provider's connection; what has arrived is settled.

        Safe to call twice and from any task of the loop: a task that reads the stream meanwhile
        gets a ``LifecycleError``.
        """
        if self._done:
            return
        self._done = self._left = True
        self._ready = iter(())
        if self._watch is not None:
            self._watch.wake()
        if self._opened is not None:
            await self._leave(self._opened)

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        # What came together with an earlier event is here: no wait, nothing to bound.
        for event in self._ready:
            return event
        opened, watch = self._readable()
        remaining = self._ends - self._now()
        bound = min(remaining, self._idle)
        if not watch.begin(bound):
            raise LifecycleError("another task is reading this stream: one at a time may")
        found: SwitchgearError | None = None
        try:
            while True:
                ready = await self._more()
                if self._left:
                    break
                for event in ready:
                    self._ready = ready
                    return event
        except StopAsyncIteration:
            pass
        except SwitchgearError as exc:
            found = exc
        except asyncio.CancelledError as exc:
            found = self._cancelled(opened, exc, bound, last=bound == remaining)
        except Exception as exc:  # noqa: BLE001 - a plugin may raise anything
            found = _broken(opened, exc)
        finally:
            watch.end()
        return await self._ended(opened, found)

    def _serve(self, opened: Opened) -> None:
        """From now on events come from there."""
        source, call = opened.source, self._call
        self._opened = opened
        self._ends, self._now = call.ends, call.recorder.now
        self._idle = math.inf if call.idle_timeout is None else call.idle_timeout
        first = () if opened.first is None else (opened.first,)
        if isinstance(source, DecodedStream):
            self._ready = itertools.chain(first, source.ready)
            self._more = source.more
        else:
            self._ready = iter(first)
            self._more = functools.partial(_one_more, source)

    def _readable(self) -> tuple[Opened, Watch]:
        """What may be read now."""
        opened, watch = self._opened, self._watch
        if opened is not None and watch is not None and not self._done:
            return opened, watch
        if self._left:
            raise LifecycleError(_CLOSED)
        if self._done:
            raise StopAsyncIteration
        if not self._entered:
            raise LifecycleError("enter the stream first: async with router.stream(...) as stream")
        raise LifecycleError("another task is reading this stream: one at a time may")

    def _cancelled(
        self, opened: Opened, exc: asyncio.CancelledError, bound: float, *, last: bool
    ) -> SwitchgearError | None:
        """What a cancellation inside a wait is: the reader's own goes on."""
        watch = cast("Watch", self._watch)
        if not watch.has_ended_it():
            if is_cancelled():
                raise exc
            return _broken(opened, exc)
        if opened.source.finished:
            return None  # all has been said; only the end of the connection was late
        error = _deadline(opened) if last else _silence(opened, bound)
        error.__cause__ = TimeoutError()
        return error

    async def _ended(self, opened: Opened, found: SwitchgearError | None) -> StreamEvent:
        """There is no next event: finish, go on elsewhere, or say what went wrong."""
        if self._left:
            raise LifecycleError(_CLOSED)
        if found is None and not opened.source.finished:
            # The source ended, but only its own word makes that a complete answer.
            found = _cut(opened)
        if found is None:
            await self._finish(opened)
            raise StopAsyncIteration
        opened.turn.candidate.scrub(found)
        return await self._go_on(opened, found)

    async def _finish(self, opened: Opened) -> None:
        """The answer is complete."""
        self._done = True
        malformed: SwitchgearError | None = None
        parsed: object = None
        try:
            reply = _snapshot(opened)
            try:
                parsed = self._call.parse(reply)
            except SwitchgearError as exc:
                malformed = exc
            self._completion = self._settled(opened, reply, "answered", "", parsed=parsed)
        finally:
            await self._release(opened)
        if malformed is not None:
            malformed.trace = self._completion.trace
            raise malformed

    async def _go_on(self, opened: Opened, cause: SwitchgearError) -> StreamEvent:
        """The first event of a resumed stream; where it can't be resumed, its error."""
        # Until there is another one, there is none to read, to close or to settle.
        self._opened = None
        await self._break_off(opened, cause)
        call = self._call.resumed(self.completion)
        if call is None or self._left or isinstance(cause, DeadlineExceededError):
            raise self._interrupted(opened, cause) from cause
        self._on_open(self)
        try:
            again = await call.open()
        except BaseException as exc:
            self._on_close(self)
            if not isinstance(exc, SwitchgearError):
                raise
            self._completion = msgspec.structs.replace(
                self.completion, trace=exc.trace or self.completion.trace
            )
            raise self._interrupted(opened, cause) from exc
        if again.first is None:
            # It has nothing to add: the next look finds its end.
            again = msgspec.structs.replace(again, first=StreamEvent())
        self._call = call
        self._serve(again)
        if self._left:
            await self._leave(again)
            raise LifecycleError(_CLOSED)
        self._completion = None
        return next(self._ready)

    async def _break_off(self, opened: Opened, cause: SwitchgearError) -> None:
        opened.turn.entry.failed(cause, given=math.inf, granted=None)
        await self._settle_early(opened, "interrupted", cause.message, cause)

    def _interrupted(self, opened: Opened, cause: SwitchgearError) -> SwitchgearError:
        """The error for a stream that broke; what had arrived is in its ``completion``."""
        self._done = True
        error = StreamInterruptedError(
            f"the stream broke after its first token: {cause.message}",
            provider=opened.turn.candidate.entry.provider,
            model=opened.turn.candidate.entry.model,
            status=cause.status,
            code=cause.code,
            retry_after=cause.retry_after,
            request_id=cause.request_id or opened.source.meta.request_id,
        )
        error.completion = self.completion
        error.trace = self.completion.trace
        return error

    async def _leave(self, opened: Opened) -> None:
        await self._settle_early(opened, "cancelled", "left before its end")

    async def _settle_early(
        self,
        opened: Opened,
        outcome: Outcome,
        reason: str,
        error: SwitchgearError | None = None,
    ) -> None:
        """Settle what had arrived, and let go whatever happens."""
        try:
            reply = _snapshot(opened)
        except SwitchgearError as exc:
            _log.warning("%s", exc.message)
            reply = Reply(parts=(), finish_reason="error")
        try:
            self._completion = self._settled(opened, reply, outcome, reason, error=error)
        finally:
            await self._release(opened)

    def _settled(
        self, opened: Opened, reply: Reply, outcome: Outcome, reason: str, **more: Any
    ) -> Completion:
        try:
            return self._call.settle_stream(opened, reply, outcome, reason, **more)
        except SwitchgearError:
            raise
        except Exception as exc:
            # A plugin's reply may hold anything.
            raise _broken(opened, exc) from exc

    async def _release(self, opened: Opened) -> None:
        self._ready = iter(())
        if self._watch is not None:
            self._watch.stop()
        self._on_close(self)
        # Where nobody could tell gates and books how it ended; else no-ops.
        opened.turn.entry.left()
        opened.turn.booking.cancelled()
        await let_go(opened.source)
        await opened.turn.booking.safe()


async def _one_more(source: Any) -> Iterator[StreamEvent]:
    """The next event of a plugin's stream, which may give anything; ``None`` counts as its end."""
    event = await source.__anext__()
    if event is None:
        raise StopAsyncIteration
    return iter((event,))


async def _nothing() -> Iterator[StreamEvent]:
    raise StopAsyncIteration


def _cut(opened: Opened) -> SwitchgearError:
    entry = opened.turn.candidate.entry
    message = f"{entry.provider}: the stream stopped before its end"
    return ProviderConnectionError(message, provider=entry.provider, model=entry.model)


def _snapshot(opened: Opened) -> Reply:
    try:
        reply: object = opened.source.snapshot()
    except Exception as exc:
        raise _broken(opened, exc) from exc
    if not isinstance(reply, Reply):
        raise _broken(opened, TypeError(f"snapshot() gave {type(reply).__name__}, not a Reply"))
    return reply


def _deadline(opened: Opened) -> SwitchgearError:
    entry = opened.turn.candidate.entry
    return DeadlineExceededError("the call's timeout is over", provider=entry.provider)


def _silence(opened: Opened, seconds: float) -> SwitchgearError:
    entry = opened.turn.candidate.entry
    message = f"{entry.provider}: silent for {seconds:g} s inside the stream"
    return ProviderTimeoutError(message, provider=entry.provider, model=entry.model)


def _broken(opened: Opened, exc: BaseException) -> SwitchgearError:
    entry = opened.turn.candidate.entry
    return plugin_fault(entry.provider, entry.model, exc)
