"""What one process of the tests with several processes does."""

from __future__ import annotations

import os
import random
import signal
import time

from switchgear.accounting.budgets.keys import counter_key
from switchgear.accounting.ledger.row import Row, attempt_ids
from switchgear.accounting.ledger.store import Claim, Counted, Grant, Need, Store
from switchgear.accounting.ledger.stores import open_store

START = 1_795_348_800
EVER = Counted("global", "", "ever", "UTC")
HOURLY = Counted("project", "*", "hour", "UTC")
LIMITS = {EVER: 400_000, HOURLY: 25_000}


def keys_at(second: int, project: str) -> dict[str, int]:
    """The counters of an attempt, with their limits."""
    return {
        counter_key("global", "", "ever", "UTC", second): LIMITS[EVER],
        counter_key("project", project, "hour", "UTC", second): LIMITS[HOURLY],
    }


def spend(url: str, holder: str, seed: int, rounds: int, dies: bool) -> None:
    """Claim, book, lend and give back; hours pass on the way, so counters are made all along."""
    chance = random.Random(seed)
    store: Store = open_store(url)
    store.register(list(LIMITS), START * 10**6)
    next_id = attempt_ids(time.time)
    for upto in range(1, rounds + 1):
        second = START + upto * 120
        limits = keys_at(second, chance.choice(["p1", "p2"]))
        amount = chance.randint(1, 2000)
        needs = tuple(Need(key, limit, amount) for key, limit in limits.items())
        extra = store.extend(holder, [needs[0]]) if chance.random() < 0.2 else {}
        (answer,) = store.claim(holder, [Claim(needs)], second * 10**6)
        if isinstance(answer, Grant):
            rows = []
            bound = chance.randint(0, amount * 1000)
            if chance.random() < 0.9:
                identifier = next_id()
                row = Row(
                    id=identifier,
                    call_id=identifier,
                    at=second * 10**6,
                    project_id="p1" if '"p1"' in needs[1].key else "p2",
                    cost=bound // 2,
                    bound=bound,
                    reserved=amount,
                    budgets=tuple(limits),
                )
                rows = [row, row]
                store.book(holder, upto, rows, frozenset(LIMITS))
            left = amount - -(-bound // 1000) if rows else amount
            if dies and upto > rounds // 2:
                os.kill(os.getpid(), signal.SIGKILL)
            store.give_back(holder, dict.fromkeys(limits, left))
        store.give_back(holder, extra)
    store.close()
