"""The provider's own bucket, followed by what its headers say."""

from __future__ import annotations

import math

from .buckets import Meter
from .headers import RateWord
from .measures import DEFERRED

__all__ = ["ProviderLevel"]

_MINUTE, _DAY = 60.0, 86_400.0
_MARGIN = 0.02
_SMOOTHING = 5.0
_TRUSTED = 10.0
_MOST_DRAINED = 0.9
_VOTES = 3
_OLD = 600.0


class ProviderLevel(Meter):
    """What is left at the provider, by its own word, carried forward from the last answer.

    A header shows the bucket as it was when *its* request arrived. So to the number that it states
    is added what came in since that request was sent, and what we sent after it is taken off; what
    we sent before it the header knows already. For output that is counted as it is produced, half
    of what was running at that moment is taken off too, being on average still to come.

    Whatever else draws on the bucket (another program with the same key, another way of counting
    than ours) shows as a difference between what we carried forward and what the next header says.
    Its rate is learnt and taken off the refill for some seconds ahead, so that the wait for the
    next header does not end in a 429. Once it is half empty one hundredth of the limit is left
    untouched, because near zero there is no difference to see.

    All of this only ever narrows: the configured rules are separate buckets, and a call has to pass
    both. After ten minutes without a header (a day where the limit is daily) nothing is believed
    any more: a limit that was stated by mistake, and that no call fits in, could otherwise never be
    corrected.

    Args:
        name: For people.
        measure: What it counts.
        share: This instance's part.
        now: The time.
    """

    __slots__ = (
        "_drain",
        "_level",
        "_news_sent",
        "_old_at",
        "_period",
        "_rate",
        "_share",
        "_trusted_until",
        "_updated",
        "_votes",
        "limit",
        "news",
    )

    def __init__(self, name: str, measure: int, share: float, now: float) -> None:
        super().__init__(name, measure, 0.0, 0.0)
        self.limit = 0.0
        self.news = -1  # the number of the lease whose headers were last believed
        self._share = share
        self._period = _MINUTE
        self._votes = 0
        self._rate = 0.0
        self._drain = 0.0
        self._level = 0.0
        self._updated = now
        self._trusted_until = now
        self._news_sent = now
        self._old_at = math.inf

    def room(self, now: float) -> float:
        """What is left for us now."""
        passed = now - self._updated
        if passed > 0.0:
            if now > self._old_at:
                self._level = self.limit = self.capacity = self.whole = math.inf
                self.news = -1
            level = self._level + self._inflow(passed)
            self._level = min(self.limit, level)
            self._updated = now
        return self._level - self._margin()

    def _margin(self) -> float:
        return _MARGIN * self.limit if self._level < 0.5 * self.limit else 0.0

    def _inflow(self, seconds: float) -> float:
        drained = min(seconds, max(0.0, self._trusted_until - self._updated))
        return self._rate * seconds - self._drain * drained

    def take(self, amount: float, now: float) -> None:  # noqa: ARG002 - as for any meter
        """Draw."""
        self._level -= amount

    def give(self, amount: float, now: float) -> None:
        """Put back."""
        self.room(now)
        self._level = min(self.limit, self._level + amount)

    def wait(self, missing: float, now: float) -> float:
        """Seconds until so much more is in it."""
        slow = max(0.0, self._trusted_until - now)
        net = self._rate - self._drain
        if missing <= net * slow:
            return missing / net
        return slow + (missing - net * slow) / self._rate

    def refill(self, seconds: float, now: float) -> float:
        """What comes into it within so many seconds."""
        return self._rate * seconds - self._drain * min(
            seconds, max(0.0, self._trusted_until - now)
        )

    def hear(
        self, word: RateWord, number: int, now: float, *, sent: float, later: float, running: float
    ) -> bool:
        """Take a header into account; whether it was news.

        Args:
            word: The header.
            number: The number of its request.
            now: The time.
            sent: When that request was sent.
            later: What was taken after it.
            running: Output of this request and half of what was running before, still to come.
        """
        if number <= self.news:
            return False  # a request sent later has already told more
        before = self.room(now)
        first = self.news < 0
        self._set(word, now)
        known = word.remaining * self._share
        level = known + (self._rate - self._drain) * (now - sent) - later
        if self.measure in DEFERRED:
            level -= running
        self._level = min(level, self.limit)
        if not first:
            surprise = self._level - self._margin() - before
            drain = self._drain - surprise / max(_SMOOTHING, sent - self._news_sent)
            self._drain = min(max(drain, 0.0), _MOST_DRAINED * self._rate)
        self.news = number
        self._news_sent = sent
        self._trusted_until = now + _TRUSTED
        return True

    def shrink(self, word: RateWord, now: float) -> None:
        """A header of unknown age and order: believed only where it says less."""
        self.room(now)
        if self.news < 0:
            self._set(word, now)
            self._level, self.news = word.remaining * self._share, 0
        self._level = min(self._level, word.remaining * self._share)

    def _set(self, word: RateWord, now: float) -> None:
        """The limit and how fast it comes back.

        One header is not enough to call a limit daily: within a fixed window of a minute the
        numbers can look so by accident, once.
        """
        self._votes = self._votes + 1 if (word.period == _DAY) != (self._period == _DAY) else 0
        if self._votes >= _VOTES:
            self._period, self._votes = _DAY if word.period == _DAY else _MINUTE, 0
        self.whole = word.limit
        self.limit = self.capacity = word.limit * self._share
        self._rate = self.limit / self._period
        self._old_at = now + max(_OLD, self._period)
