"""When a budget's period begins and ends, in its own time zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

__all__ = ["Span", "span_of"]

_HOUR = 3600
_QUARTER = 900
_DAY = dt.timedelta(days=1)


class Span(msgspec.Struct, frozen=True):
    """A period: from ``start``, before ``end``. Seconds since 1970; ``end`` is ``None`` for ever.

    An hour is one of 60 minutes even where the clock is set back in it; where it is set by half an
    hour (Lord Howe Island), that ends an hour and begins one. A day that lacks midnight begins with
    its first instant.
    """

    start: int
    end: int | None


def span_of(period: str, timezone: str, at: float) -> Span:
    """The period of that kind in which an instant falls.

    Args:
        period: ``hour``, ``day``, ``week``, ``month``; ``run`` and ``ever`` have no end.
        timezone: The name of a time zone.
        at: Seconds since 1970.
    """
    if period in {"run", "ever"}:
        return Span(0, None)
    zone = ZoneInfo(timezone)
    local = dt.datetime.fromtimestamp(at, zone)
    if period == "hour":
        # Counted in UTC from the zone's own full hour, since a local hour may come twice.
        start = int(at // 1) - local.minute * 60 - local.second
        return _of_one_offset(start, at, zone)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None)
    if period == "week":
        day -= dt.timedelta(days=day.weekday())
        following = day + 7 * _DAY
    elif period == "month":
        day = day.replace(day=1)
        following = (day + 32 * _DAY).replace(day=1)
    else:
        following = day + _DAY
    return Span(_instant(day, zone), _instant(following, zone))


def _of_one_offset(start: int, at: float, zone: ZoneInfo) -> Span:
    """The part of an hour around an instant in which the clock is not set."""
    offset = _offset(at, zone)
    end = start + _HOUR
    # Clocks are set on whole quarters.
    before = after = int(at // _QUARTER) * _QUARTER
    while before > start and _offset(before - 1, zone) == offset:
        before -= _QUARTER
    while after < end and _offset(after, zone) == offset:
        after += _QUARTER
    return Span(max(start, before), min(end, after))


def _offset(at: float, zone: ZoneInfo) -> dt.timedelta | None:
    return dt.datetime.fromtimestamp(at, zone).utcoffset()


def _instant(midnight: dt.datetime, zone: ZoneInfo) -> int:
    return int(midnight.replace(tzinfo=zone).timestamp())
