"""The calls of one model under one key: what they have to pass, and who waits."""
# ruff: noqa: FURB136 - comparing two numbers costs a third of calling min or max

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from .buckets import EPSILON, Meter, Slots
from .expect import Expectation
from .headers import rate_words
from .lease import Lease, NoRoom
from .measures import (
    DEFERRED,
    INPUT,
    INPUT_ALL,
    OUTPUT,
    OUTPUT_MAX,
    PLACES,
    REQUESTS,
    SLOTS,
    TOKENS,
    TOKENS_MAX,
    Need,
    Price,
    price_of,
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
_NOTHING = (0.0,) * PLACES


class Waiter(msgspec.Struct, eq=False):
    """One call in the queue.

    Attributes:
        lane: Whose queue.
        need: As it was asked for.
        price: The same, by measure.
        number: Its place in the order of arrival.
        since: When it came, monotonic seconds.
        future: Its lease, or what was in the way.
    """

    lane: Lane
    need: Need
    price: Price
    number: int
    since: float
    future: asyncio.Future[Lease | NoRoom]


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
        "_of_rules",
        "_output",
        "_slots",
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
        self.meters = meters  # those of the rules first, then what headers told of
        self.share = share
        self.told: dict[int, ProviderLevel] = {}
        self.queue: OrderedDict[Waiter, None] = OrderedDict()
        self.taken = _NOTHING[:SLOTS]
        self.running = 0.0
        self.in_flight = 0
        self.blocked_until = -math.inf
        self.used_at = account.clock.monotonic()
        self._of_rules = tuple(meters)
        self._slots = tuple(meter for meter in meters if isinstance(meter, Slots))
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
        uncached = need.input_tokens - need.cached_tokens
        fresh = self._input.of(uncached if uncached > 0 else 0)
        return price_of(need, fresh, self._output.of(need.output_tokens))

    def fits(self, price: Price, now: float) -> bool:
        """Whether there is room, nobody waiting."""
        if self.blocked_until > now:
            return False
        for meter in self.meters:
            amount = price[meter.start]
            if amount > meter.capacity:
                amount = needed(meter, price)
            if meter.room(now) + EPSILON < amount:
                return False
        return True

    def shortage(self, price: Price, now: float, claims: Claims) -> tuple[float, bool]:
        """Seconds until there is room beside the claims, and whether time alone will bring it.

        For a call that asks for more than a limit will ever hold, the seconds are infinite.
        """
        wait = max(0.0, self.blocked_until - now)
        timed = True
        for meter in self.meters:
            room = meter.room(now)  # first, since a limit may have grown too old to count
            missing = needed(meter, price) - room
            if claims:
                missing += claims.get(meter, 0.0)
            if missing > EPSILON:
                if missing == math.inf:
                    return math.inf, False
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
        wait = max(0.0, self.blocked_until - now)
        for meter in self.meters:
            room = meter.room(now)
            missing = needed(meter, price) - room
            if missing == math.inf:
                return None
            if meter.timed and missing > EPSILON:
                wait = max(wait, meter.wait(missing, now))
        return wait

    def no_room(self, price: Price, now: float) -> NoRoom:
        """What keeps a call back the longest, counting those who wait already."""
        name, wait = f"retry-after of {self.name}", max(0.0, self.blocked_until - now)
        for meter in self.meters:
            room = meter.room(now)
            missing = needed(meter, price) + meter.queued - room
            if missing == math.inf:
                return NoRoom(meter.name, None)
            if missing > EPSILON:
                seconds = meter.wait(missing, now)
                if seconds > wait:
                    name, wait = meter.name, seconds
        return NoRoom(name, wait)

    def take(self, need: Need, price: Price, now: float, waited: float) -> Lease:
        """Reserve; there is room."""
        room = 1.0
        for meter in self.meters:
            part = meter.take(price[meter.measure], now) / meter.capacity
            if part < room:
                room = part if part > 0.0 else 0.0
        output, running = price[OUTPUT], self.running
        requests, fresh, _, produced, _, tokens, _, asked = self.taken
        self.taken = taken = (
            requests + 1.0,
            fresh + price[INPUT],
            0.0,
            produced + output,
            0.0,
            tokens + price[TOKENS],
            0.0,
            asked + price[TOKENS_MAX],
        )
        self.running = running + output
        self.in_flight += 1
        self.used_at = now
        number = self.account.next_number()
        left = room if self.meters else None
        return Lease(self, need, price, output, number, now, waited, left, taken, running)

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
        fresh, whole, output = price[INPUT], price[INPUT_ALL], price[OUTPUT]
        if input_tokens is not None:
            whole = float(input_tokens)
            fresh = float(input_tokens - cached) if input_tokens > cached else 0.0
            if good:
                self._input.learn(need.input_tokens - need.cached_tokens, fresh)
        if output_tokens is not None:
            output = float(output_tokens)
            if good:
                self._output.learn(need.output_tokens, output)
        lease.output = output
        now = self.account.clock.monotonic()
        for slots in self._slots:
            slots.held(now - lease.sent_at)
        # What vendors do not settle stays as it was reserved.
        longest, asked = price[OUTPUT_MAX], price[TOKENS_MAX]
        both, all_both = fresh + output, whole + output
        used = (1.0, fresh, whole, output, longest, both, all_both, asked, 0.0)
        self._end(lease, used, now)

    def refund(self, lease: Lease) -> None:
        """Give everything back."""
        self._end(lease, _NOTHING, self.account.clock.monotonic())
        self.account.settled()

    def _end(self, lease: Lease, used: Price, now: float) -> None:
        price, number = lease.price, lease.number
        running = self.running - price[OUTPUT]
        self.running = running if running > 0.0 else 0.0
        self.in_flight -= 1
        self.used_at = now
        for meter in self._of_rules:
            measure = meter.measure
            back = price[measure] - used[measure]
            if back:
                meter.give(back, now)
        for measure, level in self.told.items():
            if number < level.news:
                continue  # the header that came since knows what this one used
            if number > level.news:
                back = price[measure] - used[measure]
            else:
                back = price[OUTPUT] - used[OUTPUT] if measure in DEFERRED else 0.0
            if back:
                level.give(back, now)

    def hear(
        self,
        lease: Lease,
        headers: Mapping[str, str] | None,
        status: int,
        retry_after: float | None,
    ) -> None:
        """Believe a response, and let those go who fit now."""
        if status >= 400:
            self._block(status, retry_after)
        else:
            self._strikes = 0
        if headers and lease.number > self._heard:
            self._heard = number = lease.number
            words = rate_words(headers)
            if words:
                now, told = self.account.clock.monotonic(), self.told
                taken, before = self.taken, lease.taken
                running = 0.5 * lease.running + lease.output
                for word in words:
                    measure = word.measure
                    level = told.get(measure)
                    if level is None:
                        level = self._level(measure, now)
                    later = taken[measure] - before[measure]
                    level.hear(word, number, now, sent=lease.sent_at, later=later, running=running)
        if self.account.waiting:
            self.account.settled()

    def observe(
        self, headers: Mapping[str, str] | None, status: int, retry_after: float | None
    ) -> None:
        """Believe a response to something that held no lease."""
        if status >= 400:
            self._block(status, retry_after)
        else:
            self._strikes = 0
        now = self.account.clock.monotonic()
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

    def _block(self, status: int, retry_after: float | None) -> None:
        """Stay away as long as an error says; some vendors send ``retry-after`` on successes too.

        A 429 that names no time is given one second, then two, four, up to 32 while they go on.
        """
        if status != 429 and status < 500:
            return
        if retry_after is None or not retry_after >= 0:
            if status != 429:
                return
            retry_after = min(2.0**self._strikes, _LONGEST_GUESS)
            self._strikes = min(self._strikes + 1, 8)
        until = self.account.clock.monotonic() + min(retry_after, _LONGEST_BLOCK)
        self.blocked_until = max(self.blocked_until, until)


def needed(meter: Meter, price: Price) -> float:
    """What has to be there; a full bucket is enough for all that the limit itself can hold."""
    amount = price[meter.start]
    if amount <= meter.capacity:
        return amount
    return meter.capacity if amount <= meter.whole + EPSILON else math.inf
