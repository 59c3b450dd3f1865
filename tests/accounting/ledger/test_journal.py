"""What a journal gives back after a crash: every end, and the begin of what was under way."""

import contextlib
import multiprocessing
import os
import random
import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from switchgear.accounting.ledger.files import RealFiles
from switchgear.accounting.ledger.journal import Journal, JournalFullError, Mark, lock_writer
from switchgear.accounting.ledger.recovery import adopt_dead, left_behind, writers_in
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.segment import END
from switchgear.accounting.ledger.stores import open_store

from .attempts import attempt_id, begun, booked, ended

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(Row).decode
_SMALLEST = 4 * 64 * 1024
_TINY = 8 * 1024


class _KilledError(BaseException):
    """Stands for the death of the process."""


class _Files(RealFiles):
    """Writes only a part of the next record, and then the process is dead."""

    def __init__(self) -> None:
        self.tear: float | None = None

    def write(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        if self.tear is None:
            return os.pwrite(fd, data, offset)
        os.pwrite(fd, data[: int(len(data) * self.tear)], offset)
        self.tear = None
        raise _KilledError


class Journals(RuleBasedStateMachine):
    """Any order of beginnings, endings and bookings, with a crash anywhere.

    Segments are small here, so that they come and go.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.files = _Files()
        self.rows: dict[bytes, str] = {}
        self.ended: set[bytes] = set()
        self.dropped: set[bytes] = set()
        self.lost: set[bytes] = set()
        self.open: list[bytes] = []
        self.writers = 0
        self._next()

    def _next(self) -> None:
        self.writers += 1
        self.journal = Journal(
            self.files, self.folder, f"w{self.writers}", 4 * _TINY, smallest=_TINY
        )
        self.journal.open()
        self.number = 0
        self.steps = 0
        self.mark = Mark(0, 0)

    def teardown(self) -> None:
        self.journal.close(remove=False)
        shutil.rmtree(self.folder)

    def _write(self, method: str, *args: object) -> bool:
        self.number += 1
        return bool(getattr(self.journal, method)(*args, self.number))

    @rule(length=st.integers(0, 1_500), count=st.integers(1, 8))
    def begin(self, length: int, count: int) -> None:
        self.steps += 1
        for _ in range(count):
            self._begin(length)

    def _begin(self, length: int) -> None:
        attempt = attempt_id()
        payload = _encode(begun(attempt, project_id="p" * length))
        if not self._write("begin", attempt, payload):
            with contextlib.suppress(JournalFullError):
                self.journal.make_room(len(payload))
            if not self._write("begin", attempt, payload):
                return
        self.open.append(attempt)

    @precondition(lambda self: self.open)
    @rule(
        which=st.randoms(use_true_random=False), more=st.integers(0, 700), count=st.integers(1, 8)
    )
    def end(self, which: random.Random, more: int, count: int) -> None:
        for _ in range(min(count, len(self.open))):
            self._end(which, more)

    def _end(self, which: random.Random, more: int) -> None:
        attempt = self.open.pop(which.randrange(len(self.open)))
        row = ended(attempt, agent_id=None, project_id=None, error="e" * more)
        assert self._write("end", attempt, _encode(row)), "there was no room for an end"
        self.ended.add(attempt)

    @precondition(lambda self: self.open)
    @rule(which=st.randoms(use_true_random=False))
    def drop(self, which: random.Random) -> None:
        attempt = self.open.pop(which.randrange(len(self.open)))
        assert self._write("drop", attempt)
        self.dropped.add(attempt)

    @rule(remove=st.booleans())
    def book(self, *, remove: bool) -> None:
        stop = self.journal.mark
        for record, mark in self.journal.batch(self.mark, stop).read():
            assert self.mark < mark <= stop
            if record.kind == END:
                row = _decode(record.payload)
                assert row.id not in self.rows, "booked twice"
                self.rows[row.id] = row.outcome
        self.mark = stop
        assert self.ended <= self.rows.keys()
        self.journal.drained(stop)
        if remove:
            self.journal.remove_doomed()

    @precondition(lambda self: self.journal.low)
    @rule(take=st.booleans())
    def make_room_ahead(self, *, take: bool) -> None:
        with contextlib.suppress(JournalFullError):
            self.journal.make_spare()
        if take:
            self.journal.take_spares()

    @precondition(lambda self: self.steps > 6)
    @rule()
    def die(self) -> None:
        self.journal.close(remove=False)
        (segments,) = writers_in(self.folder).values()
        for _, row in left_behind(segments):
            self.rows.setdefault(row.id, row.outcome)
        self.lost.update(self.open)
        self.open.clear()
        assert {a for a, outcome in self.rows.items() if outcome == "answered"} == self.ended
        assert {a for a, outcome in self.rows.items() if outcome == "lost"} == self.lost
        for path in self.folder.iterdir():
            path.unlink()
        self._next()

    @precondition(lambda self: self.steps > 6)
    @rule(tear=st.floats(0, 1, exclude_max=True), ending=st.booleans())
    def die_while_writing(self, tear: float, ending: bool) -> None:
        self.files.tear = tear
        attempt = self.open[0] if ending and self.open else attempt_id()
        with contextlib.suppress(_KilledError):
            if ending and self.open:
                self._write("end", attempt, _encode(ended(attempt)))
            else:
                self._write("begin", attempt, _encode(begun(attempt)))
        self.files.tear = None
        self.die()

    @invariant()
    def old_segments_do_not_linger(self) -> None:
        size = sum(path.stat().st_size for path in self.folder.glob("*.journal"))
        assert size <= 4 * _TINY


Journals.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestJournals = Journals.TestCase


def test_an_attempt_that_stays_open_moves_on_with_the_journal(tmp_path: Path) -> None:
    journal = Journal(RealFiles(), tmp_path, "w", _SMALLEST)
    journal.open()
    lasting = attempt_id()
    assert journal.begin(lasting, _encode(begun(lasting)), 1)
    for number in range(2, 400, 2):
        attempt = attempt_id()
        payload = _encode(begun(attempt, project_id="p" * 8000))
        if not journal.begin(attempt, payload, number):
            journal.make_room(len(payload))
            assert journal.begin(attempt, payload, number)
        assert journal.end(attempt, payload, number + 1)
        journal.drained(journal.mark)
        journal.remove_doomed()
    names = sorted(path.name for path in tmp_path.glob("*.journal"))
    assert "w.1.journal" not in names
    assert len(names) <= 3
    journal.close(remove=False)
    found = dict(left_behind(writers_in(tmp_path)["w"]))
    assert found[0].id == lasting


def test_a_living_writer_is_left_alone_and_a_dead_one_is_booked_once(tmp_path: Path) -> None:
    folder, database = tmp_path / "journal", tmp_path / "ledger.sqlite3"
    store = open_store(f"sqlite:{database}")
    journal = Journal(RealFiles(), folder, "dead", _SMALLEST)
    journal.open()
    over, under_way, unsent = attempt_id(), attempt_id(), attempt_id()
    for number, attempt in enumerate((over, under_way, unsent), 1):
        assert journal.begin(attempt, _encode(begun(attempt)), number)
    assert journal.end(over, _encode(ended(over)), 4)
    assert journal.drop(unsent, 5)

    def adopt() -> int:
        return adopt_dead(folder, RealFiles(), store, but="me")

    assert adopt() == 0, "its lock is held"
    copies = {path.name: path.read_bytes() for path in folder.iterdir()}
    journal.close(remove=False)
    assert adopt() == 2
    assert list(folder.iterdir()) == []
    for name, content in copies.items():
        (folder / name).write_bytes(content)
    assert adopt() == 0, "the same again, as after a survivor's death"
    assert list(folder.iterdir()) == []
    store.close()
    assert booked(database) == {over: "answered", under_way: "lost"}


def test_segments_whose_lock_file_is_gone_are_booked_too(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal = Journal(RealFiles(), folder, "dead", _SMALLEST)
    journal.open()
    attempt = attempt_id()
    assert journal.begin(attempt, _encode(begun(attempt)), 1)
    journal.close(remove=False)
    (folder / "dead.lock").unlink()
    store = open_store(f"sqlite:{tmp_path / 'ledger.sqlite3'}")
    assert adopt_dead(folder, RealFiles(), store, but="me") == 1
    store.close()
    assert list(folder.iterdir()) == []


def _filled(folder: Path) -> tuple[Journal, list[int]]:
    """A journal with records from some bytes up to a megabyte, most at odd places."""
    journal = Journal(RealFiles(), folder, "w", 64 << 20)
    journal.open()
    sizes = [*range(1, 40_000, 997), 300_000, 5, 1_000_000, 131_072 - 17, 131_072, 7] * 2
    for number, size in enumerate(sizes, 1):
        if not journal.end(attempt_id(), bytes(size), number):
            journal.make_room(size)
            assert journal.end(attempt_id(), bytes(size), number)
    return journal, sizes


def test_records_are_read_again_whatever_their_length(tmp_path: Path) -> None:
    journal, sizes = _filled(tmp_path)
    found = list(journal.batch(Mark(0, 0), journal.mark).read())
    assert [(record.number, len(record.payload)) for record, _ in found] == [*enumerate(sizes, 1)]
    for place in range(0, len(found), 7):  # and from the mark behind any of them
        rest = journal.batch(found[place][1], journal.mark).read()
        assert [record.number for record, _ in rest] == [*range(place + 2, len(sizes) + 1)]
    journal.close(remove=True)


def test_what_is_damaged_is_passed_over_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal, sizes = _filled(tmp_path)
    marks = [mark for _, mark in journal.batch(Mark(0, 0), journal.mark).read()]
    first = [mark for mark in marks if mark.segment == 1]
    path = tmp_path / "w.1.journal"
    with path.open("r+b") as file:
        file.seek(first[9].offset + 20)
        file.write(b"\xff")
    numbers = [r.number for r, _ in journal.batch(Mark(0, 0), journal.mark).read()]
    assert len(first) < len(sizes)
    assert numbers == [*range(1, 11), *range(len(first) + 1, len(sizes) + 1)]
    (record,) = caplog.records
    assert f"{path} is damaged from byte {first[9].offset} on" in record.message
    journal.close(remove=True)


def test_a_long_journal_is_booked_in_many_transactions(tmp_path: Path) -> None:
    folder, database = tmp_path / "journal", tmp_path / "ledger.sqlite3"
    journal = Journal(RealFiles(), folder, "dead", 8 << 20)
    journal.open()
    attempts = [attempt_id() for _ in range(1300)]
    for number, attempt in enumerate(attempts, 1):
        payload = _encode(ended(attempt))
        # As rows are written that were in memory while the disk was full: late.
        late = number if number % 7 else number - 300
        if not journal.end(attempt, payload, max(late, 1)):
            journal.make_room(len(payload))
            assert journal.end(attempt, payload, max(late, 1))
    journal.close(remove=False)
    store = open_store(f"sqlite:{database}")
    assert adopt_dead(folder, RealFiles(), store, but="me") == len(attempts)
    store.close()
    assert booked(database).keys() == set(attempts)


def test_a_journal_of_another_version_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "new.lock").touch()
    (tmp_path / "new.1.journal").write_bytes(b"SWGRJNL\x63" + bytes(100))
    (tmp_path / "README").touch()
    store = open_store("memory:")
    known: set[str] = set()
    for _ in range(3):
        assert adopt_dead(tmp_path, RealFiles(), store, but="me", known=known) == 0
    store.close()
    assert len(caplog.records) == 1
    assert (tmp_path / "new.1.journal").exists()


def _hold(pipe: "multiprocessing.connection.Connection") -> None:
    pipe.send("here")
    pipe.recv()


def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    journal = Journal(RealFiles(), tmp_path, "parent", _SMALLEST)
    journal.open()
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_hold, args=(theirs,))
    child.start()
    try:
        assert ours.recv() == "here"
        assert lock_writer(tmp_path, "parent") is None, "the parent still holds it"
        journal.close(remove=False)
        lock = lock_writer(tmp_path, "parent")
        assert lock is not None, "the child holds it"
        lock.release()
    finally:
        ours.send("go")
        child.join()
    assert child.exitcode == 0


def test_it_grows_to_its_limit_and_no_further(tmp_path: Path) -> None:
    journal = Journal(RealFiles(), tmp_path, "w", _SMALLEST)
    journal.open()
    for _ in range(3):
        journal.make_spare()
    with pytest.raises(JournalFullError, match="limit"):
        journal.make_spare()
    journal.close(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_an_attempt_larger_than_a_segment_gets_one_of_its_own(tmp_path: Path) -> None:
    journal = Journal(RealFiles(), tmp_path, "w", 64 << 20)
    journal.open()
    attempt = attempt_id()
    payload = _encode(begun(attempt, tags={"long": "x" * 5_000_000}))
    assert not journal.begin(attempt, payload, 1)
    journal.make_room(len(payload))
    assert journal.begin(attempt, payload, 1)
    assert journal.end(attempt, payload, 2)
    journal.close(remove=False)
    assert [row.id for _, row in left_behind(writers_in(tmp_path)["w"])] == [attempt]
