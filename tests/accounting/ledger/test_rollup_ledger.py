"""A ledger that is open keeps sums by itself."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from switchgear.accounting.ledger import ledger as module
from switchgear.accounting.ledger.ledger import Ledger
from switchgear.accounting.ledger.rollup import GRACE
from switchgear.accounting.ledger.store import SpendQuery
from switchgear.accounting.ledger.stores import open_store
from switchgear.clock import SystemClock
from switchgear.config.ledger import LedgerConfig
from switchgear.errors import LedgerError

from .attempts import StubbornStore, attempt_id, begun, ended

# When the attempts of these tests begin, seconds since 1970; and the end of that hour.
BEGAN = 1_790_000_000
END = BEGAN // 3600 * 3600 + 3600


class Afterwards(SystemClock):
    """A clock that goes on from a moment that can be set."""

    def __init__(self, start: float) -> None:
        self.ahead = start - super().now()

    def now(self) -> float:
        return super().now() + self.ahead


def hours_with_sums(path: Path) -> int:
    store = open_store(f"sqlite:{path}")
    try:
        database = store._db  # type: ignore[attr-defined]
        return int(database.query("SELECT COUNT(DISTINCT at) FROM hourly")[0][0])
    finally:
        store.close()


async def settled(path: Path, hours: int) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(hours_with_sums, path) != hours:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


async def test_an_open_ledger_keeps_the_sums_of_hours_that_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROLL_UP_EVERY", 0.01)
    path = tmp_path / "ledger.db"
    clock = Afterwards(END - 30)
    ledger = Ledger(LedgerConfig(url=f"sqlite:{path}"), clock=clock)
    await ledger.ready()
    for _ in range(3):
        name = attempt_id()
        for waiting in (ledger.begin(begun(name)), ledger.end(ended(name))):
            if waiting is not None:
                await waiting
    await ledger.flush()
    await asyncio.sleep(0.05)
    assert hours_with_sums(path) == 0
    # The next look is when there can be something to do.
    clock.ahead += GRACE / 1e6 + 60
    await settled(path, 1)
    (total,) = await ledger.read(lambda store: store.spend(SpendQuery()))
    assert total.attempts == 3
    await ledger.aclose()


async def test_it_goes_on_when_the_database_is_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_ROLL_UP_EVERY", 0.01)
    path = tmp_path / "ledger.db"
    made: list[StubbornStore] = []

    def make() -> StubbornStore:
        store = StubbornStore(f"sqlite:{path}")
        store.away = bool(made) and made[0].away
        made.append(store)
        return store

    ledger = Ledger(
        LedgerConfig(url=f"sqlite:{path}"), clock=Afterwards(END + GRACE / 1e6 + 60), store=make
    )
    await ledger.ready()
    name = attempt_id()
    for waiting in (ledger.begin(begun(name)), ledger.end(ended(name))):
        if waiting is not None:
            await waiting
    await ledger.flush()
    made[0].away = True
    with caplog.at_level(logging.WARNING):
        async with asyncio.timeout(30):
            while "are not kept yet" not in caplog.text:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    made[0].away = False
    await settled(path, 1)
    await ledger.aclose()


@pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("pg", marks=pytest.mark.xdist_group("pg"))]
)
async def test_a_ledger_that_closes_breaks_off_what_takes_long(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    local = kind == "sqlite"
    url = f"sqlite:{tmp_path / 'l.db'}" if local else request.getfixturevalue("postgres").new()
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT SUM(i) FROM n"
        if local
        else "SELECT pg_sleep(600)"
    )
    config = LedgerConfig(url=url, journal=str(tmp_path / "journal"))
    ledger = Ledger(config, clock=SystemClock())
    began = threading.Event()

    def ask(store: Any) -> Any:
        began.set()
        return store._run("read", lambda: store._db.query(endless))

    asking = asyncio.ensure_future(ledger.read(ask))
    await asyncio.to_thread(began.wait)
    await asyncio.sleep(0.2)
    async with asyncio.timeout(30):
        await ledger.aclose()
        with pytest.raises(LedgerError):
            await asking


async def test_a_ledger_in_memory_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROLL_UP_EVERY", 0.01)
    ledger = Ledger(LedgerConfig(url="memory:"), clock=Afterwards(END + 7200))
    await ledger.ready()
    name = attempt_id()
    ledger.begin(begun(name))
    ledger.end(ended(name))
    await ledger.flush()
    await asyncio.sleep(0.05)
    found = await ledger.do(lambda store: store._db.query("SELECT * FROM rolled"))  # type: ignore[attr-defined]
    assert found == [(0, 0, 0, 0)]
    await ledger.aclose()
