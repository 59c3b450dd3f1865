"""What a candidate's recent calls say of it: how busy it is, how fast, how often it fails."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ..clock import Clock

__all__ = ["CandidateStats", "Figure", "Flight", "Known", "StatsSettings"]


class StatsSettings(msgspec.Struct, frozen=True):
    """How the past is weighed.

    Attributes:
        half_life: Seconds after which what was seen counts half. Providers have good and bad
            minutes, not seconds, and the calls of one agent are seconds apart: with 20 s an outlier
            of 30 s is back at a usual 1 s after 100 s. (Finagle, whose servers answer in
            milliseconds, takes 7 s.)
        blame: How far one failure moves the failure rate towards 1. With a quarter, one failure
            puts a candidate behind its slowest healthy peer, for a moment.
        credit: How far one success moves it towards 0; less than ``blame``, so that a candidate
            that fails every few calls does not look sound in between.
        least_tokens: Answers shorter than this say nothing of the time for one token.
        usual_first_token: Seconds; assumed where nobody in a pool is known yet, and with the next
            how the time of an answer that did not come as a stream is split.
        usual_per_token: Seconds.
    """

    half_life: float = 20.0
    blame: float = 0.25
    credit: float = 0.05
    least_tokens: int = 16
    usual_first_token: float = 0.8
    usual_per_token: float = 0.02


_DEFAULTS = StatsSettings()


class Known(NamedTuple):
    """A figure, and how much it still counts.

    Attributes:
        value: As it was last seen; 0 where nothing was.
        freshness: 1 just now, a half after a half-life, 0 where nothing was ever seen.
    """

    value: float
    freshness: float


class Figure(NamedTuple):
    """A figure as replicas exchange it.

    Attributes:
        value: In seconds, or a rate.
        age: Seconds since it was observed.
    """

    value: float
    age: float


class CandidateStats:
    """The recent past of one candidate, in numbers that age with the monotonic clock.

    Times are *peak* EWMAs, as in Finagle and Linkerd: a longer time counts at once and in full, a
    shorter one only as time goes by, so the figure is near the worst of the last half-life. What is
    not heard of grows stale, which ``Known.freshness`` tells.

    A failure never brings a time down; see :meth:`Flight.fail`.

    Constant memory, save for one entry a stream that waits for its first token.

    Args:
        clock: Time, of which only ``monotonic`` is asked.
        settings: How the past is weighed.
    """

    __slots__ = ("_figures",)

    def __init__(self, clock: Clock, settings: StatsSettings = _DEFAULTS) -> None:
        self._figures = _Figures(clock, settings)

    @property
    def settings(self) -> StatsSettings:
        """How the past is weighed."""
        return self._figures.settings

    @property
    def in_flight(self) -> int:
        """Attempts that have begun and not ended; streams count until they are at their end.

        Those of other replicas included, where they were heard of just now.
        """
        figures = self._figures
        if not figures.elsewhere or figures.clock.monotonic() > figures.elsewhere_until:
            return figures.in_flight
        return figures.in_flight + figures.elsewhere

    @property
    def here(self) -> int:
        """Those of them that this process has sent."""
        return self._figures.in_flight

    def begin(self, *, stream: bool) -> Flight:
        """An attempt is sent now. Whoever begins it must end it, whatever happens.

        It should begin in the same step of the loop in which a strategy chose the candidate: what
        has not begun is not seen by the choices that follow.

        Args:
            stream: The answer comes as a stream, so its first token will be seen.
        """
        figures = self._figures
        began = figures.clock.monotonic()
        flight = Flight(figures, began, stream)
        figures.in_flight += 1
        if stream:
            figures.waiting[flight] = began
        return flight

    def first_token(self, now: float) -> Known:
        """Seconds to the first token. ``now`` is the clock's ``monotonic``, here and below."""
        return self._figures.first_token.known(now)

    def per_token(self, now: float) -> Known:
        """Seconds from one output token to the next."""
        return self._figures.per_token.known(now)

    def failure_rate(self, now: float) -> float:
        """0 to 1: how much it fails. Moves as ``StatsSettings`` says, and fades with time."""
        return self._figures.failure_rate(now)

    def observed(self) -> dict[str, Figure]:
        """What was observed here since this was last asked: ``first``, ``token``, ``failures``."""
        figures, now = self._figures, self._figures.clock.monotonic()
        found = {
            name: Figure(average.value, now - average.at)
            for name, average in (("first", figures.first_token), ("token", figures.per_token))
            if average.take_news()
        }
        if figures.failures_news:
            figures.failures_news = False
            found["failures"] = Figure(figures.failure_rate(now), 0.0)
        return found

    def learn(self, figures: Mapping[str, Figure]) -> None:
        """Take over what other replicas observed, where nobody here has for a half-life."""
        mine, now = self._figures, self._figures.clock.monotonic()
        for name, average in (("first", mine.first_token), ("token", mine.per_token)):
            if name in figures:
                average.learn(figures[name].value, now - figures[name].age, now)
        if "failures" in figures:
            mine.learn_failures(figures["failures"], now)

    def learn_load(self, attempts: int, seconds: float) -> None:
        """How many attempts other replicas have in flight; believed for so long."""
        self._figures.elsewhere = attempts
        self._figures.elsewhere_until = self._figures.clock.monotonic() + seconds

    def longest_wait(self, now: float) -> float:
        """Seconds that the oldest stream without a first token has waited; 0 for none.

        The time to a first token is at least this, so a candidate that hangs shows itself before
        its first time-out. Answers that are no streams are left out: they may just be long.
        """
        for began in self._figures.waiting.values():
            return max(0.0, now - began)
        return 0.0

    def __repr__(self) -> str:
        now = self._figures.clock.monotonic()
        return (
            f"<CandidateStats {self.in_flight} in flight, "
            f"first token {self.first_token(now).value:.3g} s, "
            f"per token {self.per_token(now).value:.3g} s, "
            f"failure rate {self.failure_rate(now):.2g}>"
        )


class Flight(msgspec.Struct, eq=False):
    """One attempt on its way. It ends once; what is reported after that is not heard.

    Attributes:
        began: When, by the clock's ``monotonic``.
        took: Seconds, once it has ended.
    """

    _figures: _Figures
    began: float
    _stream: bool
    took: float = 0.0
    _first: float | None = None
    _ended: bool = False

    def first_token(self) -> None:
        """The stream's first delta is here. Only the first report counts."""
        if self._ended or self._first is not None:
            return
        figures = self._figures
        self._first = now = figures.clock.monotonic()
        figures.waiting.pop(self, None)
        figures.first_token.observe(now - self.began, now)

    def succeed(self, output_tokens: int = 0) -> None:
        """The answer is here, whole.

        Args:
            output_tokens: Its length, reasoning included; 0 for what has none (embeddings).
        """
        now = self._end()
        if now is None:
            return
        figures = self._figures
        figures.credit(now)
        if self._first is None:
            figures.whole(self.took, output_tokens, now)
        elif output_tokens >= figures.settings.least_tokens:
            figures.per_token.observe((now - self._first) / output_tokens, now)

    def fail(self) -> None:
        """It failed in a way for which the call had to go elsewhere: faults, time-outs, 429, 401.

        The failure rate rises. The time to a first token rises as well if this took longer than
        what is known of it, and never falls, however fast the failure was.
        """
        now = self._end()
        if now is not None:
            self._figures.blame(now)
            if self._first is None:
                self._figures.waited(self.took, now)

    def leave(self) -> None:
        """It ended in a way that is not the candidate's doing: cancelled, hedged away, a 400.

        A stream that was given up before its first token shows that this takes at least so long.
        """
        now = self._end()
        if now is not None and self._stream and self._first is None:
            self._figures.waited(self.took, now)

    def _end(self) -> float | None:
        """The time, for what ends now; ``None`` for what had ended before."""
        if self._ended:
            return None
        self._ended = True
        figures = self._figures
        figures.in_flight -= 1
        if self._stream:
            figures.waiting.pop(self, None)
        now = figures.clock.monotonic()
        self.took = now - self.began
        return now


class _Figures:
    """What a candidate and its flights have in common."""

    __slots__ = (
        "_failed_at",
        "_failures",
        "clock",
        "elsewhere",
        "elsewhere_until",
        "failures_news",
        "first_token",
        "in_flight",
        "per_token",
        "settings",
        "waiting",
    )

    def __init__(self, clock: Clock, settings: StatsSettings) -> None:
        self.clock = clock
        self.settings = settings
        self.in_flight = 0
        self.first_token = _PeakEwma(settings.usual_first_token, settings.half_life)
        self.per_token = _PeakEwma(settings.usual_per_token, settings.half_life)
        # In the order in which they began: the first has waited longest. A plain dict would have
        # to step over all that left before it.
        self.waiting: OrderedDict[Flight, float] = OrderedDict()
        self.elsewhere = 0
        self.elsewhere_until = 0.0
        self.failures_news = False
        self._failures = 0.0
        self._failed_at = 0.0

    def learn_failures(self, figure: Figure, now: float) -> None:
        """Others' failure rate, where what was seen here is older than a half-life."""
        at = now - figure.age
        if self._failures and now - self._failed_at < self.settings.half_life:
            return
        if at > self._failed_at or not self._failures:
            self._failures, self._failed_at = figure.value, at

    def failure_rate(self, now: float) -> float:
        if not self._failures:
            return 0.0
        age = max(0.0, now - self._failed_at)
        return self._failures * _fading(age, self.settings.half_life)

    def blame(self, now: float) -> None:
        rate = self.failure_rate(now)
        self._failures = rate + (1.0 - rate) * self.settings.blame
        self._failed_at = now
        self.failures_news = True

    def credit(self, now: float) -> None:
        if self._failures:
            self._failures = self.failure_rate(now) * (1.0 - self.settings.credit)
            self._failed_at = now
            self.failures_news = True

    def waited(self, seconds: float, now: float) -> None:
        """No first token came in that time."""
        if seconds > self.first_token.value:
            self.first_token.observe(seconds, now)

    def whole(self, seconds: float, output_tokens: int, now: float) -> None:
        """An answer that came in one piece: nobody saw its first token, so its time is split.

        In the proportion that is expected so far; what is expected of the next answer of this
        length is then what this one took. The time of a very short answer is all in its beginning.
        """
        first, token = self.first_token.value, self.per_token.value
        writing = output_tokens * token
        if output_tokens < self.settings.least_tokens:
            self.first_token.observe(seconds - writing if seconds > writing else 0.0, now)
            return
        share = writing / (first + writing) if first + writing > 0 else 1.0
        self.first_token.observe(seconds * (1.0 - share), now)
        self.per_token.observe(seconds * share / output_tokens, now)


class _PeakEwma:
    """A moving average over time that follows a rise at once and a fall slowly.

    Args:
        usual: Its value until the first observation, which replaces it.
        half_life: Seconds.
    """

    __slots__ = ("_half_life", "_news", "_seen", "at", "value")

    def __init__(self, usual: float, half_life: float) -> None:
        self.value = usual
        self._half_life = half_life
        self.at = 0.0
        self._seen = False
        self._news = False

    def observe(self, value: float, now: float) -> None:
        before = self.value
        if value >= before or not self._seen:
            self.value = value
        else:
            old = _fading(now - self.at, self._half_life)
            self.value = before * old + value * (1.0 - old)
        self.at = now
        self._seen = self._news = True

    def take_news(self) -> bool:
        """Whether anything was observed since this was last asked."""
        news, self._news = self._news, False
        return news

    def learn(self, value: float, at: float, now: float) -> None:
        """Take over what was observed elsewhere, if it is newer and this is stale."""
        if self._seen and (now - self.at < self._half_life or at <= self.at):
            return
        self.value, self.at, self._seen = value, at, True

    def known(self, now: float) -> Known:
        if not self._seen:
            return _UNKNOWN
        return Known(self.value, _fading(now - self.at, self._half_life))


_UNKNOWN = Known(0.0, 0.0)


def _fading(age: float, half_life: float) -> float:
    """What is left of 1 after ``age`` seconds."""
    left: float = 0.5 ** (age / half_life) if age > 0.0 else 1.0
    return left
