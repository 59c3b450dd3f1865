"""The ledger in an SQL database: one piece of logic for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from ...errors import LedgerError
from ..budgets.periods import span_of
from ..money import nano
from . import accounts as acc
from .columns import COLUMNS, LARGEST, from_columns
from .database import Database, Mode
from .fencing import fence, hand_over, lengthen
from .matching import Keyring, Subject, between, conditions, made_at
from .retention import forget
from .rollup import booking_marks, forgotten, note_late, roll_up
from .row import Row
from .store import (
    Booked,
    Claim,
    Counted,
    Grant,
    HandedOver,
    Need,
    Refused,
    SpendQuery,
    SpendSum,
    Standing,
)
from .sums import amounts, spend

__all__ = ["SqlStore"]

_T = TypeVar("_T")

_TRIES: Final = 5
_MOST_KNOWN: Final = 10_000
_HELD: Final = "SELECT key, amount FROM lease WHERE holder = ? ORDER BY key"


class SqlStore:
    """A :class:`~switchgear.accounting.ledger.store.Store` in an SQL database.

    What is never exceeded rests on one order in every transaction: first its counters are made
    where they are missing, then their rows are locked in the order of their keys, then their
    leases are read and written. A lease changes only under the lock of its counter, or becomes
    shorter, or is lengthened by what another authority has granted: see ``fencing.py``.

    ``wanted`` of a standing means: refused for others' leases within the last second before the
    ``now`` that was given, or, where none is given, before the last one that was.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._now = 0
        self._closed = False
        self._known: set[str] = set()
        self._seen: set[str] = set()

    def open(self) -> None:
        """Connect, and bring the tables to this version.

        Raises:
            LedgerError: It can't be reached or written, or is newer than this version.
        """
        self._closed = False
        try:
            self._db.open()
        except LedgerError:
            raise
        except Exception as exc:
            raise self._db.fault(exc) from exc

    def stop(self) -> None:
        """Break off what another thread is doing with it, and do nothing any more but `close`."""
        self._closed = True
        self._db.stop()

    def close(self) -> None:
        """Let go of the database. Safe to call twice."""
        self._closed = True
        self._db.close()

    # --- what is counted ------------------------------------------------------------------------

    def register(self, rules: Sequence[Counted], now: int) -> None:
        """Count these from now on. Ones that are known stay as they are."""
        self._now = now
        if set(rules) <= self._run("read", lambda: acc.registered(self._db)).keys():
            return
        for rule in rules:
            self._check(rule)
        self._run("alone", lambda: self._register(rules, now))

    def _check(self, rule: Counted) -> None:
        # One that nobody can count would keep everybody from booking.
        conditions(self._db, Subject(rule.kind, rule.value, rule.period, rule.timezone))
        try:
            span_of(rule.period, rule.timezone, 0)
        except (ValueError, OSError, KeyError) as exc:
            raise LedgerError(
                f"a budget's time zone {rule.timezone!r} is not known here: install tzdata"
            ) from exc

    def _register(self, rules: Sequence[Counted], now: int) -> None:
        # Alone, so that no batch is under way that was counted without these rules.
        known = acc.registered(self._db)
        new = [rule for rule in dict.fromkeys(rules) if rule not in known]
        drift = acc.drift_of(self._db)
        # Whatever clocks say: every row that is booked already began before "registered".
        newest = self._db.query("SELECT id FROM attempt ORDER BY id DESC LIMIT 1")
        if newest:
            now = max(now, made_at(newest[0][0]) + 1000 + drift)
        self._db.change_each(
            "INSERT INTO rule (kind, value, period, timezone, registered_at)"
            " VALUES (?, ?, ?, ?, ?)",
            [(rule.kind, rule.value, rule.period, rule.timezone, now) for rule in new],
        )
        # A counter that was used before anybody registered it may lack rows of others.
        for rule in new:
            keys = acc.counters_of(self._db, rule)
            for key, account in acc.load(self._db, keys, leases=False).items():
                bound, cost = amounts(self._db, Subject.of(key), before=None, drift=drift)
                account.count(max(0, bound - account.bound), max(0, cost - account.cost))
                self._write([account])
                fence(self._db, [account])

    # --- rows -----------------------------------------------------------------------------------

    def book(self, writer: str, upto: int, rows: Sequence[Row], ask: frozenset[Counted]) -> Booked:
        """Write rows down, once and only once, and move what they spent from leases to counters."""
        return self._run("write", lambda: self._book(writer, upto, rows, ask), rows)

    def _book(self, writer: str, upto: int, rows: Sequence[Row], ask: frozenset[Counted]) -> Booked:
        # This also keeps whoever adopts this writer from booking the same rows meanwhile.
        fresh = self._db.change(
            "INSERT INTO writer (name, upto) VALUES (?, ?) ON CONFLICT (name)"
            " DO UPDATE SET upto = excluded.upto WHERE writer.upto < excluded.upto",
            (writer, upto),
        )
        rules = acc.registered(self._db)
        ring = Keyring(rules)
        new, moved = self._insert(rows, rules, ring) if fresh else ([], {})
        known = fresh and ask <= rules.keys()
        asked = ring.found(ask) if known else self._asked(rows, ask)
        if not moved and not asked:
            return Booked(len(new))
        self._ensure(asked - moved.keys())
        holder = writer if any(spent for _, _, spent in moved.values()) else None
        accounts = acc.load(self._db, {*moved, *asked}, holder, leases=bool(asked))
        leases: dict[str, int] = {}
        unleased: list[acc.Account] = []
        for key, (bound, cost, spent) in moved.items():
            account = accounts[key]
            account.count(bound, cost)
            if bound > min(spent, account.own):
                unleased.append(account)
            if spent and account.own:
                account.take(-spent)
                leases[key] = account.own
        self._write([accounts[key] for key, sums in moved.items() if any(sums)])
        fence(self._db, unleased)
        # A writer that claims nothing for a while still has to see what others want.
        now = max([row.at + row.latency for row in rows], default=self._now)
        acc.save(self._db, writer, leases)
        return Booked(len(new), tuple(accounts[key].standing(now) for key in sorted(asked)))

    def _insert(
        self, rows: Sequence[Row], rules: Mapping[Counted, int], ring: Keyring
    ) -> tuple[list[Row], dict[str, list[int]]]:
        """Insert rows; which were new, and what these add: key -> bound, cost, from the lease."""
        keys = []
        for row in rows:
            own = ring.keys_of(row)
            for key in row.budgets:
                own[key] = None
            keys.append(own)
        # Before any of these rows is there, since a counter starts with all that are.
        self._ensure(set().union(*keys), rules)
        drift, closing, turn = booking_marks(self._db)
        self._widen(rows, drift)
        fresh = self._db.insert_rows(rows)
        note_late(self._db, fresh, closing, turn)
        new: list[Row] = []
        moved: dict[str, list[int]] = {}
        for row, own in zip(rows, keys, strict=True):
            if row.id not in fresh:
                continue
            fresh.remove(row.id)
            new.append(row)
            bound, cost = nano(row.bound or 0), nano(row.cost or 0)
            for key in own:
                sums = moved.get(key)
                if sums is None:
                    sums = moved[key] = [0, 0, 0]
                sums[0] += bound
                sums[1] += cost
                if key in row.budgets:
                    sums[2] += min(bound, row.reserved)
        return new, moved

    def _widen(self, rows: Sequence[Row], known: int) -> None:
        drift = max([abs(made_at(row.id) - row.at) for row in rows], default=0)
        if drift > known:
            self._db.change(
                "UPDATE drift SET microseconds = ? WHERE microseconds < ?",
                (min(drift, LARGEST), drift),
            )

    @staticmethod
    def _asked(rows: Iterable[Row], ask: frozenset[Counted]) -> set[str]:
        ring = Keyring(ask)
        return {key for row in rows for key in ring.keys_of(row)} if ask else set()

    def adopt(self, writer: str, rows: Sequence[Row]) -> int:
        """Close the books of a writer that is dead. Answers with how many rows were new."""
        return self._run("write", lambda: self._adopt(writer, rows), rows)

    def _adopt(self, writer: str, rows: Sequence[Row]) -> int:
        # Made first if need be: two who adopt the same writer must meet somewhere.
        self._db.change(
            "INSERT INTO writer (name, upto) VALUES (?, ?) ON CONFLICT (name)"
            " DO UPDATE SET upto = excluded.upto",
            (writer, LARGEST),
        )
        rules = acc.registered(self._db)
        new, moved = self._insert(rows, rules, Keyring(rules))
        held = dict(self._db.query(_HELD, (writer,)))
        accounts = acc.load(self._db, {*moved, *held}, leases=False)
        for key, (bound, cost, _) in moved.items():
            accounts[key].count(bound, cost)
        self._write([accounts[key] for key in moved])
        fence(self._db, (accounts[k] for k, sums in moved.items() if sums[0] > held.get(k, 0)))
        self._db.change("DELETE FROM lease WHERE holder = ?", (writer,))
        self._db.change("DELETE FROM writer WHERE name = ?", (writer,))
        return len(new)

    def rows(self, since: int, until: int, *, after: bytes = b"", limit: int = 1000) -> list[Row]:
        """Rows that began in [since, until), ascending by id, from the first id above ``after``."""

        def work() -> list[Row]:
            where, values = between(since, until, acc.drift_of(self._db))
            columns = ", ".join(f'"{name}"' for name in COLUMNS)
            found = self._db.query(
                f"SELECT {columns} FROM attempt WHERE {where} AND id > ? ORDER BY id LIMIT ?",  # noqa: S608
                [*values, after, limit],
            )
            return [from_columns(row) for row in found]

        return self._run("read", work)

    def spend(self, query: SpendQuery) -> list[SpendSum]:
        """Add up rows, in groups sorted by their keys.

        An hour is called ``2026-11-23T14:00+01:00``, a day ``2026-11-23``, a month ``2026-11``. An
        empty string in ``where`` means rows without that label.
        """
        return self._run("read", lambda: spend(self._db, query, acc.drift_of(self._db)))

    def forget(self, before: int, now: int) -> int:
        """Delete the rows of all months of UTC that ended by then; microseconds since 1970.

        Their sums by the hour are kept, and counters stay as they are. A budget for ``ever`` that
        is new after that starts with the rows that are left. In PostgreSQL the partitions of those
        months are dropped.

        Returns:
            The first microsecond of what is kept.

        Raises:
            LedgerError: The present month or the last one would go, or a report that is being made
                kept the rows locked.
        """
        return forget(self._db, self._run, before, now)

    def kept_since(self) -> int:
        """From when on every attempt is there; of before, only sums."""
        return self._run("read", lambda: forgotten(self._db))

    def roll_up(self, now: int) -> int:
        """Add up rows by the hour, at most one hour at once; when there is more to do."""
        return roll_up(self._db, self._run, now)

    # --- leases ---------------------------------------------------------------------------------

    def claim(self, holder: str, claims: Sequence[Claim], now: int) -> list[Grant | Refused]:
        """Lease what is claimed, claim by claim, each all or nothing, while it fits the limits.

        Several needs of one counter in a claim are leased once, as much as the greatest.
        """
        self._now = now
        keys = {need.key for claim in claims for need in claim.needs}
        return self._run("write", lambda: self._claim(holder, claims, keys, now))

    def _claim(
        self, holder: str, claims: Sequence[Claim], keys: set[str], now: int
    ) -> list[Grant | Refused]:
        self._ensure(keys)
        accounts = acc.load(self._db, keys, holder, deciding=True)
        before = {key: account.own for key, account in accounts.items()}
        answers = [acc.lease(accounts, claim, now) for claim in claims]
        leases = _changed(accounts, before)
        acc.save(self._db, holder, leases)
        fence(self._db, (accounts[key] for key in leases))
        wanted = {
            answer.need.key for answer in answers if isinstance(answer, Refused) and answer.busy
        }
        if wanted:
            self._db.change_each(
                "UPDATE counter SET wanted_at = ? WHERE key = ?",
                [(now, key) for key in sorted(wanted)],
            )
        return answers

    def extend(self, holder: str, needs: Sequence[Need]) -> dict[str, int]:
        """Lease a little more of each counter for what is to come, as far as it is to spare."""
        keys = {need.key for need in needs}
        return self._run("write", lambda: self._extend(holder, needs, keys))

    def _extend(self, holder: str, needs: Sequence[Need], keys: set[str]) -> dict[str, int]:
        self._ensure(keys)
        accounts = acc.load(self._db, keys, holder, deciding=True)
        before = {key: account.own for key, account in accounts.items()}
        strictest: dict[str, Need] = {}
        for need in needs:
            other = strictest.get(need.key)
            if other is None or accounts[need.key].spare(need) < accounts[need.key].spare(other):
                strictest[need.key] = need
        for key, need in strictest.items():
            if not accounts[key].wanted(self._now):
                accounts[key].take(accounts[key].spare(need))
        leases = _changed(accounts, before)
        acc.save(self._db, holder, leases)
        fence(self._db, (accounts[key] for key in leases))
        return {key: amount - before[key] for key, amount in leases.items()}

    def identity(self) -> str:
        """A name of this database that no other has, and that stays."""
        return self._run("read", lambda: str(self._db.query("SELECT name FROM identity")[0][0]))

    def hand_over(self, keys: Sequence[str]) -> list[HandedOver]:
        """Let another authority decide about these counters, from how they stand now."""

        def work() -> list[HandedOver]:
            self._ensure(keys)
            return hand_over(self._db, keys)

        return self._run("write", work)

    def lengthen(
        self,
        holder: str,
        tokens: Mapping[str, int],
        amounts: Mapping[str, int],
        limits: Mapping[str, int],
    ) -> list[str]:
        """Write down what another authority has leased; or answer which tokens are too old."""
        return self._run("write", lambda: lengthen(self._db, holder, tokens, amounts, limits))

    def give_back(self, holder: str, amounts: Mapping[str, int]) -> None:
        """Shorten leases by these amounts."""

        def work() -> None:
            held = self._db.query(_HELD + self._db.for_update, (holder,))
            less = {key: own - amounts[key] for key, own in held if amounts.get(key, 0) > 0}
            acc.save(self._db, holder, less)

        self._run("write", work)

    def trim(self, holder: str, most: Mapping[str, int]) -> None:
        """Shorten the holder's leases to these lengths at most; those not named go away."""

        def work() -> None:
            held = self._db.query(_HELD + self._db.for_update, (holder,))
            less = {key: most.get(key, 0) for key, own in held if own > most.get(key, 0)}
            acc.save(self._db, holder, less)

        self._run("write", work)

    def shut(self, keys: Sequence[str], *, closed: bool = True) -> None:
        """Close counters, so that nothing more is leased of them; or open them again."""

        def work() -> None:
            self._ensure(keys)
            accounts = acc.load(self._db, keys, leases=False)
            fence(self._db, accounts.values())
            self._db.change_each(
                "UPDATE counter SET closed = ? WHERE key = ?",
                [(closed, key) for key in sorted(set(keys))],
            )

        self._run("write", work)

    def standings(self, keys: Sequence[str], now: int) -> list[Standing]:
        """How counters stand; ones that were never looked at are made."""
        self._now = now

        def look() -> dict[str, acc.Account]:
            return acc.load(self._db, keys, locked=False)

        def make() -> dict[str, acc.Account]:
            self._ensure(keys)
            return acc.load(self._db, keys)

        accounts = self._run("read", look)
        if not accounts.keys() >= set(keys):
            accounts = self._run("write", make)
        return [accounts[key].standing(now) for key in keys]

    def counters(self, rules: Sequence[Counted], now: int) -> list[Standing]:
        """The counters that there are of these rules in the period that ``now`` falls into."""

        def work() -> list[Standing]:
            known = [
                key
                for rule in dict.fromkeys(rules)
                for key in acc.counters_of(self._db, rule, now // 1_000_000)
            ]
            accounts = acc.load(self._db, known, locked=False)
            return [accounts[key].standing(now) for key in dict.fromkeys(known)]

        return self._run("read", work)

    def tell_once(self, marks: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Of these marks (counter key, word), those that nobody has set before; they are set."""

        def work() -> list[tuple[str, str]]:
            statement = "INSERT INTO mark (key, word) VALUES (?, ?) ON CONFLICT DO NOTHING"
            new = {mark for mark in sorted(set(marks)) if self._db.change(statement, mark)}
            return [mark for mark in dict.fromkeys(marks) if mark in new]

        return self._run("write", work)

    # --- transactions ---------------------------------------------------------------------------

    def _ensure(self, keys: Iterable[str], rules: Mapping[Counted, int] | None = None) -> None:
        unknown = set(keys) - self._known
        if unknown:
            acc.ensure(self._db, unknown, rules)
            self._seen |= unknown

    def _write(self, accounts: Sequence[acc.Account]) -> None:
        if accounts:
            self._db.set_counters([(each.bound, each.cost, each.key) for each in accounts])

    def _run(self, mode: Mode, work: Callable[[], _T], rows: Sequence[Row] = ()) -> _T:
        if self._closed:
            raise LedgerError(f"the ledger at {self._db.place} is closed")
        for left in reversed(range(_TRIES)):
            self._seen = set()
            try:
                self._db.open()
                self._db.make_room(rows)
                self._db.begin(mode)
                result = work()
                self._db.commit()
            except BaseException as exc:
                self._known = set()
                self._db.rollback()
                if left and self._db.again(exc):
                    continue
                if isinstance(exc, LedgerError) or not isinstance(exc, Exception):
                    raise
                raise self._db.fault(exc) from exc
            # Counters are never deleted, so one that was seen needs no second look.
            if len(self._known) > _MOST_KNOWN:
                self._known = set()
            self._known |= self._seen
            return result
        raise AssertionError  # the last try answers or raises


def _changed(accounts: Mapping[str, acc.Account], before: Mapping[str, int]) -> dict[str, int]:
    return {key: a.own for key, a in accounts.items() if a.own != before[key]}
