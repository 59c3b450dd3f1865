"""What the processes of the tests with sums do: book, and roll up."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

from msgspec.structs import replace

from switchgear.accounting.ledger.rollup import GRACE
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.stores import open_store
from switchgear.completion import Usage

START = 1_795_348_800 * 10**6
HOUR = 3600 * 10**6
HOURS = 12


def rows_of(writer: int, rounds: int) -> Iterator[list[Row]]:
    """Batches of a writer: the same ones each time that they are asked for."""
    chance = random.Random(writer)
    calls: list[bytes] = [b""]
    for number in range(rounds):
        batch = []
        for place in range(chance.randint(1, 8)):
            # Time goes on, and some of it is booked hours late.
            at = START + number * HOURS * HOUR // rounds - chance.choice([0, 0, 0, 2]) * HOUR
            at = max(START, at + chance.randrange(HOUR))
            identifier = (at // 1000).to_bytes(6, "big") + bytes(
                [0, writer, number >> 8, number & 255, place, 0, 0, 0, 0, 0]
            )
            row = Row(
                id=identifier,
                call_id=identifier,
                at=at,
                project_id=chance.choice(["p1", "p2", None]),
                provider="v",
                model=chance.choice(["m", "n"]),
                outcome=chance.choice(["answered", "failed"]),
                cost=chance.choice([None, chance.randrange(10**12)]),
                usage=Usage(input_tokens=chance.randrange(5000)),
            )
            if chance.random() < 0.3 and calls[-1]:
                row = replace(row, call_id=chance.choice(calls[-5:]))
            calls.append(row.call_id)
            batch.append(row)
        yield batch


def book(url: str, writer: int, rounds: int) -> None:
    """Book all batches of a writer."""
    store = open_store(url)
    for number, batch in enumerate(rows_of(writer, rounds), 1):
        store.book(f"w{writer}", number, batch, frozenset())
    store.close()


def roll(url: str, seed: int, dies: bool) -> None:
    """Roll up again and again, at any hour; for ever, or until it dies over it."""
    chance = random.Random(seed)
    store = open_store(url)
    if dies:
        # At any moment of what takes a few milliseconds each time.
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, 0.05 + chance.random() / 4)
    while True:
        store.roll_up(START + chance.randrange(HOURS + 2) * HOUR + GRACE)
        time.sleep(chance.random() / 100)
