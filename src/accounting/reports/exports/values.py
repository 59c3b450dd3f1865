"""What an export says, in words that all vendors' formats share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from ....errors import InvalidRequestError
from ...money import Pico, ceil_pico

__all__ = [
    "DAY",
    "REQUESTS",
    "Export",
    "ExportLine",
    "amount_of",
    "count_of",
    "day_of",
    "text_of",
    "unreadable",
]

REQUESTS: Final = "requests"
"""The measure of how many requests there were, beside the counters of ``Usage``."""

_LARGEST: Final = 40
"""Digits: beyond them it is no count or amount, but an attempt to fill the memory."""

DAY: Final = dt.timedelta(days=1)


class ExportLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an export.

    Attributes:
        start: The first instant that it is about.
        end: The first instant that it is no longer about.
        model: The model, as the vendor names it; ``None`` where the export is not split by model.
        fee: The counter of ``Usage`` that this is the charge or the count of (``web_searches``),
            where the vendor does not say for which model.
        api_key: The vendor's key, by id or name.
        project: The vendor's project or workspace.
        counts: By measure: counters of ``Usage``, as inclusive totals, and ``requests``. What the
            export does not say is not in it.
        cost: What the vendor charges.
        rounding: By how much the export may have rounded it.
    """

    start: dt.datetime
    end: dt.datetime
    model: str | None = None
    fee: str | None = None
    api_key: str | None = None
    project: str | None = None
    counts: Mapping[str, int] = {}
    cost: Pico | None = None
    rounding: Pico = 0


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A whole export.

    Attributes:
        vendor: Whose: the kind of provider whose attempts it is about.
        form: What it is, for people.
        lines: Its lines.
        covered: The times that it speaks of, also where it has no line about them.
        embeddings: It speaks of embeddings.
        answers: It speaks of anything else.
        expected: Measures that an export of its kind has. What it should have said counts as
            nothing where none of its lines says anything.
        complete: There are no more pages, as far as it says.
        notes: What it does not hold, or was not read, one line each.
    """

    vendor: str
    form: str
    lines: tuple[ExportLine, ...]
    covered: tuple[tuple[dt.datetime, dt.datetime], ...]
    embeddings: bool = True
    answers: bool = True
    expected: tuple[str, ...] = ()
    complete: bool = True
    notes: tuple[str, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """What can be compared, in the order of first mention; ``cost`` last."""
        names = dict.fromkeys(name for line in self.lines for name in line.counts)
        cost = ("cost",) if any(line.cost is not None for line in self.lines) else ()
        # Without a line to go by, silence about a day must not look like agreement.
        return (*names, *cost) or self.expected


def unreadable(place: str, message: str) -> InvalidRequestError:
    """The error about an export that is not what it should be."""
    return InvalidRequestError(f"{place}: {message}", param="FILE")


def count_of(value: Any, place: str) -> int:
    """A count; ``59200.0`` is one too, since spreadsheets write them so.

    Raises:
        InvalidRequestError: Not a whole number, or below zero.
    """
    if value is None or value == "":
        return 0
    number = _number(value)
    if number is None or number < 0 or number != int(number):
        raise unreadable(place, f"{value!r} is not a count")
    return int(number)


def amount_of(value: Any, place: str, *, scale: int = 0) -> Pico:
    """An amount in USD times ten to the ``scale``; finer than 10⁻¹² USD is rounded up.

    Raises:
        InvalidRequestError: Not an amount.
    """
    number = _number(value)
    if number is None:
        raise unreadable(place, f"{value!r} is not an amount")
    sign, digits, exponent = number.as_tuple()
    return ceil_pico(Decimal((sign, digits, int(exponent) + scale)))


def _number(value: Any) -> Decimal | None:
    """A finite number; ``None`` where it is none. Floats never come here: JSON is read exactly."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < _LARGEST else None


def text_of(value: Any) -> str | None:
    """A label; ``None`` where there is none."""
    return value.strip() or None if isinstance(value, str) else None


def day_of(at: dt.datetime) -> dt.datetime:
    """The first instant of its day in UTC, which is where both vendors begin days."""
    return at.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
