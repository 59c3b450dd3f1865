"""What stands between a call and a candidate: cooldown, breaker, rate limits; and what is learned.

A call asks :meth:`Gates.enter` before each attempt. It gets an :class:`Entry`, which holds its
place everywhere and is told how the attempt went, or a refusal with its reason. In the order in
which they are asked: cooldown, breaker, limits; what a later one refuses, the earlier ones get
back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from ..clock import Clock
from ..errors import AuthenticationError, ProviderTimeoutError, SwitchgearError
from .breaker import Breaker, BreakerChange, BreakerSettings, Permit, Refusal, is_failure
from .cooldown import Cooldowns, Pass
from .limits import Lease, Limiter, Need, NoRoom
from .quantile import RecentQuantile
from .retry_budget import RetryBudget
from .stats import CandidateStats, Flight

if TYPE_CHECKING:
    from ..completion import Usage
    from .plan import Candidate

__all__ = ["Entry", "Gate", "GateFleet", "Gates", "Visit"]

_MOST = 2048
"""Candidates remembered at once, since callers may name any; idle ones are forgotten first."""

_PATIENCE = 30.0
"""Seconds. A time-out speaks against a candidate where it was given at least this long, or what
the configuration grants an attempt: a caller in a hurry must not open the circuit for everyone."""


class Visit(msgspec.Struct, frozen=True):
    """Who asks at the gates.

    Attributes:
        call_id: Which call, so that its attempts count as one.
        need: What an attempt is expected to take of the rate limits.
        stream: The answer comes as a stream.
    """

    call_id: str
    need: Need
    stream: bool


class Gate:
    """What is kept of one candidate."""

    __slots__ = ("breaker", "budget", "stats", "waits")

    def __init__(self, breaker: Breaker, stats: CandidateStats, budget: RetryBudget) -> None:
        self.breaker = breaker
        self.stats = stats
        self.budget = budget
        # Of streams to their first token, and of answers in one piece to their end.
        self.waits = {True: RecentQuantile(), False: RecentQuantile()}


class GateFleet(Protocol):
    """The fleet behind the gates: what is kept of each candidate is shared with other replicas."""

    def joined(self, name: str, breaker: Breaker, stats: CandidateStats) -> None:
        """A call got to a candidate for the first time."""

    def left(self, name: str) -> None:
        """The candidate is forgotten."""


class Entry(msgspec.Struct, eq=False):
    """A place for one attempt, held everywhere. Exactly one ending counts, the first.

    Whoever holds it ends it with ``answered``, ``failed``, ``left`` or ``withdraw``, whatever
    happens.

    Attributes:
        circuit: The state of the circuit that let it through; empty where that is closed.
        room: The part of the tightest rate limit that it left, 0 to 1; ``None`` for no limit.
    """

    _gate: Gate
    _pass: Pass | None
    _permit: Permit | None
    _lease: Lease
    _flight: Flight
    circuit: str
    room: float | None

    def began(self, headers: Mapping[str, str]) -> None:
        """A stream's headers and first event are here."""
        self._flight.first_token()
        self._lease.observe(headers)

    def answered(
        self, usage: Usage | None, headers: Mapping[str, str], first_token: float | None
    ) -> None:
        """The answer is whole.

        Args:
            usage: As the provider counted; ``None`` where it did not.
            headers: The answer's.
            first_token: Seconds from the start of the attempt; ``None`` where it was no stream.
        """
        permit, self._permit = self._permit, None
        if permit is None:
            return
        permit.success(first_token)
        if self._pass is not None:
            self._pass.success()
        flight = self._flight
        flight.succeed(usage.output_tokens if usage is not None else 0)
        if first_token is None:
            self._gate.waits[False].add(flight.took)
        else:
            self._gate.waits[True].add(first_token)
        self._settle(usage, headers)

    def failed(self, error: SwitchgearError, *, given: float, granted: float | None) -> None:
        """The attempt failed.

        Args:
            error: How.
            given: Seconds that it was given.
            granted: Seconds that the configuration grants an attempt; ``None`` for no bound.
        """
        permit, self._permit = self._permit, None
        if permit is None:
            return
        hurried = isinstance(error, ProviderTimeoutError) and given < min(
            _PATIENCE, granted if granted is not None else _PATIENCE
        )
        if is_failure(error) and not hurried:
            permit.failure()
            self._flight.fail()
        else:
            permit.ignored()
            self._flight.leave()
        if self._pass is not None:
            if isinstance(error, AuthenticationError) and error.status is None:
                self._pass.ignored()  # there is no key at all: nothing was sent, nobody refused
            else:
                self._pass.failure(error)
        refused = error.status is not None and error.status >= 400
        self._lease.settle(
            0 if refused else None,
            0 if refused else None,
            error.headers,
            status=error.status or 500,
            retry_after=error.retry_after,
        )

    def left(self, usage: Usage | None = None) -> None:
        """The caller went away, or the attempt says nothing about the candidate."""
        permit, self._permit = self._permit, None
        if permit is None:
            return
        permit.ignored()
        if self._pass is not None:
            self._pass.ignored()
        self._flight.leave()
        self._settle(usage, None)

    def withdraw(self) -> None:
        """Nothing was sent after all: everything goes back as if nobody had come."""
        permit, self._permit = self._permit, None
        if permit is None:
            return
        permit.ignored()
        if self._pass is not None:
            self._pass.ignored()
        self._flight.leave()
        self._lease.cancel()

    def _settle(self, usage: Usage | None, headers: Mapping[str, str] | None) -> None:
        if usage is None:
            self._lease.settle(None, None, headers)
        else:
            self._lease.settle(
                usage.input_tokens,
                usage.output_tokens,
                headers,
                cached_tokens=usage.cache_read_tokens,
            )


class Gates:
    """The gates of one router's candidates, made when a call first gets to them.

    Args:
        breaker: The settings of every circuit.
        cooldowns: Who is to be left alone.
        limiter: The rate limits.
        clock: Time.
        on_change: Told when a circuit changes.
        fleet: Where other replicas have a say.
    """

    def __init__(
        self,
        *,
        breaker: BreakerSettings,
        cooldowns: Cooldowns,
        limiter: Limiter,
        clock: Clock,
        on_change: Callable[[BreakerChange], None],
        fleet: GateFleet | None = None,
    ) -> None:
        self._settings = breaker
        self._clock = clock
        self._on_change = on_change
        self._fleet = fleet
        self._gates: dict[str, Gate] = {}
        self.cooldowns = cooldowns
        self.limiter = limiter

    def of(self, name: str) -> Gate:
        """What is kept of a candidate, ``provider/model``."""
        gate = self._gates.get(name)
        if gate is None:
            if len(self._gates) >= _MOST:
                self._forget()
            gate = self._gates[name] = Gate(
                Breaker(name, self._settings, self._clock, on_change=self._on_change),
                CandidateStats(self._clock),
                RetryBudget(self._clock),
            )
            if self._fleet is not None:
                self._fleet.joined(name, gate.breaker, gate.stats)
        return gate

    def known(self) -> Mapping[str, Gate]:
        """Every candidate that a call has got to, by name."""
        return self._gates

    def ask(self, candidate: Candidate, visit: Visit) -> Awaitable[None] | None:
        """What to await before ``enter``, where this replica has no more of a shared rate limit.

        ``None`` where there is nothing to wait for. It takes a round trip at most.
        """
        if not self.limiter.is_shared:
            return None
        entry = candidate.entry
        return self.limiter.ask(entry.provider, entry.model, visit.need, key=_key(candidate))

    def enter(
        self,
        candidate: Candidate,
        visit: Visit,
        *,
        repeat: bool = False,
        insist: bool = False,
    ) -> Entry | Refusal:
        """Ask for a place now.

        Args:
            candidate: Where.
            visit: Who asks.
            repeat: It is a repeat or a hedge, and pays from the candidate's retry budget.
            insist: Nobody else is left: a refusal that is only soft does not count.
        """
        entry = candidate.entry
        lease = self.limiter.try_reserve(
            entry.provider, entry.model, visit.need, key=_key(candidate)
        )
        if isinstance(lease, NoRoom):
            # Asked last and looked at first: its refusal must not use up a probe.
            refusal = self._closed(candidate)
            return refusal or Refusal(
                str(lease), lease.wait if lease.wait is not None else -1.0, waitable=True
            )
        return self._with(candidate, visit, lease, repeat=repeat, insist=insist)

    async def wait(
        self, candidate: Candidate, visit: Visit, *, timeout: float, repeat: bool = False
    ) -> Entry | Refusal:
        """Ask for a place, and wait for one where only a rate limit stands in the way.

        First come, first served. Cancelling gives everything back.

        Args:
            candidate: Where.
            visit: Who asks.
            timeout: Seconds to wait at most.
            repeat: As for ``enter``.
        """
        lease = await self.limiter.reserve(
            candidate.entry.provider,
            candidate.entry.model,
            visit.need,
            timeout=timeout,
            key=_key(candidate),
        )
        if isinstance(lease, NoRoom):
            return Refusal(str(lease), lease.wait if lease.wait is not None else -1.0)
        return self._with(candidate, visit, lease, repeat=repeat, insist=True)

    def capacity(self, candidate: Candidate) -> float | None:
        """The part of its tightest rate limit that is left, 0 to 1; ``None`` for no limit."""
        entry = candidate.entry
        return self.limiter.capacity(entry.provider, entry.model, key=_key(candidate))

    def close(self) -> None:
        """Send away everybody who waits."""
        self.limiter.close()

    def _with(
        self,
        candidate: Candidate,
        visit: Visit,
        lease: Lease,
        *,
        repeat: bool,
        insist: bool,
    ) -> Entry | Refusal:
        """The other gates, with a lease in hand that goes back where one of them refuses."""
        gate = self._gates.get(candidate.name)
        if gate is None:
            gate = self.of(candidate.name)
        given: Pass | None = None
        if candidate.credential is None:
            # A call's own key says nothing about the configured one, nor the other way about.
            entry = candidate.entry
            passed = self.cooldowns.admit(entry.provider, entry.model, visit.call_id)
            if isinstance(passed, Refusal):
                lease.cancel()
                return passed
            given = passed
        permit = gate.breaker.admit(insist=insist)
        if isinstance(permit, Permit) and repeat and not gate.budget.take_repeat():
            permit.ignored()
            permit = Refusal("its retry budget is used up", 0.0)
        if isinstance(permit, Refusal):
            lease.cancel()
            if given is not None:
                given.ignored()
            return permit
        if not repeat:
            gate.budget.call()
        flight = gate.stats.begin(stream=visit.stream)
        circuit = permit.state if permit.state != "closed" else ""
        return Entry(gate, given, permit, lease, flight, circuit, lease.room)

    def _closed(self, candidate: Candidate) -> Refusal | None:
        gate = self._gates.get(candidate.name)
        if gate is None or gate.breaker.state != "open":
            return None
        refusal = gate.breaker.admit()
        return refusal if isinstance(refusal, Refusal) else None

    def _forget(self) -> None:
        """Make room: the first half of what is idle and closed goes."""
        idle = [
            name
            for name, gate in self._gates.items()
            if gate.stats.here == 0 and gate.breaker.state == "closed"
        ]
        for name in idle[: max(1, len(idle) // 2)]:
            del self._gates[name]
            if self._fleet is not None:
                self._fleet.left(name)


def _key(candidate: Candidate) -> str | None:
    return candidate.credential.reveal() if candidate.credential is not None else None
