"""One replica of a fleet: asks for more than its part, and writes down what it was given.

Started as a process of its own. It says "ready", waits for a line, and goes on until it is killed
or its input ends. What it writes into its file reaches the file at once, so a kill loses nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from typing import Any

from switchgear.clock import SystemClock
from switchgear.config.state import StateConfig
from switchgear.routing.limits import Lease, Limiter, LimitRule, Need
from switchgear.state.opening import open_fleet

PATIENCE = 2.0


class Replica:
    def __init__(self, setup: dict[str, Any]) -> None:
        fleet = open_fleet(
            StateConfig(url=setup["url"], timeout=setup.get("timeout", 0.25)), SystemClock()
        )
        assert fleet is not None
        self.fleet = fleet
        rules = [LimitRule(**rule) for rule in setup["rules"]]
        self.limiter = Limiter(rules, SystemClock(), fleet)
        self.setup = setup
        self.file = os.open(setup["file"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.random = random.Random(setup["seed"])
        self.tasks: set[asyncio.Task[None]] = set()

    def note(self, what: str, amount: float, at: float) -> None:
        os.write(self.file, f"{what} {amount:g} {at:.6f}\n".encode())

    async def call(self, demand: dict[str, Any]) -> None:
        provider = demand["provider"]
        tokens = self.random.randint(*demand["tokens"])
        need = Need(tokens, 0)
        asked = self.limiter.ask(provider, "m", need)
        if asked is not None:
            await asked
        lease = await self.limiter.reserve(provider, "m", need, timeout=PATIENCE)
        if isinstance(lease, Lease):
            # When its place was taken, not when a busy machine came to write that down.
            self.note(provider, tokens, lease.sent_at)
            try:
                await asyncio.sleep(self.random.uniform(*demand["seconds"]))
            finally:
                self.note(f"-{provider}", tokens, time.monotonic())
                lease.settle(tokens, 0)

    async def demand(self, demand: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self.random.expovariate(demand["rate"])
            await asyncio.sleep(due - loop.time())
            task = asyncio.create_task(self.call(demand))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def run(self) -> None:
        self.fleet.start()
        for demand in self.setup["demands"]:
            asked = self.limiter.ask(demand["provider"], "m", Need(1, 0))
            if asked is not None:
                await asked
        print("ready", flush=True)  # noqa: T201 - to who started it
        await asyncio.to_thread(sys.stdin.readline)
        demands = [asyncio.create_task(self.demand(each)) for each in self.setup["demands"]]
        await asyncio.to_thread(sys.stdin.readline)
        for task in (*demands, *self.tasks):
            task.cancel()
        await asyncio.wait([*demands, *self.tasks])
        self.limiter.close()
        await self.fleet.aclose()


if __name__ == "__main__":
    asyncio.run(Replica(json.loads(sys.argv[1])).run())
