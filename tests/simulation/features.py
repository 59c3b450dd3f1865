"""What the router under test has, and how the invariants look into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["Circuit", "Features", "circuit_of", "held_by", "unsettled_of"]


class Circuit(msgspec.Struct, frozen=True):
    """A circuit that does not let everything through.

    Attributes:
        probes: How many attempts may be under way; 0 while it is open.
        since: When it came into this state, by the loop's time.
        forgets_after: Seconds after which a probe that was not heard of no longer counts.
    """

    probes: int
    since: float
    forgets_after: float


def circuit_of(router: Any, candidate: str) -> Circuit | None:
    """The circuit of a candidate; ``None`` while it is closed or ramping up."""
    gate = router._gates.known().get(candidate)
    if gate is None or gate.breaker._state not in {"open", "half-open"}:
        return None
    breaker = gate.breaker
    probes = breaker.settings.probes if breaker._state == "half-open" else 0
    return Circuit(probes, breaker._since, breaker.settings.probe_timeout)


def held_by(router: Any) -> int:
    """The places that calls hold at the gates: attempts counted as under way, leases, waiters."""
    gates = router._gates
    flights: int = sum(gate.stats.in_flight for gate in gates.known().values())
    leases: int = sum(lane.in_flight for lane in gates.limiter._lanes.values())
    waiters: int = sum(len(lane.queue) for lane in gates.limiter._lanes.values())
    return max(flights, leases) + waiters


def unsettled_of(router: Any) -> str:
    """What is still open in the books or set aside in the budgets; empty where nothing is."""
    books, budgets = router._books, router._budgets
    reserved = {key: held.reserved for key, held in budgets._slices._slices.items()}
    left = {
        "attempts": books._open,
        "reserved": {key: amount for key, amount in reserved.items() if amount},
        "waiters": len(budgets._pump._waiters),
        "rows": 0 if router._ledger._intake.empty else 1,
    }
    return ", ".join(f"{name}: {what}" for name, what in left.items() if what)


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """Switches for invariants that need a part of the router.

    Attributes:
        retry_budget: Attempts per candidate stay within 1.2 × the calls that reach it + 10.
        circuit: Tells how a candidate's circuit stands.
        held: Counts what a router holds for its calls.
        unsettled: Tells what is left open in its books.
        own_cancellations: A provider that raises ``CancelledError`` although nobody cancelled is a
            failure like any other.
        swallowed_cancellations: Where a plugin swallows a cancellation, no attempt follows it.
        whole_is_whole: A stream whose last word has come is complete, even where the time runs out
            while its connection is drained.
        time_left: No attempt begins after its time, also where a wait before it took too long.
        hedges_end: The attempts of a hedged call have ended when it has, even where its caller is
            cancelled a second time.
        second_visits: An attempt where a call has been before is a repeat, also after a wait.
    """

    retry_budget: bool = True
    circuit: Callable[[Any, str], Circuit | None] = circuit_of
    held: Callable[[Any], int] = held_by
    unsettled: Callable[[Any], str] = unsettled_of
    own_cancellations: bool = True
    swallowed_cancellations: bool = True
    whole_is_whole: bool = True
    time_left: bool = True
    hedges_end: bool = True
    second_visits: bool = True
