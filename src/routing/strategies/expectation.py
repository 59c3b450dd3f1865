"""What a call may expect of each of a pool, the unknown and the failing judged by their peers."""

from __future__ import annotations

from collections.abc import Sequence

from ..stats import Known
from .base import Member, PoolContext

__all__ = ["expected_seconds", "with_failures"]

_FRESH = 0.5
"""A figure no older than a half-life says what the pool can do."""

_HOPE = 0.5
"""What is not known and not being tried is taken for so much of the best that is known."""

_FAILURE = 4.0
"""A failed attempt costs so much of the dearest peer. Times the quarter that one failure adds to a
failure rate, one failure puts a candidate behind its dearest healthy peer."""


def expected_seconds(pool: Sequence[Member], context: PoolContext) -> list[float]:
    """Seconds to the end of an answer of ``context.output_tokens``, for each member.

    Time to the first token, at least what the oldest stream waits already, plus the tokens. A
    figure that was not heard of for long gives way to a hope, half the best of the pool, so that
    it is tried again; while a trial is under way it counts as equal to the best, so that not
    everybody joins it. Failures are not in it: see :func:`with_failures`.
    """
    now = context.now
    if not pool:
        return []
    usual = pool[0].stats.settings
    first = [member.stats.first_token(now) for member in pool]
    token = [member.stats.per_token(now) for member in pool]
    best_first = _best(first, usual.usual_first_token)
    best_token = _best(token, usual.usual_per_token)
    seconds = []
    for member, its_first, its_token in zip(pool, first, token, strict=True):
        hope = 1.0 if member.stats.in_flight else _HOPE
        begins = _believed(its_first, best_first * hope)
        waited = member.stats.longest_wait(now)
        each = _believed(its_token, best_token * hope)
        seconds.append(max(begins, waited) + each * context.output_tokens)
    return seconds


def with_failures(pool: Sequence[Member], costs: list[float], context: PoolContext) -> list[float]:
    """What each member costs by any measure, and on top its failure rate times a failure's cost.

    That is measured by the dearest peer, and not by the member's own figures: who fails at once is
    never slow and never busy, and must not look better for it.
    """
    rates = [member.stats.failure_rate(context.now) for member in pool]
    if not any(rates):
        return costs
    # A peer's own time-outs are no measure for the others, so it counts as far as it succeeds.
    dearest = max(each * (1.0 - rate) for each, rate in zip(costs, rates, strict=True))
    return [
        each + _FAILURE * rate * max(each, dearest) for each, rate in zip(costs, rates, strict=True)
    ]


def _best(known: list[Known], usual: float) -> float:
    """The best recent figure; where none is recent the best of old; where none is at all, usual."""
    fresh = min((value for value, freshness in known if freshness >= _FRESH), default=None)
    if fresh is not None:
        return fresh
    return min((value for value, freshness in known if freshness > 0.0), default=usual)


def _believed(known: Known, hoped: float) -> float:
    value, freshness = known
    return value * freshness + hoped * (1.0 - freshness)
