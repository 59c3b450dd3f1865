"""Four real processes, one real Redis, one provider that dies and comes back."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from switchgear.testing import Fault, SimulatedProviders

from ..steady import measured_again, steady

if TYPE_CHECKING:
    from ..state.server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
SIZE = 4
OPEN_SECONDS = 2.0
PATIENCE = 60.0


class Child:
    """A process, and what it told."""

    def __init__(self, config: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "tests.routing.fleet_child", json.dumps(config)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self.told: list[dict[str, Any]] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def wait(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next thing told for which it holds."""
        until = time.monotonic() + PATIENCE
        while True:
            line = self._lines.get(timeout=max(0.01, until - time.monotonic()))
            assert line is not None, "the process has ended"
            told: dict[str, Any] = json.loads(line)
            self.told.append(told)
            if holds(told):
                return told

    def state(self, *states: str) -> float:
        """Waits until the sick provider's circuit is in one of these; returns since when."""
        return float(self.wait(lambda told: told.get("state") in states)["at"])

    def go(self) -> None:
        """Lets it begin; all begin together, however long each took to start."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.close()
        last = self.wait(lambda told: "outcomes" in told)
        assert self.process.wait(PATIENCE) == 0
        return last


@contextmanager
def children(
    simulated: SimulatedProviders, server: RedisServer, **state: Any
) -> Iterator[list[Child]]:
    config = {
        "providers": {
            name: {"plugin": "ollama", "base_url": simulated[name].base_url}
            for name in ("sick", "well")
        },
        "groups": {"g": {"chain": ["sick/llama3", "well/llama3"]}},
        "retry": {"num_retries": 0},
        "ledger": {"url": "memory:"},
        "breaker": {"open_seconds": OPEN_SECONDS, "longest_open": 4.0, "ramp_seconds": 0.5},
        "state": {"url": server.url, **state},
    }
    found = [Child(config) for _ in range(SIZE)]
    try:
        for child in found:
            child.wait(lambda told: "ready" in told)
        for child in found:
            child.go()
        yield found
    finally:
        for child in found:
            child.process.kill()
            child.process.wait()
            for pipe in (child.process.stdin, child.process.stdout):
                assert pipe is not None
                pipe.close()


@contextmanager
def vendors(*, sick: bool) -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as found:
        for name in ("sick", "well"):
            found.add("ollama", name=name)
        if sick:
            found["sick"].always(Fault.server_error())
        yield found


def together(moments: Sequence[float], what: str) -> None:
    """All saw it at once."""
    steady(max(moments) - min(moments) < 1.0, f"{what} within {max(moments) - min(moments):.2f} s")


@pytest.mark.timeout(300)
@measured_again
def test_a_dead_provider_is_asked_as_if_by_one_process_and_all_see_it_recover(
    server: RedisServer,
) -> None:
    server.mend()
    # A busy machine must not look like a Redis that is away: that is the next test.
    with vendors(sick=True) as simulated, children(simulated, server, timeout=30.0) as fleet:
        sick = simulated["sick"]
        together([child.state("open") for child in fleet], "open")
        # One process alone sends 5. What is on its way meanwhile comes on top: about one each.
        sent = len(sick.requests)
        steady(sent <= 5 + 2 * SIZE, f"{sent} requests")

        for _ in range(2):
            half_open = min([child.state("half-open") for child in fleet])
            together([child.state("open") for child in fleet], "open again")
            # By arrival: a call that was on its way when the circuit opened is no probe, unless the
            # machine kept it that long.
            probes = [each for each in sick.requests if each.received_at >= half_open]
            assert probes
            steady(len(probes) == 1, f"{len(probes)} probes")

        sick.always(None)
        together([child.state("ramping", "closed") for child in fleet], "recovered")
        for child in fleet:
            child.state("closed")
        counted = len(sick.requests)
        ends = [child.end() for child in fleet]
        assert len(sick.requests) > counted
    for last in ends:
        assert set(last["outcomes"]) == {"sick", "well"}  # no call failed


@pytest.mark.timeout(300)
@measured_again
def test_a_redis_that_hangs_dies_and_comes_back_fails_no_call(server: RedisServer) -> None:
    server.mend()
    with vendors(sick=False) as simulated, children(simulated, server) as fleet:
        sick = simulated["sick"]
        server.pause()
        sick.always(Fault.server_error())
        # Each on its own: it opens by its own counts, and probes for itself.
        for child in fleet:
            child.state("open")
        assert len(sick.requests) >= 5
        server.resume()
        server.kill()
        for child in fleet:
            child.state("half-open")
        server.start()
        sick.always(None)
        for child in fleet:
            missing = {"link", "closed"}
            while missing:
                told = child.wait(lambda told: bool(told.get("link") or "state" in told))
                missing.discard("link" if "link" in told else told["state"])

        # Together again: what kills it now is seen by all at once.
        before = len(sick.requests)
        sick.always(Fault.server_error())
        together([child.state("open") for child in fleet], "open")
        sent = len(sick.requests) - before
        steady(sent <= 5 + 2 * SIZE, f"{sent} requests")
        ends = [child.end() for child in fleet]
    for last in ends:
        assert set(last["outcomes"]) <= {"sick", "well"}
        steady(last["longest"] < 2.0, f"a call of {last['longest']:.2f} s")
