"""First come, first served: everything that shares buckets waits in one order."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING

from ...clock import Clock
from ...config.limits import LimitRule
from ...errors import LifecycleError
from .buckets import EPSILON, Meter, Slots, TokenBucket
from .daily import DailyWindow
from .fleet import FleetBucket, FleetSlots
from .lane import Claims, Lane, Waiter, needed
from .lease import Lease, NoRoom
from .measures import (
    INPUT,
    INPUT_ALL,
    OUTPUT,
    OUTPUT_MAX,
    REQUESTS,
    SLOTS,
    TOKENS,
    TOKENS_ALL,
    TOKENS_MAX,
    Need,
    Price,
)
from .shared import SharedMeters

if TYPE_CHECKING:
    from ...state.exchange import Fleet

__all__ = ["Account"]

_SHORTEST_TIMER = 1e-4


class Account:
    """One provider under one key: the largest set of calls that may share a bucket.

    Each model has a queue; the queues are served in the order of arrival. A call whose turn it is
    and that lacks room in one bucket has the rest of what it needs set aside, so nobody who came
    later, however small, takes it away; a call that lacks nothing goes, whoever waits elsewhere.

    There is one timer, set for the moment at which the next of the waiting will have room; it is
    cancelled when nobody waits, and by `close`.

    Args:
        provider: Its name.
        label: What tells its key from others; empty for the configured one. Never the key.
        rules: Those of this provider.
        clock: Time.
        fleet: The replicas that share these limits.
    """

    def __init__(
        self,
        provider: str,
        label: str,
        rules: Sequence[LimitRule],
        clock: Clock,
        fleet: Fleet | None = None,
    ) -> None:
        self.provider = provider
        self.label = label
        self.clock = clock
        self.lanes: dict[str, Lane] = {}
        self._rules = rules
        self._meters: dict[tuple[int, str], list[Meter]] = {}
        self.waiting: dict[Lane, None] = {}  # those with a queue
        self._timer: asyncio.TimerHandle | None = None
        self._numbers = 0
        self._shared: SharedMeters | None = None
        if fleet is not None:
            self._shared = SharedMeters(
                fleet,
                f"limits.{provider}.{label}",
                needs=self._needs,
                wake=self.settled,
                time=clock.monotonic,
            )

    def next_number(self) -> int:
        """Numbers leases and waiters in their order."""
        self._numbers += 1
        return self._numbers

    def lane(self, model: str) -> Lane:
        """The model's lane."""
        lane = self.lanes.get(model)
        if lane is None:
            lane = self.lanes[model] = self._make(model)
        return lane

    def _make(self, model: str) -> Lane:
        now = self.clock.monotonic()
        meters: list[Meter] = []
        share = 1.0
        for place, rule in enumerate(self._rules):
            if not rule.matches(self.provider, model):
                continue
            scope = (place, model if rule.each_model else "")
            if scope not in self._meters:
                self._meters[scope] = self._new_meters(rule, scope[1], now)
            meters += self._meters[scope]
            share = min(share, rule.share)
        return Lane(self, f"{self.provider}/{model}", meters, share)

    def _new_meters(self, rule: LimitRule, model: str, now: float) -> list[Meter]:
        if self._shared is None:
            return _meters_of(rule, now)
        meters = _shared_meters_of(rule, model, now)
        for meter in meters:
            self._shared.add(meter)
        return meters

    def meters(self) -> list[tuple[str, Meter]]:
        """Every bucket of a rule, with the model that it belongs to alone."""
        return [(model, m) for (_, model), meters in self._meters.items() for m in meters]

    # --- getting in -------------------------------------------------------------------------------

    def admit(self, lane: Lane, need: Need, price: Price, now: float) -> Lease | None:
        """Reserve at once; ``None`` where there is no room, or others wait before this call."""
        if not self.waiting:
            if lane.fits(price, now):
                return lane.take(need, price, now, 0.0)
        elif not lane.queue:
            claims = self.pump(now)
            if not lane.queue and lane.shortage(price, now, claims)[0] == 0.0:
                return lane.take(need, price, now, 0.0)
        return None

    def ask(self, lane: Lane, price: Price, now: float) -> Awaitable[None] | None:
        """What to await before `admit`; ``None`` where there is room, or asking would not help."""
        if self._shared is None or self.waiting or lane.fits(price, now):
            return None
        if lane.blocked_until > now or not _ask_for(lane, price, now):
            return None
        return self._ask(self._shared, lane, price)

    async def _ask(self, shared: SharedMeters, lane: Lane, price: Price) -> None:
        await shared.ask()
        now = self.clock.monotonic()
        # What was on its way already did not know of this call.
        if not lane.fits(price, now) and _ask_for(lane, price, now):
            await shared.ask()

    def _needs(self) -> Mapping[Meter, float]:
        """What the first of those who wait needs to find, by meter."""
        needs: dict[Meter, float] = {}
        heads = [next(iter(lane.queue)) for lane in self.waiting]
        for waiter in sorted(heads, key=lambda waiter: waiter.number):
            for meter in waiter.lane.meters:
                needs.setdefault(meter, needed(meter, waiter.price))
        return needs

    async def wait(self, lane: Lane, need: Need, price: Price, timeout: float) -> Lease | NoRoom:
        """Reserve when it is this call's turn, or say what was in the way all that time.

        Raises:
            LifecycleError: The limiter was closed meanwhile.
        """
        loop = asyncio.get_running_loop()
        now = self.clock.monotonic()
        future: asyncio.Future[Lease | NoRoom] = loop.create_future()
        waiter = Waiter(lane, need, price, self.next_number(), now, future)
        lane.queue[waiter] = None
        self.waiting[lane] = None
        for meter in lane.meters:
            meter.queued += price[meter.measure]
        expiry = loop.call_later(timeout, self._expire, waiter)
        if self._shared is not None and _ask_for(lane, price, now):
            self._shared.soon()
        try:
            if len(lane.queue) == 1:  # nobody goes because one more stands behind others
                self.pump(now)
            return await future
        except asyncio.CancelledError:
            self._withdraw(waiter)
            raise
        finally:
            expiry.cancel()

    def _withdraw(self, waiter: Waiter) -> None:
        """The caller is gone. Its turn may have come in the same moment."""
        future = waiter.future
        if not future.done() or future.cancelled():
            self._leave(waiter)
            self.settled()
        elif future.exception() is None:
            given = future.result()
            if isinstance(given, Lease):
                given.cancel()

    def _expire(self, waiter: Waiter) -> None:
        if not waiter.future.done():
            now = self.clock.monotonic()
            self._leave(waiter)
            waiter.future.set_result(waiter.lane.no_room(waiter.price, now))
            self.settled()

    def _leave(self, waiter: Waiter) -> None:
        lane = waiter.lane
        if waiter not in lane.queue:
            return
        del lane.queue[waiter]
        for meter in lane.meters:
            meter.queued = max(0.0, meter.queued - waiter.price[meter.measure])
        if not lane.queue:
            self.waiting.pop(lane, None)
            if not self.waiting:
                self._set_timer(math.inf)

    # --- letting in -------------------------------------------------------------------------------

    def settled(self) -> None:
        """Something came back: whoever fits now goes."""
        if self.waiting:
            self.pump(self.clock.monotonic())

    def pump(self, now: float) -> Claims:
        """Let those go who fit, in their order. Answers what is set aside for the others."""
        claims: Claims = {}
        heads = [(next(iter(lane.queue)).number, lane) for lane in self.waiting]
        heapq.heapify(heads)
        wake = math.inf
        while heads:
            lane = heapq.heappop(heads)[1]
            waiter = next(iter(lane.queue))
            wait, timed = self._serve(waiter, now, claims)
            if wait:
                lane.claim(waiter.price, wait, now, claims)
                wake = min(wake, wait) if timed else wake
            elif lane.queue:
                heapq.heappush(heads, (next(iter(lane.queue)).number, lane))
        self._set_timer(wake)
        return claims

    def _serve(self, waiter: Waiter, now: float, claims: Claims) -> tuple[float, bool]:
        """The head of a queue goes, or is told how long it has to wait still."""
        lane = waiter.lane
        if not waiter.future.done():
            wait, timed = lane.shortage(waiter.price, now, claims)
            if wait == math.inf:  # a header has shown a smaller limit
                waiter.future.set_result(lane.no_room(waiter.price, now))
            elif wait:
                return wait, timed
            else:
                lease = lane.take(waiter.need, waiter.price, now, now - waiter.since)
                waiter.future.set_result(lease)
        self._leave(waiter)
        return 0.0, True

    def _set_timer(self, wait: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wait < math.inf:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(wait, _SHORTEST_TIMER), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.settled()

    # --- the end ----------------------------------------------------------------------------------

    def forget(self, now: float, seconds: float) -> None:
        """Drop models that nobody has asked for so long, and their buckets where they are full."""
        for model, lane in list(self.lanes.items()):
            if lane.idle(now, seconds):
                del self.lanes[model]
        for scope, meters in list(self._meters.items()):
            model = scope[1]
            idle = all(meter.idle(now) for meter in meters)
            if idle and (model not in self.lanes if model else not self.lanes):
                del self._meters[scope]
                if self._shared is not None:
                    for meter in meters:
                        self._shared.remove(meter)

    @property
    def empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.lanes and not self._meters

    def close(self) -> None:
        """Send everybody away."""
        for lane in list(self.waiting):
            for waiter in list(lane.queue):
                self._leave(waiter)
                if not waiter.future.done():
                    message = "the router was closed while this call waited for its rate limit"
                    waiter.future.set_exception(LifecycleError(message))
        self._set_timer(math.inf)
        if self._shared is not None:
            self._shared.close()


def _ask_for(lane: Lane, price: Price, now: float) -> bool:
    """Note at the shared meters what is missing; whether to ask for it may help at once."""
    short = []
    for meter in lane.meters:
        amount = needed(meter, price)
        missing = amount - meter.room(now)
        if missing > EPSILON:
            if not isinstance(meter, FleetBucket | FleetSlots) or not meter.worth(missing, now):
                return False
            short.append((meter, amount))
    for meter, amount in short:
        meter.asked += amount
    return bool(short)


def _buckets(rule: LimitRule) -> list[tuple[str, float, int]]:
    """The rule's limits a minute: field, number, what it counts."""
    reserved_tpm, reserved_otpm = rule.output != "actual", rule.output == "reserved"
    cached_tpm, cached_itpm = rule.counts_cached_input is not False, bool(rule.counts_cached_input)
    tpm = TOKENS_MAX if reserved_tpm else TOKENS_ALL if cached_tpm else TOKENS
    buckets = (
        ("rpm", rule.rpm, REQUESTS),
        ("tpm", rule.tpm, tpm),
        ("itpm", rule.itpm, INPUT_ALL if cached_itpm else INPUT),
        ("otpm", rule.otpm, OUTPUT_MAX if reserved_otpm else OUTPUT),
    )
    return [(field, number, measure) for field, number, measure in buckets if number is not None]


def _shared_meters_of(rule: LimitRule, model: str, now: float) -> list[Meter]:
    """A rule's buckets, shared with the fleet."""
    meters: list[Meter] = []
    buckets = [(*bucket, rule.burst) for bucket in _buckets(rule)]
    if rule.rpd is not None:
        buckets.append(("rpd", rule.rpd, REQUESTS, 1.0))
    for field, number, measure, burst in buckets:
        daily = field == "rpd"
        meters.append(
            FleetBucket(
                f"{field} of {rule.pattern}",
                f"{field}:{rule.pattern}:{model}",
                measure,
                number * rule.share,
                whole=1.0 if daily else number,
                burst=burst,
                daily=daily,
                now=now,
            )
        )
    if rule.concurrency is not None:
        name, count = f"concurrency of {rule.pattern}", rule.concurrency * rule.share
        meters.append(FleetSlots(name, f"concurrency:{rule.pattern}:{model}", SLOTS, count))
    return meters


def _meters_of(rule: LimitRule, now: float) -> list[Meter]:
    """A rule's buckets."""
    meters: list[Meter] = []
    for field, number, measure in _buckets(rule):
        name, share, burst = f"{field} of {rule.pattern}", rule.share, rule.burst
        meters.append(TokenBucket(name, measure, number, share=share, burst=burst, now=now))
    if rule.rpd is not None:
        meters.append(DailyWindow(f"rpd of {rule.pattern}", REQUESTS, rule.rpd * rule.share))
    if rule.concurrency is not None:
        count = rule.concurrency * rule.share
        meters.append(Slots(f"concurrency of {rule.pattern}", SLOTS, count))
    return meters
