"""Points in time as people name them."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from switchgear import InvalidRequestError
from switchgear.accounting.reports.moments import (
    first_instant,
    instant,
    microseconds,
    moment,
    zone_of,
)

NOW = dt.datetime(2026, 11, 23, 15, 30, tzinfo=dt.UTC)  # a Monday
UTC = ZoneInfo("UTC")


def begin(value: dt.datetime | dt.date | str, zone: ZoneInfo = UTC) -> str:
    return moment(value, param="since", zone=zone, now=NOW, end=False).isoformat()


def end(value: dt.datetime | dt.date | str, zone: ZoneInfo = UTC) -> str:
    return moment(value, param="until", zone=zone, now=NOW, end=True).isoformat()


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("today", "2026-11-23", "2026-11-24"),
        ("yesterday", "2026-11-22", "2026-11-23"),
        ("week", "2026-11-23", "2026-11-30"),
        ("month", "2026-11-01", "2026-12-01"),
        ("year", "2026-01-01", "2027-01-01"),
        ("2026-02-28", "2026-02-28", "2026-03-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
    ],
)
def test_a_name_of_a_day_or_month_means_all_of_it(text: str, first: str, after: str) -> None:
    assert begin(text) == f"{first}T00:00:00+00:00"
    assert end(text) == f"{after}T00:00:00+00:00"


def test_days_back_are_whole_days_and_today_is_one_of_them() -> None:
    assert begin("1d") == begin("today")
    assert begin("7d") == "2026-11-17T00:00:00+00:00"
    assert begin("2w") == "2026-11-10T00:00:00+00:00"


def test_weeks_before_the_last_one_end_where_the_last_one_begins() -> None:
    assert end("7d") == begin("7d")


def test_hours_and_minutes_back_are_exact() -> None:
    assert begin("24h") == "2026-11-22T15:30:00+00:00"
    assert begin("90m") == "2026-11-23T14:00:00+00:00"


def test_hours_back_across_a_clock_that_was_set_back_are_hours_that_passed() -> None:
    now = dt.datetime(2026, 10, 25, 3, 0, tzinfo=dt.UTC)
    back = moment("4h", param="since", zone=ZoneInfo("Europe/Berlin"), now=now, end=False)
    assert now - back == dt.timedelta(hours=4)


def test_days_begin_in_the_time_zone_that_was_named() -> None:
    # 15:30 UTC is half past midnight of the 24th in Tokyo.
    assert begin("today", ZoneInfo("Asia/Tokyo")) == "2026-11-24T00:00:00+09:00"
    assert begin("2026-07-01", ZoneInfo("Europe/Berlin")) == "2026-07-01T00:00:00+02:00"


def test_a_time_without_an_offset_is_one_of_that_zone() -> None:
    assert begin("2026-11-23T08:00", ZoneInfo("Europe/Berlin")) == "2026-11-23T08:00:00+01:00"
    assert begin("2026-11-23T08:00Z", ZoneInfo("Europe/Berlin")) == "2026-11-23T08:00:00+00:00"
    naive = dt.datetime(2026, 11, 23, 8)  # noqa: DTZ001 - that is the point
    assert begin(naive, ZoneInfo("Europe/Berlin")) == "2026-11-23T08:00:00+01:00"


def test_a_date_is_the_whole_day_too() -> None:
    assert begin(dt.date(2026, 11, 1)) == "2026-11-01T00:00:00+00:00"
    assert end(dt.date(2026, 11, 30)) == "2026-12-01T00:00:00+00:00"


def test_a_day_without_midnight_begins_with_its_first_instant() -> None:
    cairo = ZoneInfo("Africa/Cairo")
    first = first_instant(dt.date(2026, 4, 24), cairo)
    assert first.isoformat() == "2026-04-24T01:00:00+03:00"


@pytest.mark.parametrize("text", ["", "soon", "7x", "2026-13-01", "2026-02-30", "1d ago", "-3d"])
def test_anything_else_is_refused_with_what_would_do(text: str) -> None:
    with pytest.raises(
        InvalidRequestError, match=r"since: .* is not a time: give .*today"
    ) as caught:
        begin(text)
    assert caught.value.param == "since"


def test_a_number_is_no_time() -> None:
    with pytest.raises(InvalidRequestError, match="is not a time"):
        begin(1_764_000_000)  # type: ignore[arg-type]


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(InvalidRequestError, match="Mars/Base") as caught:
        zone_of("Mars/Base")
    assert caught.value.param == "timezone"


def test_microseconds_are_exact_both_ways() -> None:
    at = dt.datetime(2026, 11, 23, 15, 30, 0, 123457, tzinfo=dt.UTC)
    assert instant(microseconds(at)) == at
    assert microseconds(at) % 1_000_000 == 123457
