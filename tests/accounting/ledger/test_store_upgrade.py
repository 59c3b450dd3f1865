"""Databases of older versions: they are brought to this one, and lose nothing over it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from switchgear.accounting.ledger import migrations, postgres, sqlite
from switchgear.accounting.ledger.rollup import GRACE
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.sql import SqlStore
from switchgear.accounting.ledger.store import Claim, Counted, Grant, Need, Refused, SpendQuery
from switchgear.accounting.ledger.stores import open_store
from switchgear.completion import Usage

HOUR = 3600 * 10**6
NOON = 1_795_348_800 * 10**6
GLOBAL = Counted("global", "", "ever", "UTC")
KEY = '["global","","ever","UTC",0]'
RULED = ("global", "", "ever", "UTC")
RULE = "kind, value, period, timezone, registered_at"
COUNTED = (KEY, *RULED, 0, "", 6, 6)
COUNTER = "key, kind, value, period, timezone, start, run, bound, cost"
SCRIPTS = {
    "postgres/0001_ledger.sql": "cc0b2fcf7d5f869ffa1f86361d153d97e77d70b0",
    "postgres/0002_sums_and_tokens.sql": "40a4d5ff813a6ca9963a1c0b16da0ecdfe53d814",
    "sqlite/0001_ledger.sql": "f5d59f59b9de78723700a371d90b6842c13f1f23",
    "sqlite/0002_sums_and_tokens.sql": "b5dbc8a98073e7dfdabdff92e44cebca3afdea94",
}


def attempt(number: int) -> Row:
    at = NOON + number
    identifier = (at // 1000).to_bytes(6, "big") + number.to_bytes(10, "big")
    return Row(
        id=identifier,
        call_id=identifier,
        at=at,
        cost=1000 * number,
        bound=1000 * number,
        usage=Usage(input_tokens=number),
    )


@pytest.fixture
def first_version(shared_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A ledger as the first version left it: three attempts, and a lease of a budget."""
    with monkeypatch.context() as patch:
        for module in (migrations, postgres, sqlite):
            patch.setattr(module, "VERSION", 1)
        store = open_store(shared_url)
        assert isinstance(store, SqlStore)

        def fill() -> None:
            rows = [attempt(n) for n in (1, 2, 3)]
            store._db.insert_rows(rows)
            for statement, values in (
                ("INSERT INTO writer (name, upto) VALUES (?, ?)", ("w", 3)),
                (f"INSERT INTO rule ({RULE}) VALUES (?, ?, ?, ?, ?)", (*RULED, NOON)),
                (f"INSERT INTO counter ({COUNTER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", COUNTED),
                ("INSERT INTO lease (key, holder, amount) VALUES (?, ?, ?)", (KEY, "w", 4)),
            ):
                store._db.change(statement, values)

        store._db.make_room([attempt(1)])
        store._run("write", fill)
        store.close()
    return shared_url


def ask(store: SqlStore, statement: str) -> list[Any]:
    return store._run("read", lambda: store._db.query(statement))


def test_nothing_of_the_first_version_is_lost(
    first_version: str, opened: Callable[[str], Any]
) -> None:
    store = opened(first_version)
    assert store.rows(0, 2**62) == [attempt(n) for n in (1, 2, 3)]
    (standing,) = store.standings([KEY], NOON)
    assert (standing.bound, standing.cost, standing.leased) == (6, 6, 4)
    assert store.book("w", 3, [attempt(4)], frozenset()).rows == 0
    assert len(store.identity()) == 16


def test_what_is_new_works_on_what_is_old(first_version: str, opened: Callable[[str], Any]) -> None:
    store = opened(first_version)
    store.register([GLOBAL], NOON)
    granted, refused = store.claim(
        "v", [Claim((Need(KEY, 20, 10),)), Claim((Need(KEY, 20, 1),))], NOON
    )
    assert isinstance(granted, Grant)
    assert isinstance(refused, Refused)
    store.book("w", 4, [attempt(5)], frozenset())
    while store.roll_up(NOON + 2 * HOUR + GRACE) <= NOON + 2 * HOUR + GRACE:
        pass
    assert ask(store, "SELECT SUM(attempts) FROM hourly") == [(4,)]
    (total,) = store.spend(SpendQuery())
    assert (total.attempts, total.calls, total.cost) == (4, 4, 11_000)
    (handed,) = store.hand_over([KEY])
    assert store.lengthen("v", {KEY: handed.token}, {KEY: 1}, {KEY: 100}) == []


def test_one_that_had_all_tables_under_the_first_number_keeps_what_is_in_them(
    first_version: str, opened: Callable[[str], Any]
) -> None:
    # The first script made them, for a while.
    store = opened(first_version)
    (handed,) = store.hand_over([KEY])
    name = store.identity()
    while store.roll_up(NOON + 2 * HOUR + GRACE) <= NOON + 2 * HOUR + GRACE:
        pass
    if first_version.startswith("sqlite"):
        store._db._connection.execute("PRAGMA user_version = 1")
    else:
        store._db._connection.execute("UPDATE switchgear.version SET number = 1")
    store.close()
    again = opened(first_version)
    assert again.identity() == name
    assert ask(again, "SELECT SUM(attempts) FROM hourly") == [(3,)]
    assert again.lengthen("v", {KEY: handed.token}, {KEY: 1}, {KEY: 100}) == []
    # Whoever leases without the token still takes it from the other authority.
    again.claim("u", [Claim((Need(KEY, 100, 1),))], NOON)
    assert again.lengthen("v", {KEY: handed.token}, {KEY: 1}, {KEY: 100}) == [KEY]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_was_published_stays_as_it_is(name: str) -> None:
    # Whatever it lacks is the next script's: databases that it has made are out there.
    script = resources.files("switchgear.accounting.ledger.migrations").joinpath(name)
    assert hashlib.sha256(script.read_bytes()).hexdigest().startswith(SCRIPTS[name])


def test_every_script_is_known() -> None:
    folder = resources.files("switchgear.accounting.ledger.migrations")
    found = {
        f"{dialect}/{entry.name}"
        for dialect in ("postgres", "sqlite")
        for entry in folder.joinpath(dialect).iterdir()
        if entry.name.endswith(".sql")
    }
    assert found == SCRIPTS.keys()
    assert len(found) == 2 * migrations.VERSION
