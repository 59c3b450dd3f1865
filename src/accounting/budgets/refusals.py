"""The errors of hard budgets, in words that say which one, what is left and when it resets."""

from __future__ import annotations

import datetime as dt
from typing import TypeVar

from ...errors import BudgetBusyError, BudgetError, BudgetExceededError
from ..ledger.store import Standing
from ..money import nano_usd
from .applied import Applied

__all__ = ["busy", "exceeded", "shut", "unanswered"]

E = TypeVar("E", bound=BudgetError)


def exceeded(applied: Applied, standing: Standing, amount: int, now: float) -> BudgetExceededError:
    """What is left is less than the attempt can cost.

    Args:
        applied: The budget.
        standing: How its counter stands.
        amount: What the attempt can cost at most, in 10⁻⁹ USD.
        now: Seconds since 1970.
    """
    left = max(0, applied.limit - standing.bound)
    message = (
        f"budget {applied.name}: ${nano_usd(left):f} of ${applied.rule.usd:f} are left, and this "
        f"attempt could cost up to ${nano_usd(amount):f}; {_reset(applied)}"
    )
    error = BudgetExceededError(message, retry_after=_until(applied, now))
    return _described(error, applied, left, amount)


def shut(applied: Applied, amount: int, now: float) -> BudgetExceededError:
    """It is closed: an attempt cost more than was reserved for it, so no bound can be relied on."""
    message = (
        f"budget {applied.name} is closed: a provider counted more than was reserved for an "
        f"attempt; {_reset(applied)}, or 'switchgear budgets --reopen' opens it"
    )
    error = BudgetExceededError(message, retry_after=_until(applied, now))
    return _described(error, applied, 0, amount)


def busy(applied: Applied, standing: Standing | None, amount: int) -> BudgetBusyError:
    """What is left would do, but calls under way have reserved it."""
    left = applied.limit
    if standing is not None:
        left = max(0, applied.limit - standing.bound - standing.leased)
    message = (
        f"budget {applied.name}: ${nano_usd(left):f} of ${applied.rule.usd:f} are neither spent "
        f"nor reserved by calls under way, and this attempt could cost up to "
        f"${nano_usd(amount):f}; it may fit once they have ended"
    )
    return _described(BudgetBusyError(message, retry_after=0.0), applied, left, amount)


def unanswered(applied: Applied, amount: int, timeout: float) -> BudgetBusyError:
    """The database did not say in time what is left."""
    message = f"budget {applied.name}: the ledger did not answer within {timeout:.3g} s"
    return _described(BudgetBusyError(message, retry_after=0.0), applied, None, amount)


def _reset(applied: Applied) -> str:
    ends = applied.ends
    if ends is None:
        return "it does not reset"
    return f"it resets at {dt.datetime.fromtimestamp(ends, dt.UTC):%Y-%m-%d %H:%M} UTC"


def _until(applied: Applied, now: float) -> float | None:
    return max(0.0, applied.ends - now) if applied.ends is not None else None


def _described(error: E, applied: Applied, left: int | None, amount: int) -> E:
    ends = applied.ends
    error.budget = applied.name
    error.limit = applied.rule.usd
    error.left = nano_usd(left) if left is not None else None
    error.needed = nano_usd(amount)
    error.resets_at = dt.datetime.fromtimestamp(ends, dt.UTC) if ends is not None else None
    return error
