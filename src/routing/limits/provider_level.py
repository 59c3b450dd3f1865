"""The provider's own bucket, followed by what its headers say."""
# ruff: noqa: FURB136, PLR1730 - comparing two numbers costs a third of calling min or max

from __future__ import annotations

import math

from .buckets import Meter
from .headers import RateWord
from .measures import DEFERRED

__all__ = ["ProviderLevel"]

_MINUTE, _DAY = 60.0, 86_400.0
_SCARCE = 0.5
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
        "_half",
        "_level",
        "_margin",
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
        self._half = 0.0  # below this level, the margin stays untouched
        self._margin = 0.0
        self._rate = 0.0
        self._drain = 0.0
        self._level = 0.0
        self._updated = now
        self._trusted_until = now
        self._news_sent = now
        self._old_at = math.inf

    def room(self, now: float) -> float:
        """What is left for us now."""
        level = self._level
        passed = now - self._updated
        if passed > 0.0:
            if now > self._old_at:
                level = self._level = self.limit = self.capacity = self.whole = math.inf
                self.news = -1
            level += self._rate * passed
            if self._drain and self._updated < self._trusted_until:
                trusted = self._trusted_until - self._updated
                level -= self._drain * (passed if passed < trusted else trusted)
            if level > self.limit:
                level = self.limit
            self._level = level
            self._updated = now
        return level if level >= self._half else level - self._margin

    def take(self, amount: float, now: float) -> float:  # noqa: ARG002 - as for any meter
        """Draw."""
        self._level = level = self._level - amount
        return level if level >= self._half else level - self._margin

    def give(self, amount: float, now: float) -> None:
        """Put back."""
        self.room(now)
        level = self._level + amount
        self._level = level if level < self.limit else self.limit

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
        rate, drain = self._rate, self._drain
        level = word.remaining * self._share + (rate - drain) * (now - sent) - later
        if self.measure in DEFERRED:
            level -= running
        if level > self.limit:
            level = self.limit
        self._level = level
        if not first:
            seen = level if level >= self._half else level - self._margin
            apart = sent - self._news_sent
            drain -= (seen - before) / (apart if apart > _SMOOTHING else _SMOOTHING)
            if drain < 0.0:
                drain = 0.0
            most = _MOST_DRAINED * rate
            self._drain = drain if drain < most else most
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
        daily = word.period == _DAY
        votes = self._votes + 1 if daily != (self._period == _DAY) else 0
        turned = votes >= _VOTES
        self._votes = 0 if turned else votes
        if turned:
            self._period = _DAY if daily else _MINUTE
        if turned or word.limit != self.whole:
            self.whole = word.limit
            self.limit = self.capacity = limit = word.limit * self._share
            self._half, self._margin = _SCARCE * limit, _MARGIN * limit
            self._rate = limit / self._period
        self._old_at = now + (self._period if self._period > _OLD else _OLD)
