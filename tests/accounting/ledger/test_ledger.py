"""What the event loop may rely on: rows get booked, whatever is away, slow or cancelled."""

import asyncio
import logging
import multiprocessing
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from switchgear.accounting.ledger.files import RealFiles
from switchgear.accounting.ledger.ledger import Ledger
from switchgear.accounting.ledger.place import place_of
from switchgear.accounting.ledger.store import Booked, Counted, SpendQuery, Store
from switchgear.clock import SystemClock
from switchgear.config.ledger import LedgerConfig
from switchgear.errors import ConfigError, LedgerError
from switchgear.testing.loop_clock import LoopClock

from .attempts import StubbornStore, attempt_id, begun, booked, ended


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[Ledger]:
    """A ledger in a SQLite file, closed at the end."""
    config = LedgerConfig(url=f"sqlite:{path}", journal_mb=options.pop("journal_mb", 1024))
    ledger = Ledger(config, clock=SystemClock(), **options)
    try:
        await ledger.ready()
        yield ledger
    finally:
        await ledger.aclose()


@asynccontextmanager
async def with_stubborn(path: Path, **options: Any) -> AsyncIterator[tuple[Ledger, StubbornStore]]:
    """The same over a store that can be away; it is there again when the ledger is closed."""
    store = StubbornStore(f"sqlite:{path}")
    async with opened(path, store=lambda: store, **options) as ledger:
        try:
            yield ledger, store
        finally:
            store.away = False
            store.go.set()


async def attempt(ledger: Ledger, **fields: Any) -> bytes:
    """One attempt from begin to end."""
    name = attempt_id()
    for waiting in (ledger.begin(begun(name)), ledger.end(ended(name, **fields))):
        if waiting is not None:
            await waiting
    return name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def journal_of(path: Path) -> list[str]:
    return sorted(p.name for p in path.with_name(path.name + ".journal").iterdir())


def _overwrite(path: Path) -> None:
    path.write_text("something else entirely, and long enough to look like a file" * 10)


def _remove(path: Path) -> None:
    path.unlink()


def _there(path: Path) -> bool:
    return path.exists()


async def test_what_ended_is_booked_and_nothing_stays_behind(path: Path) -> None:
    async with opened(path) as ledger:
        names = {await attempt(ledger) for _ in range(50)}
        await ledger.flush()
        assert booked(path).keys() == names
        assert ledger.booked == ledger.position
    assert journal_of(path) == []


async def test_it_is_booked_without_anybody_asking(path: Path) -> None:
    told: asyncio.Future[tuple[int, Booked]] = asyncio.get_running_loop().create_future()
    async with opened(path) as ledger:
        ledger.on_booked.append(lambda upto, done: told.set_result((upto, done)))
        name = await attempt(ledger)
        assert await told == (ledger.position, Booked(rows=1))
        assert booked(path) == {name: "answered"}


async def test_many_are_booked_in_one_transaction(path: Path) -> None:
    async with with_stubborn(path) as (ledger, store):
        for _ in range(1200):
            await attempt(ledger)
        await ledger.flush()
        assert sum(store.batches) == 1200
        assert max(store.batches) == 500


async def test_listeners_hear_of_the_counters_that_were_asked_about(path: Path) -> None:
    rule = Counted("project", "*", "ever", "UTC")
    heard: list[Booked] = []
    async with opened(path, rules=[rule], ask=lambda: frozenset({rule})) as ledger:
        ledger.on_booked.append(lambda _, done: heard.append(done))
        await attempt(ledger)
        await ledger.flush()
    (standing,) = heard[0].standings
    assert (standing.bound, standing.cost) == (1_500_000, 1_500_000)


async def test_a_failing_listener_harms_nobody(path: Path) -> None:
    heard: list[int] = []

    def broken(_upto: int, _done: Booked) -> None:
        raise RuntimeError

    async with opened(path) as ledger:
        ledger.on_booked += [broken, lambda upto, _: heard.append(upto)]
        await attempt(ledger)
        await ledger.flush()
        assert heard == [ledger.position]


async def test_callers_share_one_opening_and_none_takes_it_from_the_others(path: Path) -> None:
    made: list[StubbornStore] = []

    def make() -> Store:
        made.append(StubbornStore(f"sqlite:{path}"))
        return made[-1]

    ledger = Ledger(LedgerConfig(url=f"sqlite:{path}"), clock=SystemClock(), store=make)
    callers = [asyncio.ensure_future(ledger.ready()) for _ in range(5)]
    await asyncio.sleep(0)
    callers[0].cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] + [type(None)] * 4
    assert len(made) == 1
    assert ledger.opened
    await ledger.aclose()


async def test_what_was_handed_to_the_database_is_done_whoever_stops_waiting(path: Path) -> None:
    done: list[str] = []
    async with with_stubborn(path) as (ledger, store):
        store.go.clear()
        blocking = asyncio.ensure_future(ledger.do(lambda s: s.spend(SpendQuery())))
        cancelled = asyncio.ensure_future(ledger.do(lambda _: done.append("done")))
        await asyncio.sleep(0)
        cancelled.cancel()
        store.go.set()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await blocking
        await ledger.do(lambda _: done.append("next"))
    assert done == ["done", "next"]


async def test_while_the_database_is_away_rows_wait_in_the_journal(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with with_stubborn(path) as (ledger, store):
        store.away = True
        names = {await attempt(ledger) for _ in range(1200)}
        for _ in range(3):
            with pytest.raises(LedgerError, match="away"):
                await ledger.flush()
        with pytest.raises(LedgerError, match="away"):
            await ledger.do(lambda s: s.spend(SpendQuery()))
        store.away = False
        names.add(await attempt(ledger))
        await ledger.flush()
        assert booked(path).keys() == names
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 2, warnings
    assert "away" in warnings[0]
    assert "takes rows again" in warnings[1]


async def test_a_server_that_is_away_at_first_stops_nobody(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = StubbornStore(f"sqlite:{path}")
    store.away = True
    config = LedgerConfig(url="postgresql://u:pass@db.example/x", journal=str(tmp_path / "j"))
    ledger = Ledger(config, clock=SystemClock(), store=lambda: store)
    await ledger.ready()
    name = await attempt(ledger)
    with pytest.raises(LedgerError, match="away"):
        await ledger.do(lambda s: s.spend(SpendQuery()))
    store.away = False
    await ledger.flush()
    await ledger.aclose()
    assert booked(path) == {name: "answered"}
    assert "pass" not in caplog.text


async def test_a_file_that_is_no_ledger_refuses_unless_told_to_serve(path: Path) -> None:
    _overwrite(path)
    ledger = Ledger(LedgerConfig(url=f"sqlite:{path}"), clock=SystemClock())
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"ledger\.sqlite3"):
            await ledger.ready()
    await ledger.aclose()
    config = LedgerConfig(url=f"sqlite:{path}", on_error="serve")
    serving = Ledger(config, clock=SystemClock())
    await serving.ready()
    name = await attempt(serving)
    await serving.aclose()
    _remove(path)
    async with opened(path):
        assert booked(path) == {name: "answered"}


async def test_what_could_not_be_booked_is_booked_by_the_next(path: Path) -> None:
    store = StubbornStore(f"sqlite:{path}")
    first = Ledger(LedgerConfig(url=f"sqlite:{path}"), clock=SystemClock(), store=lambda: store)
    await first.ready()
    store.away = True
    over, under_way, unsent = await attempt(first), attempt_id(), attempt_id()
    first.begin(begun(under_way))
    first.begin(begun(unsent))
    first.drop(unsent)
    await first.aclose()
    with pytest.raises(LedgerError, match="closed"):
        await first.ready()
    async with opened(path):
        assert booked(path) == {over: "answered", under_way: "lost"}
    assert journal_of(path) == []


async def test_two_living_ledgers_on_one_file_leave_each_other_alone(path: Path) -> None:
    async with opened(path) as one, opened(path) as other:
        lasting = attempt_id()
        one.begin(begun(lasting))
        assert await other.adopt_now() == 0
        mine, theirs = await attempt(one), await attempt(other)
        one.end(ended(lasting))
        await asyncio.gather(one.flush(), other.flush())
        assert booked(path) == dict.fromkeys([mine, theirs, lasting], "answered")


async def test_one_that_died_meanwhile_is_adopted(path: Path) -> None:
    async with opened(path) as survivor:
        dead = Ledger(LedgerConfig(url=f"sqlite:{path}"), clock=SystemClock())
        await dead.ready()
        name = attempt_id()
        dead.begin(begun(name))
        await dead.aclose()  # with an attempt open: its files stay
        results = await asyncio.gather(*(survivor.adopt_now() for _ in range(3)))
        assert results == [1, 1, 1], "one look answers all who asked"
        assert await survivor.adopt_now() == 0
        assert booked(path) == {name: "lost"}


async def test_a_full_journal_refuses_beginnings_but_takes_every_end(path: Path) -> None:
    async with with_stubborn(path, journal_mb=1) as (ledger, store):
        store.away = True
        names: list[bytes] = []
        with pytest.raises(LedgerError, match="grown to its limit"):
            while len(names) < 100_000:
                name = attempt_id()
                waiting = ledger.begin(begun(name))
                if waiting is not None:
                    await waiting
                names.append(name)
        assert len(names) > 300
        for name in names:
            waiting = ledger.end(ended(name, error="e" * 500))
            if waiting is not None:
                await waiting
        assert not ledger._intake.kept
        store.away = False
        await ledger.flush()
        assert booked(path) == dict.fromkeys(names, "answered")


async def test_long_words_of_a_provider_are_cut_where_there_is_no_room(path: Path) -> None:
    async with with_stubborn(path, journal_mb=1) as (ledger, store):
        store.away = True
        name = attempt_id()
        ledger.begin(begun(name))
        with pytest.raises(LedgerError):
            while True:
                waiting = ledger.begin(begun())
                if waiting is not None:
                    await waiting
        ledger.end(ended(name, code="c" * 1_000_000))
        assert not ledger._intake.kept
        store.away = False
        await ledger.flush()
        (row,) = await ledger.do(lambda s: s.rows(0, 2**62))
        assert row.code == "c" * 80
        assert row.cost == ended(name).cost


async def test_a_row_that_cannot_be_encoded_counts_as_lost(path: Path) -> None:
    async with opened(path) as ledger:
        with pytest.raises(LedgerError, match="written down"):
            ledger.begin(begun(bound=2**70))
        name = attempt_id()
        ledger.begin(begun(name))
        ledger.end(ended(name, request_id="\ud800"))
        await ledger.flush()
        assert booked(path) == {name: "lost"}


class _Disk(RealFiles):
    """A disk that can be told to stall."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.now = 0.0
        self.each = 0.0
        self.threads: list[str] = []

    def write(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        assert self.go.wait(20)
        self.now += self.each
        self.threads.append(threading.current_thread().name)
        return os.pwrite(fd, data, offset)

    def time(self) -> float:
        return self.now


async def test_a_slow_disk_stalls_the_loop_once_and_not_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = _Disk()
    async with opened(path, files=disk, timer=disk.time) as ledger:
        here = threading.current_thread().name
        await attempt(ledger)
        disk.threads.clear()

        disk.each = 0.5
        first = attempt_id()
        assert ledger.begin(begun(first)) is None, "nobody could know"
        disk.go.clear()
        waiting = ledger.end(ended(first))
        second = attempt_id()
        beginning = ledger.begin(begun(second))
        assert waiting is not None
        assert beginning is not None
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()  # type: ignore[attr-defined]
        disk.go.set()
        await waiting
        await beginning
        assert disk.threads == [here, "switchgear-ledger-disk_0", "switchgear-ledger-disk_0"]

        disk.each = 0.0
        rounds = 0
        while (waiting := ledger.begin(begun(name := attempt_id()))) is not None:
            await waiting
            ledger.drop(name)
            rounds += 1
            assert rounds < 100
        ledger.drop(name)
        ledger.drop(second)
        await ledger.flush()
        assert booked(path)[first] == "answered"
    assert [r.message for r in caplog.records if "slow" in r.message or "quick" in r.message] == [
        f"the disk of the ledger {path} is slow; its thread writes from now on",
        f"the disk of the ledger {path} is quick again",
    ]
    assert journal_of(path) == []


async def test_one_slow_write_may_be_the_processors_fault_and_costs_one_round(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = _Disk()
    async with opened(path, files=disk, timer=disk.time) as ledger:
        here = threading.current_thread().name
        await attempt(ledger)
        disk.each = 0.5
        first, second = attempt_id(), attempt_id()
        assert ledger.begin(begun(first)) is None
        disk.each = 0.0
        waiting = ledger.end(ended(first))
        assert waiting is not None, "whatever it was, it does not happen twice in a row"
        await waiting
        disk.threads.clear()
        assert ledger.begin(begun(second)) is None
        assert ledger.end(ended(second)) is None
        assert disk.threads == [here, here]
        assert not caplog.records

        # Within the same second once more: now it is the disk.
        disk.each = 0.5
        third = attempt_id()
        assert ledger.begin(begun(third)) is None
        disk.each = 0.0
        rounds = 0
        while (waiting := ledger.drop(attempt_id())) is not None:
            await waiting
            rounds += 1
            assert rounds < 100
        assert rounds == 8
        ledger.end(ended(third))
        await ledger.flush()
        assert set(booked(path).values()) == {"answered"}
    assert len(caplog.records) == 2


async def test_on_a_stalled_disk_a_flush_waits_for_what_is_queued(path: Path) -> None:
    disk = _Disk()
    async with opened(path, files=disk, timer=disk.time) as ledger:
        disk.each = 0.5
        await attempt(ledger)
        disk.go.clear()
        name = attempt_id()
        ledger.begin(begun(name))
        ledger.end(ended(name))
        flush = asyncio.ensure_future(ledger.flush())
        await asyncio.sleep(0)
        disk.go.set()
        await flush
        assert booked(path)[name] == "answered"


async def test_whoever_gives_up_waiting_for_a_begin_drops_it(path: Path) -> None:
    disk = _Disk()
    async with opened(path, files=disk, timer=disk.time) as ledger:
        disk.each = 0.5
        await attempt(ledger)
        disk.go.clear()
        name = attempt_id()
        waiting = ledger.begin(begun(name))
        assert isinstance(waiting, asyncio.Future)
        waiting.cancel()
        ledger.drop(name)
        disk.go.set()
        await ledger.flush()
    assert name not in booked(path)
    assert journal_of(path) == []


class _BrokenFiles(RealFiles):
    """A disk whose writes can be told to fail."""

    broken = False

    def write(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        if self.broken:
            raise OSError(5, "Input/output error")
        return os.pwrite(fd, data, offset)


async def test_an_end_that_cannot_be_written_is_booked_from_memory(path: Path) -> None:
    files = _BrokenFiles()
    async with opened(path, files=files) as ledger:
        name, unsent = attempt_id(), attempt_id()
        ledger.begin(begun(name))
        ledger.begin(begun(unsent))
        files.broken = True
        assert ledger.end(ended(name)) is None
        ledger.drop(unsent)
        with pytest.raises(LedgerError, match="Input/output"):
            ledger.begin(begun())
        await ledger.flush()
        assert booked(path) == {name: "answered"}
        files.broken = False
        again = attempt_id()
        assert ledger.begin(begun(again)) is None
        ledger.drop(again)
        await ledger.flush()
    assert len(booked(path)) == 1
    assert journal_of(path) == [], "the drop is written as soon as that is possible"


async def test_rows_in_memory_go_to_the_journal_as_soon_as_it_can_be_written(path: Path) -> None:
    files = _BrokenFiles()
    store = StubbornStore(f"sqlite:{path}")
    config = LedgerConfig(url=f"sqlite:{path}", on_error="serve")
    ledger = Ledger(config, clock=SystemClock(), files=files, store=lambda: store)
    await ledger.ready()
    store.away = True
    files.broken = True
    names = [await attempt(ledger) for _ in range(5)]
    files.broken = False
    names.append(await attempt(ledger))
    names.append(await attempt(ledger))
    await ledger.aclose()
    async with opened(path):
        assert booked(path) == dict.fromkeys(names, "answered")


@pytest.mark.looptime
async def test_a_ledger_in_memory_lives_in_virtual_time() -> None:
    heard: list[int] = []
    ledger = Ledger(LedgerConfig(url="memory:"), clock=LoopClock())
    await ledger.ready()
    ledger.on_booked.append(lambda upto, _: heard.append(upto))
    await attempt(ledger)
    assert heard == []
    await asyncio.sleep(0.06)
    assert heard == [ledger.position]
    for _ in range(700):
        await attempt(ledger)
    await ledger.flush()
    (total,) = await ledger.do(lambda s: s.spend(SpendQuery()))
    assert total.attempts == 701
    assert await ledger.adopt_now() == 0
    before = threading.active_count()
    await ledger.aclose()
    await ledger.aclose()
    assert threading.active_count() == before


async def test_closing_gives_back_the_threads(path: Path) -> None:
    async with opened(path) as ledger:
        await attempt(ledger)
        threads = [t for t in threading.enumerate() if t.name.startswith("switchgear-ledger")]
        assert threads
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


async def test_closing_without_having_opened_does_nothing(path: Path) -> None:
    await Ledger(LedgerConfig(url=f"sqlite:{path}"), clock=SystemClock()).aclose()
    assert not _there(path)


async def test_another_loop_is_told(path: Path) -> None:
    async with opened(path) as ledger:
        with pytest.raises(LedgerError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(ledger.flush()))


def _in_child(ledger: Ledger, row: Any, done: Any) -> None:
    said: list[str] = []
    try:
        ledger.begin(row)
    except LedgerError as error:
        said.append(str(error))
    assert ledger.end(row) is None
    assert ledger.drop(row.id) is None
    done.send(said)


async def test_a_forked_child_writes_nothing(path: Path) -> None:
    async with opened(path) as ledger:
        name = attempt_id()
        ledger.begin(begun(name))
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(
            target=_in_child, args=(ledger, ended(name), theirs)
        )
        child.start()
        (said,) = await asyncio.to_thread(ours.recv)
        await asyncio.to_thread(child.join)
        assert child.exitcode == 0
        assert "parent" in said
        ledger.end(ended(name, outcome="failed"))
        await ledger.flush()
        assert booked(path) == {name: "failed"}


# Where things lie


def test_a_file_has_its_journal_beside_it(tmp_path: Path) -> None:
    place = place_of(LedgerConfig(url="sqlite:data/../costs.db"), tmp_path, {})
    assert place.url == f"sqlite:{tmp_path}/costs.db"
    assert place.journal == tmp_path / "costs.db.journal"


def test_saying_nothing_means_a_file_of_this_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_state_path", lambda *_, **__: tmp_path / "state")
    assert place_of(LedgerConfig(), None, {}).url == f"sqlite:{tmp_path}/state/ledger.sqlite3"
    named = place_of(LedgerConfig(), tmp_path, {"SWITCHGEAR_LEDGER": "sqlite:/var/x.db"})
    assert named.url == "sqlite:/var/x.db"


def test_a_server_has_its_journal_in_the_state_folder_one_for_each_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_state_path", lambda *_, **__: tmp_path)

    def journal(url: str) -> Path | None:
        return place_of(LedgerConfig(url=url)).journal

    one = journal("postgresql://ann:secret@db.example:5432/costs?sslmode=require")
    assert one is not None
    assert one.parent == tmp_path / "journal"
    assert one == journal("postgres://ann:other@DB.example:5432/costs?password=x&sslmode=require")
    assert one != journal("postgresql://ann:secret@db.example:5432/other?sslmode=require")


def test_one_folder_for_the_journals_of_several_databases(tmp_path: Path) -> None:
    places = [
        place_of(LedgerConfig(url=url, journal="j"), tmp_path)
        for url in ("sqlite:a.db", "sqlite:b.db", "postgresql://h/a")
    ]
    assert {p.journal.parent for p in places if p.journal} == {tmp_path / "j"}
    assert len({p.journal for p in places}) == 3


def test_no_password_is_ever_shown() -> None:
    place = place_of(LedgerConfig(url="postgresql://ann:secret@h/costs?sslpassword=hidden"))
    assert "secret" not in f"{place!r} {place.name}"
    assert "hidden" not in f"{place!r} {place.name}"
    with pytest.raises(ConfigError) as caught:
        place_of(LedgerConfig(url="mysql://ann:secret@h/costs"))
    assert "secret" not in str(caught.value)
    assert caught.value.param == "ledger.url"


@pytest.mark.parametrize(
    "query",
    [
        "oauth_client_secret=hidden",
        "passwor%64=hidden",
        "scram_client_key=hidden",
        "PASSWORD=hidden",
    ],
)
def test_secret_parameters_neither_name_a_ledger_nor_part_it(query: str) -> None:
    plain = place_of(LedgerConfig(url="postgresql://h/db?user=u"))
    place = place_of(LedgerConfig(url=f"postgresql://h/db?user=u&{query}"))
    assert (place.name, place.journal) == (plain.name, plain.journal)
    assert "hidden" in place.url


@pytest.mark.parametrize(
    "url",
    ["host=h user=u password=hidden", "postgresql:u:hidden@h", "mysql://h?pass=hidden", "hidden"],
)
def test_a_mistyped_url_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="SWITCHGEAR_LEDGER names no ledger") as caught:
        place_of(LedgerConfig(), environ={"SWITCHGEAR_LEDGER": url})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:", "sqlite::memory:", "redis://h", "costs.db"])
def test_what_names_no_ledger_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:PATH"):
        place_of(LedgerConfig(url=url))
