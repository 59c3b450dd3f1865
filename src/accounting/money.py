"""Money as whole numbers of 10⁻¹² US dollars, called pico-dollars.

The cheapest token on sale costs 5·10⁻⁹ USD, a batch of it half of that; a million such calls still
add up exactly. Floats are turned away: a number from a dict goes through its shortest ``repr``, so
that the ``0.1`` that somebody wrote is the ``0.1`` that is charged.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal, Inexact, InvalidOperation
from typing import Final

__all__ = [
    "PICO",
    "PICO_IN_NANO",
    "Pico",
    "ceil_pico",
    "exact_decimal",
    "nano",
    "nano_usd",
    "pico",
    "usd",
]

Pico = int
"""An amount in units of 10⁻¹² USD."""

PICO: Final = 1_000_000_000_000
"""Pico-dollars in a dollar."""

PICO_IN_NANO: Final = 1_000
"""Pico-dollars in 10⁻⁹ USD, the unit of counters."""

_TWELVE_PLACES: Final = 12
_EXACT: Final = Context(prec=999_999, traps=[InvalidOperation, Inexact])
"""Not the caller's context, which may round."""
_ONE: Final = Decimal(1)
_NINE_PLACES: Final = -9


def exact_decimal(value: Decimal | str | float) -> Decimal:
    """A number as it was written: floats through their ``repr``, never through their binary value.

    Raises:
        ValueError: Not a finite number.
    """
    if isinstance(value, bool):
        message = f"{value!r} is not an amount"
        raise ValueError(message)  # noqa: TRY004 - callers put every wrong amount under one error
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        message = f"{value!r} is not an amount"
        raise ValueError(message) from None
    if not number.is_finite():
        message = f"{value!r} is not a finite amount"
        raise ValueError(message)
    return number


def pico(dollars: Decimal | str | float) -> Pico:
    """Dollars as pico-dollars, exactly.

    Raises:
        ValueError: Not a finite number, or finer than 10⁻¹² USD.
    """
    scaled = _shift(exact_decimal(dollars), _TWELVE_PLACES)
    whole = int(scaled)
    if whole != scaled:
        message = f"{dollars} USD is finer than 10⁻¹² USD"
        raise ValueError(message)
    return whole


def ceil_pico(dollars: Decimal | str | float) -> Pico:
    """Dollars as pico-dollars, rounded up: for bounds and for products of multipliers."""
    return int(_shift(exact_decimal(dollars), _TWELVE_PLACES).to_integral_value(ROUND_CEILING))


def usd(amount: Pico) -> Decimal:
    """Pico-dollars as dollars, exactly and without trailing zeros (``Decimal("0.0123")``)."""
    found = _EXACT.normalize(_EXACT.scaleb(Decimal(amount), -_TWELVE_PLACES))
    # Whole dollars with all their zeros: 100, and not 1E+2.
    return _EXACT.quantize(found, _ONE) if amount % PICO == 0 else found


def nano(amount: Pico) -> int:
    """Pico-dollars in 10⁻⁹ USD, rounded up."""
    return -(-amount // PICO_IN_NANO)


def nano_usd(amount: int) -> Decimal:
    """10⁻⁹ USD as dollars, exactly."""
    return Decimal(amount).scaleb(_NINE_PLACES)


def _shift(number: Decimal, places: int) -> Decimal:
    # Moving the exponent is exact whatever the context's precision is; multiplying is not.
    sign, digits, exponent = number.as_tuple()
    return Decimal((sign, digits, int(exponent) + places))
