"""The calls of one model under one key: what they have to pass, and who waits."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from .buckets import EPSILON, Meter, Slots
from .expect import Expectation
from .headers import rate_words
from .lease import Lease, NoRoom
from .measures import (
    DEFERRED,
    INPUT,
    OUTPUT,
    REQUESTS,
    TOKENS,
    TOKENS_MAX,
    Need,
    Price,
    price_of,
    settled,
)
from .provider_level import ProviderLevel

if TYPE_CHECKING:
    from .queue import Account

__all__ = ["Claims", "Lane", "Waiter", "needed"]

Claims: TypeAlias = dict[Meter, float]
"""What is set aside in each meter for those who came earlier."""

_LONGEST_BLOCK = 86_400.0
_LONGEST_GUESS = 32.0
_REPORTED = {
    REQUESTS: "requests",
    INPUT: "input tokens",
    OUTPUT: "output tokens",
    TOKENS: "tokens",
    TOKENS_MAX: "tokens",
}
"""What headers speak of, by measure."""


class Waiter:
    """One call in the queue."""

    __slots__ = ("future", "lane", "need", "number", "price", "since")

    def __init__(
        self,
        lane: Lane,
        need: Need,
        price: Price,
        *,
        number: int,
        since: float,
        future: asyncio.Future[Lease | NoRoom],
    ) -> None:
        self.lane = lane
        self.need = need
        self.price = price
        self.number = number
        self.since = since
        self.future = future


class Lane:
    """One model of one provider under one key.

    Args:
        account: Whose buckets it shares.
        name: ``provider/model``.
        meters: The buckets of the rules that match.
        share: This instance's part of what the provider allows.
    """

    __slots__ = (
        "_heard",
        "_input",
        "_output",
        "_strikes",
        "account",
        "blocked_until",
        "in_flight",
        "meters",
        "name",
        "queue",
        "running",
        "share",
        "taken",
        "told",
        "used_at",
    )

    def __init__(self, account: Account, name: str, meters: list[Meter], share: float) -> None:
        self.account = account
        self.name = name
        self.meters = meters
        self.share = share
        self.told: dict[int, ProviderLevel] = {}
        self.queue: OrderedDict[Waiter, None] = OrderedDict()
        self.taken = [0.0] * 9
        self.running = 0.0
        self.in_flight = 0
        self.blocked_until = -math.inf
        self.used_at = account.clock.monotonic()
        self._strikes = 0
        self._heard = -1  # the number of the newest lease whose headers were read
        self._input = Expectation()
        self._output = Expectation()

    def idle(self, now: float, seconds: float) -> bool:
        """Whether nothing has happened for so long, nothing runs and nobody waits."""
        return (
            not self.queue
            and not self.in_flight
            and self.blocked_until <= now
            and now - self.used_at > seconds
        )

    # --- before a call ----------------------------------------------------------------------------

    def price(self, need: Need) -> Price:
        """What a call is expected to take."""
        fresh = self._input.of(max(0, need.input_tokens - need.cached_tokens))
        return price_of(need, fresh, self._output.of(need.output_tokens))

    def never(self, price: Price, now: float) -> Meter | None:
        """The limit that will never hold so much."""
        for meter in self.meters:
            meter.room(now)  # what headers said may have grown too old to count
            if _at_start(meter.measure, price) > meter.whole + EPSILON:
                return meter
        return None

    def fits(self, price: Price, now: float) -> bool:
        """Whether there is room, nobody waiting."""
        if self.blocked_until > now:
            return False
        for meter in self.meters:
            amount = needed(meter, price)
            if meter.room(now) + EPSILON < amount:
                return False
        return True

    def shortage(self, price: Price, now: float, claims: Claims) -> tuple[float, bool]:
        """Seconds until there is room beside the claims, and whether time alone will bring it."""
        wait = max(0.0, self.blocked_until - now)
        timed = True
        for meter in self.meters:
            missing = needed(meter, price) + claims.get(meter, 0.0) - meter.room(now)
            if missing > EPSILON:
                wait = max(wait, meter.wait(missing, now), EPSILON)
                timed = timed and meter.timed
        return wait, timed

    def claim(self, price: Price, wait: float, now: float, claims: Claims) -> None:
        """Set aside what has to be there now, so that all is there once the wait is over.

        A bucket that refills in time need not be held for a call that something else keeps back;
        so the queues of different models don't block each other, and yet nobody starves.
        """
        for meter in self.meters:
            now_needed = needed(meter, price) - meter.refill(wait, now)
            if now_needed > 0.0:
                claims[meter] = claims.get(meter, 0.0) + now_needed

    def earliest(self, price: Price, now: float) -> float | None:
        """Seconds before which there can't be room, even with nobody else waiting.

        ``None``: never. A slot may come free at any time, and so does not count.
        """
        if self.never(price, now) is not None:
            return None
        wait = max(0.0, self.blocked_until - now)
        for meter in self.meters:
            missing = needed(meter, price) - meter.room(now)
            if meter.timed and missing > EPSILON:
                wait = max(wait, meter.wait(missing, now))
        return wait

    def no_room(self, price: Price, now: float) -> NoRoom:
        """What keeps a call back the longest, counting those who wait already."""
        meter = self.never(price, now)
        if meter is not None:
            return NoRoom(meter.name, None)
        name, wait = f"retry-after of {self.name}", max(0.0, self.blocked_until - now)
        for meter in self.meters:
            missing = needed(meter, price) + meter.queued - meter.room(now)
            if missing > EPSILON:
                seconds = meter.wait(missing, now)
                if seconds > wait:
                    name, wait = meter.name, seconds
        return NoRoom(name, wait)

    def take(self, need: Need, price: Price, now: float, waited: float) -> Lease:
        """Reserve; there is room."""
        lease = Lease(self, need, price, number=self.account.next_number(), now=now, waited=waited)
        for meter in self.meters:
            meter.take(price[meter.measure], now)
        taken = self.taken
        for measure in _REPORTED:
            taken[measure] += price[measure]
        self.running += price[OUTPUT]
        self.in_flight += 1
        self.used_at = now
        return lease

    # --- after it ---------------------------------------------------------------------------------

    def settle(
        self,
        lease: Lease,
        input_tokens: int | None,
        output_tokens: int | None,
        cached: int,
        *,
        good: bool,
    ) -> None:
        """Give back or take what the reservation was wrong by."""
        need, price = lease.need, lease.price
        _, fresh, whole, output, *_ = price
        if input_tokens is not None:
            whole, fresh = float(input_tokens), float(max(0, input_tokens - cached))
            if good:
                self._input.learn(need.input_tokens - need.cached_tokens, fresh)
        if output_tokens is not None:
            output = float(output_tokens)
            if good:
                self._output.learn(need.output_tokens, output)
        lease.output = output
        self._end(lease, settled(price, whole, fresh, output))

    def refund(self, lease: Lease) -> None:
        """Give everything back."""
        self._end(lease, (0.0,) * len(lease.price))
        self.account.settled()

    def _end(self, lease: Lease, used: Price) -> None:
        now = self.account.clock.monotonic()
        price = lease.price
        self.running = max(0.0, self.running - price[OUTPUT])
        self.in_flight -= 1
        self.used_at = now
        for meter in self.meters:
            measure = meter.measure
            back = price[measure] - used[measure]
            if isinstance(meter, ProviderLevel):
                if lease.number < meter.news:
                    continue  # the header that came since knows what this one used
                if lease.number == meter.news:
                    back = price[OUTPUT] - used[OUTPUT] if measure in DEFERRED else 0.0
            elif isinstance(meter, Slots) and used[REQUESTS]:
                meter.held(now - lease.sent_at)
            if back:
                meter.give(back, now)

    def hear(
        self,
        lease: Lease,
        headers: Mapping[str, str] | None,
        status: int,
        retry_after: float | None,
    ) -> None:
        """Believe a response, and let those go who fit now."""
        now = self.account.clock.monotonic()
        self._block(status, retry_after, now)
        if headers and lease.number > self._heard:
            self._heard = lease.number
            taken, running = self.taken, 0.5 * lease.running + lease.output
            for word in rate_words(headers):
                measure = word.measure
                later = taken[measure] - lease.taken[measure] - lease.price[measure]
                self._level(measure, now).hear(
                    word, lease.number, now, sent=lease.sent_at, later=later, running=running
                )
        self.account.settled()

    def observe(
        self, headers: Mapping[str, str] | None, status: int, retry_after: float | None
    ) -> None:
        """Believe a response to something that held no lease."""
        now = self.account.clock.monotonic()
        self._block(status, retry_after, now)
        for word in rate_words(headers) if headers else ():
            self._level(word.measure, now).shrink(word, now)
        self.account.settled()

    def _level(self, measure: int, now: float) -> ProviderLevel:
        level = self.told.get(measure)
        if level is None:
            name = f"{_REPORTED[measure]} reported by {self.name}"
            level = self.told[measure] = ProviderLevel(name, measure, self.share, now)
            level.queued = sum(waiter.price[measure] for waiter in self.queue)
            self.meters.append(level)
        return level

    def _block(self, status: int, retry_after: float | None, now: float) -> None:
        """Stay away as long as an error says; some vendors send ``retry-after`` on successes too.

        A 429 that names no time is given one second, then two, four, up to 32 while they go on.
        """
        if status == 429 or status >= 500:
            if retry_after is None or not retry_after >= 0:
                if status != 429:
                    return
                retry_after = min(2.0**self._strikes, _LONGEST_GUESS)
                self._strikes = min(self._strikes + 1, 8)
            until = now + min(retry_after, _LONGEST_BLOCK)
            self.blocked_until = max(self.blocked_until, until)
        elif status < 400:
            self._strikes = 0


def _at_start(measure: int, price: Price) -> float:
    """What is asked for at the start: of output that is counted as it comes, one token."""
    if measure in DEFERRED:
        return price[measure] - max(0.0, price[OUTPUT] - 1.0)
    return price[measure]


def needed(meter: Meter, price: Price) -> float:
    """What has to be there; a full bucket is enough for all that the limit itself can hold."""
    amount = _at_start(meter.measure, price)
    if amount <= meter.capacity:
        return amount
    return meter.capacity if amount <= meter.whole + EPSILON else math.inf
