"""The server: one thread, one event loop, one loopback port, all vendors."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web

from .catalogue import WIRES
from .dispatch import Dispatcher
from .provider import SimulatedProvider
from .records import RecordedRequest
from .wire import Settings, Wire

__all__ = ["SimulatedProviders"]

_T = TypeVar("_T")
_HOST = "127.0.0.1"
_START_TIMEOUT = 10.0


class SimulatedProviders:
    """Simulated LLM providers on a loopback port, served from a thread of their own.

    It serves clients on any event loop and in synchronous code. Use it as a context manager,
    synchronous or asynchronous, or call `start` and `stop`.

    >>> with SimulatedProviders() as simulated:  # doctest: +SKIP
    ...     client = anthropic.Anthropic(base_url=simulated.anthropic.base_url, api_key="any")
    ...     simulated.anthropic.script(Fault.overloaded(), Answer(text="Hello."))

    Args:
        wires: Further vendors by name, each a subclass of `Wire`; `add` adds one to a running
            server.
    """

    anthropic: SimulatedProvider
    openai: SimulatedProvider
    ollama: SimulatedProvider
    azure: SimulatedProvider
    bedrock: SimulatedProvider
    vertex: SimulatedProvider
    compatible: SimulatedProvider

    def __init__(self, *, wires: Mapping[str, type[Wire]] | None = None) -> None:
        self._lasting: dict[str, type[Wire]] = {**WIRES, **(wires or {})}
        self._providers: dict[str, SimulatedProvider] = {}
        self._changed = threading.Condition()
        self._dispatcher = Dispatcher(self._providers, self._notify)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None
        self._dead: socket.socket | None = None
        self._root = ""
        self._dead_root = ""

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Bind the port and serve; returns when requests can come."""
        if self._thread is not None:
            msg = "these simulated providers are running already"
            raise RuntimeError(msg)
        listener = socket.create_server((_HOST, 0), backlog=1024)
        # Bound and never listening: connections to it are refused, and nobody else can take the
        # port meanwhile.
        self._dead = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._dead.bind((_HOST, 0))
        self._root = f"http://{_HOST}:{listener.getsockname()[1]}"
        self._dead_root = f"http://{_HOST}:{self._dead.getsockname()[1]}"
        for name, wire in self._lasting.items():
            self.add(wire, name=name)
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listener, ready), name="simulated-providers", daemon=True
        )
        self._thread.start()
        if not ready.wait(_START_TIMEOUT):
            msg = "the simulated providers did not start"
            raise RuntimeError(msg)
        return self

    def stop(self) -> None:
        """Drop every connection, end the thread, free the port. A second call does nothing."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return
        self._dispatcher.stopping = True
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        self._thread = self._loop = self._runner = None
        if self._dead is not None:
            self._dead.close()
            self._dead = None

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        loop = asyncio.new_event_loop()
        self._loop = loop
        try:
            loop.run_until_complete(self._serve(listener))
            ready.set()
            loop.run_forever()
            loop.run_until_complete(self._close())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    async def _serve(self, listener: socket.socket) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._dispatcher.handle)
        # The handler is cancelled when its client leaves: that is how a disconnect is seen.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            handle_signals=False,
            shutdown_timeout=0.1,
        )
        await self._runner.setup()
        await web.SockSite(self._runner, listener, backlog=1024).start()

    async def _close(self) -> None:
        await self._drop_all()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _drop_all(self) -> None:
        tasks = [task for task in self._dispatcher.active if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        for connection in self._connections():
            transport = connection.transport
            connection.force_close()
            if transport is not None:
                transport.abort()
        # The transports report their end on the next turns of the loop.
        for _ in range(3):
            await asyncio.sleep(0)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    # --- providers --------------------------------------------------------------------------------

    @property
    def root_url(self) -> str:
        """`http://127.0.0.1:PORT`; every provider lives under `/NAME`."""
        return self._root

    @property
    def providers(self) -> dict[str, SimulatedProvider]:
        """All providers by name."""
        return dict(self._providers)

    def add(self, kind: str | type[Wire], *, name: str) -> SimulatedProvider:
        """Another provider under its own name, with its own script.

        Args:
            kind: A built-in wire format (`"openai"`, ...), or a `Wire` subclass of one's own.
            name: The first part of its paths. It is also an attribute: after
                `add("openai", name="backup")` there is `simulated.backup`.

        Raises:
            ValueError: There is no such kind.
        """
        if isinstance(kind, str):
            if kind not in WIRES:
                msg = f"no simulated provider of kind {kind!r}; there are {', '.join(WIRES)}"
                raise ValueError(msg)
            kind = WIRES[kind]
        provider = SimulatedProvider(
            kind(name, Settings()), self._root, self._dead_root, lambda: self.open_connections
        )
        self._providers[name] = provider
        if not hasattr(type(self), name):
            setattr(self, name, provider)
        return provider

    def __getitem__(self, name: str) -> SimulatedProvider:
        return self._providers[name]

    def reset(self) -> None:
        """Drop every connection; forget what was seen, scripted and added."""
        loop = self._loop
        if loop is None:
            return
        self._dispatcher.stopping = True
        asyncio.run_coroutine_threadsafe(self._drop_all(), loop).result(_START_TIMEOUT)
        self._dispatcher.stopping = False
        for name, provider in list(self._providers.items()):
            if name in self._lasting:
                provider.reset()
            else:
                del self._providers[name]
                if name in self.__dict__:
                    delattr(self, name)

    # --- observation ------------------------------------------------------------------------------

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests of all providers in the order they came."""
        everything = [
            record for provider in self._providers.values() for record in provider.requests
        ]
        return sorted(everything, key=lambda record: record.received_at)

    @property
    def open_connections(self) -> int:
        """TCP connections that are open now, idle ones included."""
        return len(self._connections())

    @property
    def active_requests(self) -> int:
        """Requests that are being answered now."""
        return len(self._dispatcher.active)

    def wait_for_disconnect(self, timeout: float = 30.0) -> RecordedRequest:
        """Block until some client has left before the end of its answer, and return that request.

        `TimeoutError` after `timeout` seconds. On an event loop use `disconnect`, which lets the
        client run.
        """
        return self._wait(
            lambda: next((record for record in self.requests if record.disconnected), None), timeout
        )

    async def disconnect(self, timeout: float = 30.0) -> RecordedRequest:
        """`wait_for_disconnect` for asynchronous code."""
        return await asyncio.to_thread(self.wait_for_disconnect, timeout)

    def wait_until_idle(self, timeout: float = 30.0) -> None:
        """Block until no request is being answered; `TimeoutError` after `timeout` seconds."""
        self._wait(lambda: True if not self._dispatcher.active else None, timeout)

    async def idle(self, timeout: float = 30.0) -> None:
        """`wait_until_idle` for asynchronous code."""
        await asyncio.to_thread(self.wait_until_idle, timeout)

    def wait_for_requests(self, count: int, timeout: float = 30.0) -> list[RecordedRequest]:
        """Block until at least `count` requests have come, and return them all."""
        return self._wait(lambda: found if len(found := self.requests) >= count else None, timeout)

    async def arrivals(self, count: int, timeout: float = 30.0) -> list[RecordedRequest]:
        """`wait_for_requests` for asynchronous code."""
        return await asyncio.to_thread(self.wait_for_requests, count, timeout)

    def _wait(self, look: Callable[[], _T | None], timeout: float) -> _T:
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = look()
                if found is not None:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    msg = f"nothing happened within {timeout} s"
                    raise TimeoutError(msg)
                # Ends of requests notify; arrivals do not, so look again often enough.
                self._changed.wait(min(left, 0.02))

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _connections(self) -> list[web.RequestHandler]:
        server = self._runner.server if self._runner is not None else None
        return list(server.connections) if server is not None else []
