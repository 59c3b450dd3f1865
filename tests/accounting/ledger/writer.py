"""A process that writes a ledger under load until it is killed, and says what it has done.

Every word on its standard output is 17 bytes: what happened, and the attempt's id.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from pathlib import Path

from switchgear.accounting.ledger.ledger import Ledger
from switchgear.accounting.ledger.row import attempt_ids
from switchgear.accounting.ledger.store import Counted
from switchgear.clock import SystemClock
from switchgear.config.ledger import LedgerConfig
from switchgear.errors import LedgerError

from .attempts import begun, ended

__all__ = ["OPENING", "RULE", "WORD", "dropped"]

WORD = 17
OPENING = b"O"
RULE = Counted("project", "*", "ever", "UTC")


def dropped(attempt: bytes) -> bool:
    """Whether the writer drops this attempt instead of ending it."""
    return attempt[-1] % 10 == 0


def _say(word: bytes, attempt: bytes = bytes(16)) -> None:
    os.write(1, word + attempt)


async def _work(ledger: Ledger, chance: random.Random, ids: asyncio.Queue[bytes]) -> None:
    while True:
        attempt = await ids.get()
        try:
            if (waiting := ledger.begin(begun(attempt))) is not None:
                await waiting
        except LedgerError:
            await asyncio.sleep(0.05)
            continue
        _say(b"B", attempt)
        await asyncio.sleep(chance.random() * 0.05)
        finish = ledger.drop(attempt) if dropped(attempt) else ledger.end(ended(attempt))
        if finish is not None:
            await finish
        _say(b"D" if dropped(attempt) else b"E", attempt)


async def _main(path: Path, workers: int) -> None:
    clock = SystemClock()
    config = LedgerConfig(url=f"sqlite:{path}", journal_mb=4)
    ledger = Ledger(config, clock=clock, rules=[RULE])
    _say(OPENING)
    await ledger.ready()
    next_id, chance = attempt_ids(clock.now), random.Random()
    ids: asyncio.Queue[bytes] = asyncio.Queue(1)
    tasks = [asyncio.create_task(_work(ledger, chance, ids)) for _ in range(workers)]
    while tasks:
        await ids.put(next_id())
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
