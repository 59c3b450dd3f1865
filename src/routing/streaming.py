"""A stream as the caller sees it: complete, or a typed error; never cut without saying so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..completion import Completion, StreamEvent
from ..errors import (
    DeadlineExceededError,
    LifecycleError,
    PluginError,
    ProviderConnectionError,
    ProviderTimeoutError,
    StreamInterruptedError,
    SwitchgearError,
)

if TYPE_CHECKING:
    from ..decision import Outcome
    from .call import Opened, RoutedCall

__all__ = ["CompletionStream"]


class CompletionStream:
    """The deltas of one answer. Use it in ``async with``, then iterate it once.

    Entering it runs the chain until a provider has sent its first token: until then failures go
    to the next candidate. After the first token a failure is a :class:`StreamInterruptedError`,
    whose ``completion`` holds what had arrived. Leaving the ``with`` block early lets go of the
    connection at once.

    Args:
        call: The call that it belongs to.
        on_open: Told when it begins to hold a connection.
        on_close: Told once, when it no longer does.
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
        self._opened: Opened | None = None
        self._pending: StreamEvent | None = None
        self._completion: Completion | None = None
        self._done = False

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
        if self._opened is not None or self._done:
            raise LifecycleError("a stream is entered once; ask the router for another one")
        self._opened = await self._call.open()
        self._pending = self._opened.first
        self._on_open(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the provider's connection; what has arrived is settled. Safe to call twice."""
        done, self._done = self._done, True
        if self._opened is None or done:
            return
        try:
            self._settle(self._opened, "cancelled", "left before its end")
        finally:
            await self._release(self._opened)

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        opened = self._opened
        if opened is None:
            raise LifecycleError("enter the stream first: async with router.stream(...) as stream")
        if self._done:
            raise StopAsyncIteration
        if self._pending is not None:
            event, self._pending = self._pending, None
            return event
        remaining, idle = self._call.remaining(), self._call.idle_timeout
        scope = asyncio.timeout(remaining if idle is None else min(idle, remaining))
        error: SwitchgearError
        try:
            async with scope:
                return await opened.source.__anext__()
        except StopAsyncIteration:
            await self._finish(opened)
            raise
        except SwitchgearError as exc:
            error = exc
        except TimeoutError as exc:
            error = self._too_slow(opened) if scope.expired() else _broken(opened, exc)
            error.__cause__ = exc
        except Exception as exc:  # noqa: BLE001 - a plugin may raise anything
            error = _broken(opened, exc)
            error.__cause__ = exc
        raise await self._interrupted(opened, error) from error

    async def _finish(self, opened: Opened) -> None:
        """The source ended. Only its own word makes that a complete answer."""
        if not opened.source.finished:
            entry = opened.turn.candidate.entry
            message = f"{entry.provider}: the stream stopped before its end"
            cut = ProviderConnectionError(message, provider=entry.provider, model=entry.model)
            raise await self._interrupted(opened, cut) from cut
        self._done = True
        parsed: object = None
        malformed: SwitchgearError | None = None
        try:
            parsed = self._call.parse(opened.source.snapshot())
        except SwitchgearError as exc:
            malformed = exc
        try:
            self._settle(opened, "answered", "", parsed)
        finally:
            await self._release(opened)
        if malformed is not None:
            malformed.trace = self.completion.trace
            raise malformed

    async def _interrupted(self, opened: Opened, cause: SwitchgearError) -> SwitchgearError:
        self._done = True
        try:
            self._settle(opened, "interrupted", cause.message)
        finally:
            await self._release(opened)
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

    def _too_slow(self, opened: Opened) -> SwitchgearError:
        entry = opened.turn.candidate.entry
        if self._call.remaining() <= 0:
            return DeadlineExceededError("the call's timeout is over", provider=entry.provider)
        return ProviderTimeoutError(
            f"{entry.provider}: silent for {self._call.idle_timeout:g} s inside the stream",
            provider=entry.provider,
            model=entry.model,
        )

    def _settle(self, opened: Opened, outcome: Outcome, reason: str, parsed: object = None) -> None:
        self._completion = self._call.settle_stream(opened, outcome, reason, parsed)

    async def _release(self, opened: Opened) -> None:
        self._on_close(self)
        await opened.source.aclose()


def _broken(opened: Opened, exc: Exception) -> SwitchgearError:
    entry = opened.turn.candidate.entry
    return PluginError(
        f"{entry.provider}: its plugin raised {type(exc).__name__}: {exc}",
        provider=entry.provider,
        model=entry.model,
    )
