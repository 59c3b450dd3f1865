"""A disk that is really full, or really read-only, and what the configuration makes of it."""

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchgear.accounting.ledger.ledger import Ledger
from switchgear.clock import SystemClock
from switchgear.config.ledger import LedgerConfig, OnError
from switchgear.errors import LedgerError

from .attempts import attempt_id, begun, booked, ended

_NAMESPACE = "SWITCHGEAR_TEST_NAMESPACE"


def _mount(*arguments: str) -> bool:
    with contextlib.suppress(OSError):
        return not subprocess.run(
            ["mount", *arguments], capture_output=True, check=False
        ).returncode
    return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not _mount("-t", "tmpfs", "-o", "size=2m", "switchgear-test", str(folder)):
        pytest.skip("may not mount here; test_as_root_of_a_namespace runs this where it may")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_as_root_of_a_namespace(tmp_path: Path) -> None:
    """Where mounting takes root, become the root of a namespace and run this file in it."""
    if os.environ.get(_NAMESPACE):
        pytest.skip("this is the namespace")
    if _mount("-t", "tmpfs", "switchgear-test", str(tmp_path)):
        subprocess.run(["umount", tmp_path], check=True)
        pytest.skip("not needed: mounting is allowed")
    become = ["unshare", "--map-root-user", "--mount"]
    try:
        allowed = not subprocess.run([*become, "true"], capture_output=True, check=False).returncode
    except OSError:
        allowed = False
    if not allowed:
        pytest.skip("neither mounting nor a user namespace is allowed here: no disk to fill")
    command = [*become, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        command,
        env={**os.environ, _NAMESPACE: "1"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


class _Clock(SystemClock):
    """The machine's, which can be put forward, so that nobody waits for the next try."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def _fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    with pytest.raises(OSError, match="space"):
        (folder / "proof").write_bytes(bytes(4096))
    return filler


def _ledger(folder: Path, on_error: OnError) -> tuple[Ledger, _Clock, Path]:
    path, clock = folder / "ledger.sqlite3", _Clock()
    config = LedgerConfig(url=f"sqlite:{path}", journal_mb=1, on_error=on_error)
    return Ledger(config, clock=clock), clock, path


async def _begin(ledger: Ledger) -> bytes:
    name = attempt_id()
    if (waiting := ledger.begin(begun(name))) is not None:
        await waiting
    return name


async def _end(ledger: Ledger, name: bytes) -> None:
    if (waiting := ledger.end(ended(name))) is not None:
        await waiting


async def _until_refused(ledger: Ledger) -> list[bytes]:
    begun_ones: list[bytes] = []
    with pytest.raises(LedgerError, match="No space left on device") as caught:
        while True:
            begun_ones.append(await _begin(ledger))
    assert ledger.name in str(caught.value)
    assert "make room" in str(caught.value)
    return begun_ones


async def test_a_disk_that_fills_up_refuses_beginnings_and_loses_no_end(disk: Path) -> None:
    ledger, clock, path = _ledger(disk, "fail")
    await ledger.ready()
    names = [await _begin(ledger)]
    await _end(ledger, names[0])
    await ledger.flush()
    filler = _fill(disk)
    names += await _until_refused(ledger)
    assert len(names) > 100, "there is room in the segment that was made before"
    for name in names[1:]:
        await _end(ledger, name)
    assert not ledger._intake.kept, "the room for every end was set aside"
    with pytest.raises(LedgerError, match="disk is full"):
        await ledger.flush()

    filler.unlink()
    clock.ahead += 60
    names.append(await _begin(ledger))
    await _end(ledger, names[-1])
    await ledger.flush()
    assert booked(path) == dict.fromkeys(names, "answered")
    await ledger.aclose()


async def test_a_disk_that_fills_up_is_served_over_where_told_so(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, clock, path = _ledger(disk, "serve")
    await ledger.ready()
    await ledger.flush()
    filler = _fill(disk)
    names: list[bytes] = []
    while len(ledger._intake.kept) < 100:
        names.append(await _begin(ledger))
        await _end(ledger, names[-1])
    with pytest.raises(LedgerError):
        await ledger.flush()
    warned = [r.message for r in caplog.records if "can't be written" in r.message]
    assert len(warned) == 1, "once, not for each call"
    assert "calls are made without it" in warned[0]

    filler.unlink()
    clock.ahead += 60
    names.append(await _begin(ledger))
    await _end(ledger, names[-1])
    await ledger.flush()
    assert booked(path) == dict.fromkeys(names, "answered")
    assert not ledger._intake.kept
    await ledger.aclose()


async def test_what_is_kept_in_memory_has_a_bound(
    disk: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switchgear.accounting.ledger.intake._KEPT", 50)
    filler = _fill(disk)
    ledger, _, path = _ledger(disk, "serve")
    await ledger.ready()
    names = [await _begin(ledger) for _ in range(80)]
    for name in names:
        await _end(ledger, name)
    assert any("could be kept nowhere" in r.message for r in caplog.records)
    filler.unlink()
    await ledger.flush()
    assert booked(path).keys() == set(names[-50:])
    await ledger.aclose()


async def test_a_disk_that_is_full_from_the_start_refuses_to_open(disk: Path) -> None:
    filler = _fill(disk)
    ledger, clock, path = _ledger(disk, "fail")
    with pytest.raises(LedgerError, match="No space left"):
        await ledger.ready()
    filler.unlink()
    clock.ahead += 60
    await ledger.ready()
    name = await _begin(ledger)
    await _end(ledger, name)
    await ledger.flush()
    assert booked(path) == {name: "answered"}
    await ledger.aclose()


@pytest.mark.parametrize("on_error", ["fail", "serve"])
async def test_rows_survive_a_death_on_a_full_disk(disk: Path, on_error: OnError) -> None:
    ledger, _, path = _ledger(disk, on_error)
    await ledger.ready()
    filler = _fill(disk)
    over, under_way = await _begin(ledger), await _begin(ledger)
    await _end(ledger, over)
    await ledger.aclose()
    filler.unlink()
    survivor, _, _ = _ledger(disk, on_error)
    await survivor.ready()
    await survivor.aclose()
    assert booked(path) == {over: "answered", under_way: "lost"}


@pytest.fixture
def read_only(disk: Path) -> Path:
    """A read-only file system; ``_writable`` makes it writable."""
    assert _mount("-o", "remount,ro", str(disk))
    return disk


def _writable(folder: Path) -> None:
    assert _mount("-o", "remount,rw", str(folder))


async def test_a_read_only_disk_refuses_to_open(read_only: Path) -> None:
    ledger, clock, path = _ledger(read_only, "fail")
    for _ in range(2):
        with pytest.raises(LedgerError, match="Read-only file system") as caught:
            await ledger.ready()
        assert "on_error" in str(caught.value)
    _writable(read_only)
    clock.ahead += 60
    await ledger.ready()
    name = await _begin(ledger)
    await _end(ledger, name)
    await ledger.aclose()
    assert booked(path) == {name: "answered"}


async def test_a_read_only_disk_is_served_over_where_told_so(
    read_only: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, clock, path = _ledger(read_only, "serve")
    await ledger.ready()
    names = [await _begin(ledger) for _ in range(20)]
    for name in names:
        await _end(ledger, name)
    with pytest.raises(LedgerError):
        await ledger.flush()
    _writable(read_only)
    clock.ahead += 60
    names.append(await _begin(ledger))
    await _end(ledger, names[-1])
    await ledger.flush()
    assert booked(path) == dict.fromkeys(names, "answered")
    await ledger.aclose()
    levels = [r.levelno for r in caplog.records]
    assert logging.ERROR not in levels
    assert len(caplog.records) == 4, "it fails and heals, journal and database"
