"""Opening a database, and what is said when it fails."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from switchgear.accounting.ledger.postgres import PostgresDatabase
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.sql import SqlStore
from switchgear.accounting.ledger.store import Claim, Need, Store
from switchgear.accounting.ledger.stores import open_store
from switchgear.errors import LedgerError

KEY = '["global","","ever","UTC",0]'
NOON = 1_795_348_800 * 10**6


def attempt(number: int) -> Row:
    identifier = (NOON // 1000).to_bytes(6, "big") + number.to_bytes(10, "big")
    return Row(id=identifier, call_id=identifier, at=NOON)


def connection_of(store: Store) -> Any:
    assert isinstance(store, SqlStore)
    return store._db._connection  # type: ignore[attr-defined]


def test_rows_and_leases_outlive_the_process(
    shared_url: str, opened: Callable[[str], Store]
) -> None:
    first = opened(shared_url)
    first.book("w", 1, [attempt(1)], frozenset())
    first.claim("w", [Claim((Need(KEY, 10, 4),))], NOON)
    first.close()
    first.close()
    second = opened(shared_url)
    assert second.rows(0, 2**53) == [attempt(1)]
    assert second.standings([KEY], NOON)[0].leased == 4
    assert second.book("w", 1, [attempt(2)], frozenset()).rows == 0


def test_a_closed_store_says_so(url: str, opened: Callable[[str], Store]) -> None:
    store = opened(url)
    store.close()
    with pytest.raises(LedgerError, match="is closed"):
        store.rows(0, 1)


def test_a_newer_database_is_refused(shared_url: str, opened: Callable[[str], Store]) -> None:
    store = opened(shared_url)
    if shared_url.startswith("sqlite"):
        connection_of(store).execute("PRAGMA user_version = 99")
    else:
        connection_of(store).execute("UPDATE switchgear.version SET number = 99")
    store.close()
    with pytest.raises(LedgerError, match=r"newer Switchgear .* version 99.* update Switchgear"):
        opened(shared_url)


def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    theirs = sqlite3.connect(path)
    theirs.execute("CREATE TABLE attempt (id)")
    theirs.commit()
    theirs.close()
    with pytest.raises(LedgerError, match=r"theirs\.db is another program's database"):
        open_store(f"sqlite:{path}")
    theirs = sqlite3.connect(path)
    assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [("attempt",)]
    theirs.close()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.db"
    store = open_store(f"sqlite:{path}")
    store.book("w", 1, [attempt(1)], frozenset())
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["ledger.db", "ledger.db-shm", "ledger.db-wal"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3
    store.close()


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "sqlite:", "", "postgres://u:secret@[h/d"])
def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(LedgerError) as caught:
        open_store(url)
    assert "postgresql://USER@HOST/DATABASE" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match=r"notes\.txt: the file is not a database"):
        open_store(f"sqlite:{path}")


def test_a_place_that_can_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"ledger\.db"):
        open_store(f"sqlite:{tmp_path / 'file' / 'ledger.db'}")
    with pytest.raises(LedgerError, match="can't be opened"):
        open_store(f"sqlite:{tmp_path}")


def test_a_full_disk_loses_nothing_that_was_booked(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path / 'ledger.db'}")
    store.book("w", 1, [attempt(1)], frozenset())
    pages = connection_of(store).execute("PRAGMA page_count").fetchone()[0]
    connection_of(store).execute(f"PRAGMA max_page_count = {pages}")
    many = [attempt(n) for n in range(2, 500)]
    with pytest.raises(LedgerError, match=r"ledger\.db: the disk is full: make room") as caught:
        store.book("w", 2, many, frozenset())
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert store.rows(0, 2**53) == [attempt(1)]
    connection_of(store).execute("PRAGMA max_page_count = 100000")
    assert store.book("w", 2, many, frozenset()).rows == 498
    store.close()


def test_a_file_that_can_only_be_read(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path / 'ledger.db'}")
    connection_of(store).execute("PRAGMA query_only = ON")
    with pytest.raises(LedgerError, match="can't be written: check the rights"):
        store.book("w", 1, [attempt(1)], frozenset())
    connection_of(store).execute("PRAGMA query_only = OFF")
    assert store.book("w", 1, [attempt(1)], frozenset()).rows == 1
    store.close()


def test_a_file_that_another_keeps_locked(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path / 'ledger.db'}")
    connection_of(store).execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="another process kept it locked"):
        store.book("w", 1, [attempt(1)], frozenset())
    other.execute("ROLLBACK")
    other.close()
    assert store.book("w", 1, [attempt(1)], frozenset()).rows == 1
    store.close()


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    store = open_store(f"sqlite:{path}")
    store.book("w", 1, [attempt(n) for n in range(500)], frozenset())
    store.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(path.stat().st_size - 8192))
    with pytest.raises(LedgerError, match=r"the file is damaged: .*restore a backup"):
        open_store(f"sqlite:{path}").rows(0, 2**53)


# --- PostgreSQL ---------------------------------------------------------------------------------


@pytest.mark.xdist_group("pg")
def test_after_the_server_was_restarted_the_next_one_works(postgres: Any) -> None:
    store = open_store(postgres.new())
    store.book("w", 1, [attempt(1)], frozenset())
    postgres.stop()
    try:
        for _ in range(2):
            with pytest.raises(LedgerError, match="check that the server runs"):
                store.book("w", 2, [attempt(2)], frozenset())
    finally:
        postgres.start()
    assert store.book("w", 2, [attempt(2)], frozenset()).rows == 1
    assert store.book("w", 1, [attempt(1)], frozenset()).rows == 0
    store.close()


@pytest.mark.xdist_group("pg")
def test_a_connection_that_broke_is_made_anew(postgres: Any) -> None:
    url = postgres.new()
    store, other = open_store(url), open_store(url)
    pid = connection_of(store).info.backend_pid
    connection_of(other).execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    with pytest.raises(LedgerError):
        store.book("w", 1, [attempt(1)], frozenset())
    assert store.book("w", 1, [attempt(1)], frozenset()).rows == 1
    store.close()
    other.close()


def test_a_server_that_is_not_there_shows_no_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(LedgerError, match=r"PostgreSQL on 127\.0\.0\.1:1/books") as caught:
        open_store("postgresql://me:swordfish@127.0.0.1:1/books")
    error: BaseException | None = caught.value
    while error is not None:
        assert "swordfish" not in f"{error}{error!r}"
        error = error.__cause__


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:pw@hidden@h/db", "postgresql://u:hidden/pw@h/db", "postgresql:u:hidden@h"],
)
def test_a_password_that_is_not_encoded_is_not_taken_for_a_place(url: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(LedgerError, match="percent-encoded") as caught:
        open_store(url)
    assert "hidden" not in str(caught.value)
    assert caught.value.__context__ is None


def test_what_may_be_the_end_of_a_password_is_not_shown_as_a_databases_name() -> None:
    pytest.importorskip("psycopg")
    database = PostgresDatabase("postgresql://u:12/hidden@h/db")
    assert database.place == "PostgreSQL on u:12/***"
    fault = database.fault(RuntimeError('database "hidden@h/db" does not exist'))
    assert "hidden" not in str(fault)


def test_a_server_may_be_named_by_the_environment_a_socket_or_a_list() -> None:
    pytest.importorskip("psycopg")
    for url, place in (
        ("postgresql://", "localhost/"),
        ("postgresql://%2Frun%2Fpg/db", "/run/pg/db"),
        ("postgresql:///db?host=%40abstract", "@abstract/db"),
        ("postgresql://a:1,b:2/db", "a,b:1,2/db"),
        ("postgresql://h/db?password=", "h/db"),
    ):
        database = PostgresDatabase(url)
        assert database.place == f"PostgreSQL on {place}"
        assert "some words" in str(database.fault(RuntimeError("some words")))


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"switchgear\[postgres\]"):
        open_store("postgres://me@localhost/books")
