"""Downgrades while the ledger's database does not answer: a soft budget never fails a call."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from switchgear import Router
from switchgear.accounting.ledger.sql import SqlStore
from switchgear.testing.scripted import ScriptedProvider

from .bookkeeping import CLAUDE, LLAMA, hard, rows_of, soft
from .helpers import router_over

GROUPS = {
    "dear": {"chain": [CLAUDE]},
    "cheap": {"chain": [LLAMA]},
    "other": {"chain": [LLAMA]},
}
COST = Decimal("0.000035")
TO_CHEAP = {"at": 0.8, "groups": {"dear": "cheap"}}


class Lock:
    """Keeps a database's thread from coming back, as a foreign lock or a dead server does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._free = threading.Event()
        self._free.set()
        run = SqlStore._run

        def slow(store: SqlStore, *args: Any, **more: Any) -> Any:
            self._free.wait()
            return run(store, *args, **more)

        monkeypatch.setattr(SqlStore, "_run", slow)

    def take(self) -> None:
        """From now on."""
        self._free.clear()

    def release(self) -> None:
        """It answers again."""
        self._free.set()


@pytest.fixture
async def lock(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lock]:
    lock = Lock(monkeypatch)
    yield lock
    lock.release()


def router(tmp_path: Path, budget: dict[str, Any]) -> Router:
    ledger = {"url": f"sqlite:{tmp_path}/ledger.sqlite3", "on_error": "serve"}
    config = {"groups": GROUPS, "budgets": [budget], "ledger": ledger}
    return router_over(ScriptedProvider("anthropic"), ScriptedProvider("ollama"), config=config)


async def test_a_soft_budget_that_can_not_be_asked_keeps_no_call_from_its_answer(
    tmp_path: Path, lock: Lock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "switchgear.budgets")
    async with router(tmp_path, soft(10, "project:*", "day", downgrade=TO_CHEAP)) as asked:
        await asked.complete("dear", "hi", project_id="known", max_tokens=10)
        await rows_of(asked)
        lock.take()
        try:
            for project in ("known", "new", "newer"):
                reply = await asked.complete("dear", "hi", project_id=project, timeout=3)
                assert reply.provider == "anthropic"
        finally:
            lock.release()
    told = [record for record in caplog.records if "how budgets stand" in record.message]
    assert len(told) == 1, "only one call has waited for it"


@pytest.mark.parametrize("rule", [hard, soft])
async def test_a_group_that_no_downgrade_mentions_is_never_a_question(
    tmp_path: Path, lock: Lock, caplog: pytest.LogCaptureFixture, rule: Any
) -> None:
    caplog.set_level(logging.WARNING, "switchgear.budgets")
    async with router(tmp_path, rule(10, "project:*", "day", downgrade=TO_CHEAP)) as asked:
        await asked.complete("dear", "hi", project_id="known", max_tokens=10)
        await rows_of(asked)
        lock.take()
        try:
            reply = await asked.complete("other", "hi", project_id="new", timeout=3)
        finally:
            lock.release()
    assert reply.group == "other"
    assert not [record for record in caplog.records if "how budgets stand" in record.message]


async def test_what_is_known_still_exchanges(tmp_path: Path, lock: Lock) -> None:
    """What this process has spent itself is known without the database."""
    budget = soft(COST, "project:*", "day", downgrade=TO_CHEAP)
    async with router(tmp_path, budget) as asked:
        await asked.complete("other", "hi", max_tokens=10)
        await rows_of(asked)
        lock.take()
        try:
            answered = [
                (await asked.complete("dear", "hi", project_id="new", timeout=3)).provider
                for _ in range(2)
            ]
        finally:
            lock.release()
    assert answered == ["anthropic", "ollama"]
