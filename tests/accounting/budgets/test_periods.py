from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, strategies as st

from switchgear.accounting.budgets.keys import counter_key
from switchgear.accounting.budgets.periods import span_of

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",  # set back at one o'clock: midnight comes twice
    "America/Santiago",  # set forward at midnight, which some days lack
    "Asia/Kathmandu",  # three quarters of an hour off
    "Australia/Lord_Howe",  # set by half an hour
    "Pacific/Apia",
    "Atlantic/Azores",
]
PERIODS = ["hour", "day", "week", "month"]
YEARS = st.integers(int(dt.datetime(2020, 1, 1, tzinfo=dt.UTC).timestamp()), 2**31 + 10**8)
LORD_HOWE_FORWARD = int(dt.datetime(2026, 10, 3, 15, 30, tzinfo=dt.UTC).timestamp())
LORD_HOWE_BACK = int(dt.datetime(2026, 4, 4, 15, 0, tzinfo=dt.UTC).timestamp())


def at(zone: str, *moment: int, fold: int = 0) -> int:
    return int(dt.datetime(*moment, tzinfo=ZoneInfo(zone), fold=fold).timestamp())  # type: ignore[misc, arg-type]


def hours(zone: str, *day: int) -> float:
    span = span_of("day", zone, at(zone, *day, 12))
    assert span.end is not None
    return (span.end - span.start) / 3600


@given(st.sampled_from(PERIODS), st.sampled_from(ZONES), YEARS)
@example("hour", "Australia/Lord_Howe", LORD_HOWE_FORWARD)
@example("hour", "Australia/Lord_Howe", LORD_HOWE_FORWARD - 1)
@example("hour", "Australia/Lord_Howe", LORD_HOWE_FORWARD + 1800)
@example("hour", "Australia/Lord_Howe", LORD_HOWE_BACK)
@example("hour", "Australia/Lord_Howe", LORD_HOWE_BACK + 1799)
@example("hour", "Australia/Lord_Howe", LORD_HOWE_BACK - 1)
def test_periods_follow_each_other_without_a_gap_or_an_overlap(
    period: str, zone: str, moment: int
) -> None:
    span = span_of(period, zone, moment)
    assert span.end is not None
    assert span.start <= moment < span.end
    assert span_of(period, zone, span.start) == span
    assert span_of(period, zone, span.end - 1) == span
    assert span_of(period, zone, span.end).start == span.end
    assert span_of(period, zone, span.start - 1).end == span.start


@given(st.sampled_from(PERIODS), st.sampled_from(ZONES), YEARS, st.floats(0, 0.999999))
def test_all_instants_of_a_period_have_one_counter(
    period: str, zone: str, moment: int, fraction: float
) -> None:
    span = span_of(period, zone, moment)
    key = counter_key("global", "", period, zone, moment + fraction)
    assert key == counter_key("global", "", period, zone, span.start)
    assert key != counter_key("global", "", period, zone, span.end or 0)


@given(st.sampled_from(ZONES), YEARS)
def test_days_weeks_and_months_begin_with_a_local_date(zone: str, moment: int) -> None:
    here = ZoneInfo(zone)
    today = dt.datetime.fromtimestamp(moment, here).date()
    for period, first in (
        ("day", today),
        ("week", today - dt.timedelta(days=today.weekday())),
        ("month", today.replace(day=1)),
    ):
        start = span_of(period, zone, moment).start
        assert dt.datetime.fromtimestamp(start, here).date() == first
        assert dt.datetime.fromtimestamp(start - 1, here).date() < first


def test_a_day_on_which_the_clock_is_set_has_23_or_25_hours() -> None:
    assert hours("Europe/Berlin", 2026, 3, 29) == 23
    assert hours("Europe/Berlin", 2026, 10, 25) == 25
    assert hours("Europe/Berlin", 2026, 11, 23) == 24
    assert hours("Australia/Lord_Howe", 2026, 10, 4) == 23.5


def test_a_day_without_midnight_begins_with_its_first_instant() -> None:
    noon = at("America/Santiago", 2026, 9, 6, 12)
    start = span_of("day", "America/Santiago", noon).start
    first = dt.datetime.fromtimestamp(start, ZoneInfo("America/Santiago"))
    assert (first.day, first.hour) == (6, 1)
    assert hours("America/Santiago", 2026, 9, 6) == 23


def test_a_day_whose_midnight_comes_twice_begins_with_the_first_one() -> None:
    zone = "America/Havana"
    twice = [at(zone, 2026, 11, 1, 0, 30, fold=fold) for fold in (0, 1)]
    assert twice[1] - twice[0] == 3600
    assert {span_of("day", zone, moment).start for moment in twice} == {at(zone, 2026, 11, 1)}


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    zone = "Europe/Berlin"
    first, second = (
        span_of("hour", zone, at(zone, 2026, 10, 25, 2, 30, fold=fold)) for fold in (0, 1)
    )
    assert first.end == second.start


def test_a_week_begins_on_monday() -> None:
    span = span_of("week", "UTC", at("UTC", 2026, 11, 29, 23, 59))
    assert span.start == at("UTC", 2026, 11, 23)
    assert span.end == at("UTC", 2026, 11, 30)


def test_a_month_ends_with_the_year() -> None:
    span = span_of("month", "UTC", at("UTC", 2026, 12, 31, 23))
    assert (span.start, span.end) == (at("UTC", 2026, 12, 1), at("UTC", 2027, 1, 1))


@pytest.mark.parametrize("period", ["run", "ever"])
def test_a_run_and_ever_have_no_end(period: str) -> None:
    span = span_of(period, "UTC", 1_795_392_000)
    assert (span.start, span.end) == (0, None)
