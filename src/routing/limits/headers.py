"""What a response's rate headers say of the provider's own buckets.

Anthropic: ``anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,
reset}``, remaining tokens rounded to the nearest thousand, resets as RFC 3339. OpenAI and the many
that follow it: ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}``, resets as durations.
"""
# ruff: noqa: FURB136 - comparing two numbers costs a third of calling min or max

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

import msgspec

from .measures import INPUT, OUTPUT, REQUESTS, TOKENS, TOKENS_MAX

__all__ = ["RateWord", "duration", "rate_words"]

_MINUTE, _DAY = 60.0, 86_400.0
_LARGEST = 1e12
_UNITS = {"d": _DAY, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_UNITS["ns"] = 1e-9
_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|m|s|us|µs|ns)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_THOUSAND = 1000.0

_ANTHROPIC = (
    (REQUESTS, "requests"),
    (INPUT, "input-tokens"),
    (OUTPUT, "output-tokens"),
    (TOKENS, "tokens"),
)
_OPENAI = ((REQUESTS, "requests"), (TOKENS_MAX, "tokens"))
_NAMES: tuple[tuple[int, str, str, str | None], ...] = (
    *(
        (
            measure,
            f"anthropic-ratelimit-{name}-limit",
            f"anthropic-ratelimit-{name}-remaining",
            None,
        )
        for measure, name in _ANTHROPIC
    ),
    *(
        (
            measure,
            f"x-ratelimit-limit-{name}",
            f"x-ratelimit-remaining-{name}",
            f"x-ratelimit-reset-{name}",
        )
        for measure, name in _OPENAI
    ),
)
"""Measure, and the headers for limit, what remains and, where a limit may be a day's, reset."""


class RateWord(msgspec.Struct, frozen=True, gc=False):
    """One bucket of the provider, as it was when the headers were written.

    Attributes:
        measure: What it counts, one of `measures`.
        limit: What it holds when full.
        remaining: What is in it; the most that it can be, where the provider rounds.
        period: Seconds in which an empty one fills, 60 or 86400; ``None`` where that can't be told.
    """

    measure: int
    limit: float
    remaining: float
    period: float | None = None


def rate_words(headers: Mapping[str, str]) -> list[RateWord]:
    """Everything that the headers say and that makes sense.

    A limit below 1, a negative or absurd number or one that is none counts as absent, a remaining
    above its limit as the limit, a reset in the past or of no known form as not given.

    Args:
        headers: Response headers, names in lower case or case-insensitive.
    """
    words: list[RateWord] = []
    get = headers.get
    apart = 0.0
    for measure, limit_name, remaining_name, reset_name in _NAMES:
        text = get(limit_name)
        if text is None:
            continue
        limit, remaining = _limit(text), _number(get(remaining_name))
        if limit is None or remaining is None:
            continue
        period: float | None = _MINUTE
        if reset_name is not None:
            period = _period(limit, limit - remaining, get(reset_name))
        elif measure != REQUESTS:
            if measure == TOKENS and limit == apart:
                continue  # merely the sum of the two; they are stricter
            apart += limit
            if remaining > 0 and remaining % _THOUSAND == 0:
                remaining += _THOUSAND / 2 - 1  # it is rounded
        words.append(RateWord(measure, limit, remaining if remaining < limit else limit, period))
    return words


def _period(limit: float, used: float, reset: str | None) -> float | None:
    """The time in which the whole limit comes back, from the time in which the used part does.

    The same header means requests a minute at one vendor, tier or model and requests a day at
    another, and only this tells: 9,999 of 10,000 left and full again in 6 ms is a minute, in 8.64 s
    a day.
    """
    if reset is None or used < 1:
        return None
    seconds = duration(reset)
    if not seconds:
        return None
    whole = seconds * limit / used
    for period in (_MINUTE, _DAY):
        if 0.5 * period <= whole <= 2.0 * period:
            return period
    return None


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number <= _LARGEST else None


@functools.lru_cache(maxsize=1024)
def _limit(text: str) -> float | None:
    """A limit, of which a provider names the same few all day; none below 1."""
    limit = _number(text)
    return limit if limit is not None and limit >= 1 else None


@functools.lru_cache(maxsize=1024)
def duration(text: str) -> float | None:
    """Seconds of a duration such as ``9ms``, ``6m0s`` or a bare ``12.5``; ``None`` if it is none.

    More than 31 days counts as none.
    """
    text = text.strip()
    seconds: float | None = None
    if _DURATION.fullmatch(text):
        seconds = sum((float(number) * _UNITS[unit] for number, unit in _PART.findall(text)), 0.0)
    elif text[:1].isdigit():
        seconds = _number(text)
    return seconds if seconds is not None and seconds <= 31 * _DAY else None
