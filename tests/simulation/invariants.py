"""What must hold, whatever happens. Each is told of every event that concerns it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from switchgear import (
    DeadlineExceededError,
    LifecycleError,
    StreamInterruptedError,
    SwitchgearError,
)
from switchgear.accounting.budgets.keys import party_of
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.money import usd
from switchgear.decision import Step, Trace
from switchgear.testing.answers import TokenUsage

from .records import Attempt, CallRecord, Exchange

if TYPE_CHECKING:
    from .world import World

__all__ = ["INVARIANTS", "TOLERANCE", "Invariant", "stubborn"]

TOLERANCE = 0.05
"""Seconds by which anything may be late."""

_EXACT = 1e-6
_EARLY = 0.006
"""With less than this left, seconds, an attempt is not worth beginning."""

_SHARED = {"Ledger._open", "Pump._run", "_quietly"}
"""Tasks of the router's that whichever call needs them first begins for all."""

_BEFORE_SENDING = {
    "UnsupportedParameterError",
    "InvalidRequestError",
    "ContextWindowExceededError",
    "LifecycleError",
}


class Invariant:
    """One promise. Override what concerns it."""

    def __init__(self, world: World) -> None:
        self.world = world

    def attempt(self, record: CallRecord, attempt: Attempt) -> None:
        """An attempt begins; it is not among the call's attempts yet."""

    def attempt_over(self, attempt: Attempt) -> None:
        """An attempt has ended."""

    def call_over(self, record: CallRecord) -> None:
        """A call has ended."""

    def finish(self) -> None:
        """All calls are over and the router is closed."""

    def violate(self, message: str) -> None:
        """It does not hold."""
        self.world.violate(type(self).__name__, message)


class EndsOnce(Invariant):
    """A call ends once, no sooner than it may and with nothing of it going on.

    That it does not end too late is looked at after every event, by the world.
    """

    def attempt(self, record: CallRecord, attempt: Attempt) -> None:
        now = self.world.loop.time()
        if record.ended is not None:
            self.violate(f"call {record.number}: an attempt after its end")
        if self.world.closing:
            self.violate(f"call {record.number}: an attempt after the router was closed")
        forgiven = stubborn(record) and not self.world.features.swallowed_cancellations
        if record.cancelled_at is not None and not forgiven:
            self.violate(f"call {record.number}: an attempt after its caller was cancelled")
        least = 0.0 if self.world.features.time_left else -_EARLY
        if attempt.timeout <= least:
            self.violate(f"call {record.number}: an attempt with {attempt.timeout} s left")
        if now + attempt.timeout > record.deadline + _EXACT:
            self.violate(f"call {record.number}: an attempt may last beyond the deadline")
        if len(record.active) > self.world.hedges(record):
            self.violate(f"call {record.number}: too many attempts at once")

    def call_over(self, record: CallRecord) -> None:
        now = self.world.loop.time()
        if record.ends != 1:
            self.violate(f"call {record.number} ended {record.ends} times")
        if record.active:
            self.violate(f"call {record.number}: over, and an attempt goes on")
        if isinstance(record.error, DeadlineExceededError) and now < record.deadline - _EARLY:
            self.violate(f"call {record.number}: its deadline is not over yet")
        if record.outcome == "cancelled" and record.cancelled_at is None:
            self.violate(f"call {record.number}: cancelled, but not by its caller")
        if (
            record.cancelled_at is not None
            and record.outcome != "cancelled"
            and not stubborn(record)
        ):
            self.violate(f"call {record.number}: its cancellation was swallowed")


class NothingLeft(Invariant):
    """No connection, task, timer, stream or reservation outlives its call or its router."""

    def call_over(self, record: CallRecord) -> None:
        for exchange in self.world.open:
            # A router that is being closed may still be about it; see ``finish``.
            if exchange.number == record.number and not self.world.closing:
                self.violate(f"call {record.number}: its connection is still open")
        own = asyncio.current_task()
        for task, owner in self.world.tasks.items():
            # One that ended in this very turn of the loop is over, though not struck off yet.
            over = task.done() or task is own or _finaliser(task) or _work(task) in _SHARED
            if owner == record.number and not over:
                self.violate(f"call {record.number}: left a task: {_work(task)}")
        # Each call that is under way holds one place at most, and one for its hedge.
        calls = [one for one in self.world.calls if one.began is not None and one.ended is None]
        held = self.world.features.held(self.world.router)
        if held > sum(1 + self.world.hedges(one) for one in calls):
            self.violate(f"{held} places are held for the {len(calls)} calls that are under way")

    def finish(self) -> None:
        world = self.world
        for exchange in world.open:
            self.violate(f"call {exchange.number}: a connection outlives the router")
        tasks = sorted(_work(task) for task in world.tasks if task is not world.main_task)
        if tasks:
            self.violate(f"tasks outlive the router: {', '.join(tasks)}")
        timers = world.loop.timers()
        if timers:
            self.violate(f"{len(timers)} timers outlive the router: {timers[0]}")
        if getattr(world.router, "_streams", None):
            self.violate("the router still knows streams")
        held = world.features.held(world.router)
        if held:
            self.violate(f"{held} reservations outlive their calls")


class OnlyOurErrors(Invariant):
    """Whatever goes wrong at a provider, the caller gets one of our errors, with its trace."""

    def call_over(self, record: CallRecord) -> None:
        error = record.error
        if record.outcome != "raised":
            return
        if not isinstance(error, SwitchgearError):
            self.violate(f"call {record.number} raised {error!r}")
        elif record.attempts and error.trace is None and not isinstance(error, LifecycleError):
            self.violate(f"call {record.number}: {type(error).__name__} without a trace")


class ErrorsAreMapped(Invariant):
    """A vendor's failure becomes the right error, with its status, id and retry-after."""

    def attempt_over(self, attempt: Attempt) -> None:
        error, exchange = attempt.error, attempt.exchange
        if attempt.outcome != "raised" or attempt.candidate.startswith("rogue"):
            return
        name = type(error).__name__
        where = f"{attempt.candidate}: {error!r}"
        if not isinstance(error, SwitchgearError):
            self.violate(f"{where} left an adapter")
            return
        if exchange is None:
            if name not in _BEFORE_SENDING and not self.world.closing:
                self.violate(f"{where}, and nothing was sent")
            return
        if exchange.dropped:
            expected = {"ProviderConnectionError", "LifecycleError"}
        elif exchange.timed_out:
            expected = {"ProviderTimeoutError"}
        else:
            expected = set(exchange.errors)
        if name not in expected:
            self.violate(f"{where}: should be {sorted(expected)} after {exchange.behaviour}")
        elif not (exchange.dropped or exchange.timed_out):
            self._details(attempt, error)

    def _details(self, attempt: Attempt, error: SwitchgearError) -> None:
        exchange = attempt.exchange
        assert exchange is not None
        if error.status != exchange.status:
            self.violate(f"{attempt.candidate}: status {error.status}, not {exchange.status}")
        if exchange.status is not None and error.request_id != exchange.request_id:
            self.violate(f"{attempt.candidate}: request {error.request_id}")
        said, heard = exchange.retry_after, error.retry_after
        if exchange.retry_at is not None:
            said = exchange.retry_at - self.world.now()
        if (said is None) != (heard is None) or abs((said or 0) - (heard or 0)) > 0.001:
            self.violate(f"{attempt.candidate}: retry after {heard}, not {said}")


class RepliesAreWhole(Invariant):
    """The caller gets exactly what the vendor meant to say, or is told that it does not."""

    def call_over(self, record: CallRecord) -> None:
        if record.plan.kind == "embed":
            self._vectors(record)
        elif record.plan.kind == "complete" and record.outcome == "reply":
            self._complete(record)
        elif record.plan.kind == "stream" and record.attempts:
            self._stream(record)

    def _vectors(self, record: CallRecord) -> None:
        if record.outcome != "reply":
            return
        exchange = record.answering.exchange
        assert exchange is not None
        if exchange.said is None or record.result.vectors != exchange.said.embeddings:
            self.violate(f"call {record.number}: other vectors than were sent")

    def _complete(self, record: CallRecord) -> None:
        exchange = record.answering.exchange
        if exchange is None or not exchange.whole:
            self.violate(f"call {record.number}: an answer that was never given in full")
            return
        self._same(record)

    def _stream(self, record: CallRecord) -> None:
        attempt, given = record.answering, record.events
        if given != attempt.events[: len(given)]:
            self.violate(f"call {record.number}: deltas in another order than the provider's")
        if record.outcome == "reply":
            if given != attempt.events:
                self.violate(f"call {record.number}: deltas were lost")
            if not _complete(attempt):
                self.violate(f"call {record.number}: a cut stream looks finished")
            else:
                self._same(record)
        elif isinstance(record.error, StreamInterruptedError):
            self._interrupted(record, attempt)
        if record.result is not None:
            self._part(record, attempt)

    def _interrupted(self, record: CallRecord, attempt: Attempt) -> None:
        error = record.error
        assert isinstance(error, StreamInterruptedError)
        if record.events != attempt.events:
            self.violate(f"call {record.number}: deltas before the error were lost")
        if attempt.finished and self.world.features.whole_is_whole:
            self.violate(f"call {record.number}: a finished stream is reported as cut")
        if error.completion is None or error.completion is not record.result:
            self.violate(f"call {record.number}: the part that arrived is not on the error")

    def _part(self, record: CallRecord, attempt: Attempt) -> None:
        """What the completion of any stream holds, however it ended."""
        result = record.result
        text = "".join(event.text for event in record.events)
        if not (result.text.startswith(text) and _text(attempt.exchange).startswith(result.text)):
            self.violate(f"call {record.number}: its text is not the vendor's")
        if not (record.outcome == "reply" or attempt.finished or result.finish_reason == "error"):
            self.violate(f"call {record.number}: what came of a cut stream looks finished")

    def _same(self, record: CallRecord) -> None:
        number, result = record.number, record.result
        exchange = record.answering.exchange
        assert exchange is not None
        said = exchange.said
        if said is None:
            self.violate(f"call {number}: an answer where there was none")
            return
        if result.text != _text(exchange):
            self.violate(f"call {number}: the text {result.text!r} is not {said.text!r}")
        calls = [(call.id, call.name, call.arguments) for call in result.tool_calls]
        if calls != [(call.id, call.name, call.arguments_text()) for call in said.tool_calls]:
            self.violate(f"call {number}: the tool calls {calls} are not {said.tool_calls}")
        if record.plan.kind == "stream" and "".join(e.text for e in record.events) != result.text:
            self.violate(f"call {number}: the deltas do not make up the text")
        finish = {"content_filter", "refusal"} if said.stop_reason else {"stop", "tool_calls"}
        if result.finish_reason not in finish:
            self.violate(f"call {number}: finish_reason {result.finish_reason}")
        if (result.request_id, result.id) != (exchange.request_id, said.id):
            self.violate(f"call {number}: the ids of another answer")
        self._usage(record, exchange)

    def _usage(self, record: CallRecord, exchange: Exchange) -> None:
        usage, sent = record.result.usage, exchange.said.usage if exchange.said else None
        counted = TokenUsage(
            input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, reasoning_tokens=0
        )
        if usage.estimated and sent is not None and exchange.whole:
            self.violate(f"call {record.number}: the usage that was sent is not used")
        elif not usage.estimated and counted != sent:
            self.violate(f"call {record.number}: usage {counted}, not {sent}")


class TraceTellsTheTruth(Invariant):
    """Every attempt is in the trace once, in order, with what became of it."""

    def call_over(self, record: CallRecord) -> None:
        trace = _trace(record)
        if trace is None:
            return
        # A provider that makes no embeddings is not asked, though it has a step.
        steps = [step for step in trace.attempts if step.error != "UnsupportedParameterError"]
        attempts = [one for one in record.attempts if _name(one) != "UnsupportedParameterError"]
        if self.world.hedges(record):
            # What went on side by side is written down as it ended.
            steps.sort(key=lambda step: (round(step.started, 6), step.candidate))
            began = record.began or 0.0
            attempts.sort(key=lambda one: (round(one.began - began, 6), one.candidate))
        names = [step.candidate for step in steps]
        if names != [attempt.candidate for attempt in attempts]:
            tried = [attempt.candidate for attempt in attempts]
            self.violate(f"call {record.number}: the trace says {names}, tried were {tried}")
            return
        for step, attempt in zip(steps, attempts, strict=True):
            outcomes, errors = _expected(record, attempt, last=attempt is record.answering)
            if self.world.hedges(record):
                # Outrun, even where it had an answer in the same moment.
                outcomes |= {"cancelled", "answered"}
            if step.outcome not in outcomes or (step.error and step.error not in errors):
                told = f"{step.outcome} {step.error}"
                self.violate(
                    f"call {record.number}: attempt {attempt.number} is told as {told}, "
                    f"expected {sorted(outcomes)} {sorted(errors)}"
                )
            began = attempt.began - (record.began or 0.0)
            if abs(step.started - began) > _EXACT:
                self.violate(f"call {record.number}: attempt {attempt.number} began at {began}")
            exchange = attempt.exchange
            if step.request_id and exchange and step.request_id != exchange.request_id:
                self.violate(f"call {record.number}: the request id of another attempt")


class RetriesAreBounded(Invariant):
    """``num_retries`` bounds each call, a retry-after is kept, and the chain keeps its order."""

    def attempt(self, record: CallRecord, attempt: Attempt) -> None:
        world = self.world
        before = [one for one in record.attempts if one.candidate == attempt.candidate]
        repeats = len(record.attempts) + 1 - len({one.candidate for one in record.attempts})
        repeats -= not before
        if repeats > world.config.retry.num_retries and world.features.second_visits:
            self.violate(f"call {record.number}: more repeats than num_retries")
        if before and before[-1].ended is not None:
            wait = getattr(before[-1].error, "retry_after", None) or 0.0
            if world.loop.time() < before[-1].ended + wait - _EXACT:
                self.violate(f"call {record.number}: back before its retry-after of {wait} s")

    def call_over(self, record: CallRecord) -> None:
        trace = _trace(record)
        group = self.world.config.groups.get(record.plan.target)
        if trace is None:
            return
        if sum(step.repeat > 0 for step in trace.steps) > self.world.config.retry.num_retries:
            self.violate(f"call {record.number}: more repeats than num_retries")
        if group is None:
            asked = record.plan.target.replace(":", "/", 1)
            others = {one.candidate for one in record.attempts} - {asked}
            if others:
                self.violate(f"call {record.number}: {others} were not asked for")
            return
        levels = {str(c): level for level, p in enumerate(group.chain) for c in p.candidates}
        reached, refused = 0, set()
        hedges = self.world.hedges(record)
        for step in trace.steps:
            level = levels[step.candidate]
            if step.outcome == "skipped":
                refused.add(step.candidate)
            elif level < reached and step.candidate not in refused and not hedges:
                # Only where there was no room before may a call come back to it.
                self.violate(f"call {record.number}: back to the earlier {step.candidate}")
            reached = max(reached, level)


class RetryBudgetHolds(Invariant):
    """Attempts on a candidate ≤ 1.2 × the calls that reach it + 10, over any 60 s."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._seen: dict[str, deque[tuple[float, bool]]] = {}

    def attempt(self, record: CallRecord, attempt: Attempt) -> None:
        if not self.world.features.retry_budget:
            return
        now = self.world.loop.time()
        first = all(one.candidate != attempt.candidate for one in record.attempts)
        seen = self._seen.setdefault(attempt.candidate, deque())
        seen.append((now, first))
        while seen[0][0] < now - 60:
            seen.popleft()
        calls = sum(fresh for _, fresh in seen)
        if len(seen) > 1.2 * calls + 10:
            self.violate(f"{attempt.candidate}: {len(seen)} attempts for {calls} calls in 60 s")


class BreakerHolds(Invariant):
    """Nothing is sent to a candidate whose breaker is open, beyond its probes."""

    def attempt(self, record: CallRecord, attempt: Attempt) -> None:
        circuit = self.world.features.circuit(self.world.router, attempt.candidate)
        if circuit is None:
            return
        oldest = max(circuit.since, self.world.loop.time() - circuit.forgets_after)
        probes = sum(
            one.candidate == attempt.candidate and one.began > oldest - _EXACT
            for other in self.world.calls
            for one in other.active
        )
        if probes >= circuit.probes:
            self.violate(f"{attempt.candidate}: an attempt through an open breaker")


class BooksBalance(Invariant):
    """Every attempt has one row, which says what the trace and the caller were told.

    Nothing stays set aside, and what hard budgets count stays within their limits.
    """

    def finish(self) -> None:
        world = self.world
        left = world.features.unsettled(world.router)
        if left:
            self.violate(f"left in the books: {left}")
        for record in world.calls:
            self._call(record, world.booked.get(str(record.number), []))
        self._budgets([row for rows in world.booked.values() for row in rows])

    def _call(self, record: CallRecord, rows: list[Row]) -> None:
        attempts = [] if record.plan.kind == "count" else record.attempts
        tried = sorted(attempt.candidate for attempt in attempts)
        booked = sorted(f"{row.provider}/{row.model}" for row in rows)
        if booked != tried:
            self.violate(f"call {record.number}: booked are {booked}, tried were {tried}")
            return
        if len({row.call_id for row in rows}) > 1 or len({row.id for row in rows}) < len(rows):
            self.violate(f"call {record.number}: its rows have the ids of others")
        rules = self.world.router._budgets.rules
        for row in rows:
            hard = rules.applying(party_of(row), row.at / 1_000_000, hard=True)
            if set(row.budgets) != {each.key for each in hard}:
                self.violate(f"call {record.number}: set aside from {row.budgets}, not {hard}")
            if row.cost is None or row.bound is None or not 0 <= row.cost <= row.bound:
                self.violate(f"call {record.number}: cost {row.cost}, bound {row.bound}")
        trace = _trace(record)
        if trace is not None:
            told = sorted(_told(step) for step in trace.attempts)
            amounts = sorted(_amounts(row) for row in rows)
            if told != amounts:
                self.violate(f"call {record.number}: the trace says {told}, booked are {amounts}")
        self._result(record, rows)

    def _result(self, record: CallRecord, rows: list[Row]) -> None:
        result = record.result
        if result is None or record.plan.kind == "count":
            return
        costs = [usd(row.cost or 0) for row in rows if row.usage == result.usage]
        if result.cost not in costs:
            self.violate(f"call {record.number}: it cost {result.cost}, booked are {costs}")

    def _budgets(self, rows: list[Row]) -> None:
        counted: dict[str, int] = {}
        for row in rows:
            for key in row.budgets:
                counted[key] = counted.get(key, 0) + row.reserved
            final = row.usage is not None and not row.usage.estimated
            most = row.cost if final else max(self.world.begun[row.id].bound or 0, row.cost or 0)
            if row.budgets and row.bound != most:
                self.violate(f"{row.provider}: bound {row.bound}, where it can have cost {most}")
        for applied, spent in self._limits(counted):
            if spent > applied:
                self.violate(f"{spent} of a hard budget of {applied} are spent")

    def _limits(self, counted: dict[str, int]) -> Iterator[tuple[int, int]]:
        rules = self.world.router._budgets.rules
        for key, spent in counted.items():
            hard = [each for each in rules.of_counter(key) if each.rule.hard]
            if not hard:
                self.violate(f"{key} is no hard budget's")
            yield from ((each.limit, spent) for each in hard)


def _told(step: Step) -> tuple[str, str, Decimal, Decimal]:
    return step.candidate, step.outcome, step.cost or Decimal(0), step.bound or Decimal(0)


def _amounts(row: Row) -> tuple[str, str, Decimal, Decimal]:
    candidate = f"{row.provider}/{row.model}"
    return candidate, row.outcome, usd(row.cost or 0), usd(row.bound or 0)


INVARIANTS: tuple[type[Invariant], ...] = (
    EndsOnce,
    NothingLeft,
    OnlyOurErrors,
    ErrorsAreMapped,
    RepliesAreWhole,
    TraceTellsTheTruth,
    RetriesAreBounded,
    RetryBudgetHolds,
    BreakerHolds,
    BooksBalance,
)


def stubborn(record: CallRecord) -> bool:
    """A rogue plugin that ignores cancellations has had its hand in it."""
    return any(
        attempt.exchange is not None
        and attempt.exchange.behaviour in {"lingers", "late", "late_error"}
        for attempt in record.attempts
    )


def _finaliser(task: asyncio.Task[object]) -> bool:
    """The loop's own way of closing an async generator that somebody dropped."""
    return "async_generator" in type(task.get_coro()).__name__


def _work(task: asyncio.Task[object]) -> str:
    """What it does; its name is a number that counts all tasks of the process."""
    coro = task.get_coro()
    return getattr(coro, "__qualname__", None) or type(coro).__name__


def _complete(attempt: Attempt) -> bool:
    exchange = attempt.exchange
    if exchange is None:
        return False
    return exchange.whole or (attempt.finished and exchange.sent >= exchange.complete_from > 0)


def _trace(record: CallRecord) -> Trace | None:
    """The call's decision record, where there is one; counting tokens leaves none."""
    if record.plan.kind == "count":
        return None
    trace: Trace | None = getattr(record.error, "trace", None)
    return trace or getattr(record.result, "trace", None)


def _name(attempt: Attempt) -> str:
    return type(attempt.error).__name__


def _text(exchange: Exchange | None) -> str:
    said = exchange.said if exchange is not None else None
    return (said.text if said is not None else None) or ""


def _expected(record: CallRecord, attempt: Attempt, *, last: bool) -> tuple[set[str], set[str]]:
    """What the trace may say of an attempt, and the classes of its error."""
    if last and (attempt.events or attempt.finished or record.outcome == "reply"):
        if record.outcome == "reply":
            return {"answered"}, set()
        if record.outcome in {"left", "cancelled"} or isinstance(record.error, LifecycleError):
            return {"cancelled"}, set()
        if isinstance(record.error, StreamInterruptedError):
            return {"interrupted"}, set()
        if attempt.streamed and attempt.finished:
            return {"answered"}, set()  # whole, but not of the form that was asked for
    error = attempt.error
    if isinstance(error, SwitchgearError):
        return {"failed"}, {type(error).__name__}
    if attempt.outcome == "raised":
        return {"failed"}, {"PluginError"}
    if attempt.outcome in {"cancelled", "closed"}:
        return {"failed"}, {"ProviderTimeoutError", "ProviderConnectionError", "PluginError"}
    declined = {"ContentFilterError", "MalformedResponseError", "PluginError"}
    return {"failed"}, {*declined, "ProviderConnectionError"}
