"""The simulated world: the real router, real adapters, and everything around them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from switchgear import Config, Router, SwitchgearError
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.store import Booked, Counted, Store
from switchgear.providers import anthropic, openai_compatible
from switchgear.providers.base import Provider, ProviderSettings
from switchgear.providers.openai_family import bearer
from switchgear.providers.wire import SdkWire
from switchgear.testing.loop_clock import LoopClock

from .client import VendorClient
from .features import Features
from .invariants import TOLERANCE, Invariant, stubborn
from .loop import VirtualLoop
from .records import Attempt, CallRecord, Exchange, Violation
from .rogue import Rogue
from .scenario import ProviderPlan, Scenario
from .vendors import EPOCH, Vendor
from .watched import watched

__all__ = ["World"]

_owner: contextvars.ContextVar[int | None] = contextvars.ContextVar("owner", default=None)


class World:
    """One run of one scenario.

    Args:
        scenario: What is to happen.
        loop: Where.
        features: What the router is expected to have.
        invariants: What must hold.
    """

    def __init__(
        self,
        scenario: Scenario,
        loop: VirtualLoop,
        *,
        features: Features,
        invariants: Sequence[type[Invariant]],
    ) -> None:
        self.scenario = scenario
        self.loop = loop
        self.features = features
        self.calls = [CallRecord(plan=plan) for plan in scenario.calls]
        self.exchanges: list[Exchange] = []
        self.open: dict[Exchange, None] = {}
        self.begun: dict[bytes, Row] = {}
        self.booked: dict[str, list[Row]] = {}
        self.tasks: dict[asyncio.Task[Any], int | None] = {}
        self.closing = False
        self.main_task: asyncio.Task[Any] | None = None
        self.router: Any = None
        self.violation: Violation | None = None
        self.config = Config.from_dict(scenario.config, environ={"WORLD_KEY": "sk-world-0"})
        self._start = loop.time()
        self._log: list[tuple[float, str]] = []
        self._due: dict[CallRecord, float] = {}
        self._next_due = float("inf")
        self._invariants = [invariant(self) for invariant in invariants]
        loop.after_event = self._after_event
        loop.set_task_factory(self._make_task)
        loop.set_exception_handler(self._unhandled)

    # -- what happens ------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds from the start."""
        return self.loop.time() - self._start

    def log(self, text: str) -> None:
        """Write down what happens, up to the first violation: after it all is only tidied up."""
        if self.violation is None:
            self._log.append((self.now(), text))

    def lines(self) -> list[str]:
        """The log so far."""
        return [f"{at:12.6f}  {text}" for at, text in self._log]

    def violate(self, invariant: str, message: str) -> None:
        """An invariant does not hold: the run ends with the event that is under way.

        Not by an exception here and now, since whoever is under test would catch it.
        """
        if self.violation is None:
            self.log(f"VIOLATION {invariant}: {message}")
            self.violation = Violation(invariant, message)

    def attempt_began(
        self, number: int, candidate: str, timeout: float, *, streamed: bool
    ) -> Attempt:
        """The router has turned to a provider."""
        record = self.calls[number]
        attempt = Attempt(
            number=len(record.attempts),
            candidate=candidate,
            streamed=streamed,
            began=self.loop.time(),
            timeout=timeout,
        )
        self.log(f"call {number}: attempt {attempt.number} at {candidate}, {timeout:.6g} s")
        for invariant in self._invariants:
            invariant.attempt(record, attempt)
        record.attempts.append(attempt)
        return attempt

    def attempt_over(
        self,
        attempt: Attempt,
        *,
        error: BaseException | None = None,
        replied: Any = None,
        closed: bool = False,
    ) -> None:
        """An attempt has ended; only the first word about it counts."""
        if attempt.outcome not in {"running", "open"}:
            return
        attempt.ended, attempt.error, attempt.replied = self.loop.time(), error, replied
        if isinstance(error, asyncio.CancelledError):
            attempt.outcome = "cancelled"
        elif error is not None:
            attempt.outcome = "raised"
        else:
            attempt.outcome = "closed" if closed else "replied"
        for invariant in self._invariants:
            invariant.attempt_over(attempt)

    def sent(self, exchange: Exchange) -> None:
        """A request has reached a vendor."""
        self.exchanges.append(exchange)
        self.open[exchange] = None
        record = self.calls[exchange.number]
        self.log(f"call {exchange.number}: {exchange.provider} will: {exchange.behaviour}")
        candidate = f"{exchange.provider}/{exchange.model}"
        active = [attempt for attempt in record.active if attempt.candidate == candidate]
        if not active:
            self.violate("attempts", f"call {exchange.number}: a request of no attempt")
            return
        active[-1].exchange = exchange

    def closed(self, exchange: Exchange) -> None:
        """A connection has been let go."""
        del self.open[exchange]
        self.log(f"call {exchange.number}: {exchange.provider} closed after {exchange.sent} bytes")

    # -- the callers -------------------------------------------------------------------------

    async def main(self) -> None:
        """Everything, from the first call to the last trace of the router."""
        self.main_task = asyncio.current_task()
        self.router = self._make_router()
        callers = [
            self.loop.create_task(self._caller(record), name=f"call-{record.number}")
            for record in self.calls
        ]
        closer = None
        if self.scenario.close_at is not None:
            closer = self.loop.create_task(self._close(self.scenario.close_at), name="closer")
        await asyncio.wait(callers)
        if closer is not None:
            await closer
        await self._close(0.0)
        while self.loop.threads:  # noqa: ASYNC110 - the loop has no event for that
            await asyncio.sleep(0.1)
        # Tasks and futures that nobody looked at complain when they are collected. The youngest
        # generation is what this run has made.
        gc.collect(0)
        # Only what is ready already may still run: no time passes any more.
        for _ in range(20):
            await asyncio.sleep(0)
        for invariant in self._invariants:
            invariant.finish()

    def _make_router(self) -> Router:
        seed = self.scenario.seed
        vendors = [Vendor(plan, seed) for plan in self.scenario.providers]
        router = Router(
            self.config,
            providers={v.plan.name: watched(_provider(v, self), self) for v in vendors},
            clock=LoopClock(EPOCH - self._start),
            draw=random.Random(f"router {seed}"),
        )
        _put_in_order(router)
        _put_in_order(router._lifecycle)
        begin = router._ledger.begin

        def begun(row: Row) -> Awaitable[None] | None:
            self.begun[row.id] = row
            return begin(row)

        vars(router._ledger)["begin"] = begun
        drain = router._ledger._store
        drain._make = partial(self._watched_store, drain._make)
        return router

    def _watched_store(self, make: Callable[[], Store]) -> Store:
        """The ledger's database, every row that is booked into it written down by its call."""
        store = make()
        book = store.book

        def watched(writer: str, upto: int, rows: Sequence[Row], ask: frozenset[Counted]) -> Booked:
            for row in rows:
                self.booked.setdefault(row.tags.get("call", ""), []).append(row)
            return book(writer, upto, rows, ask)

        vars(store)["book"] = watched
        return store

    async def _close(self, after: float) -> None:
        await asyncio.sleep(after)
        self.closing = True
        self.log("the router is closed")
        for record in self.calls:
            record.router_closed = record.router_closed or record.ended is None
        try:
            await self.router.aclose()
        except Exception as exc:  # noqa: BLE001 - told by the invariants
            self.violate("errors", f"closing raised {exc!r}")

    async def _caller(self, record: CallRecord) -> None:
        plan = record.plan
        await asyncio.sleep(plan.at)
        _owner.set(plan.number)
        record.began = self.loop.time()
        record.deadline = record.began + self._timeout(record)
        self.log(f"call {plan.number}: {plan.kind} {plan.target} {json.dumps(plan.options)}")
        scope = asyncio.timeout(plan.cancel_after if plan.scoped else None)
        timers = self._cancellations(record)
        try:
            async with scope:
                await self._perform(record)
        except asyncio.CancelledError as exc:
            record.outcome, record.error = "cancelled", exc
        except TimeoutError as exc:
            if scope.expired() and not isinstance(exc, SwitchgearError):
                record.outcome, record.error = "cancelled", exc
                record.cancelled_at = record.began + (plan.cancel_after or 0.0)
            else:
                record.outcome, record.error = "raised", exc
        except Exception as exc:  # noqa: BLE001 - told by the invariants
            record.outcome, record.error = "raised", exc
        finally:
            for timer in timers:
                timer.cancel()
        self._ended(record)

    def _ended(self, record: CallRecord) -> None:
        self._wait(record, None)
        record.ended = self.loop.time()
        record.ends += 1
        how: str = record.outcome
        if record.error is not None:
            how += f" {type(record.error).__name__}: {record.error}"
        self.log(f"call {record.number}: {how} ({len(record.events)} deltas)")
        for invariant in self._invariants:
            invariant.call_over(record)

    def _cancellations(self, record: CallRecord) -> list[asyncio.TimerHandle]:
        plan, task = record.plan, asyncio.current_task()
        if plan.cancel_after is None or plan.scoped or task is None:
            return []
        moments = [plan.cancel_after]
        once = self.hedges(record) and not self.features.hedges_end
        if plan.cancel_again is not None and not once:
            moments.append(plan.cancel_after + plan.cancel_again)
        return [self.loop.call_later(at, self._cancel, record, task) for at in moments]

    def _cancel(self, record: CallRecord, task: asyncio.Task[None]) -> None:
        self.log(f"call {record.number}: its caller is cancelled")
        if record.cancelled_at is None:
            record.cancelled_at = self.loop.time()
            self._wait(record, self.loop.time() + TOLERANCE)
        task.cancel()

    async def _perform(self, record: CallRecord) -> None:
        plan, router = record.plan, self.router
        prompt = f"This is call-{plan.number}. Say something."
        self._wait(record, record.deadline + TOLERANCE)
        if plan.kind == "complete":
            record.result = await router.complete(plan.target, prompt, **plan.options)
        elif plan.kind == "embed":
            inputs = [prompt, "second"]
            record.result = await router.embed(plan.target, inputs, **plan.options)
        elif plan.kind == "count":
            record.result = await router.count_tokens(plan.target, prompt, **plan.options)
        else:
            await self._read(record, prompt)
            return
        record.outcome = "reply"

    async def _read(self, record: CallRecord, prompt: str) -> None:
        plan = record.plan
        stream = self.router.stream(plan.target, prompt, **plan.options)
        record.outcome = "reply"
        try:
            async with stream:
                while plan.leave_after is None or len(record.events) < plan.leave_after:
                    self._wait_until(record, record.deadline)
                    try:
                        event = await anext(stream)
                    except StopAsyncIteration:
                        break
                    record.events.append(event)
                    if plan.think and not record.cancelled_at:
                        self._wait(record, None)
                        await asyncio.sleep(plan.think)
                else:
                    record.outcome = "left"
                self._wait_until(record, 0.0)
        finally:
            if stream._completion is not None:
                record.result = stream.completion

    def _wait_until(self, record: CallRecord, moment: float) -> None:
        """What is asked of the router next must come by then, or now, if that is over already."""
        if record.cancelled_at is None:
            self._wait(record, max(moment, self.loop.time()) + TOLERANCE)

    def hedges(self, record: CallRecord) -> bool:
        """A slow attempt of this call may get another one beside it."""
        group = self.config.groups.get(record.plan.target)
        return group is not None and group.hedging is not False and record.plan.kind != "embed"

    def _timeout(self, record: CallRecord) -> float:
        plan, config = record.plan, self.config
        group = config.groups.get(plan.target)
        timeout = plan.options.get("timeout") or (group.timeout if group else None)
        return float(timeout or config.timeout)

    # -- the loop ----------------------------------------------------------------------------

    def _wait(self, record: CallRecord, due: float | None) -> None:
        record.due = due
        if due is None:
            self._due.pop(record, None)
        else:
            self._due[record] = due
        self._next_due = min(self._due.values(), default=float("inf"))

    def _after_event(self) -> None:
        if self.loop._virtual_now > self._next_due:
            late = [record for record, due in self._due.items() if due < self.loop.time()]
            for record in late:
                swallowed = stubborn(record) and record.cancelled_at is not None
                if swallowed and not self.features.swallowed_cancellations:
                    # Its deadline still holds.
                    self._wait(record, record.deadline + TOLERANCE)
                    continue
                self.violate("deadline", f"call {record.number} goes on after {record.due}")
        if self.violation is not None:
            raise self.violation

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Any, **settings: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **settings)
        self.tasks[task] = _owner.get()
        task.add_done_callback(self.tasks.pop)
        return task

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.violate("errors", f"nobody looked at: {context['message']} ({error!r})")


def _provider(vendor: Vendor, world: World) -> Provider:
    plan = vendor.plan
    if plan.kind == "rogue":
        return Rogue(vendor, world)
    options: dict[str, Any] = {}
    if plan.kind == "compatible" and plan.done_marker:
        options["done_marker"] = True
    settings = ProviderSettings(
        name=plan.name, plugin=plan.kind, base_url="https://world.invalid/v1", options=options
    )
    provider: Any = _create(plan, settings)
    # Everything but the SDK's client is the real thing.
    provider._wire = SdkWire(
        provider=plan.name,
        make_client=lambda: VendorClient(vendor, world),
        auth_headers=bearer,
        secret=settings.api_key,
    )
    return provider  # type: ignore[no-any-return]


def _create(plan: ProviderPlan, settings: ProviderSettings) -> Provider:
    if plan.kind == "anthropic":
        return anthropic.create(settings)
    return openai_compatible.create(settings)


def _put_in_order(thing: object) -> None:
    """Sets of objects are walked in the order of their addresses, which no seed decides."""
    slots = getattr(type(thing), "__slots__", ())
    for name in (*getattr(thing, "__dict__", ()), *slots):
        if getattr(thing, name) == set():
            setattr(thing, name, _OrderedSet())


class _OrderedSet(dict[Any, None]):
    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)
