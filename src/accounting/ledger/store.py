"""What a ledger's database does: rows, counters of budgets, and leases on them.

A store is synchronous and used by one thread at a time, which the ledger owns. Every method is one
transaction: all of it happens, or nothing does and it raises :class:`~switchgear.LedgerError`.

**Counters.** A counter is one budget in one period: its key is a JSON array, ``[kind, value,
period, timezone, start]``, with the first second of the period as ``start`` (0 for ``ever``, the
``run_id`` for ``run``). It holds ``bound`` and ``cost``, the sums of the booked rows it matches,
in 10⁻⁹ USD, each row's amount rounded up.

**Leases.** A lease is what one holder (one ledger in one process) may still spend of a counter.
At every instant *bound + all leases ≤ limit*. What is leased moves to ``bound`` in the
transaction that books the row: row first, release second.

**Authority.** Whether an amount may be leased is decided here, by `claim`. Where a fleet has shared
state, that decides instead (`hand_over`), and only what it granted is written down (`lengthen`).

**What must hold**, of every store: a transaction is durable when its method returns, and seen by
every other process that opens the same database; a row is booked once by its ``id``, and a batch
once by its writer and number, however often it comes; leases outlive their holder and end only by
being spent, given back, trimmed or adopted, never by a clock; a counter counts every row that
matches it, whichever process booked it; amounts are integers up to 2⁶³ and sums of them exact.

**Rules.** What is counted is registered in the database, so that a process whose configuration
does not have a budget counts for those whose does. A counter that is looked at for the first time
starts with the sum of the rows that were booked before its rule was registered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from ...config.hiding import without_password
from .row import Row

__all__ = [
    "Booked",
    "Claim",
    "Counted",
    "Grant",
    "HandedOver",
    "LedgerStoreFactory",
    "LedgerStoreSettings",
    "Need",
    "Refused",
    "SpendQuery",
    "SpendSum",
    "Standing",
    "Store",
]


class LedgerStoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a store is made from.

    Attributes:
        url: As the configuration has it, its scheme being the plugin's name. It may hold a
            password, which a store shows nowhere, errors included.
    """

    url: str

    @property
    def rest(self) -> str:
        """The URL behind its scheme and the colon."""
        return self.url.partition(":")[2]

    @property
    def shown_url(self) -> str:
        """The URL without a password, fit to be shown."""
        return without_password(self.url)

    def __repr__(self) -> str:
        return f"LedgerStoreSettings(url={self.shown_url!r})"


class Counted(msgspec.Struct, frozen=True):
    """What is counted: every value of ``kind`` (or only ``value``) in every ``period``."""

    kind: str
    value: str
    period: str
    timezone: str


class Standing(msgspec.Struct, frozen=True):
    """How a counter stands. Amounts in 10⁻⁹ USD.

    Attributes:
        key: The counter.
        bound: What its rows can have cost at most.
        cost: What its rows cost, as far as is known.
        leased: What all holders may still spend of it.
        wanted: Somebody was refused of late because of others' leases.
        closed: Nothing more is leased of it, whatever is left: an attempt cost more than was
            reserved for it.
    """

    key: str
    bound: int
    cost: int
    leased: int
    wanted: bool = False
    closed: bool = False


class Need(msgspec.Struct, frozen=True):
    """An amount of one counter, under a limit; 10⁻⁹ USD."""

    key: str
    limit: int
    amount: int


class Claim(msgspec.Struct, frozen=True):
    """What one attempt needs: all of it, or nothing is given."""

    needs: tuple[Need, ...]


class Grant(msgspec.Struct, frozen=True):
    """Every need of a claim is leased."""


class Refused(msgspec.Struct, frozen=True):
    """A claim that got nothing.

    Attributes:
        need: The first need that could not be met.
        standing: How its counter stands.
        busy: Only leases stand in the way: what is booked leaves room.
    """

    need: Need
    standing: Standing
    busy: bool


class HandedOver(msgspec.Struct, frozen=True):
    """A counter as another authority than the database may start from it. Amounts in 10⁻⁹ USD.

    Attributes:
        key: The counter.
        token: What leases name that were granted from here on.
        bound: What its rows can have cost at most.
        closed: Nothing more is to be leased of it.
        leases: What each holder may still spend of it.
    """

    key: str
    token: int
    bound: int
    closed: bool
    leases: Mapping[str, int]


class Booked(msgspec.Struct, frozen=True):
    """What booking did.

    Attributes:
        rows: How many rows were new.
        standings: The counters that the rows belong to, of those that were asked about.
    """

    rows: int
    standings: tuple[Standing, ...] = ()


class SpendQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to add up, and by what.

    Attributes:
        by: Columns to group by: ``agent``, ``project``, ``agent_type``, ``run``, ``session``,
            ``api_key``, ``group``, ``provider``, ``model``, ``outcome``, ``hour``, ``day``,
            ``month``, or ``tag:NAME``.
        where: Values that rows must have, by the same names (``{"project": "p1"}``).
        since: First microsecond since 1970 that counts; ``None`` for no bound.
        until: First microsecond that no longer counts.
        timezone: Where hours, days and months begin.
    """

    by: tuple[str, ...] = ()
    where: Mapping[str, str] = {}
    since: int | None = None
    until: int | None = None
    timezone: str = "UTC"


class SpendSum(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of one group of rows. Money in pico-dollars, exact at any size.

    Attributes:
        keys: The values of the ``by`` columns; ``None`` where a row has none.
        attempts: Rows.
        calls: Different calls among them.
        failed: Rows that are neither answered nor cached.
        unpriced: Rows without a cost although something was used.
        estimated: Rows whose usage is our estimate.
        cost: Sum of the known costs.
        bound: Sum of the known bounds.
        saved: Sum of what the cache saved.
        usage: Each counter of ``Usage`` by its name.
        latency: Sum of the latencies, microseconds.
    """

    keys: tuple[str | None, ...] = ()
    attempts: int = 0
    calls: int = 0
    failed: int = 0
    unpriced: int = 0
    estimated: int = 0
    cost: int = 0
    bound: int = 0
    saved: int = 0
    usage: Mapping[str, int] = {}
    latency: int = 0


class Store(Protocol):
    """A ledger's database.

    One of another package is an entry point of the group ``switchgear.ledger_stores``, its name the
    scheme of the URLs that it serves: a :data:`LedgerStoreFactory`. A ledger makes several at once
    of one URL, each for a thread of its own: one books, others read. What a store raises that is
    no :class:`~switchgear.LedgerError` is taken for one; attempts wait in the journal meanwhile.
    """

    def open(self) -> None:
        """Connect, and bring the tables to this version.

        Raises:
            LedgerError: It can't be reached or written, or is newer than this version.
        """

    def register(self, rules: Sequence[Counted], now: int) -> None:
        """Count these from now on (microseconds since 1970). Ones that are known stay as they are.

        A counter of a period that began before its rule was registered starts with the rows of it
        that are booked already.
        """

    def book(self, writer: str, upto: int, rows: Sequence[Row], ask: frozenset[Counted]) -> Booked:
        """Write rows down, once and only once, and move what they spent from leases to counters.

        Args:
            writer: Whose journal they come from, which is also the holder of the leases.
            upto: The number of the journal's last record in this batch. A batch whose number is
                not above the last one booked of this writer is one that was booked already; a row
                whose id is there already is left as it is.
            rows: The rows. Each moves ``min(bound, reserved)`` from the writer's lease on each of
                ``row.budgets`` and adds its whole bound to every counter that matches it. The rest
                of its reservation stays in the lease.
            ask: The rules whose counters to report on.
        """

    def claim(self, holder: str, claims: Sequence[Claim], now: int) -> list[Grant | Refused]:
        """Lease what is claimed, claim by claim, each all or nothing, while it fits the limits.

        A refusal names the need that stands in the way for good, where there is one: of a counter
        that is closed, or whose booked rows leave too little. One for leases alone marks its
        counter as wanted.
        """

    def extend(self, holder: str, needs: Sequence[Need]) -> dict[str, int]:
        """Lease a little more of each counter for what is to come, as far as it is to spare.

        At most ``need.amount``, and at most a quarter of what is free divided by the number of
        holders; nothing of a counter that is wanted. Answers with what was leased, by key.
        """

    def identity(self) -> str:
        """A name of this database that no other has, and that stays."""

    def hand_over(self, keys: Sequence[str]) -> list[HandedOver]:
        """Let another authority decide about these counters, from how they stand now.

        The tokens of the last time are worthless from then on; so are these after a claim, after
        `shut`, or after rows were booked that cost more than was leased for them.
        """

    def lengthen(
        self,
        holder: str,
        tokens: Mapping[str, int],
        amounts: Mapping[str, int],
        limits: Mapping[str, int],
    ) -> list[str]:
        """Write down what another authority has leased to the holder.

        Args:
            holder: Who may spend it.
            tokens: By counter, what that authority's decision rests on.
            amounts: By counter, how much longer the lease is.
            limits: By counter, under which limit that was decided.

        Returns:
            Counters whose token is too old, or about which that authority is plainly wrong. If
            there are any, nothing was written.
        """

    def give_back(self, holder: str, amounts: Mapping[str, int]) -> None:
        """Shorten leases by these amounts."""

    def trim(self, holder: str, most: Mapping[str, int]) -> None:
        """Shorten the holder's leases to these lengths at most; those not named go away."""

    def shut(self, keys: Sequence[str], *, closed: bool = True) -> None:
        """Close counters, so that nothing more is leased of them; or open them again."""

    def standings(self, keys: Sequence[str], now: int) -> list[Standing]:
        """How counters stand; ones that were never looked at are made."""

    def counters(self, rules: Sequence[Counted], now: int) -> list[Standing]:
        """The counters that there are of these rules in the period that ``now`` falls into.

        A rule whose value is ``*`` has one for each value that was looked at or spent something. A
        rule per run has those of every run. Nothing is made or changed.
        """

    def tell_once(self, marks: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Of these marks (counter key, word), those that nobody has set before; they are set."""

    def adopt(self, writer: str, rows: Sequence[Row]) -> int:
        """Close the books of a writer that is dead. Answers with how many rows were new.

        Its rows are booked (the ones that are there already are left as they are), and what is
        left of its leases is free again.
        """

    def spend(self, query: SpendQuery) -> list[SpendSum]:
        """Add up rows.

        Raises:
            LedgerError: It can't be told from what is kept of a time whose rows are gone.
        """

    def kept_since(self) -> int:
        """From when on every attempt is there (microseconds since 1970); of before, only sums."""

    def roll_up(self, now: int) -> int:
        """Add up rows by the hour, so that :meth:`spend` is quick; at most one hour at once.

        Beside others who book. Any number may do so at once, and be killed over it.

        Args:
            now: Microseconds since 1970. An hour is added up ten minutes after its end.

        Returns:
            From when on there is more to do.
        """

    def forget(self, before: int, now: int) -> int:
        """Delete the rows of all months of UTC that ended by ``before``; their sums are kept.

        Returns:
            The first microsecond of what is kept.

        Raises:
            LedgerError: The present month or the last one would go, or the rows are in use.
        """

    def rows(self, since: int, until: int, *, after: bytes = b"", limit: int = 1000) -> list[Row]:
        """Rows that began in [since, until), ascending by id, from the first id above ``after``."""

    def stop(self) -> None:
        """Break off what another thread is doing with it, and do nothing any more but `close`.

        Whatever was broken off did not happen, and raises :class:`~switchgear.LedgerError` there.
        Never raises, and may block for a moment.
        """

    def close(self) -> None:
        """Let go of the database. Safe to call twice."""


LedgerStoreFactory: TypeAlias = Callable[[LedgerStoreSettings], Store]
"""Makes a store of the database that a URL names. It does no I/O: :meth:`Store.open` does."""
