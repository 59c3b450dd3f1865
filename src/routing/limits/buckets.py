"""The meters that a call has to pass: token buckets, and slots for calls under way.

A meter answers `room`, is drawn on with `take`, gets back what was not used with `give`, and says
how long something missing will take to come. Debt is allowed: a call that used more than it
reserved leaves the level below zero, which the next one waits for.
"""
# ruff: noqa: FURB136, PLR1730 - comparing two numbers costs a third of calling min or max

from __future__ import annotations

from abc import ABC, abstractmethod

from .measures import STARTS

__all__ = ["EPSILON", "Meter", "Slots", "TokenBucket"]

EPSILON = 1e-6
"""Tokens. Below it two amounts are the same; larger than what float arithmetic loses."""

SKEW = 1.0
"""Seconds by which one request may travel longer than another.

The provider's bucket starts to refill when the first request has *arrived*, ours would when it was
sent. If the first one travels longer than those after it (it opens the connection), requests paced
by our clock are early by that much on theirs. So a bucket that was full begins to refill so much
later: a second's worth of the rate for each time that it was full, not for each call.
"""


class Meter(ABC):
    """What is common to all meters.

    Attributes:
        name: What it limits, for people: ``itpm of anthropic/*``.
        measure: What it counts, one of `measures`; its place in a price.
        start: The place of what has to be there before a call may begin.
        capacity: The most that can ever be in it.
        whole: What no single call may exceed: the provider's own limit, where the capacity is one
            instance's share of it. A call between the two goes when the bucket is full.
        queued: What those in the queue are going to take.
    """

    __slots__ = ("capacity", "measure", "name", "queued", "start", "whole")

    timed = True
    """Whether room comes by itself, as time passes."""

    def __init__(self, name: str, measure: int, capacity: float, whole: float) -> None:
        self.name = name
        self.measure = measure
        self.start = STARTS[measure]
        self.capacity = capacity
        self.whole = max(whole, capacity)
        self.queued = 0.0

    @abstractmethod
    def room(self, now: float) -> float:
        """What is in it now; below zero when in debt."""

    @abstractmethod
    def take(self, amount: float, now: float) -> float:
        """Draw, right after `room` was asked for the same moment. Answers what is `left` then."""

    @abstractmethod
    def give(self, amount: float, now: float) -> None:
        """Put back what was not used; a negative amount takes what was used on top."""

    @abstractmethod
    def wait(self, missing: float, now: float) -> float:
        """Seconds until so much more is in it, if nobody draws meanwhile."""

    @abstractmethod
    def refill(self, seconds: float, now: float) -> float:
        """What will come into it within so many seconds."""

    def left(self, now: float) -> float:
        """What is left of the limit, whoever may draw on it."""
        return self.room(now)

    def idle(self, now: float) -> bool:
        """Whether it holds nothing that would have to be remembered."""
        return self.room(now) >= self.capacity


class TokenBucket(Meter):
    """A bucket that holds a minute's worth and is refilled continuously.

    Args:
        name: For people.
        measure: What it counts.
        per_minute: The limit.
        share: This instance's part of it.
        burst: The part of a minute's worth that may go at once.
        now: The time.
    """

    __slots__ = ("_level", "_rate", "_updated")

    def __init__(
        self,
        name: str,
        measure: int,
        per_minute: float,
        *,
        share: float = 1.0,
        burst: float = 1.0,
        now: float,
    ) -> None:
        # Less than one request at a time would be none, ever.
        super().__init__(name, measure, max(per_minute * share * burst, 1.0), per_minute)
        self._rate = per_minute * share / 60.0
        self._level = self.capacity
        self._updated = now

    def room(self, now: float) -> float:
        """What is in it now."""
        level = self._level
        passed = now - self._updated
        if passed > 0.0:
            level += passed * self._rate
            if level > self.capacity:
                level = self.capacity
            self._level = level
            self._updated = now
        return level

    def take(self, amount: float, now: float) -> float:
        """Draw; a full bucket starts its refilling late (see `SKEW`)."""
        level = self._level
        if level >= self.capacity - EPSILON:
            self._updated = now + SKEW
        self._level = level = level - amount
        return level

    def give(self, amount: float, now: float) -> None:
        """Put back."""
        level = self.room(now) + amount
        self._level = level if level < self.capacity else self.capacity

    def wait(self, missing: float, now: float) -> float:
        """Seconds until so much more is in it."""
        return max(0.0, self._updated - now) + missing / self._rate

    def refill(self, seconds: float, now: float) -> float:  # noqa: ARG002 - the rate is constant
        """What comes into it within so many seconds."""
        return self._rate * seconds


class Slots(Meter):
    """Calls under way at once. Room comes when one ends, so a wait can only be guessed."""

    __slots__ = ("_free", "_held")

    timed = False

    def __init__(self, name: str, measure: int, count: float) -> None:
        super().__init__(name, measure, max(float(int(count)), 1.0), 1.0)
        self._free = self.capacity
        self._held = 1.0  # seconds; a guess until the first call has ended

    def room(self, now: float) -> float:  # noqa: ARG002 - time changes nothing
        """Free slots."""
        return self._free

    def take(self, amount: float, now: float) -> float:  # noqa: ARG002 - the same
        """Occupy."""
        self._free -= amount
        return self._free

    def give(self, amount: float, now: float) -> None:  # noqa: ARG002 - the same
        """Free."""
        free = self._free + amount
        self._free = free if free < self.capacity else self.capacity

    def held(self, seconds: float) -> None:
        """A call ended after so long: the guess gets better."""
        self._held += (seconds - self._held) / 8.0

    def wait(self, missing: float, now: float) -> float:  # noqa: ARG002 - the same
        """Seconds that it will take, going by how long calls have taken."""
        return missing * self._held / self.capacity

    def refill(self, seconds: float, now: float) -> float:  # noqa: ARG002 - the same
        """The slots that will have come free, by the same guess."""
        return seconds * self.capacity / max(self._held, EPSILON)
