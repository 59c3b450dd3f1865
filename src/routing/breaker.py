"""The circuit breaker of one candidate: a provider that fails is left alone until it recovers.

::

            failures in a row, failure rate, slow calls
    closed ────────────────────────────────────────────▶ open ◀─────────────┐
      ▲                                                   │ open_seconds    │ a probe failed:
      │ ramp_seconds                                      ▼                 │ twice as long
    ramping ◀──────────────── probe_successes ──────── half-open ───────────┘

The states and the counting of failures in a row and of successful probes are pybreaker's; the gate
in front of it is here: who may pass, which outcomes still matter, rates over a window, the ramp,
and time.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import msgspec

from ..clock import Clock
from .breaker_machine import Machine
from .breaker_values import (
    BreakerChange,
    BreakerHealth,
    BreakerSettings,
    BreakerState,
    CircuitFleet,
    CircuitWord,
    Refusal,
    Result,
    is_failure,
)
from .breaker_window import ForwardTime, SlidingWindow

__all__ = [
    "Breaker",
    "BreakerChange",
    "BreakerHealth",
    "BreakerSettings",
    "BreakerState",
    "Permit",
    "Refusal",
    "is_failure",
]

_FIRST_SHARE = 0.1
_MOST_DOUBLINGS = 32
_LEAVE_SECONDS = 0.25
"""A fleet's leave for a probe takes an exchange or two."""

_log = logging.getLogger("switchgear.routing")


class Permit(msgspec.Struct, eq=False):
    """Leave for one attempt. Exactly one outcome is counted; later ones are no-ops.

    An outcome that comes after the circuit has moved on changes nothing.

    Attributes:
        generation: The circuit's state when this was given, by number.
        state: The same by name.
        expires: When a probe no longer keeps others out, monotonic seconds.
        leave: The fleet's, for a probe that it allowed.
    """

    _breaker: Breaker | None
    generation: int
    state: BreakerState = "closed"
    expires: float = math.inf
    leave: str | None = None

    def success(self, time_to_first_token: float | None = None) -> None:
        """The attempt succeeded.

        Args:
            time_to_first_token: Seconds from its start; for an answer in one piece, to its end, if
                that is to be held against ``slow_call_seconds``. ``None`` is never slow.
        """
        breaker = self._breaker
        if breaker is not None:
            self._breaker = None
            limit = breaker.settings.slow_call_seconds
            slow = limit is not None and (time_to_first_token or 0.0) > limit
            breaker.settle(self, "slow" if slow else "success")

    def failure(self) -> None:
        """The attempt failed in a way that speaks against the candidate (see ``is_failure``)."""
        self._end("failure")

    def ignored(self) -> None:
        """The attempt says nothing about the candidate: the caller's fault, 429, or cancelled."""
        self._end("ignored")

    def _end(self, result: Result) -> None:
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker.settle(self, result)


class Breaker:
    """The gate in front of one candidate.

    Nothing here waits or runs by itself. States that end by time end when somebody looks: at the
    next ``admit``, outcome, ``state`` or ``snapshot``, and listeners hear of it then. For one event
    loop; a listener may call back into the breaker.

    Args:
        name: The candidate, ``provider/model``.
        settings: When to open, and how to come back.
        clock: Time. Should it go back, no time has passed.
        on_change: Told of each change, after it; what it raises is logged and goes no further.

    Attributes:
        fleet: Where other replicas have a say; ``None`` for a circuit that is this process's own.
    """

    def __init__(
        self,
        name: str,
        settings: BreakerSettings,
        clock: Clock,
        *,
        on_change: Callable[[BreakerChange], None] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self._clock = clock
        self._time = ForwardTime(clock)
        self._on_change = on_change
        self._machine = Machine(
            name,
            consecutive_failures=settings.consecutive_failures,
            probe_successes=settings.probe_successes,
        )
        self._window = SlidingWindow(settings.window)
        self._state: BreakerState = "closed"
        self._generation = 0
        self._since = self._time.now()
        self._until = math.inf
        self._reason = ""
        self._probes: list[Permit] = []
        self._failed_rounds = 0
        self._opened = 0
        self._credit = 0.0
        self._untold: list[BreakerChange] = []
        self.fleet: CircuitFleet | None = None

    @property
    def state(self) -> BreakerState:
        """The state at this moment."""
        self._advance(self._time.now())
        self._tell()
        return self._state

    @property
    def wants_probe(self) -> bool:
        """It is half-open, and no probe of this process is on its way."""
        if self.state != "half-open":
            return False
        now = self._time.now()
        return sum(probe.expires > now for probe in self._probes) < self.settings.probes

    def admit(self, *, insist: bool = False) -> Permit | Refusal:
        """Ask for leave to send one call.

        Args:
            insist: There is nobody else to go to: pass where a refusal would only be soft.
        """
        if self._state == "closed":
            return Permit(self, self._generation)
        now = self._time.now()
        self._advance(now)
        found = self._decide(now, insist=insist)
        self._tell()
        return found

    def settle(self, permit: Permit, result: Result) -> None:
        """Count an outcome; the permit's own methods are the usual way to here."""
        now = self._time.now()
        if now >= self._until:
            self._advance(now)
        if permit.generation == self._generation:
            if self._probes and permit in self._probes:
                self._probes.remove(permit)
            elsewhere = self.fleet is not None and self._reported(self.fleet, permit, result)
            if elsewhere or result == "ignored":
                pass
            elif self._state == "half-open":
                self._count_probe(now, result)
            else:
                self._count(now, result)
        if self._untold:
            self._tell()

    def follow(self, word: CircuitWord) -> None:
        """Be as the fleet has decided. Outcomes of what was let through before no longer count."""
        now = self._time.now()
        self._advance(now)
        before, state = self._state, word.state
        self._generation += 1
        if state == "open":
            self._machine.open()
        elif state == "half-open":
            self._machine.half_open()
        else:
            self._machine.close()
            self._window.clear()
        until = now + word.left if state in {"open", "ramping"} else math.inf
        self._failed_rounds, self._credit = word.rounds, 1.0
        self._opened += state == "open" and before != "open"
        self._enter(state, now - word.ago, until, word.reason)
        self._tell()

    def word(self) -> CircuitWord:
        """Where it stands, as :meth:`follow` takes it."""
        now = self._time.now()
        self._advance(now)
        self._tell()
        left = self._until - now if self._until < math.inf else 0.0
        return CircuitWord(self._state, now - self._since, left, self._failed_rounds, self._reason)

    def probed(self, result: Result) -> None:
        """Count a probe's outcome here after all, since the fleet was never heard to have it."""
        if self._state == "half-open":
            self._count_probe(self._time.now(), result)
            self._tell()

    def snapshot(self) -> BreakerHealth:
        """How the candidate stands."""
        now = self._time.now()
        self._advance(now)
        self._window.slide(now)
        self._tell()
        window = self._window
        return BreakerHealth(
            name=self.name,
            state=self._state,
            since=self._clock.now() - (now - self._since),
            reason=self._reason,
            calls=window.calls,
            failures=window.failures,
            slow_calls=window.slow,
            failure_rate=window.failures / window.calls if window.calls else None,
            failures_in_a_row=self._machine.failures_in_a_row,
            opened=self._opened,
            share=self._share(now),
            retry_in=self._until - now if self._state == "open" else 0.0,
        )

    def _advance(self, now: float) -> None:
        """End a state whose time is over."""
        if now < self._until:
            return
        if self._state == "open":
            self._machine.half_open()
            self._enter("half-open", self._until, math.inf, "open for long enough")
        elif self._state == "ramping":
            self._failed_rounds = 0
            self._enter("closed", self._until, math.inf, "ramped up")

    def _reported(self, fleet: CircuitFleet, permit: Permit, result: Result) -> bool:
        """Let the fleet have an outcome. Returns whether it decides what comes of it."""
        if self._state == "half-open" and fleet.leads:
            fleet.probed(permit.leave, result)
            return True
        if result != "ignored":
            fleet.counted(result)
        return False

    def _decide(self, now: float, *, insist: bool) -> Permit | Refusal:
        if self.fleet is not None and self._state != "ramping":
            self.fleet.refused()
        if self._state == "half-open":
            return self._probe(now)
        if self._state == "open":
            wait = self._until - now
            reason = f"circuit open: {self._reason}; next probe in {wait:.3g} s"
            return Refusal(reason, wait)
        if self._state == "ramping" and not self._ramp(now, insist=insist):
            reason = f"circuit ramping up: takes {self._share(now):.0%} of its calls for now"
            return Refusal(reason, 0.0, soft=True)
        return Permit(self, self._generation, self._state)

    def _probe(self, now: float) -> Permit | Refusal:
        out = self._probes = [probe for probe in self._probes if probe.expires > now]
        if len(out) >= self.settings.probes:
            wait = min(probe.expires for probe in out) - now
            return Refusal("circuit half-open: a probe is on its way", wait)
        leave = None
        if self.fleet is not None and self.fleet.leads:
            leave = self.fleet.leave()
            if leave is None:
                reason = "circuit half-open: another replica's probe is awaited"
                return Refusal(reason, _LEAVE_SECONDS)
        until = now + self.settings.probe_timeout
        probe = Permit(self, self._generation, "half-open", until, leave)
        out.append(probe)
        return probe

    def _count(self, now: float, result: Result) -> None:
        """Count an outcome of a circuit that lets calls through."""
        machine, window = self._machine, self._window
        window.add(now, failed=result == "failure", slow=result == "slow")
        if result != "failure":
            if not machine.sound:
                machine.succeeded()
            if result == "slow" and self._reached(window.slow, self.settings.slow_call_rate):
                machine.open()
                self._trip(now, f"{window.slow} of {window.calls} calls were slow")
            return
        machine.failed()
        if machine.state == "open":
            self._trip(now, f"{self.settings.consecutive_failures} failures in a row")
        elif self._reached(window.failures, self.settings.failure_rate):
            machine.open()
            self._trip(now, f"{window.failures} of {window.calls} calls failed")

    def _count_probe(self, now: float, result: Result) -> None:
        machine, ramp = self._machine, self.settings.ramp_seconds
        if result == "success":
            machine.succeeded()
        else:
            machine.failed()
        if machine.state == "open":
            self._trip(now, "a probe failed" if result == "failure" else "a probe was slow")
        elif machine.state == "closed":
            # What led to the outage must not open the circuit a second time.
            self._window.clear()
            if self.fleet is not None:
                self.fleet.departed()
            if ramp:
                self._credit = 1.0
                self._enter("ramping", now, now + ramp, "probes succeeded")
            else:
                self._failed_rounds = 0
                self._enter("closed", now, math.inf, "probes succeeded")

    def _reached(self, count: int, share: float) -> bool:
        calls = self._window.calls
        return calls >= self.settings.minimum_calls and count >= share * calls

    def _trip(self, now: float, reason: str) -> None:
        """Enter the open state. Falling back while ramping is a failed round like any other."""
        if self._state != "closed":
            self._failed_rounds += 1
        self._opened += 1
        if self.fleet is not None:
            self.fleet.departed()
        doubled = self.settings.open_seconds * 2.0 ** min(self._failed_rounds, _MOST_DOUBLINGS)
        self._enter("open", now, now + min(self.settings.longest_open, doubled), reason)

    def _ramp(self, now: float, *, insist: bool) -> bool:
        """Spread the admitted calls evenly: each call brings a share, and a whole one passes."""
        self._credit += self._share(now)
        if self._credit >= 1.0:
            self._credit -= 1.0
            return True
        return insist

    def _share(self, now: float) -> float:
        if self._state != "ramping":
            return 1.0 if self._state == "closed" else 0.0
        part = (now - self._since) / self.settings.ramp_seconds
        return min(1.0, _FIRST_SHARE + (1.0 - _FIRST_SHARE) * part)

    def _enter(self, state: BreakerState, since: float, until: float, reason: str) -> None:
        before, self._state = self._state, state
        if before != "ramping" or state != "closed":
            # The end of a ramp is no new state of the circuit: calls let through in it still count.
            self._generation += 1
            self._probes = []
        self._since, self._until, self._reason = since, until, reason
        wait = until - since if state == "open" else 0.0
        if self._on_change is not None and before != state:
            change = BreakerChange(self.name, before, state, reason, wait, self._clock.now())
            self._untold.append(change)

    def _tell(self) -> None:
        """Report changes once everything else is done, so that a listener may come back here."""
        while self._untold:
            change = self._untold.pop(0)
            try:
                if self._on_change is not None:
                    self._on_change(change)
            except Exception:  # noqa: BLE001 - a listener's fault must not become the call's
                _log.exception("a listener failed on %s: %s", change.name, change.after)
