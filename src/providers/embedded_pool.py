"""Which models are loaded: each once, a few at a time."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from ..errors import LifecycleError
from .embedded_server import ModelServer, ServerSpec

__all__ = ["ModelPool", "in_thread"]

T = TypeVar("T")


class _Entry:
    """A server, and who uses it."""

    __slots__ = ("ready", "server", "users")

    def __init__(self, server: ModelServer, ready: asyncio.Future[None]) -> None:
        self.server = server
        self.ready = ready
        self.users = 0

    @property
    def loaded(self) -> bool:
        return self.ready.done() and not self.ready.cancelled() and self.ready.exception() is None


class ModelPool:
    """Loads models on first use and keeps the ones used last.

    Args:
        provider: The provider's name in the configuration, for errors.
        limit: How many models stay loaded. One that is in use is never taken away: where all are,
            the next one waits.
    """

    def __init__(self, provider: str, limit: int) -> None:
        self._provider = provider
        self._limit = limit
        self._entries: OrderedDict[ServerSpec, _Entry] = OrderedDict()
        self._changed: asyncio.Event | None = None
        self._closed = False

    def loaded(self, spec: ServerSpec) -> ModelServer | None:
        """The server of a model that is loaded; ``None`` where it is not, or not yet."""
        entry = self._entries.get(spec)
        return entry.server if entry is not None and entry.loaded else None

    @property
    def servers(self) -> tuple[ModelServer, ...]:
        """All servers, those still loading too; the one used last is the last."""
        return tuple(entry.server for entry in self._entries.values())

    @contextlib.asynccontextmanager
    async def lease(self, spec: ServerSpec) -> AsyncIterator[ModelServer]:
        """A model's server, loaded if need be, and not taken away inside the block.

        Raises:
            SwitchgearError: It can't be loaded, or the pool is closed.
        """
        server = await self.take(spec)
        try:
            yield server
        finally:
            self.give_back(server)

    async def take(self, spec: ServerSpec) -> ModelServer:
        """As ``lease``, for a use that ends elsewhere: with ``give_back``."""
        entry = await self._entry(spec)
        entry.users += 1
        try:
            # Everyone waits for the same loading, which goes on if this one is cancelled.
            await asyncio.shield(entry.ready)
        except BaseException as exc:
            entry.users -= 1
            self._wake()
            if isinstance(exc, Exception):
                # Each its own: an exception that several raise collects all their tracebacks.
                raise copy.copy(exc) from exc
            raise
        return entry.server

    def give_back(self, server: ModelServer) -> None:
        """The use is over."""
        entry = self._entries.get(server.spec)
        if entry is not None and entry.server is server:
            entry.users -= 1
            self._wake()

    async def aclose(self) -> None:
        """End every process, those still loading too."""
        self._closed = True
        entries = list(self._entries.values())
        self._entries.clear()
        self._wake()
        await asyncio.gather(*(in_thread(entry.server.stop) for entry in entries))
        # A loading that was cut short still has to notice.
        pending = [entry.ready for entry in entries if not entry.ready.done()]
        if pending:
            await asyncio.wait(pending)

    async def _entry(self, spec: ServerSpec) -> _Entry:
        while True:
            if self._closed:
                message = f"{self._provider}: the provider is closed"
                raise LifecycleError(message, provider=self._provider, model=spec.name)
            entry = self._entries.get(spec)
            if entry is not None and entry.loaded and not entry.server.alive:
                # It died: killed for its memory, or crashed. The next use loads it anew.
                self._forget(entry)
                entry = None
            if entry is not None:
                self._entries.move_to_end(spec)
                return entry
            if len(self._entries) < self._limit:
                return self._load(spec)
            await self._make_room()

    def _load(self, spec: ServerSpec) -> _Entry:
        server = ModelServer(spec)
        entry = _Entry(server, in_thread(server.launch))
        self._entries[spec] = entry

        def loaded(ready: asyncio.Future[None]) -> None:
            if ready.cancelled() or ready.exception() is not None:
                self._forget(entry)

        entry.ready.add_done_callback(loaded)
        return entry

    async def _make_room(self) -> None:
        """Unload the model that was not used for longest, or wait until one is free."""
        for entry in self._entries.values():
            if entry.users == 0 and entry.loaded:
                self._forget(entry)
                await asyncio.shield(in_thread(entry.server.stop))
                return
        if self._changed is None:
            self._changed = asyncio.Event()
        await self._changed.wait()

    def _forget(self, entry: _Entry) -> None:
        spec = entry.server.spec
        if self._entries.get(spec) is entry:
            del self._entries[spec]
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()


def in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Run it in a daemon thread.

    The loop's own executor is joined when the interpreter exits, and loading a large model takes
    longer than anybody who pressed Ctrl-C waits.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(_seen)

    def settle(error: Exception | None, result: Any) -> None:
        if not future.done():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

    def run() -> None:
        error: Exception | None = None
        result: Any = None
        try:
            result = function()
        except Exception as exc:  # noqa: BLE001 - it is raised where the future is awaited
            error = exc
        # A loop that is closed has nobody waiting on it.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, error, result)

    threading.Thread(target=run, name="switchgear-embedded", daemon=True).start()
    return future


def _seen(future: asyncio.Future[Any]) -> None:
    """A failure that nobody waits for any more is not worth a complaint."""
    if not future.cancelled():
        future.exception()
