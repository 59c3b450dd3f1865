"""``kill -9`` at any instant: what was said to be settled is in the database, once."""

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from switchgear.accounting.ledger.files import RealFiles
from switchgear.accounting.ledger.journal import Journal
from switchgear.accounting.ledger.ledger import Ledger
from switchgear.accounting.ledger.place import place_of
from switchgear.accounting.ledger.stores import open_store
from switchgear.clock import SystemClock
from switchgear.config.ledger import LedgerConfig

from .attempts import attempt_id, begun, booked, ended
from .writer import RULE, WORD, dropped

_ROOT = Path(__file__).parents[3]
_COST, _BOUND = 1_500_000, 7_000_000


@pytest.fixture
def chance() -> random.Random:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it where a test fails
    return random.Random(seed)


def _writer(path: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.accounting.ledger.writer", str(path), str(workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT)


def _said(words: bytes) -> Iterator[tuple[str, bytes]]:
    for place in range(0, len(words) - WORD + 1, WORD):
        yield chr(words[place]), words[place + 1 : place + WORD]


def _settled(words: bytes) -> set[bytes]:
    return {attempt for word, attempt in _said(words) if word == "E"}


def _kill(child: subprocess.Popen[bytes], after: float) -> bytes:
    """Kill it that long after its first word; what it had said until then."""
    assert child.stdout is not None
    pipe = child.stdout.fileno()
    words = os.read(pipe, 1 << 20)
    assert words, "it died by itself"
    end = time.monotonic() + after
    while (left := end - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            words += os.read(pipe, 1 << 20)
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL
    return words + rest


async def _survive(path: Path) -> None:
    ledger = Ledger(LedgerConfig(url=f"sqlite:{path}"), clock=SystemClock(), rules=[RULE])
    await ledger.ready()
    await ledger.aclose()
    journal = place_of(LedgerConfig(url=f"sqlite:{path}")).journal
    assert journal is not None
    assert list(journal.iterdir()) == []


def _check_counter(path: Path, outcomes: dict[bytes, str]) -> None:
    values = list(outcomes.values())
    store = open_store(f"sqlite:{path}")
    (standing,) = store.standings(['["project","syndarix","ever","UTC",0]'], 0)
    store.close()
    assert standing.cost == values.count("answered") * _COST
    assert standing.bound == standing.cost + values.count("lost") * _BOUND


@pytest.mark.timeout(120)
async def test_no_settled_attempt_is_missing_and_none_is_doubled(
    tmp_path: Path, chance: random.Random
) -> None:
    path = tmp_path / "ledger.sqlite3"
    words = b""
    rounds = 0
    while rounds < 5 or len(_settled(words)) <= 1000:  # a busy machine needs more rounds
        rounds += 1
        # Three write one file at once, and adopt whom the round before has left behind.
        children = [_writer(path, 200) for _ in range(3)]
        for child in children:
            words += _kill(child, chance.random() * 0.4)
    await _survive(path)
    outcomes = booked(path)
    said = {"B": set[bytes](), "E": set[bytes](), "D": set[bytes](), "O": set[bytes]()}
    for word, attempt in _said(words):
        said[word].add(attempt)
    answered = {a for a, outcome in outcomes.items() if outcome == "answered"}
    assert said["E"] <= answered, "a settled attempt is missing"
    assert not said["D"] & outcomes.keys(), "an attempt that was never sent is booked"
    sent = {a for a in said["B"] if not dropped(a)}
    assert sent <= outcomes.keys(), "an attempt that was sent is missing"
    assert set(outcomes.values()) == {"answered", "lost"}
    _check_counter(path, outcomes)


@pytest.mark.timeout(120)
async def test_who_is_killed_while_it_adopts_changes_nothing(
    tmp_path: Path, chance: random.Random
) -> None:
    path = tmp_path / "ledger.sqlite3"
    folder = place_of(LedgerConfig(url=f"sqlite:{path}")).journal
    assert folder is not None
    expected: dict[bytes, str] = {}
    for writer in range(6):
        journal = Journal(RealFiles(), folder, f"dead-{writer}", 64 << 20)
        journal.open()
        for number in range(2000):
            attempt = attempt_id()
            row = ended(attempt) if number % 20 else begun(attempt)
            payload = msgspec.msgpack.encode(row)
            write = journal.end if number % 20 else journal.begin
            assert write(attempt, payload, number + 1)
            expected[attempt] = row.outcome
        journal.close(remove=False)
    for turn in range(6):
        _kill(_writer(path, 0), chance.random() * 0.05 * (turn + 1))
    await _survive(path)
    assert booked(path) == expected
    _check_counter(path, expected)
