"""Points in time as people name them: ``7d``, ``today``, ``2026-11-23``.

Whatever names a whole day, month or year means all of it: as a beginning its first instant, as an
end the first instant after it. So ``since="2026-11-01", until="2026-11-30"`` is all of November.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ...errors import InvalidRequestError

__all__ = ["WORDS", "When", "first_instant", "instant", "microseconds", "moment", "zone_of"]

When = dt.datetime | dt.date | str

WORDS: Final = ("now", "today", "yesterday", "week", "month", "year")
_LENGTH: Final = re.compile(r"(\d{1,6})\s*(m|min|h|d|w)")
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY: Final = dt.timedelta(days=1)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_WANTED: Final = (
    'a datetime, a date, "2026-11-23", "2026-11-23T08:00+01:00", "24h", "7d", '
    + ", ".join(f'"{word}"' for word in WORDS[:-1])
    + f' or "{WORDS[-1]}"'
)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        InvalidRequestError: There is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        message = f'timezone: {name!r} is not the name of a time zone, such as "Europe/Berlin"'
        raise InvalidRequestError(message, param="timezone") from None


def moment(value: When, *, param: str, zone: ZoneInfo, now: dt.datetime, end: bool) -> dt.datetime:
    """The instant that somebody named.

    Args:
        value: A datetime (without an offset: of ``zone``), a date, the same as ISO text, a month
            (``2026-11``), one of ``WORDS``, or a length of time back from now: ``90m`` and
            ``24h`` to the second, ``7d`` and ``2w`` in whole days, today included.
        param: Whose value it is; for the message.
        zone: Where days begin.
        now: The present, aware.
        end: It is the end of a range.

    Raises:
        InvalidRequestError: It is none of these; ``param`` names the parameter.
    """
    local = now.astimezone(zone)
    if isinstance(value, dt.datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=zone)
    if isinstance(value, dt.date):
        return first_instant(value + _DAY if end else value, zone)
    if not isinstance(value, str):
        raise _refused(value, param)
    text = value.strip()
    try:
        return _ago(text, zone, local) or _named(text, zone, local, end=end)
    except (ValueError, OverflowError):
        raise _refused(value, param) from None


def first_instant(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The first instant of a day, also where that day lacks its midnight."""
    midnight = dt.datetime.combine(day, dt.time(), zone)
    # Through UTC and back: a midnight that the clock jumps over becomes the instant after the jump.
    return midnight.astimezone(dt.UTC).astimezone(zone)


def microseconds(at: dt.datetime) -> int:
    """An instant as microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at: int) -> dt.datetime:
    """Microseconds since 1970 as an instant (UTC)."""
    return _EPOCH + at * _MICROSECOND


def _ago(text: str, zone: ZoneInfo, local: dt.datetime) -> dt.datetime | None:
    found = _LENGTH.fullmatch(text)
    if found is None:
        return None
    number, unit = int(found[1]), found[2]
    if unit in {"d", "w"}:
        days = number * (7 if unit == "w" else 1)
        return first_instant(local.date() - dt.timedelta(days=max(0, days - 1)), zone)
    length = dt.timedelta(hours=number) if unit == "h" else dt.timedelta(minutes=number)
    return local.astimezone(dt.UTC) - length


def _named(text: str, zone: ZoneInfo, local: dt.datetime, *, end: bool) -> dt.datetime:
    """A word, a month, a day or an instant.

    Raises:
        ValueError: None of them.
    """
    today = local.date()
    word = text.lower()
    if word == "now":
        return local
    if word in {"today", "yesterday"}:
        first = today if word == "today" else today - _DAY
        following = first + _DAY
    elif word == "week":
        first = today - dt.timedelta(days=today.weekday())
        following = first + 7 * _DAY
    elif word == "month" or _MONTH.fullmatch(text):
        first = today.replace(day=1) if word == "month" else dt.date.fromisoformat(f"{text}-01")
        following = (first + 32 * _DAY).replace(day=1)
    elif word == "year":
        first = today.replace(month=1, day=1)
        following = first.replace(year=first.year + 1)
    elif len(text) > len("2026-11-23"):
        instant = dt.datetime.fromisoformat(text)
        return instant if instant.tzinfo is not None else instant.replace(tzinfo=zone)
    else:
        first = dt.date.fromisoformat(text)
        following = first + _DAY
    return first_instant(following if end else first, zone)


def _refused(value: object, param: str) -> InvalidRequestError:
    return InvalidRequestError(f"{param}: {value!r} is not a time: give {_WANTED}", param=param)
