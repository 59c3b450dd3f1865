"""One attempt in the books: what is set aside for it, and what it came to."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import msgspec

from ..accounting.bounds import Worst
from ..accounting.budgets.slices import Holding
from ..accounting.money import nano
from ..completion import Usage
from ..errors import (
    AuthenticationError,
    ConfigError,
    InvalidRequestError,
    LifecycleError,
    ProviderError,
    SwitchgearError,
)
from .costing import Charge

if TYPE_CHECKING:
    import datetime as dt

    from ..accounting.ledger.row import BookedOutcome, Row
    from ..providers.base import Reply
    from .account import Subject
    from .books import Books
    from .plan import Candidate

__all__ = ["Booking", "Reserved", "Unbooked"]

_log = logging.getLogger("switchgear.routing")

_NOT_RUN = frozenset({401, 403, 404, 429})
"""Statuses of requests that no model ever saw, which vendors say they do not charge. They do not
say it of others: Azure charges for some 400 (a filtered prompt, one too long) and for 408."""

_NOTHING = Charge(usage=Usage(), cost=0, bound=0)


class Reserved(msgspec.Struct, frozen=True, gc=False):
    """What was set aside.

    Attributes:
        worst: The most that the attempt can cost.
        holding: It, in the budgets; ``None`` where it costs nothing.
        at: When, seconds since 1970: it is counted in the periods of that instant, and priced on
            that day.
    """

    worst: Worst
    holding: Holding | None
    at: float


class Booking:
    """One attempt. Its first ending counts.

    Attributes:
        charge: What it came to; ``None`` before its end.
        heard: What arrived of its answer, so that it is paid for even where the attempt fails.
    """

    __slots__ = (
        "_began",
        "_books",
        "_candidate",
        "_reserved",
        "_row",
        "_subject",
        "_waiting",
        "charge",
        "heard",
    )

    def __init__(
        self,
        books: Books,
        row: Row,
        subject: Subject,
        candidate: Candidate,
        reserved: Reserved | None,
    ) -> None:
        self._books = books
        self._row = row
        self._subject = subject
        self._candidate = candidate
        self._reserved = reserved
        self._began = books.clock.monotonic()
        self._waiting: Awaitable[None] | None = None
        self.charge: Charge | None = None
        self.heard: Reply | None = None

    @property
    def row(self) -> Row:
        """As it is booked if this process dies now."""
        return self._row

    def sent(self) -> None:
        """It is sent only now: what was waited for since it was opened is not its own time."""
        self._began = self._books.clock.monotonic()

    @property
    def max_tokens(self) -> int | None:
        """What must be sent as the longest answer; ``None`` where that is free."""
        return self._reserved.worst.max_tokens if self._reserved is not None else None

    def answered(self, reply: Reply, *, first_token: float | None) -> Charge:
        """The answer is whole."""
        charge = self._charge(reply, whole=True)
        if charge.usage is not None and not charge.usage.estimated:
            self._subject.learn(self._candidate, charge.usage)
        self._end("answered", charge, reply=reply, first_token=first_token)
        return charge

    def broken_off(
        self,
        outcome: BookedOutcome,
        reply: Reply,
        *,
        whole: bool,
        first_token: float | None,
        error: SwitchgearError | None = None,
    ) -> Charge:
        """The answer ended early, or nobody wanted the rest of it.

        Args:
            outcome: ``interrupted`` or ``cancelled``.
            reply: What had arrived.
            whole: All of it had.
            first_token: Seconds to the first token.
            error: What broke it.
        """
        charge = self._salvaged(reply, whole=whole)
        self._end(outcome, charge, reply=reply, error=error, first_token=first_token)
        return charge

    def failed(self, error: SwitchgearError) -> None:
        """The attempt failed."""
        self._end("failed", self._charge_of(error), reply=self.heard, error=error)

    def cancelled(self) -> None:
        """Nobody waits for it any more; what it may have cost is booked all the same."""
        if self.charge is None:
            self._end("cancelled", self._salvaged(self.heard, whole=False), reply=self.heard)

    def never_sent(self) -> None:
        """It was not sent after all, and leaves no row."""
        if self.charge is None:
            self.charge = _NOTHING
            self._books.ledger.drop(self._row.id)
            self.discard()
            self._books.closed()

    def discard(self) -> None:
        """Give back what was set aside."""
        if self._reserved is not None and self._reserved.holding is not None:
            self._books.budgets.release(self._reserved.holding)

    @property
    def is_safe(self) -> bool:
        """Its row is safe from a crash already, or it has not ended yet."""
        return self._waiting is None

    async def safe(self) -> None:
        """Wait until its row is safe from a crash: no time at all, unless the disk is slow."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await waiting

    def _charge(self, reply: Reply | None, *, whole: bool) -> Charge:
        usage = self._subject.usage(self._candidate, reply, whole=whole)
        charge = self._books.costing.charge(self._candidate, self._day(), usage, reply)
        if charge.bound is None:
            most = self._most()
            if most is not None and charge.cost is not None:
                # A vendor's count of what had arrived may be above what it documents.
                most = max(most, charge.cost)
            charge = msgspec.structs.replace(charge, bound=most)
        return charge

    def _salvaged(self, reply: Reply | None, *, whole: bool) -> Charge:
        """The same for what ended badly, which must be booked whatever the reply holds."""
        try:
            return self._charge(reply, whole=whole)
        except Exception:  # noqa: BLE001 - counts may be no numbers, parts no parts
            _log.exception("%s: what it used can't be read", self._candidate.name)
            return self._charge(None, whole=False)

    def _charge_of(self, error: SwitchgearError) -> Charge:
        if self.heard is not None:
            return self._salvaged(self.heard, whole=self.heard.finish_reason != "error")
        if _was_not_run(error):
            return _NOTHING
        if error.status is not None:
            # It answered with an error: vendors do not charge for those, save some for some.
            return msgspec.structs.replace(
                _NOTHING, usage=Usage(estimated=True), bound=self._most()
            )
        return self._charge(None, whole=False)

    def _most(self) -> int | None:
        """The most that the attempt can have cost, where no final count says."""
        if self._reserved is not None:
            return self._reserved.worst.amount
        worst = self._subject.worst(self._candidate, self._day())
        return worst.amount if isinstance(worst, Worst) else None

    def _day(self) -> dt.date:
        """By whose prices it is priced, however long it takes."""
        return self._books.costing.day(self._row.at / 1_000_000)

    def _end(
        self,
        outcome: BookedOutcome,
        charge: Charge,
        *,
        reply: Reply | None,
        error: SwitchgearError | None = None,
        first_token: float | None = None,
    ) -> None:
        if self.charge is not None:
            return
        self.charge = charge
        books, reserved = self._books, self._reserved
        holding = reserved.holding if reserved is not None else None
        used = 0
        if reserved is not None and holding is not None:
            bound = charge.bound if charge.bound is not None else reserved.worst.amount
            used = books.budgets.spend(holding, nano(bound))
        latency = books.clock.monotonic() - self._began
        row = msgspec.structs.replace(
            self._row,
            outcome=outcome,
            answered_model=charge.answered_model,
            status=error.status if error is not None else None,
            error=type(error).__name__ if error is not None else None,
            code=error.code if error is not None else None,
            request_id=_request_id(reply, error),
            usage=charge.usage,
            tier=charge.tier,
            region=charge.region,
            cost=charge.cost,
            bound=charge.bound,
            price=charge.price,
            latency=int(latency * 1_000_000),
            first_token=None if first_token is None else int(first_token * 1_000_000),
            reserved=used,
        )
        self._waiting = books.ledger.end(row)
        position = books.ledger.position
        books.budgets.settled(row, position)
        if holding is not None:
            books.budgets.journalled(holding, used, position)
        books.closed()
        if books.hooks is not None:
            books.hooks.ended(row, reply, error)


class Unbooked(Booking):
    """What is no attempt at an answer: it costs nothing and leaves no row."""

    __slots__ = ()

    def __init__(self) -> None:
        self._reserved = None
        self._waiting = None
        self.charge = _NOTHING
        self.heard = None

    def failed(self, error: SwitchgearError) -> None:
        """Nothing to be written down."""


def _was_not_run(error: SwitchgearError) -> bool:
    """Whether no model can have seen the request."""
    if error.status is not None:
        return error.status in _NOT_RUN
    if isinstance(error, ProviderError) and error.unsent:
        return True
    if isinstance(error, InvalidRequestError):
        # Refused here, unless a vendor put it into an answer with a status of 200.
        return error.request_id is None and error.code is None
    return isinstance(error, ConfigError | LifecycleError | AuthenticationError)


def _request_id(reply: Reply | None, error: SwitchgearError | None) -> str | None:
    if reply is not None and reply.meta.request_id:
        return reply.meta.request_id
    return error.request_id if error is not None else None
