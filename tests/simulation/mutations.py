"""Deliberate bugs. A simulation that does not find them proves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from switchgear import ServerError
from switchgear.accounting.budgets.slices import Slices
from switchgear.completion import Usage
from switchgear.providers import faults
from switchgear.providers.stream import DecodedStream
from switchgear.providers.wire import SdkWire
from switchgear.routing import call as routing_call
from switchgear.routing.account import Account
from switchgear.routing.attempts import Attempts
from switchgear.routing.booking import Booking
from switchgear.routing.breaker import Breaker, Permit
from switchgear.routing.call import RoutedCall
from switchgear.routing.costing import Chat
from switchgear.routing.deadline import Deadline
from switchgear.routing.failover import Failover
from switchgear.routing.gates import Entry
from switchgear.routing.recorder import Recorder
from switchgear.routing.repeats import Repeats
from switchgear.routing.retry_budget import RetryBudget
from switchgear.routing.settle import Settler
from switchgear.routing.streaming import CompletionStream

__all__ = ["MUTATIONS", "Mutation"]


class Mutation(msgspec.Struct, frozen=True):
    """A bug, and the invariant that must find it."""

    plant: Callable[[pytest.MonkeyPatch], None]
    found_by: str


def _forget_to_close(patch: pytest.MonkeyPatch) -> None:
    """A stream that is cancelled or fails while it is being opened is not closed."""

    async def let_go(source: object) -> None:
        del source

    patch.setattr(routing_call, "let_go", let_go)


def _take_cut_for_whole(patch: pytest.MonkeyPatch) -> None:
    """A body that merely stops counts as an end."""
    patch.setattr(DecodedStream, "finished", property(lambda self: True))
    patch.setattr(DecodedStream, "_cut", lambda self: StopAsyncIteration())


def _ignore_the_deadline(patch: pytest.MonkeyPatch) -> None:
    made = Deadline.__init__

    def endless(self: Deadline, timeout: float, *others: Any) -> None:
        made(self, 1e6, *others)

    patch.setattr(Deadline, "__init__", endless)


def _retry_once_more(patch: pytest.MonkeyPatch) -> None:
    real = Repeats.__init__

    def init(self: Any, most: int, *args: Any) -> None:
        real(self, most + 1, *args)

    patch.setattr(Repeats, "__init__", init)


def _turn_the_chain_round(patch: pytest.MonkeyPatch) -> None:
    real = Failover.__init__

    def init(self: Any, plan: Any, *args: Any, **settings: Any) -> None:
        real(self, plan[::-1], *args, **settings)

    patch.setattr(Failover, "__init__", init)


def _deliver_twice(patch: pytest.MonkeyPatch) -> None:
    """Every fifth delta comes again."""
    real = CompletionStream.__anext__

    async def again(self: Any) -> Any:
        events: list[Any] = self.__dict__.setdefault("given", [])
        if len(events) % 5 == 4:
            events.append(events[-1])
        else:
            events.append(await real(self))
        return events[-1]

    patch.setattr(CompletionStream, "__anext__", again)


def _lose_a_delta(patch: pytest.MonkeyPatch) -> None:
    """The delta with which a stream was opened is not handed on."""
    real = CompletionStream.__aenter__

    async def enter(self: Any) -> Any:
        entered = await real(self)
        next(self._ready, None)
        return entered

    patch.setattr(CompletionStream, "__aenter__", enter)


def _drop_from_the_trace(patch: pytest.MonkeyPatch) -> None:
    """First repeats are not written down."""
    real = Recorder.fail

    def fail(self: Any, turn: Any, error: Any) -> None:
        if turn.repeat != 1:
            real(self, turn, error)

    patch.setattr(Recorder, "fail", fail)


def _around_attempts(patch: pytest.MonkeyPatch, before: Callable[[], None]) -> None:
    real = Attempts.make

    async def make(self: Any, *args: Any) -> Any:
        before()
        return await real(self, *args)

    patch.setattr(Attempts, "make", make)


def _leave_a_task(patch: pytest.MonkeyPatch) -> None:
    tasks: list[Any] = []

    def spawn() -> None:
        tasks.append(asyncio.ensure_future(asyncio.sleep(30)))

    _around_attempts(patch, spawn)


def _leave_a_timer(patch: pytest.MonkeyPatch) -> None:
    _around_attempts(patch, lambda: _later(10_000.0))


def _later(seconds: float) -> None:
    asyncio.get_running_loop().call_later(seconds, list)


def _swallow_cancellation(patch: pytest.MonkeyPatch) -> None:
    real = Attempts.make

    async def make(self: Any, *args: Any) -> Any:
        try:
            return await real(self, *args)
        except asyncio.CancelledError:
            raise ServerError("cancelled") from None

    patch.setattr(Attempts, "make", make)


def _forget_retry_after(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(faults, "retry_after", lambda headers, now: None)


def _let_foreign_errors_out(patch: pytest.MonkeyPatch) -> None:
    """The transport's own exceptions leave the adapter."""
    patch.setattr(SdkWire, "_error", lambda self, exc, request: exc)


def _mistake_every_status(patch: pytest.MonkeyPatch) -> None:
    def error(status: int, *args: Any, **fields: Any) -> ServerError:
        return ServerError("no", status=status)

    patch.setattr(faults, "response_error", error)


def _answer_with_another_call(patch: pytest.MonkeyPatch) -> None:
    """Every third answer is the one before."""
    real = RoutedCall._complete_once
    answers: list[Any] = []

    async def complete(self: Any, turn: Any) -> Any:
        answers.append(await real(self, turn))
        return answers[-2] if len(answers) % 3 == 0 else answers[-1]

    patch.setattr(RoutedCall, "_complete_once", complete)


def _lose_the_usage(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Chat, "usage", lambda *args, **settings: Usage(estimated=True))


def _pass_every_breaker(patch: pytest.MonkeyPatch) -> None:
    """Open circuits and half-open ones let everybody through."""

    def decide(self: Any, now: float, *, insist: bool) -> Permit:
        return Permit(self, self._generation)

    patch.setattr(Breaker, "_decide", decide)


def _keep_the_place(patch: pytest.MonkeyPatch) -> None:
    """Who is cancelled does not give back what it holds."""
    patch.setattr(Entry, "left", lambda self, usage=None: None)


def _repeat_without_end(patch: pytest.MonkeyPatch) -> None:
    """Only ``num_retries`` bounds what a failing candidate gets."""
    patch.setattr(RetryBudget, "_allowed", lambda self, now: True)


def _forget_the_cancelled(patch: pytest.MonkeyPatch) -> None:
    """Who is cancelled leaves no row, and its reservation stays."""
    patch.setattr(Booking, "cancelled", lambda self: None)


def _drop_the_failed(patch: pytest.MonkeyPatch) -> None:
    """What failed is taken for what was never sent."""
    patch.setattr(Booking, "failed", lambda self, error: self.never_sent())


def _count_too_little(patch: pytest.MonkeyPatch) -> None:
    """Where no final count came, the estimate is taken for the most that it can have cost."""
    patch.setattr(Booking, "_most", lambda self: 0)


def _reserve_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Account, "_wanted", lambda *args: None)


def _look_without_reserving(patch: pytest.MonkeyPatch) -> None:
    """Budgets are looked at and nothing is set aside: the classic of overspending."""
    real = Slices.hold

    def hold(self: Any, keys: Any, amount: int) -> Any:
        found = real(self, keys, amount)
        if found is not None:
            self.release(found)
        return found

    patch.setattr(Slices, "hold", hold)


def _spend_twice(patch: pytest.MonkeyPatch) -> None:
    """The caller is told another cost than is booked."""
    real = Settler.completion

    def completion(self: Any, *args: Any, **settings: Any) -> Any:
        found = real(self, *args, **settings)
        return msgspec.structs.replace(found, cost=found.cost and found.cost * 2)

    patch.setattr(Settler, "completion", completion)


MUTATIONS: dict[str, Mutation] = {
    "a stream is not closed when its opening fails": Mutation(_forget_to_close, "NothingLeft"),
    "a cut stream counts as whole": Mutation(_take_cut_for_whole, "RepliesAreWhole"),
    "the deadline is ignored": Mutation(_ignore_the_deadline, "EndsOnce"),
    "one retry too many": Mutation(_retry_once_more, "RetriesAreBounded"),
    "the chain is walked backwards": Mutation(_turn_the_chain_round, "RetriesAreBounded"),
    "every circuit lets everybody through": Mutation(_pass_every_breaker, "BreakerHolds"),
    "a place at the gates is kept": Mutation(_keep_the_place, "NothingLeft"),
    "repeats have no budget": Mutation(_repeat_without_end, "RetryBudgetHolds"),
    "retry-after is forgotten": Mutation(_forget_retry_after, "ErrorsAreMapped"),
    "a delta is delivered twice": Mutation(_deliver_twice, "RepliesAreWhole"),
    "a delta is lost": Mutation(_lose_a_delta, "RepliesAreWhole"),
    "an attempt is not in the trace": Mutation(_drop_from_the_trace, "TraceTellsTheTruth"),
    "a cancellation is swallowed": Mutation(_swallow_cancellation, "EndsOnce"),
    "a task is left behind": Mutation(_leave_a_task, "NothingLeft"),
    "a timer is left behind": Mutation(_leave_a_timer, "NothingLeft"),
    "a transport's error leaves the adapter": Mutation(_let_foreign_errors_out, "ErrorsAreMapped"),
    "every refusal is a server error": Mutation(_mistake_every_status, "ErrorsAreMapped"),
    "the answer is another call's": Mutation(_answer_with_another_call, "RepliesAreWhole"),
    "the usage is lost": Mutation(_lose_the_usage, "RepliesAreWhole"),
    "who is cancelled is not booked": Mutation(_forget_the_cancelled, "BooksBalance"),
    "what failed is not booked": Mutation(_drop_the_failed, "BooksBalance"),
    "an estimate bounds what it estimates": Mutation(_count_too_little, "BooksBalance"),
    "nothing is reserved": Mutation(_reserve_nothing, "BooksBalance"),
    "budgets are only looked at": Mutation(_look_without_reserving, "BooksBalance"),
    "the caller is told another cost": Mutation(_spend_twice, "BooksBalance"),
}
