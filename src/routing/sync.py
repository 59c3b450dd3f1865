"""The router for code without an event loop: the same calls, without ``await``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from ..completion import Completion, EmbeddingResult, StreamEvent, TokenCount
from ..config import Config
from ..errors import LifecycleError
from ..providers.base import Capabilities
from .options import CallOptions
from .router import BudgetListener, Router
from .streaming import CompletionStream

if TYPE_CHECKING:
    from ..accounting.reports.spend import Spend
    from ..accounting.reports.standing import BudgetStatus
    from ..caching.stats import CacheStats
    from .health import Health

__all__ = ["SyncCompletionStream", "SyncRouter"]

T = TypeVar("T")

_INTERRUPTED_SECONDS = 5.0


class SyncRouter:
    """A :class:`Router` on a loop thread of its own; its methods may be called from any thread.

    Close it with ``close`` or by ``with``; one that is forgotten is closed when nobody refers to it
    any more, or when the interpreter ends. Takes what ``Router`` takes.
    """

    def __init__(self, config: Config, **settings: Any) -> None:
        self._loop = _LoopThread()
        self._router = Router(config, **settings)
        weakref.finalize(self, _forgotten, self._loop, self._router)

    @classmethod
    def from_file(cls, path: str | Path, **settings: Any) -> Self:
        """A router from a TOML file; see :meth:`Router.from_file`."""
        return cls(Config.from_file(path), **settings)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], **settings: Any) -> Self:
        """A router from a mapping; see :meth:`Router.from_dict`."""
        return cls(Config.from_dict(data), **settings)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **settings: Any) -> Self:
        """A router from the environment; see :meth:`Router.from_env`."""
        return cls(Config.from_env(environ), **settings)

    @property
    def config(self) -> Config:
        """What is configured."""
        return self._router.config

    def complete(
        self, model: str, messages: Sequence[Any] | str, **options: Unpack[CallOptions]
    ) -> Completion:
        """Ask for one answer; see :meth:`Router.complete`."""
        return self._loop.run(self._router.complete(model, messages, **options))

    def stream(
        self, model: str, messages: Sequence[Any] | str, **options: Unpack[CallOptions]
    ) -> SyncCompletionStream:
        """Ask for one answer, delta by delta, in a ``with`` block; see :meth:`Router.stream`."""

        async def begin() -> CompletionStream:
            await self._router.ready()
            return self._router.stream(model, messages, **options)

        return SyncCompletionStream(self._loop.run(begin()), self._loop, self)

    def embed(
        self,
        model: str,
        inputs: Sequence[str] | str,
        *,
        dimensions: int | None = None,
        **options: Unpack[CallOptions],
    ) -> EmbeddingResult:
        """Turn texts into vectors; see :meth:`Router.embed`."""
        return self._loop.run(self._router.embed(model, inputs, dimensions=dimensions, **options))

    def count_tokens(
        self, model: str, messages: Sequence[Any] | str, **options: Unpack[CallOptions]
    ) -> TokenCount:
        """The input tokens that this request would have; see :meth:`Router.count_tokens`."""
        return self._loop.run(self._router.count_tokens(model, messages, **options))

    def list_models(self, provider: str) -> tuple[str, ...]:
        """The models that a provider says it has; see :meth:`Router.list_models`."""
        return self._loop.run(self._router.list_models(provider))

    def capabilities(self, model: str) -> Capabilities:
        """What a model can do; see :meth:`Router.capabilities`."""
        return self._router.capabilities(model)

    def health(self) -> Health:
        """How every candidate does; see :meth:`Router.health`."""
        return self._router.health()

    def cache_stats(self) -> CacheStats:
        """What the response cache did; see :meth:`Router.cache_stats`."""
        return self._router.cache_stats()

    def spend(self, **question: Any) -> Spend:
        """What was spent; see :meth:`Router.spend`."""
        return self._loop.run(self._router.spend(**question))

    def budgets(self) -> tuple[BudgetStatus, ...]:
        """How every budget stands; see :meth:`Router.budgets`."""
        return self._loop.run(self._router.budgets())

    def on_budget(self, listener: BudgetListener) -> None:
        """Have it told of budgets, on the loop's thread; see :meth:`Router.on_budget`."""
        self._router.on_budget(listener)

    def client(self, provider: str) -> Any:
        """The official SDK's own client of a provider, an asynchronous one."""
        return self._router.client(provider)

    def close(self) -> None:
        """Close every connection and end the thread. Safe to call twice and from any thread.

        Calls that other threads wait for end with a ``LifecycleError``.
        """
        self._loop.close(self._router.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sync{repr(self._router)[1:]}"


class SyncCompletionStream:
    """The deltas of one answer, for a plain ``for`` loop; see :class:`CompletionStream`."""

    def __init__(self, stream: CompletionStream, loop: _LoopThread, router: SyncRouter) -> None:
        self._stream = stream
        self._loop = loop
        # Kept, since a router that nobody refers to is closed.
        self._router = router

    @property
    def completion(self) -> Completion:
        """The whole answer, once the stream is at its end."""
        return self._stream.completion

    def __iter__(self) -> Iterator[StreamEvent]:
        return self

    def __next__(self) -> StreamEvent:
        # A coroutine can't raise StopIteration, so the end of the stream comes as None.
        event = self._loop.run(_next(self._stream))
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """Let go of the provider's connection. Safe to call twice."""
        # A router that is closed has closed its streams.
        with contextlib.suppress(LifecycleError):
            self._loop.run(self._stream.aclose())

    def __enter__(self) -> Self:
        try:
            self._loop.run(self._stream.__aenter__())
        except BaseException:
            # Interrupted, it may have been opened all the same, and no `with` will close it.
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _forgotten(loop: _LoopThread, router: Router) -> None:
    # Also in a forked child, where there is nothing to do, and on the loop itself, where nothing
    # can be done. Nobody is there to hear of a failure.
    if loop.begun:
        with contextlib.suppress(Exception):
            loop.close(router.aclose)


async def _next(stream: CompletionStream) -> StreamEvent | None:
    return await anext(stream, None)


def _new_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop's, which is quicker, where that is installed."""
    try:
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = factory()
    return loop


class _LoopThread:
    """An event loop that runs in a thread of its own, begun with the first call."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def begun(self) -> bool:
        """A call has come, and the thread with it."""
        return self._thread is not None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it on the loop and wait; an interruption of the wait cancels it."""
        try:
            self._check_place()
            # Under the lock, so that nothing comes to the loop after `close` has stopped it.
            with self._lock:
                future = asyncio.run_coroutine_threadsafe(work, self._running())
        except BaseException:
            work.close()
            raise
        return self._wait(future)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run this as the last, end what else is under way, and end the thread.

        Who comes second waits until the first is through.
        """
        self._check_place()
        with self._lock:
            first, self._closed = not self._closed, True
            loop = self._started() if first else self._loop
            future = asyncio.run_coroutine_threadsafe(last(), loop) if first and loop else None
        try:
            if future is not None:
                self._wait(future)
        finally:
            if first and loop is not None:
                loop.call_soon_threadsafe(loop.stop)
            if self._thread is not None:
                self._thread.join()

    def _wait(self, future: concurrent.futures.Future[T]) -> T:
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if not self._closed:
                raise
            raise LifecycleError("the router was closed during the call") from None
        except BaseException:
            if not future.done():
                # KeyboardInterrupt in the waiting thread: end the call, and wait until it ended.
                future.cancel()
                concurrent.futures.wait([future], timeout=_INTERRUPTED_SECONDS)
            raise

    def _check_place(self) -> None:
        if os.getpid() != self._pid:
            message = (
                "the router was made in the parent process; make a new SyncRouter in the child"
            )
            raise LifecycleError(message)
        if threading.current_thread() is self._thread:
            message = "a SyncRouter can't be called from its own loop: use Router there"
            raise LifecycleError(message)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise LifecycleError("the router is closed; make a new one")
        return self._started()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            runner = asyncio.Runner(loop_factory=_new_loop)
            self._loop = runner.get_loop()
            self._thread = threading.Thread(
                target=self._serve, args=(runner,), name="switchgear-loop", daemon=True
            )
            self._thread.start()
        return self._loop

    @staticmethod
    def _serve(runner: asyncio.Runner) -> None:
        # The runner's end cancels what is still under way, so that nobody waits for it for ever. At
        # the interpreter's end it can't have the thread that it waits for the executor in.
        with contextlib.suppress(RuntimeError), runner:
            runner.get_loop().run_forever()
