"""One call's account: whom its attempts are for, and what is set aside for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..accounting.budgets.keys import TAG, Party, party_of_labels
from ..accounting.ledger.row import Row
from ..errors import LedgerError
from .booking import Booking, Reserved, Unbooked
from .reserving import Wanted

if TYPE_CHECKING:
    import datetime as dt

    from ..accounting.bounds import Unbounded, Worst
    from ..caching.entry import Entry
    from ..completion import Usage
    from ..providers.base import Reply
    from ..request import ChatRequest
    from .books import Books
    from .hooks.dispatch import Hooks
    from .plan import Candidate
    from .recorder import Recorder
    from .turn import Turn

__all__ = ["Account", "NoAccount", "Subject"]

_log = logging.getLogger("switchgear.routing")


class Subject(Protocol):
    """What a call asks for, as far as its cost is concerned."""

    @property
    def request(self) -> ChatRequest | None:
        """The request itself; ``None`` for an embedding."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The texts of an embedding; none of a completion."""

    @property
    def quick(self) -> bool:
        """Whether it is short enough to be tokenized on the event loop."""

    def usage(self, candidate: Candidate, reply: Reply | None, *, whole: bool) -> Usage:
        """The provider's count, or an estimate that is flagged so."""

    def worst(
        self, candidate: Candidate, day: dt.date, *, exact: bool = False
    ) -> Worst | Unbounded:
        """The most that an attempt can cost; ``exact`` takes a tokenizer where there is one."""

    def learn(self, candidate: Candidate, usage: Usage) -> None:
        """Let the provider's count correct later estimates."""

    async def prepare(self, candidate: Candidate) -> None:
        """Load what an exact bound needs."""


class Account:
    """One call's attempts in the books.

    Args:
        books: The router's.
        labels: Whom the call is for.
        recorder: The call's record.

    Attributes:
        group: The group whose chain serves the call; ``None`` where a model was named.
        stream: The answer is to come as a stream.
    """

    __slots__ = (
        "_books",
        "_call_id",
        "_labels",
        "_recorder",
        "_saved",
        "_tags",
        "group",
        "stream",
    )

    def __init__(self, books: Books, labels: Mapping[str, str], recorder: Recorder) -> None:
        self._books = books
        self._labels = labels
        self._recorder = recorder
        self._call_id = b""
        self._saved: dict[str, Reserved] = {}
        self._tags = {name[4:]: value for name, value in labels.items() if name[:4] == TAG}
        self.group: str | None = None
        self.stream = False

    @property
    def hooks(self) -> Hooks | None:
        """Who is asked before an attempt is sent."""
        return self._books.hooks

    def party(self, candidate: Candidate | None = None) -> Party:
        """Whom the call is for, and at whom an attempt is aimed."""
        if candidate is None:
            return party_of_labels(self._labels)
        entry, own_key = candidate.entry, candidate.credential is not None
        return party_of_labels(self._labels, entry.provider, entry.model, own_key=own_key)

    def open(
        self, turn: Turn, subject: Subject, *, timeout: float
    ) -> Booking | Coroutine[Any, Any, Booking]:
        """Set aside what an attempt can cost, and write down that it is about to be sent.

        Args:
            turn: The attempt.
            subject: What it asks for.
            timeout: Seconds that this may take.

        Returns:
            It in the books; or, where the ledger is not open yet, the budgets' database must be
            asked or the disk is slow, what to await at once, which raises the same errors.

        Raises:
            BudgetExceededError: A hard budget has too little left.
            BudgetBusyError: It has enough, but calls under way have reserved it.
            UnboundedCostError: Nothing bounds what the attempt could cost, or it has no price.
            LedgerError: It can't be written down, and the configuration says that it must.
        """
        if not self._books.ledger.opened:
            return self._open_first(turn, subject, timeout)
        return self._open(turn, subject, timeout)

    async def wait_for(self, candidate: Candidate, subject: Subject, *, timeout: float) -> None:
        """Wait until a hard budget has room for an attempt, and set it aside for the next one.

        Raises:
            BudgetError: It has none, or not in time.
            LedgerError: The ledger can't be asked.
        """
        await self._books.ledger.ready()
        wanted = self._wanted(candidate, subject, self._books.clock.now())
        if wanted is None:
            return
        reserved = wanted.hold() or await wanted.reserve(timeout=timeout, patient=True)
        self._saved[candidate.name] = reserved

    async def cached(
        self,
        entry: Entry,
        *,
        group: str | None,
        plugin: str,
        own_key: bool,
        latency: float,
        first_token: float | None,
        timeout: float,
    ) -> None:
        """Write down an answer that cost nothing, and what it saved.

        It spends nothing, so no budget is asked, and a ledger that can't be written keeps nobody
        from having it, whatever the configuration says of attempts.

        Args:
            entry: The answer.
            group: The group that was asked for.
            plugin: The kind of the provider that once gave it.
            own_key: The call brought its own credential for that provider.
            latency: Seconds that it took.
            first_token: Seconds to the first delta, where it is a stream.
            timeout: Seconds that opening the ledger may take.
        """
        ledger = self._books.ledger
        if not ledger.opened:
            try:
                async with asyncio.timeout(max(timeout, 0.0)):
                    await ledger.ready()
            except (LedgerError, TimeoutError) as exc:
                _log.info("an answer out of the cache is not in the books: %s", exc)
                return
        own, label = self._books.next_id(), self._labels.get
        row = Row(
            id=own,
            call_id=self._call_id or own,
            at=int(self._books.clock.now() * 1_000_000),
            agent_id=label("agent_id"),
            project_id=label("project_id"),
            agent_type=label("agent_type"),
            run_id=label("run_id"),
            session_id=label("session_id"),
            api_key_id=label("api_key_id"),
            tags=self._tags,
            group=group,
            stream=self.stream,
            provider=entry.provider,
            plugin=plugin,
            model=entry.asked,
            answered_model=entry.model,
            own_key=own_key,
            outcome="cached",
            request_id=entry.request_id,
            tier=entry.tier or "",
            region=entry.region or "",
            cost=0,
            bound=0,
            saved=entry.cost,
            latency=int(latency * 1_000_000),
            first_token=None if first_token is None else int(first_token * 1_000_000),
        )
        waiting = ledger.end(row)
        if self._books.hooks is not None:
            self._books.hooks.settled(row)
        if waiting is not None:
            await waiting

    def let_go(self) -> None:
        """Give back what was set aside for attempts that were not made."""
        for reserved in self._saved.values():
            if reserved.holding is not None:
                self._books.budgets.release(reserved.holding)
        self._saved.clear()

    async def _open_first(self, turn: Turn, subject: Subject, timeout: float) -> Booking:
        await self._books.ledger.ready()
        opened = self._open(turn, subject, timeout)
        return opened if isinstance(opened, Booking) else await opened

    def _open(
        self, turn: Turn, subject: Subject, timeout: float
    ) -> Booking | Coroutine[Any, Any, Booking]:
        books, candidate = self._books, turn.candidate
        at = books.clock.now()
        reserved = self._saved.pop(candidate.name, None) if self._saved else None
        if reserved is None and books.budgets.rules.hard:
            wanted = self._wanted(candidate, subject, at)
            if wanted is not None:
                reserved = wanted.hold()
                if reserved is None:
                    return self._open_paid(turn, subject, wanted, timeout)
        return self._write(turn, subject, at, reserved)

    async def _open_paid(
        self, turn: Turn, subject: Subject, wanted: Wanted, timeout: float
    ) -> Booking:
        reserved = await wanted.reserve(timeout=timeout, patient=False)
        opened = self._write(turn, subject, reserved.at, reserved)
        return opened if isinstance(opened, Booking) else await opened

    def _write(
        self, turn: Turn, subject: Subject, at: float, reserved: Reserved | None
    ) -> Booking | Coroutine[Any, Any, Booking]:
        """Write down that the attempt is about to be sent; gives back what is set aside if not."""
        books = self._books
        row = self._row(turn, reserved.at if reserved is not None else at, reserved)
        booking = Booking(books, row, subject, turn.candidate, reserved)
        try:
            waiting = books.ledger.begin(row)
        except BaseException:
            booking.discard()
            raise
        books.opened()
        return booking if waiting is None else _written(booking, waiting)

    def _wanted(self, candidate: Candidate, subject: Subject, at: float) -> Wanted | None:
        """What is to be set aside; ``None`` where no hard budget is about this attempt."""
        entry, own_key = candidate.entry, candidate.credential is not None
        together = self._books.budgets.rules.guarding(
            self._labels, entry.provider, entry.model, at, own_key=own_key
        )
        if together is None:
            return None
        return Wanted(self._books, together, candidate, subject, at)

    def _row(self, turn: Turn, at: float, reserved: Reserved | None) -> Row:
        candidate, label = turn.candidate, self._labels.get
        attempt = self._books.next_id()
        if not self._call_id:
            self._call_id = attempt
        holding = reserved.holding if reserved is not None else None
        return Row(
            id=attempt,
            call_id=self._call_id,
            at=int(at * 1_000_000),
            agent_id=label("agent_id"),
            project_id=label("project_id"),
            agent_type=label("agent_type"),
            run_id=label("run_id"),
            session_id=label("session_id"),
            api_key_id=label("api_key_id"),
            tags=self._tags,
            group=self.group,
            provider=candidate.entry.provider,
            plugin=candidate.priced.kind,
            model=candidate.entry.model,
            own_key=candidate.credential is not None,
            stream=self.stream,
            hedge=turn.hedge,
            repeat=turn.repeat,
            waited=int(turn.waited * 1_000_000),
            bound=reserved.worst.amount if reserved is not None else None,
            reserved=holding.amount if holding is not None else 0,
            budgets=holding.keys if holding is not None else (),
        )


class NoAccount:
    """For what asks for no answer, such as counting a prompt's tokens: nothing is booked."""

    hooks = None

    def open(self, turn: Turn, subject: Subject, *, timeout: float) -> Unbooked:  # noqa: ARG002
        """Nothing is set aside or written down."""
        return Unbooked()

    async def wait_for(self, candidate: Candidate, subject: Subject, *, timeout: float) -> None:
        """No budget is asked."""

    def let_go(self) -> None:
        """Nothing was set aside."""


async def _written(booking: Booking, waiting: Awaitable[None]) -> Booking:
    try:
        await waiting
    except BaseException:
        booking.never_sent()
        raise
    return booking
