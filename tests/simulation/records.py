"""What the world saw: requests on the wire, attempts at providers, calls."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from switchgear.completion import StreamEvent
from switchgear.testing.answers import Answer

from .scenario import CallPlan

__all__ = ["Attempt", "CallRecord", "Exchange", "Violation"]


class Violation(AssertionError):  # noqa: N818 - what it is called in the field
    """An invariant does not hold."""

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant = invariant


class Exchange(msgspec.Struct, kw_only=True, eq=False):
    """One request at a vendor: the truth about one attempt.

    Attributes:
        said: The answer that the vendor began to give; ``None`` where it gave none.
        streamed: It was asked for as a stream.
        errors: The classes of our errors that its failure may become; empty where it does not fail.
        status: The HTTP status of its failure.
        retry_after: Seconds that the failure asked for, where it did so in a form that counts.
        retry_at: The same as a moment, seconds from the start, where it was said as a date.
        sent: Bytes of the body that have left the vendor.
        complete_from: From so many bytes on the answer is complete as far as anybody can tell.
        whole: Everything was sent and the body ended in order.
        closed: The connection has been let go.
        timed_out: The socket's own timeout ended it.
        dropped: The client was closed under it.
    """

    number: int
    provider: str
    model: str
    behaviour: str
    request_id: str
    streamed: bool = False
    said: Answer | None = None
    errors: frozenset[str] = frozenset()
    status: int | None = None
    retry_after: float | None = None
    sent: int = 0
    complete_from: int = 0
    whole: bool = False
    retry_at: float | None = None
    closed: bool = False
    timed_out: bool = False
    dropped: bool = False


class Attempt(msgspec.Struct, kw_only=True, eq=False):
    """One attempt of the router at a provider, as seen between the two.

    Attributes:
        outcome: ``running``, ``open`` (a stream that is being read), then how it ended.
        replied: What the provider returned.
        exchange: What the vendor did, where the attempt reached one.
        events: The deltas that the router took.
        finished: The stream said that it was complete.
    """

    number: int
    candidate: str
    streamed: bool
    began: float
    timeout: float
    outcome: Literal["running", "open", "replied", "raised", "cancelled", "closed"] = "running"
    ended: float | None = None
    error: BaseException | None = None
    replied: Any = None
    exchange: Exchange | None = None
    events: list[StreamEvent] = msgspec.field(default_factory=list)
    finished: bool = False


class CallRecord(msgspec.Struct, kw_only=True, eq=False):
    """One call as its caller saw it.

    Attributes:
        began: When the router was called; ``None`` before.
        deadline: When its timeout is over.
        due: When what the caller waits for just now must have come.
        ends: How often it has ended.
        outcome: How: ``reply``, ``left`` (its reader left the stream), ``raised``, ``cancelled``.
        result: The completion, also of a stream that broke; the vectors; the count.
        events: The deltas that the caller got.
        cancelled_at: When its caller was cancelled.
        router_closed: The router was closed before the call was over.
    """

    plan: CallPlan
    began: float | None = None
    deadline: float = 0.0
    due: float | None = None
    ended: float | None = None
    ends: int = 0
    outcome: Literal["", "reply", "left", "raised", "cancelled"] = ""
    result: Any = None
    error: BaseException | None = None
    events: list[StreamEvent] = msgspec.field(default_factory=list)
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    cancelled_at: float | None = None
    router_closed: bool = False

    @property
    def number(self) -> int:
        return self.plan.number

    @property
    def active(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.outcome in {"running", "open"}]

    @property
    def answering(self) -> Attempt:
        """The attempt whose answer the caller got, or part of it; else the last one."""
        request_id = getattr(self.result, "request_id", None)
        for attempt in self.attempts:
            if attempt.exchange is not None and attempt.exchange.request_id == request_id:
                return attempt
        return self.attempts[-1]
