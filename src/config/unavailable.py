"""What the configuration will take one day and this version does not serve yet.

This is the one list of it. A key that were accepted and not served would be a promise broken in
silence (a budget that does not hold), so each is an error until the entry here is removed.
"""

from __future__ import annotations

__all__ = ["GROUP_KEYS", "SECTIONS", "STRATEGIES"]

SECTIONS: dict[str, str] = {
    "backend": "another router underneath",
    "breaker": "settings of the circuit breakers",
    "budgets": "spending limits",
    "cache": "the response cache",
    "hedging": "a second attempt beside a slow one",
    "ledger": "where costs are booked",
    "limits": "rate limits",
    "pricing": "prices of your own",
    "server": "the HTTP gateway",
    "state": "state shared by a fleet",
}
"""Top-level keys, and what each is."""

GROUP_KEYS: dict[str, str] = {
    "backend": "another router underneath",
    "hedging": "a second attempt beside a slow one",
    "resume": "going on with a cut stream elsewhere",
}
"""Keys of ``[groups.NAME]``, and what each is."""

STRATEGIES: frozenset[str] = frozenset({"latency", "cost", "least-busy", "weighted"})
"""Strategies that are understood but not followed."""
