"""One replica that also says when it lost its Redis, and when it had it back.

Run as ``python -m tests.routing.limits.fault_worker SETUP``; else like ``fleet_worker``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from .fleet_worker import Replica


class WatchedReplica(Replica):
    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__(setup)
        self.fleet.link.on_change.append(self.changed)

    def changed(self, up: bool) -> None:
        self.note("up" if up else "down", self.fleet.link.replicas, time.monotonic())


if __name__ == "__main__":
    asyncio.run(WatchedReplica(json.loads(sys.argv[1])).run())
