"""Counters that another authority decides about, and the tokens that keep two of them apart.

Where a fleet's shared state decides what may be leased, the database stays the place where leases
and spending are durable. Whoever hands a counter over to such an authority gets a *fencing token*
with its standing, and each lease that was granted on the ground of that standing names it. A newer
token, or a decision of the database's own, makes the older one worthless. So it does not matter how
many authorities there are, how old their memory is, or how late their answers come: of two that do
not know of each other's leases only one can have its grants written down.

Grants of one authority are written side by side, under a shared lock of the counter's token;
whoever moves a token, or decides himself, waits for them under the exclusive one, before he reads
the leases. It is always taken after the counter's own lock and before that of any lease.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from .accounts import Account, among, held_by, load, save
from .database import Database
from .store import HandedOver

__all__ = ["fence", "hand_over", "lengthen"]


def hand_over(db: Database, keys: Sequence[str]) -> list[HandedOver]:
    """Give each counter a new token; how it stands, with every lease. The counters are there."""
    # Locked: a booking that moves an amount from a lease to its counter has done both or neither.
    counters = load(db, keys, leases=False)
    db.lock_tokens(sorted(counters), shared=False)
    tokens = _move(db, counters)
    unfenced = [(True, key) for key in sorted(counters) if not counters[key].fenced]
    if unfenced:
        db.change_each("UPDATE counter SET fenced = ? WHERE key = ?", unfenced)
    leases: dict[str, dict[str, int]] = {key: {} for key in counters}
    found = among(db, "SELECT key, holder, amount FROM lease WHERE key IN ({})", counters)
    for key, holder, amount in found:
        leases[key][holder] = amount
    return [
        HandedOver(key, tokens[key], counters[key].bound, bool(counters[key].closed), leases[key])
        for key in sorted(counters)
    ]


def lengthen(
    db: Database,
    holder: str,
    tokens: Mapping[str, int],
    amounts: Mapping[str, int],
    limits: Mapping[str, int],
) -> list[str]:
    """Write down what another authority granted, or answer which of its tokens are too old."""
    if not amounts:
        return []
    keys = sorted(amounts)
    db.lock_tokens(keys, shared=True)
    valid = _tokens(db, keys)
    old = [key for key in keys if valid.get(key) != tokens[key]]
    if not old:
        # Not locked, so it proves nothing; what it finds is an authority that is plainly wrong.
        accounts = load(db, keys, locked=False)
        old = [
            key
            for key, account in accounts.items()
            if account.bound + account.leased + amounts[key] > limits[key]
        ]
    if old:
        return old
    held = held_by(db, holder, keys)
    save(db, holder, {key: held.get(key, 0) + amounts[key] for key in keys})
    return []


def fence(db: Database, accounts: Iterable[Account]) -> None:
    """The database has decided about these itself: no token of before is good any more."""
    keys = sorted(account.key for account in accounts if account.fenced)
    if keys:
        db.lock_tokens(keys, shared=False)
        _move(db, keys)


def _move(db: Database, keys: Iterable[str]) -> dict[str, int]:
    """New tokens.

    They go by the time of day only so that a database that was set back to a copy of an earlier
    day never gives one a second time.
    """
    now, known = time.time_ns() // 1000, _tokens(db, keys)
    tokens = {key: max(known.get(key, 0) + 1, now) for key in keys}
    db.change_each(
        "INSERT INTO fence (key, token) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET token = excluded.token",
        sorted(tokens.items()),
    )
    return tokens


def _tokens(db: Database, keys: Iterable[str]) -> dict[str, int]:
    return dict(among(db, "SELECT key, token FROM fence WHERE key IN ({})", keys))
