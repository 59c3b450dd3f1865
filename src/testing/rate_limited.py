"""A provider's rate limits, enforced as the vendors document it, without any provider.

>>> limits = RateLimited("openai", clock=clock, rpm=500, tpm=30_000)  # doctest: +SKIP
>>> admission = limits.admit(input_tokens=120, max_tokens=800)  # doctest: +SKIP
>>> admission.status, admission.headers["x-ratelimit-remaining-tokens"]  # doctest: +SKIP
(200, '29200')

Both vendors are token buckets that hold a minute's worth and refill continuously.

* ``anthropic``: requests, input and output tokens apart. A request is refused when its input does
  not fit or no output is left; output is taken as it is produced, whatever ``max_tokens`` says, and
  may overdraw the bucket. Cache reads are free. Token counts in headers are rounded to the nearest
  thousand, resets are RFC 3339, and ``retry-after`` is whole seconds.
  (platform.claude.com/docs/en/api/rate-limits)
* ``openai``: requests and tokens. A request takes the larger of its ``max_tokens`` and its
  estimated input at once, and keeps it. A refused request counts as a request. Resets are
  durations. (developers.openai.com/api/docs/guides/rate-limits)
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Literal

import msgspec

from ..clock import Clock

__all__ = ["Admission", "RateLimited", "SimulatedBucket"]

Vendor = Literal["anthropic", "openai"]
_THOUSAND = 1000
_NOTHING = 1e-9  # seconds; what float arithmetic may be off by
_MINUTE, _DAY = 60.0, 86_400.0


class Admission(msgspec.Struct, frozen=True):
    """What became of a request.

    Attributes:
        status: 200 or 429.
        headers: The vendor's rate headers, and ``retry-after`` on a refusal.
        limit: The bucket that refused it: ``requests``, ``input-tokens``, ...
        retry_after: Seconds until it would fit.
    """

    status: int
    headers: dict[str, str]
    limit: str | None = None
    retry_after: float | None = None

    @property
    def allowed(self) -> bool:
        """Whether it may go on."""
        return self.status == 200


class SimulatedBucket:
    """One limit of a simulated provider.

    Attributes:
        limit: What it holds.
        used: What has been taken in all.
    """

    def __init__(self, limit: float, period: float, clock: Clock, burst: float) -> None:
        self.limit = limit
        self.used = 0.0
        self._clock = clock
        self._rate = limit / period
        self._holds = max(limit * burst, 1.0)
        self._level = self._holds
        self._began = self._updated = clock.monotonic()

    def level(self) -> float:
        """What is left; below zero when overdrawn."""
        now = self._clock.monotonic()
        self._level = min(self._holds, self._level + (now - self._updated) * self._rate)
        self._updated = now
        return self._level

    def take(self, amount: float) -> None:
        """Draw, whether it is there or not."""
        self.level()
        self._level -= amount
        self.used += amount

    def wait(self, amount: float) -> float:
        """Seconds until so much is there; infinite if it never will be."""
        if amount > self._holds:
            return math.inf
        return max(0.0, amount - self.level()) / self._rate

    def full_in(self) -> float:
        """Seconds until it is full."""
        return (self._holds - self.level()) / self._rate

    def permitted(self) -> float:
        """The most that could have been taken so far without a refusal."""
        return self._holds + (self._clock.monotonic() - self._began) * self._rate


class RateLimited:
    """Decides on every request as a vendor would: go on, or 429, and with which headers.

    Args:
        vendor: Whose rules and headers.
        clock: Time; a test's own, as a rule.
        rpm: Requests a minute.
        rpd: Requests a day (OpenAI, whose request headers then are about the day).
        tpm: Tokens a minute (OpenAI).
        itpm: Input tokens a minute (Anthropic).
        otpm: Output tokens a minute (Anthropic).
        burst: The part of a minute's worth that the buckets hold.

    Attributes:
        buckets: By name, as in the headers.
        admitted: Requests that were let in.
        refused: Requests that were not.
    """

    def __init__(
        self,
        vendor: Vendor,
        *,
        clock: Clock,
        rpm: float | None = None,
        rpd: float | None = None,
        tpm: float | None = None,
        itpm: float | None = None,
        otpm: float | None = None,
        burst: float = 1.0,
    ) -> None:
        self.vendor = vendor
        self.admitted = 0
        self.refused = 0
        self._clock = clock
        wrong = (tpm, rpd) if vendor == "anthropic" else (itpm, otpm)
        if any(value is not None for value in wrong):
            msg = f"{vendor} has no such limit: Anthropic has rpm, itpm, otpm, OpenAI rpm, rpd, tpm"
            raise ValueError(msg)
        given = {
            "requests": (rpm, _MINUTE),
            "requests-a-day": (rpd, _DAY),
            "tokens": (tpm, _MINUTE),
            "input-tokens": (itpm, _MINUTE),
            "output-tokens": (otpm, _MINUTE),
        }
        self.buckets = {
            name: SimulatedBucket(limit, period, clock, burst)
            for name, (limit, period) in given.items()
            if limit is not None
        }

    def admit(
        self, *, input_tokens: int, max_tokens: int | None = None, cached_tokens: int = 0
    ) -> Admission:
        """A request arrives.

        Args:
            input_tokens: Its prompt, as the vendor estimates it.
            max_tokens: What it says it may produce.
            cached_tokens: Of the prompt, what will be read from the cache.
        """
        if self.vendor == "anthropic":
            fresh = float(input_tokens - cached_tokens)
            takes = {"requests": 1.0, "input-tokens": fresh}
            needs = {**takes, "output-tokens": 1.0}
        else:
            asked = float(max(input_tokens, max_tokens or 0))
            takes = needs = {"requests": 1.0, "requests-a-day": 1.0, "tokens": asked}
        waits = {
            name: self.buckets[name].wait(amount)
            for name, amount in needs.items()
            if name in self.buckets
        }
        limit = max(waits, key=waits.__getitem__, default=None)
        if limit is not None and waits[limit] > _NOTHING:
            return self._refuse(limit, waits[limit])
        self.admitted += 1
        for name, amount in takes.items():
            self._take(name, amount)
        return Admission(200, self.headers())

    def _refuse(self, limit: str, wait: float) -> Admission:
        self.refused += 1
        if self.vendor == "openai" and all(
            self.buckets[name].level() >= 1.0
            for name in ("requests", "requests-a-day")
            if name in self.buckets
        ):
            self._take("requests", 1.0)
            self._take("requests-a-day", 1.0)
        headers = self.headers()
        if math.isinf(wait):
            return Admission(429, headers, limit)
        if self.vendor == "anthropic":
            headers["retry-after"] = str(max(1, math.ceil(wait)))
            return Admission(429, headers, limit, float(headers["retry-after"]))
        headers["retry-after-ms"] = str(math.ceil(wait * 1000))
        headers["retry-after"] = str(math.ceil(wait))
        return Admission(429, headers, limit, math.ceil(wait * 1000) / 1000)

    def produce(self, output_tokens: int) -> None:
        """An admitted request has produced so many more tokens (call it as often as you like)."""
        self._take("output-tokens", float(output_tokens))

    def _take(self, name: str, amount: float) -> None:
        bucket = self.buckets.get(name)
        if bucket is not None:
            bucket.take(amount)

    def headers(self) -> dict[str, str]:
        """The rate headers of a response that begins now."""
        return self._anthropic() if self.vendor == "anthropic" else self._openai()

    def _anthropic(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        now = dt.datetime.fromtimestamp(self._clock.now(), dt.UTC)
        for name, bucket in self.buckets.items():
            left = max(0, math.floor(bucket.level()))
            if name != "requests":
                left = round(left / _THOUSAND) * _THOUSAND
            full = now + dt.timedelta(seconds=bucket.full_in())
            prefix = f"anthropic-ratelimit-{name}"
            headers[f"{prefix}-limit"] = f"{bucket.limit:.0f}"
            headers[f"{prefix}-remaining"] = str(left)
            headers[f"{prefix}-reset"] = full.strftime("%Y-%m-%dT%H:%M:%SZ")
        return headers

    def _openai(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name in ("requests-a-day", "requests", "tokens"):
            bucket = self.buckets.get(name)
            shown = name.removesuffix("-a-day")
            if bucket is None or f"x-ratelimit-limit-{shown}" in headers:
                continue
            headers[f"x-ratelimit-limit-{shown}"] = f"{bucket.limit:.0f}"
            headers[f"x-ratelimit-remaining-{shown}"] = str(max(0, math.floor(bucket.level())))
            headers[f"x-ratelimit-reset-{shown}"] = _duration(bucket.full_in())
        return headers


def _duration(seconds: float) -> str:
    """As OpenAI writes it: ``6ms``, ``8.64s``, ``6m0s``, ``2h3m20s``."""
    milliseconds = math.floor(seconds * 1000 + _NOTHING * 1000)
    if milliseconds == 0:
        return "0s"
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    if minutes == 0:
        return text
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"
