"""The router for code without an event loop: the same calls, without ``await``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from ..completion import Completion, EmbeddingResult, StreamEvent, TokenCount
from ..config import Config
from ..errors import LifecycleError
from .options import CallOptions
from .router import Router
from .streaming import CompletionStream

__all__ = ["SyncCompletionStream", "SyncRouter"]

T = TypeVar("T")


class SyncRouter:
    """A :class:`Router` on a loop thread of its own; its methods may be called from any thread.

    Close it with ``close`` or by ``with``. Takes what ``Router`` takes.
    """

    def __init__(self, config: Config, **settings: Any) -> None:
        self._loop = _LoopThread()
        self._router = Router(config, **settings)

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
            return self._router.stream(model, messages, **options)

        return SyncCompletionStream(self._loop.run(begin()), self._loop)

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

    def client(self, provider: str) -> Any:
        """The official SDK's own client of a provider, an asynchronous one."""
        return self._router.client(provider)

    def close(self) -> None:
        """Close every connection and end the thread. Safe to call twice."""
        if self._loop.closed:
            return
        try:
            self._loop.run(self._router.aclose())
        finally:
            self._loop.close()

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

    def __init__(self, stream: CompletionStream, loop: _LoopThread) -> None:
        self._stream = stream
        self._loop = loop

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
        self._loop.run(self._stream.aclose())

    def __enter__(self) -> Self:
        self._loop.run(self._stream.__aenter__())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


async def _next(stream: CompletionStream) -> StreamEvent | None:
    return await anext(stream, None)


class _LoopThread:
    """An event loop that runs in a thread of its own, begun with the first call."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.closed = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it on the loop and wait; an interruption of the wait cancels it."""
        try:
            loop = self._running()
        except BaseException:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                # KeyboardInterrupt in the waiting thread: end the call, and wait until it ended.
                future.cancel()
                concurrent.futures.wait([future], timeout=5)
            raise

    def close(self) -> None:
        """Stop the loop and end the thread."""
        with self._lock:
            self.closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        if os.getpid() != self._pid:
            message = (
                "the router was made in the parent process; make a new SyncRouter in the child"
            )
            raise LifecycleError(message)
        if threading.current_thread() is self._thread:
            message = "a SyncRouter can't be called from its own loop: use Router there"
            raise LifecycleError(message)
        with self._lock:
            if self.closed:
                raise LifecycleError("the router is closed; make a new one")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._serve, args=(self._loop,), name="switchgear-loop", daemon=True
                )
                self._thread.start()
            return self._loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
