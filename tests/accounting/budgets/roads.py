"""Roads from the budgets of several processes to one real Redis, on which everything goes wrong.

The scripts run in a real server, at once; how long that takes and what arrives is the road's. They
are changed in one thing: the server's time is virtual, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from switchgear.state.link import LinkStatus, StateUnavailableError
from switchgear.state.redis_client import read_scripts

__all__ = ["Place", "Road"]

redis = pytest.importorskip("redis", reason="needs the redis client")

LIMIT = 0.25
TIME = "redis.call('TIME')"
CLOCK = "{redis.call('GET', 'clock'), 0}"


class Place:
    """The server, and what is still on its way to it.

    Args:
        client: A blocking client, of an empty database.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.now: Callable[[], float] = time.time
        self.scripts = {
            name: client.register_script(script.text.replace(TIME, CLOCK))
            for name, script in read_scripts().items()
        }
        self.late: list[Callable[[], Any]] = []
        self.away = False
        self.old: dict[bytes, dict[bytes, bytes]] = {}

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        self.client.set("clock", self.now())
        return self.scripts[script](keys=keys, args=arguments)

    def keys(self) -> list[bytes]:
        return sorted(self.client.keys("test:*"))

    def arrive(self) -> None:
        """What nobody waits for any more is done nevertheless."""
        late, self.late = self.late, []
        for work in late:
            with contextlib.suppress(redis.exceptions.ResponseError):  # a later one was first
                work()

    def lose_all(self) -> None:
        self.client.flushdb()

    def evict(self, which: int) -> None:
        keys = self.keys()
        if keys:
            self.client.delete(keys[which % len(keys)])

    def keep(self) -> None:
        """What a snapshot on a disk holds."""
        self.old = {key: self.client.hgetall(key) for key in self.keys()}

    def restart(self) -> None:
        """It starts with its last snapshot, under another run's name than that knows of."""
        self.client.flushdb()
        self.late.clear()
        for key, fields in self.old.items():
            self.client.hset(key, mapping={**fields, b"memory": b"an earlier run"})

    def believed(self) -> dict[str, tuple[int, int]]:
        """By counter: the token, and what it takes for spent or leased."""
        found = {}
        for key in self.keys():
            fields = self.client.hgetall(key)
            if fields.get(b"memory") in {b"an earlier run", None}:
                continue
            leases = (v for f, v in fields.items() if f.startswith(b"l:"))
            total = float(fields[b"bound"]) + sum(float(each.split()[0]) for each in leases)
            found[key.partition(b"}:")[2].decode()] = (int(fields[b"token"]), int(total))
        return found


class Road:
    """A process's link to the place."""

    replicas = 1
    epoch = ""

    def __init__(self, place: Place, name: str, delay: float) -> None:
        self.replica = name
        self.on_change: list[Callable[[bool], None]] = []
        self.faults: list[str] = []
        self.asked: list[str] = []
        self._place = place
        self._delay = delay

    @property
    def up(self) -> bool:
        return not self._place.away

    def key(self, tag: str, name: str) -> str:
        return f"test:{{{tag}}}:{name}"

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        def work() -> Any:
            return self._place.run(script, keys, arguments)

        self.asked.append(script)
        if self._place.away:
            raise StateUnavailableError("it is away")
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "late":
            self._place.late.append(work)
        elif fault == "unheard":
            work()
        if fault:
            await asyncio.sleep(LIMIT)
            raise StateUnavailableError("no answer in time")
        await asyncio.sleep(self._delay)
        answer = work()
        await asyncio.sleep(self._delay)
        return answer

    def status(self) -> LinkStatus:
        return LinkStatus("", self.up, self.replicas, 0, 0.0)

    async def aclose(self) -> None:
        """Nothing to close."""
