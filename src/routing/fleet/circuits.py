"""The circuits of a fleet: breakers report what they saw, and follow what is decided of it.

Where a circuit stands is decided by ``state/scripts/breakers.lua``, from the outcomes of all; it
counts its moves by a *generation*, and outcomes of an older one change nothing there either. What
passes by itself with time (open to half-open, ramping to closed) keeps the generation and needs no
message: every replica knows until when.

A breaker still opens by its own counts, at once and for itself alone; what led to it is reported
like everything else, and opens the circuit for all unless the others fare well there. For a broken
network of one replica must not take every candidate from all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from ...clock import Clock
from ...state.link import Link
from ..breaker import Breaker
from ..breaker_values import BreakerSettings, BreakerState, CircuitWord, Result
from .answers import Listed, Soon, Trip, listed

__all__ = ["SharedCircuits"]

_TAG = "breakers"
_HEARTBEAT = 0.5
"""Seconds. What others decided is asked for this often, where there is nothing to report."""

_PATIENCE = 0.3
"""Seconds. An unused leave is kept this long, if another replica has a call for it."""

_MOST = 2048
"""Candidates remembered that nobody here has called yet."""

_MOST_IN_A_ROW = 64
"""Failures reported at once, each with its time; more than any circuit waits for."""

_SHUT: frozenset[BreakerState] = frozenset({"open", "half-open"})

# The token of its leave, or nothing where it had none, and how the probe ended.
Probe: TypeAlias = tuple[str, Result]


class _Moved(msgspec.Struct, frozen=True):
    name: str
    gen: int
    state: Literal["closed", "open", "half-open", "ramping"]
    ago: float
    left: float
    rounds: int
    reason: str

    def word(self, late: float) -> CircuitWord:
        """The same, as of ``late`` seconds later."""
        ago, left = self.ago / 1000 + late, self.left / 1000 - late
        return CircuitWord(self.state, ago, left, self.rounds, self.reason)


class _Answer(msgspec.Struct, frozen=True):
    id: str
    version: int
    moved: Listed[_Moved]
    leaves: Listed[tuple[str, int, str, float]]
    asked: Listed[str]


class _Circuit:
    """One breaker's side of the exchange. What the methods mean is said at ``CircuitFleet``."""

    __slots__ = (
        "_fleet",
        "asked",
        "breaker",
        "calls",
        "fails",
        "failures",
        "generation",
        "good",
        "leaves",
        "name",
        "own",
        "probes",
        "shut",
        "slow",
        "urgent",
        "wanted",
    )

    def __init__(self, fleet: SharedCircuits, name: str, breaker: Breaker) -> None:
        self._fleet = fleet
        self.name = name
        self.breaker = breaker
        self.generation = 0
        self.shut = False
        self.own = False
        self.clear()

    def clear(self) -> None:
        """Forget everything that belongs to one generation."""
        self.probes: list[Probe] = []
        # Each with the time at which it came.
        self.leaves: list[tuple[str, float]] = []
        self.wanted = self.urgent = self.asked = False
        self.taken()

    def taken(self) -> None:
        """The counts are on their way."""
        self.calls = self.failures = self.slow = 0
        # When the last success was, and when the failures since then: monotonic seconds.
        self.good: float | None = None
        self.fails: list[float] = []

    @property
    def leads(self) -> bool:
        return self._fleet.up and not self.own

    def refused(self) -> None:
        self.wanted = self.urgent = True

    def leave(self) -> str | None:
        if not self.leaves:
            return None
        self.urgent = False
        return self.leaves.pop(0)[0]

    def probed(self, leave: str | None, result: Result) -> None:
        self.probes.append((leave or "", result))
        self._fleet.hurry()

    def counted(self, result: Result) -> None:
        if not self._fleet.up:
            return
        now = self._fleet.now()
        if result == "failure":
            self.failures += 1
            self.fails.append(now)
            # What fails is worth a round trip: meanwhile others go on calling it.
            self._fleet.hurry()
        else:
            self.good = now
            self.fails.clear()
            self.slow += result == "slow"
        self.calls += 1

    def departed(self) -> None:
        self.own = True

    def hear(self, moved: _Moved, late: float) -> bool:
        """Follow what was decided. Returns whether the fleet knows less than is known here."""
        if moved.gen < self.generation:
            return True
        shut = moved.state in _SHUT
        if moved.gen != self.generation or shut != self.shut:
            self.generation, self.shut, self.own = moved.gen, shut, False
            self.clear()
            self.breaker.follow(moved.word(late))
        return False

    def tidy(self, now: float, timeout: float) -> None:
        """Give back what was not used: where others have calls for it, or before it runs out."""
        for each in tuple(self.leaves):
            age = now - each[1]
            if age >= timeout / 2 or (self.asked and age >= _PATIENCE):
                self.leaves.remove(each)
                self.probes.append((each[0], "ignored"))
                self.wanted = self.wanted and not self.asked
        self.asked = False

    def row(self, probes: int, *, due: bool) -> dict[str, Any]:
        """What is to be reported of it."""
        state, now = self.breaker.state, self._fleet.now()
        # A call that was refused asks at once; hoping for the next one, only now and then: who has
        # just probed must not take the leave of those who have calls.
        waits = self.leads and state == "half-open" and (self.urgent or (due and self.wanted))
        row: dict[str, Any] = {
            "name": self.name,
            "gen": self.generation,
            "calls": self.calls,
            "failures": self.failures,
            "slow": self.slow,
            "good": round((now - self.good) * 1000) if self.good is not None else -1,
            "fails": [round((now - at) * 1000) for at in self.fails[-_MOST_IN_A_ROW:]],
            "probes": self.probes,
            "want": max(0, probes - len(self.leaves)) if waits else 0,
            "urgent": waits and self.urgent,
        }
        if self.generation and not self.own:
            word = self.breaker.word()
            row["view"] = {
                "state": word.state,
                "ago": round(word.ago * 1000),
                "left": round(word.left * 1000),
                "rounds": word.rounds,
                "reason": word.reason,
            }
        return row


class SharedCircuits:
    """The part of the exchange that is about circuits.

    Args:
        link: To the fleet's state.
        settings: Those of every circuit; the same in all replicas.
        clock: Time.
        soon: To be heard before the next period.
    """

    def __init__(
        self, link: Link, settings: BreakerSettings, clock: Clock, soon: Soon | None = None
    ) -> None:
        self._link = link
        self._soon = soon
        self._settings = settings
        self._clock = clock
        self._keys = [link.key(_TAG, name) for name in ("circuits", "changed", "seen", "memory")]
        self._set = _in_milliseconds(settings)
        self._circuits: dict[str, _Circuit] = {}
        self._unused: dict[str, tuple[_Moved, float]] = {}
        self._memory, self._since = "", 0
        self._introduce = False
        self._trip = Trip(clock)
        self._sent: list[tuple[_Circuit, int, list[Probe]]] = []
        # Until told otherwise: the first report finds out, and nothing depends on it before.
        self.up = True

    def attach(self, name: str, breaker: Breaker) -> None:
        """Have a breaker follow the fleet, from what is known of its candidate already."""
        circuit = self._circuits[name] = _Circuit(self, name, breaker)
        breaker.fleet = circuit
        known = self._unused.pop(name, None)
        if known is not None:
            moved, at = known
            circuit.hear(moved, self._clock.monotonic() - at)

    def detach(self, name: str) -> None:
        """A breaker is no more."""
        circuit = self._circuits.pop(name, None)
        if circuit is not None:
            circuit.breaker.fleet = None

    def report(self) -> tuple[str, list[str], list[Any]] | None:
        """The outcomes since the last report, and what is asked for."""
        if not self.up:
            return None
        due = self._trip.due(_HEARTBEAT)
        rows, self._sent = [], []
        for circuit in self._circuits.values():
            if circuit.leaves:
                circuit.tidy(self._clock.monotonic(), self._settings.probe_timeout)
            told = circuit.calls or circuit.probes or circuit.urgent
            if told or (due and circuit.shut) or (self._introduce and circuit.generation):
                rows.append(circuit.row(self._settings.probes, due=due))
                self._sent.append((circuit, circuit.generation, circuit.probes))
                circuit.probes, circuit.urgent = [], False
                circuit.taken()
        if not rows and not due:
            return None
        self._introduce = False
        self._trip.begin()
        ask = {
            "me": self._link.replica,
            "nonce": f"{self._link.replica}:{self._clock.now():.6f}",
            "id": self._memory,
            "since": self._since,
            "set": self._set,
            "rows": rows,
        }
        return "breakers", self._keys, [msgspec.json.encode(ask)]

    def absorb(self, reply: Any) -> None:
        """Follow what was decided."""
        late = self._trip.end()
        self._sent = []
        answer = msgspec.json.decode(reply, type=_Answer)
        if answer.id != self._memory:
            # Another memory may know less than the replicas that had seen the last one.
            self._introduce = self._memory != ""
        self._memory, self._since = answer.id, answer.version
        for moved in listed(answer.moved):
            circuit = self._circuits.get(moved.name)
            if circuit is None:
                self._keep(moved, late)
            elif circuit.hear(moved, late):
                self._introduce = True
        self._take(listed(answer.leaves), late)
        for name in listed(answer.asked):
            if name in self._circuits:
                self._circuits[name].asked = True

    def link_changed(self, up: bool) -> None:  # noqa: FBT001 - as Link.on_change calls it
        """Go on alone, or report what became of it."""
        self.up = up
        if up:
            self._introduce = True
            self._trip.hurry()
            return
        sent, self._sent = self._sent, []
        for circuit, generation, probes in sent:
            if circuit.generation == generation:
                circuit.probes[:0] = probes
        for circuit in self._circuits.values():
            probes, circuit.probes = circuit.probes, []
            circuit.taken()
            for _, result in probes:
                if result != "ignored":
                    circuit.breaker.probed(result)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic()

    def hurry(self) -> None:
        """Something happened that the others should know."""
        if self._soon is not None and self.up:
            self._soon(self)

    def close(self) -> None:
        """Have the next report be the last: it gives back every leave."""
        for circuit in self._circuits.values():
            circuit.probes += [(token, "ignored") for token, _ in circuit.leaves]
            circuit.leaves, circuit.wanted = [], False

    def _keep(self, moved: _Moved, late: float) -> None:
        self._unused.pop(moved.name, None)
        self._unused[moved.name] = moved, self._clock.monotonic() - late
        if len(self._unused) > _MOST:
            del self._unused[next(iter(self._unused))]

    def _take(self, leaves: Sequence[tuple[str, int, str, float]], late: float) -> None:
        now = self._clock.monotonic()
        for name, generation, token, _ in leaves:
            circuit = self._circuits.get(name)
            if circuit is not None and circuit.generation == generation and circuit.leads:
                circuit.leaves.append((token, now - late))


def _in_milliseconds(settings: BreakerSettings) -> dict[str, Any]:
    """The settings as the script reads them."""
    times = {
        "window": settings.window,
        "open": settings.open_seconds,
        "longest": settings.longest_open,
        "probe_timeout": settings.probe_timeout,
        "ramp": settings.ramp_seconds,
    }
    least = settings.longest_open + settings.window + settings.ramp_seconds
    return {
        **{name: max(1, round(value * 1000)) if value else 0 for name, value in times.items()},
        "keep": round(max(3600.0, 2 * least) * 1000),
        "failure_rate": settings.failure_rate,
        "slow_rate": settings.slow_call_rate,
        "minimum": settings.minimum_calls,
        "consecutive": settings.consecutive_failures,
        "probes": settings.probes,
        "probe_successes": settings.probe_successes,
    }
