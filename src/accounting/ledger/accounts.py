"""Budget counters and leases in a database, inside one transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ...errors import LedgerError
from .columns import LARGEST
from .database import Database, numbered
from .matching import Subject
from .store import Claim, Counted, Grant, Need, Refused, Standing
from .sums import amounts

__all__ = [
    "Account",
    "among",
    "drift_of",
    "ensure",
    "held_by",
    "lease",
    "load",
    "registered",
    "save",
]

WANTED_FOR: Final = 1_000_000
"""Microseconds for which a refusal keeps a counter wanted."""

_CLOCKS_APART: Final = 60_000_000
_CHUNK: Final = 500
_COUNTERS: Final = (
    "SELECT key, bound, cost, wanted_at, closed, fenced FROM counter WHERE key IN ({})"
)
_LEASED: Final = "SELECT key, SUM(amount), COUNT(*) FROM lease WHERE key IN ({}) GROUP BY key"
_OWN: Final = "SELECT key, amount FROM lease WHERE key IN ({}) AND holder = ? ORDER BY key"


@dataclasses.dataclass(slots=True)
class Account:
    """A counter with its leases. ``own`` is the lease of the one who asks; 10⁻⁹ USD."""

    key: str
    bound: int
    cost: int
    wanted_at: int | None
    closed: bool = False
    fenced: bool = False
    leased: int = 0
    holders: int = 0
    own: int = 0

    def wanted(self, now: int) -> bool:
        """Whether somebody was refused within the last second.

        By one's own clock: another process's may be ahead of it, or of the last look at it.
        """
        at = self.wanted_at
        return at is not None and -WANTED_FOR < at - now < _CLOCKS_APART

    def standing(self, now: int) -> Standing:
        """As the ledger sees it."""
        return Standing(
            self.key,
            self.bound,
            self.cost,
            self.leased,
            wanted=self.wanted(now),
            closed=bool(self.closed),
        )

    def take(self, amount: int) -> None:
        """Lengthen one's own lease, or shorten it by a negative amount, to nothing at most."""
        amount = max(amount, -self.own)
        self.holders += (self.own + amount > 0) - (self.own > 0)
        self.own += amount
        self.leased += amount

    def spare(self, need: Need) -> int:
        """How much may be leased for what is to come."""
        holders = self.holders + (self.own == 0)
        if self.closed:
            return 0
        return max(0, min(need.amount, (need.limit - self.bound - self.leased) // 4 // holders))

    def count(self, bound: int, cost: int) -> None:
        """Add what rows cost."""
        self.bound = min(self.bound + bound, LARGEST)
        self.cost = min(self.cost + cost, LARGEST)


def drift_of(db: Database) -> int:
    """Microseconds by which a row's two clocks were ever apart."""
    return int(db.query("SELECT microseconds FROM drift")[0][0])


def registered(db: Database) -> dict[Counted, int]:
    """What is counted, and since when."""
    rules = db.query("SELECT kind, value, period, timezone, registered_at FROM rule")
    return {Counted(kind, value, period, zone): at for kind, value, period, zone, at in rules}


def counters_of(db: Database, rule: Counted, at: int | None = None) -> list[str]:
    """The counters that there are of a rule, of the period only in which a second falls."""
    subject = Subject(rule.kind, rule.value, rule.period, rule.timezone)
    where, values = (
        "kind = ? AND period = ? AND timezone = ?",
        [rule.kind, rule.period, rule.timezone],
    )
    if rule.value != "*":
        where += " AND value = ?"
        values.append(rule.value)
    found = db.query(f"SELECT key, start FROM counter WHERE {where} ORDER BY key", values)  # noqa: S608
    if at is None or rule.period == "run":
        return [key for key, _ in found]
    start = subject.at(at).start
    return [key for key, own in found if own == start]


def ensure(db: Database, keys: Iterable[str], rules: Mapping[Counted, int] | None = None) -> None:
    """Make the counters that nobody looked at before, with what was booked on them already.

    Whatever was booked since a rule is registered has made the counters that it matches. So only
    rows from before then can belong to one that is missing. Another process may be making the same
    counter; the one that is first is right, since each looks before it books anything.
    """
    wanted = set(keys)
    there = {row[0] for row in among(db, "SELECT key FROM counter WHERE key IN ({})", wanted)}
    missing = sorted(wanted - there)
    if not missing:
        return
    known = registered(db) if rules is None else rules
    drift = drift_of(db)
    for key in missing:
        subject = Subject.of(key)
        before = min((at for rule, at in known.items() if subject.counted_by(rule)), default=None)
        bound, cost = amounts(db, subject, before=before, drift=drift)
        db.change(
            "INSERT INTO counter (key, kind, value, period, timezone, start, run, bound, cost,"
            " wanted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT (key) DO NOTHING",
            (
                *(key, subject.kind, subject.value, subject.period, subject.timezone),
                *(subject.start, subject.run, min(bound, LARGEST), min(cost, LARGEST)),
            ),
        )


def load(
    db: Database,
    keys: Iterable[str],
    holder: str | None = None,
    *,
    leases: bool = True,
    locked: bool = True,
    deciding: bool = False,
) -> dict[str, Account]:
    """Counters with their leases; where ``locked``, they stay so until the transaction ends.

    Always in the order of their keys, so that no two transactions wait for each other. Whoever is
    ``deciding`` by the leases also waits for those that another authority has under way: these are
    not written under the counter's lock.

    Raises:
        LedgerError: One is not there, and they are to be locked.
    """
    wanted = sorted(set(keys))
    lock = f" ORDER BY key{db.for_update if locked else ''}"
    accounts = {row[0]: Account(*row) for row in among(db, _COUNTERS + lock, wanted)}
    if locked and len(accounts) < len(wanted):
        raise LedgerError(f"counters have vanished from the ledger at {db.place}; try again")
    if deciding and (fenced := [key for key in wanted if accounts[key].fenced]):
        db.lock_tokens(fenced, shared=False)
    if leases:
        for key, amount, holders in among(db, _LEASED, wanted):
            accounts[key].leased, accounts[key].holders = int(amount), int(holders)
    if holder is not None:
        for key, amount in held_by(db, holder, wanted).items():
            accounts[key].own = amount
    return accounts


def held_by(db: Database, holder: str, keys: Iterable[str]) -> dict[str, int]:
    """A holder's leases of these counters, which stay as they are until the transaction ends."""
    return dict(among(db, _OWN + db.for_update, keys, holder))


def save(db: Database, holder: str, leases: Mapping[str, int]) -> None:
    """Set a holder's leases; one of nothing goes away."""
    kept = [(key, holder, amount) for key, amount in sorted(leases.items()) if amount > 0]
    gone = [(key, holder) for key, amount in sorted(leases.items()) if amount <= 0]
    if kept:
        db.change_each(
            "INSERT INTO lease (key, holder, amount) VALUES (?, ?, ?)"
            " ON CONFLICT (key, holder) DO UPDATE SET amount = excluded.amount",
            kept,
        )
    if gone:
        db.change_each("DELETE FROM lease WHERE key = ? AND holder = ?", gone)


def lease(accounts: Mapping[str, Account], claim: Claim, now: int) -> Grant | Refused:
    """Lease all that a claim needs, or nothing.

    Several needs of one counter, each under a limit of its own, are one need: the greatest. A
    refusal that will last goes before one for leases alone: nobody need wait for that.
    """
    waits: Need | None = None
    for need in claim.needs:
        account = accounts[need.key]
        room = need.limit - account.bound
        if account.closed or need.amount > room:
            return Refused(need, account.standing(now), busy=False)
        if waits is None and need.amount > room - account.leased:
            waits = need
    if waits is not None:
        account = accounts[waits.key]
        account.wanted_at = now
        return Refused(waits, account.standing(now), busy=True)
    greatest: dict[str, int] = {}
    for need in claim.needs:
        greatest[need.key] = max(need.amount, greatest.get(need.key, 0))
    for key, amount in greatest.items():
        accounts[key].take(amount)
    return Grant()


def among(db: Database, statement: str, keys: Iterable[str], *values: str) -> Iterator[Any]:
    """What a statement finds among these keys, asked in parts that a database can take."""
    every = sorted(keys)
    for first in range(0, len(every), _CHUNK):
        part = every[first : first + _CHUNK]
        yield from db.query(statement.format(numbered(len(part))), [*part, *values])
