"""The limiter: one for each router, asked before every attempt."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ...clock import Clock
from ...config.limits import LimitRule
from ...errors import LifecycleError
from .lane import Lane
from .lease import Lease, NoRoom
from .measures import Need
from .queue import Account

if TYPE_CHECKING:
    from ...state.exchange import Fleet

__all__ = ["LimitHealth", "Limiter"]

_MANY = 4096
_IDLE = 120.0
"""Seconds: twice as long as it takes to refill a bucket."""
_EVERY = 30.0


class LimitHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one limit stands.

    Attributes:
        limit: ``itpm of anthropic/*``, ``input tokens reported by anthropic/claude-x``, or
            ``retry-after of anthropic/claude-x``.
        model: ``provider/model`` where the bucket is for one model only.
        key: Tells keys apart, by a hash; empty for the configured one.
        remaining: What is left; below zero in debt.
        capacity: What it holds when full.
        queued: What those who wait are going to take.
        waiting: Calls that wait, where the limit is one model's.
        blocked_until: Seconds since the epoch before which nothing is sent; ``None`` if not so.
    """

    limit: str
    model: str | None = None
    key: str = ""
    remaining: float | None = None
    capacity: float | None = None
    queued: float = 0.0
    waiting: int = 0
    blocked_until: float | None = None


class Limiter:
    """Keeps calls within the configured limits and the provider's own.

    Belongs to one event loop; making it does nothing yet, so it may be made anywhere.

    Args:
        rules: The configured limits. All that match a call have to agree.
        clock: Time.
        fleet: The replicas that share these limits; ``None`` for a process on its own.
    """

    def __init__(
        self, rules: Sequence[LimitRule], clock: Clock, fleet: Fleet | None = None
    ) -> None:
        self._rules = tuple(rules)
        self._clock = clock
        self._fleet = fleet
        self._accounts: dict[tuple[str, str], Account] = {}
        self._lanes: dict[tuple[str, str, str | None], Lane] = {}
        self._swept = 0.0
        self._closed = False

    def __repr__(self) -> str:
        return f"<Limiter, {len(self._rules)} rules, {len(self._lanes)} models>"

    @property
    def is_shared(self) -> bool:
        """Whether a fleet shares these limits."""
        return self._fleet is not None

    def ask(
        self, provider: str, model: str, need: Need, *, key: str | None = None
    ) -> Awaitable[None] | None:
        """What to await before `try_reserve`, where what this replica has at hand is not enough.

        ``None``, and at no cost worth mentioning, where there is room, where no fleet shares the
        limits, or where the fleet is known to have no more. The answer takes a round trip, and
        never longer than the link's time limit.

        Args:
            provider: Its name in the configuration.
            model: As the provider calls it.
            need: What the call is expected to take.
            key: As for `try_reserve`.

        Raises:
            LifecycleError: The limiter is closed.
        """
        if self._fleet is None:
            return None
        lane = self._lane(provider, model, key)
        return lane.account.ask(lane, lane.price(need), self._clock.monotonic())

    def try_reserve(
        self, provider: str, model: str, need: Need, *, key: str | None = None
    ) -> Lease | NoRoom:
        """Reserve if there is room now; never waits, never overtakes those who do.

        Args:
            provider: Its name in the configuration.
            model: As the provider calls it.
            need: What the call is expected to take.
            key: The call's own credential, where it is not the configured one; each has buckets of
                its own. The secret itself may be given: only a hash of it is kept.

        Raises:
            LifecycleError: The limiter is closed.
        """
        lane = self._lane(provider, model, key)
        price, now = lane.price(need), self._clock.monotonic()
        got = lane.account.admit(lane, need, price, now)
        return got if got is not None else lane.no_room(price, now)

    async def reserve(
        self, provider: str, model: str, need: Need, *, timeout: float, key: str | None = None
    ) -> Lease | NoRoom:
        """Reserve, waiting for this call's turn: first come, first served.

        `Lease.waited` says how long it took. A cancelled call leaves the queue, and what it may
        have been given in that moment goes back.

        Args:
            provider: Its name in the configuration.
            model: As the provider calls it.
            need: What the call is expected to take.
            timeout: Seconds to wait at most. A call that would have to wait longer even if nobody
                stood before it gets its `NoRoom` at once.
            key: As for `try_reserve`.

        Raises:
            LifecycleError: The limiter is closed, or was while this call waited.
        """
        lane = self._lane(provider, model, key)
        price = lane.price(need)
        now = self._clock.monotonic()
        got = lane.account.admit(lane, need, price, now)
        if got is not None:
            return got
        earliest = lane.earliest(price, now)
        if earliest is None or earliest > timeout or timeout <= 0:
            return lane.no_room(price, now)
        return await lane.account.wait(lane, need, price, timeout)

    def observe(
        self,
        provider: str,
        model: str,
        headers: Mapping[str, str] | None,
        *,
        status: int,
        retry_after: float | None = None,
        key: str | None = None,
    ) -> None:
        """Take notice of a response that held no lease (a token count, a probe).

        Nothing is known of what was sent after it, so its headers are believed only where they say
        less. Responses to calls go to `Lease.observe` and `Lease.settle`.

        Args:
            provider: Its name in the configuration.
            model: As the provider calls it.
            headers: The response's, names in lower case or case-insensitive.
            status: Its HTTP status.
            retry_after: Seconds to stay away, honoured on 429 and 5xx only.
            key: As for `try_reserve`.
        """
        self._lane(provider, model, key).observe(headers, status, retry_after)

    def capacity(self, provider: str, model: str, *, key: str | None = None) -> float | None:
        """The part of the tightest limit that is left, 0 to 1; ``None`` where none is known."""
        lane, now = self._lane(provider, model, key), self._clock.monotonic()
        parts = [max(0.0, meter.left(now)) / meter.capacity for meter in lane.meters]
        return min(1.0, *parts) if parts else None

    def health(self) -> tuple[LimitHealth, ...]:
        """How every limit stands that has been used: the rules' first, then what providers said."""
        now = self._clock.monotonic()
        rows: list[LimitHealth] = []
        for account in self._accounts.values():
            for model, meter in account.meters():
                rows.append(
                    LimitHealth(
                        limit=meter.name,
                        model=f"{account.provider}/{model}" if model else None,
                        key=account.label,
                        remaining=meter.left(now),
                        capacity=meter.capacity,
                        queued=meter.queued,
                    )
                )
        for lane in self._lanes.values():
            rows += self._lane_health(lane, now)
        return tuple(rows)

    def _lane_health(self, lane: Lane, now: float) -> list[LimitHealth]:
        waiting, key = len(lane.queue), lane.account.label
        rows = [
            LimitHealth(
                limit=level.name,
                model=lane.name,
                key=key,
                remaining=level.room(now),
                capacity=level.limit,
                queued=level.queued,
                waiting=waiting,
            )
            for level in lane.told.values()
            if level.news >= 0
        ]
        if lane.blocked_until > now:
            until = self._clock.now() + lane.blocked_until - now
            name = f"retry-after of {lane.name}"
            rows.append(
                LimitHealth(
                    limit=name, model=lane.name, key=key, waiting=waiting, blocked_until=until
                )
            )
        return rows

    def close(self) -> None:
        """Send away everybody who waits (with a LifecycleError), and admit nobody any more."""
        self._closed = True
        for account in self._accounts.values():
            account.close()

    def _lane(self, provider: str, model: str, key: str | None) -> Lane:
        if self._closed:
            raise LifecycleError("the rate limiter is closed; make a new router")
        name = (provider, model, key if key is None else _digest(key))
        lane = self._lanes.get(name)
        return lane if lane is not None else self._new(name)

    def _new(self, name: tuple[str, str, str | None]) -> Lane:
        provider, model, digest = name
        if len(self._lanes) >= _MANY:
            self._sweep()
        account = self._accounts.get((provider, digest or ""))
        if account is None:
            rules = [rule for rule in self._rules if rule.provider == provider]
            account = Account(provider, digest or "", rules, self._clock, self._fleet)
            self._accounts[provider, digest or ""] = account
        lane = self._lanes[name] = account.lane(model)
        return lane

    def _sweep(self) -> None:
        """Callers can name any model and bring any key: forget what has long been idle."""
        now = self._clock.monotonic()
        if now - self._swept < _EVERY:
            return
        self._swept = now
        for place, account in list(self._accounts.items()):
            account.forget(now, _IDLE)
            if account.empty:
                del self._accounts[place]
        kept = {
            (account.provider, model, digest or None): lane
            for (_, digest), account in self._accounts.items()
            for model, lane in account.lanes.items()
        }
        self._lanes = kept


def _digest(key: str) -> str:
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
