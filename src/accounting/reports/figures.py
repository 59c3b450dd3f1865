"""Amounts and counts as people read them. Exact figures are in JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

__all__ = ["dollars", "places_for", "share", "short_count", "times"]

_FEWEST, _MOST = 2, 6
# Wide enough for any sum; the default context would round after 28 digits.
_WIDE: Final = Context(prec=60)
_UNITS: Final = ((1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))


def places_for(amounts: Iterable[Decimal]) -> int:
    """How many places show the smallest amount of a column with two digits: 2 to 6."""
    smallest = min((each.copy_abs() for each in amounts if each), default=Decimal(1))
    return max(_FEWEST, min(_MOST, 1 - smallest.adjusted())) if smallest < 1 else _FEWEST


def dollars(amount: Decimal, places: int | None = None) -> str:
    """``$1,234.56``; a small amount with two digits: ``$0.00042``.

    Args:
        amount: USD.
        places: After the point; ``None``: as many as it needs, at least two.
    """
    if places is None:
        places = places_for((amount,))
    step = Decimal((0, (1,), -places))
    sign = "-" if amount < 0 else ""
    size = amount.copy_abs()
    if 0 < size < step:
        return f"{sign}<${step:f}"
    return f"{sign}${size.quantize(step, ROUND_HALF_EVEN, context=_WIDE):,f}"


def short_count(count: int) -> str:
    """``987``, ``12.3k``, ``4.56M``: three digits."""
    for place, (unit, letter) in enumerate(_UNITS):
        if count < unit:
            continue
        whole = count * 100 // unit
        places = 2 if whole < 1000 else 1 if whole < 10_000 else 0
        # 999,999 would read 1000k: the next unit takes over at its three digits.
        text = f"{count / unit:.{places}f}"
        if text == "1000" and place:
            return f"1.00{_UNITS[place - 1][1]}"
        return f"{text}{letter}"
    return str(count)


def times(count: int, noun: str) -> str:
    """``1 attempt``, ``1,234 attempts``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """``12 %``; ``<1 %`` and ``>99 %`` where rounding would say none or all."""
    if not whole:
        return "-"
    percent = part * 100 / whole
    if part and percent < 1:
        return "<1 %"
    if part != whole and percent > 99:
        return ">99 %"
    return f"{percent:.0f} %"
