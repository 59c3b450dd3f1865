"""One replica that also says when it lost its Redis, and when it had it back.

Run as ``python -m tests.routing.limits.fault_worker SETUP``; else like ``fleet_worker``. The time
of a call is when its place was taken, not when a busy machine came to write that down.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from switchgear.routing.limits import Lease, Need

from .fleet_worker import PATIENCE, Replica


class WatchedReplica(Replica):
    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__(setup)
        self.fleet.link.on_change.append(self.changed)

    def changed(self, up: bool) -> None:
        self.write("up" if up else "down", self.fleet.link.replicas, time.monotonic())

    def write(self, what: str, amount: float, at: float) -> None:
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
            self.write(provider, tokens, lease.sent_at)
            try:
                await asyncio.sleep(self.random.uniform(*demand["seconds"]))
            finally:
                self.write(f"-{provider}", tokens, time.monotonic())
                lease.settle(tokens, 0)


if __name__ == "__main__":
    asyncio.run(WatchedReplica(json.loads(sys.argv[1])).run())
