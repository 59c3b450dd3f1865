"""Meters whose room a fleet shares: leased in small parts, drawn on without asking anybody.

What is leased lies here and is drawn on like any bucket; ten times a second a report to the shared
state gives back what is not needed and brings what is. All of that is `shared`'s business.

While the state can't be reached a meter is a plain local one at its share, the limit divided by the
number of replicas. When it is back, what was used meanwhile is charged to the shared bucket, but
for what would have been lost there, because the bucket was full.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .buckets import EPSILON, SKEW, Meter, Slots

__all__ = ["LEASE", "FleetBucket", "FleetSlots"]

LEASE = 5.0
"""Seconds after which a silent replica's lease is over at the shared state."""
_MINE = 0.8 * LEASE
"""The same as a replica sees it: earlier, and counted from when it sent its report."""
_BUSY = 2.0
"""Seconds after a call for which a bucket is reported in every period."""
_REST = 1.0
"""Seconds between reports of one that only holds something."""
_IDLE = 30.0
"""Seconds without a call after which everything goes back."""
_SOON = 0.05
_DAY = 86_400.0
_MINUTE = 60.0
_NEARLY = 0.99
_SMOOTHING = 0.5
_AHEAD = 2.0
"""Periods for which to lease ahead: one that passes, and one in case that a report comes late."""


class FleetBucket(Meter):
    """A token bucket, or a daily window, that a fleet shares.

    Args:
        name: For people.
        key: Its name within the shared state's keys of this account.
        measure: What it counts.
        limit: The most in any minute, or any day.
        whole: What no single call may exceed.
        burst: The part of the limit that may go at once.
        daily: The limit is one for a day.
        now: The time.
    """

    __slots__ = (
        "_age",
        "_at",
        "_central",
        "_debt",
        "_drawn",
        "_enough",
        "_flow",
        "_full",
        "_heard",
        "_hungry",
        "_kept",
        "_leased",
        "_leaves",
        "_local",
        "_number",
        "_reported",
        "_speed",
        "_spilled",
        "_told",
        "_until",
        "_updated",
        "_used",
        "_used_at",
        "asked",
        "daily",
        "key",
        "level",
    )

    def __init__(
        self,
        name: str,
        key: str,
        measure: int,
        limit: float,
        *,
        whole: float,
        burst: float = 1.0,
        daily: bool = False,
        now: float,
    ) -> None:
        full = max(limit * burst, 1.0)
        super().__init__(name, measure, full, whole)
        self.key = key
        self.daily = daily
        self.asked = 0.0
        self.level = 0.0
        self._full = full
        self._speed = limit / (_DAY if daily else 60.0)
        self._local = 0.0  # tokens a second by its own refilling, while the state is away
        self._updated = now
        self._until = -math.inf  # when the lease is over
        self._central = full  # what the shared bucket had left beside all leases
        self._age = -math.inf  # when it was so; never yet
        self._hungry = 0
        self._enough = 0.0  # what to have at most
        self._drawn = 0.0  # since the last report
        self._used = 0.0  # in all its life, less what came back
        self._used_at = -math.inf
        self._leased = 0.0  # the same, and what it had left, when it last had an answer
        self._flow = 0.0
        self._reported = now
        self._number = 0  # of its last report
        self._heard = 0  # of the last that was answered
        self._spilled = 0.0  # what the fleet had lost by then because the bucket was full
        # Of the report that is on its way:
        self._at = now
        self._told = self._kept = self._debt = 0.0
        self._leaves = False

    # --- as any meter -----------------------------------------------------------------------------

    def room(self, now: float) -> float:
        """What is at hand."""
        if self._local:
            passed = now - self._updated
            if passed > 0.0:
                self.level = min(self.capacity, self.level + passed * self._local)
                self._updated = now
        elif now > self._until and self.level > 0.0:
            self.level = 0.0  # this process stood still for seconds; it is others' by now
        return self.level

    def take(self, amount: float, now: float) -> float:
        """Draw."""
        if self._local and self.level >= self.capacity - EPSILON:
            self._updated = now + SKEW
        self.level -= amount
        self._drawn += amount
        self._used += amount
        self._used_at = now
        return self.left(now)

    def give(self, amount: float, now: float) -> None:
        """Put back; what is more than needed goes to the others with the next report."""
        self.room(now)
        self.level = min(self.capacity, self.level + amount)
        self._used -= amount

    def wait(self, missing: float, now: float) -> float:
        """Seconds until so much more is at hand, if nobody else in the fleet draws meanwhile."""
        if self._local:
            return max(0.0, self._updated - now) + missing / self._local
        return max(_SOON, (missing - self._left(now)) / self._speed)

    def refill(self, seconds: float, now: float) -> float:  # noqa: ARG002 - the rate is constant
        """What comes within so many seconds, if all who wait get the same."""
        return (self._local or self._speed / (1 + self._hungry)) * seconds

    def left(self, now: float) -> float:
        """What is left for the whole fleet, as far as is known here."""
        if self._local:
            return self.room(now)
        return min(self._full, self.room(now) + self._left(now))

    def idle(self, now: float) -> bool:
        """Whether there is nothing to remember: nothing held, nothing owed."""
        if self._local:
            return self.room(now) >= self.capacity
        return not self.level and now - self._used_at > _IDLE

    def _left(self, now: float) -> float:
        if self._age == -math.inf:
            return self._central
        if self.daily:
            return self._central
        return min(self._full, self._central + (now - self._age) * self._speed)

    def worth(self, missing: float, now: float) -> bool:
        """Whether to ask the shared state for so much may help at once."""
        if self._local:
            return False
        return now > self._until or (not self._hungry and self._left(now) >= missing)

    # --- the exchange -----------------------------------------------------------------------------

    def close(self) -> None:
        """Nobody will draw on it any more: the next report gives everything back."""
        self._used_at = self._reported = -math.inf

    def due(self, need: float, now: float) -> bool:
        """Whether there is something to report.

        Args:
            need: What the first waiting call needs to find here; 0 if none waits.
            now: The time.
        """
        if need or self.asked or self._local or self.level < 0.0:
            return True
        if now - self._used_at < _BUSY:
            return True
        return now - self._reported >= _REST and (self.level > 0.0 or self._until > now)

    def report(self, need: float, period: float, now: float) -> list[float | int]:
        """What ``rate.lua`` wants to know. What is not kept, is gone from here at once.

        Args:
            need: As for `due`.
            period: Seconds between two reports.
            now: The time.
        """
        most = self._end_local(now) if self._local else -1.0
        level = self.room(now)
        passed = max(now - self._reported, 1e-3)
        self._flow += (self._drawn / passed - self._flow) * min(1.0, passed / _SMOOTHING)
        ahead = min(_AHEAD * period * self._flow, self._full)
        need = min(max(need, min(self.asked, self.capacity)), self.capacity)
        want = max(need, self.asked) + ahead
        self._leaves = not need and now - self._used_at > _IDLE
        self._debt = max(0.0, -level)
        level = max(0.0, level)
        # Whoever waits gives back the rest that is too little: everybody's rests make a whole.
        keep = 0.0 if self._leaves or need > level else min(level, max(self._enough, ahead))
        if self._enough == 0.0 and not need:
            keep = 0.0  # somebody waits for a large part
        age = now - self._age if self._age > -math.inf else -1.0
        self._number += 1
        values = [self._speed if not self.daily else 0.0, self._full, int(self.daily), keep]
        values += [self._leased - self._used, self._used, self._number, self._heard, self._spilled]
        values += [need, want, self._central, age, int(self._leaves), most]
        self.level = self._kept = keep
        self._told = self._used
        self.asked = self._drawn = 0.0
        self._reported = self._at = now
        return values

    def absorb(self, values: Sequence[float]) -> None:
        """What it answered: granted, how much to have at most, what is left, and so on."""
        granted, self._enough, self._central, _, hungry, self._spilled = values
        self._hungry = int(hungry)
        self._leased = self._told + self._kept + granted
        self._heard = 0 if self._leaves else self._number
        self._debt = 0.0
        self.level += granted
        self._age = self._at
        self._until = self._at + _MINE

    def go_local(self, replicas: int, now: float) -> None:
        """The shared state is away: go on with this replica's share."""
        if self._local:
            return
        left = self._left(now)
        level = self.room(now) - self._debt + max(0.0, left) / replicas
        self.capacity = max(self._full / replicas, 1.0)
        # A share that begins full refills late, and that is right if the whole bucket was (SKEW).
        most = self.capacity if left >= self._full - EPSILON else _NEARLY * self.capacity
        self.level = min(level, most)
        self._local = self._speed / replicas
        self._updated = now
        self._debt = self.asked = 0.0
        self._hungry = 0

    def _end_local(self, now: float) -> float:
        """It is back. The most of what was used here, beside any lease, that still matters.

        The limit is one of a minute: what was used before that is forgotten. Where the shared
        state was never heard of, there is no knowing what it could have spared.
        """
        most = self.capacity + _MINUTE * self._local
        if not self._heard:
            most = max(0.0, self.capacity - self.room(now))
        self.level = self._local = 0.0
        self.capacity = self._full
        return -1.0 if self.daily else most


class FleetSlots(Slots):
    """Slots for calls under way that a fleet shares.

    Args:
        name: For people.
        key: Its name within the shared state's keys of this account.
        measure: What it counts.
        count: Slots in all.
    """

    __slots__ = (
        "_at",
        "_busy",
        "_central",
        "_full",
        "_lease",
        "_local",
        "_quota",
        "_reported",
        "_said",
        "_short",
        "_until",
        "_used_at",
        "asked",
        "key",
    )

    def __init__(self, name: str, key: str, measure: int, count: float) -> None:
        super().__init__(name, measure, count)
        self.key = key
        self.asked = 0.0
        self._full = self.capacity
        self._busy = 0.0
        self._lease = 0.0
        self._quota = 0.0
        self._central = self.capacity
        self._short = 0
        self._local = False
        self._until = -math.inf
        self._said = (-1.0, -1.0)
        self._reported = self._used_at = self._at = -math.inf

    def room(self, now: float) -> float:
        """Free slots at hand."""
        if self._local:
            return self.capacity - self._busy
        if now > self._until:
            return -self._busy
        return min(self._lease, self._quota) - self._busy

    def take(self, amount: float, now: float) -> float:
        """Occupy."""
        self._busy += amount
        self._used_at = now
        return self.left(now)

    def give(self, amount: float, now: float) -> None:
        """Free."""
        self._busy = max(0.0, self._busy - amount)
        self._used_at = now

    def left(self, now: float) -> float:
        """What is free in the whole fleet, as far as is known here."""
        return self.room(now) + (0.0 if self._local else self._central)

    def idle(self, now: float) -> bool:  # noqa: ARG002 - time changes nothing
        """Whether nothing is held."""
        return not self._busy and (self._local or not self._lease)

    def worth(self, missing: float, now: float) -> bool:
        """Whether to ask the shared state for so many may help at once."""
        if self._local:
            return False
        return now > self._until or (not self._short and self._central >= missing)

    def close(self) -> None:
        """No call will begin any more: the next report gives back what is free."""
        self._used_at = self._reported = -math.inf

    def due(self, need: float, now: float) -> bool:
        """Whether there is something to report."""
        if need or self.asked or self._local:
            return True
        changed = (self._busy, self._lease) != self._said and now - self._used_at < _BUSY
        held = self._busy or self._lease
        return changed or (held > 0.0 and now - self._reported >= _REST)

    def report(self, need: float, now: float) -> list[float]:
        """What ``slots.lua`` wants to know. What is not kept is gone from here at once.

        Args:
            need: Slots that waiting calls want.
            now: The time.
        """
        leaves = not self._busy and not need and not self.asked and now - self._used_at > _IDLE
        lease = self._lease if now <= self._until and not self._local else 0.0
        keep = self._busy if leaves else max(self._busy, min(lease, self._quota))
        want = self._busy + need + self.asked
        self._local, self.capacity = False, self._full
        self._lease = self._quota = keep
        self._said = (self._busy, keep)
        self.asked = 0.0
        self._reported = self._at = now
        return [self._full, keep, -1.0 if leaves and not keep else want]

    def absorb(self, values: Sequence[float]) -> None:
        """What it answered: granted, how many to have at most, free ones, replicas, short ones."""
        granted, self._quota, self._central, _, short = values
        self._short = int(short)
        self._lease += granted
        self._until = self._at + _MINE
        self._said = (self._said[0], self._lease)

    def go_local(self, replicas: int, now: float) -> None:  # noqa: ARG002 - as for a bucket
        """The shared state is away: go on with this replica's share."""
        self.capacity = max(float(int(self._full / replicas)), 1.0)
        self._local = True
        self._lease = self._short = 0
        self.asked = 0.0
