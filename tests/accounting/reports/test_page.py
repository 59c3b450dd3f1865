"""The report as one HTML file: whole, safe, and legible for everybody."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from switchgear import Usage
from switchgear.accounting.ledger.store import Store
from switchgear.accounting.reports.overview import BUCKETS, Overview, buckets_of, overview
from switchgear.accounting.reports.page import page
from switchgear.accounting.reports.spend import spend_query
from tests.accounting.reports.rows import row

Booked = Callable[..., Store]
NOW = dt.datetime(2026, 11, 23, 15, 30, tzinfo=dt.UTC)
NASTY = "<script>alert('x')</script>\"&"


def seen(store: Store, **asked: Any) -> Overview:
    return overview(store, spend_query(**{"by": "project", "now": NOW, **asked}), NOW)


def test_every_day_has_its_place_also_one_without_spending(booked: Booked) -> None:
    found = seen(booked(row("2026-11-21T12:00"), row("2026-11-23T12:00")), since="2026-11-20")
    assert found.unit == "day"
    assert [step.name for step in found.steps] == [
        "2026-11-20",
        "2026-11-21",
        "2026-11-22",
        "2026-11-23",
    ]
    assert [sum(step.cost) for step in found.steps] == [0, Decimal("0.01"), 0, Decimal("0.01")]


def test_the_pictures_begin_with_the_first_attempt_where_nothing_else_is_said(
    booked: Booked,
) -> None:
    found = seen(booked(row("2026-11-19T12:00")))
    assert [found.steps[0].name, found.steps[-1].name] == ["2026-11-19", "2026-11-23"]


@pytest.mark.parametrize(
    ("since", "unit", "first"),
    [
        ("24h", "hour", "2026-11-22T15:00+00:00"),
        ("30d", "day", "2026-10-25"),
        ("year", "month", "2026-01"),
    ],
)
def test_steps_are_as_long_as_the_time_allows(
    booked: Booked, since: str, unit: str, first: str
) -> None:
    found = seen(booked(row("2026-11-23T12:00")), since=since)
    assert (found.unit, found.steps[0].name) == (unit, first)
    assert sum(step.answered for step in found.steps) == 1


def test_an_hour_that_comes_twice_has_two_places(booked: Booked) -> None:
    store = booked(row("2026-10-25T00:30"), row("2026-10-25T01:30"))
    zone = "Europe/Berlin"
    found = seen(store, since="2026-10-25", until="2026-10-25", timezone=zone)
    names = [step.name for step in found.steps if step.answered]
    assert names == ["2026-10-25T02:00+01:00", "2026-10-25T02:00+02:00"]
    assert len(found.steps) == 25


def test_many_series_end_in_all_others_and_lose_nothing(booked: Booked) -> None:
    rows = [row(dollars=f"0.{n:02}", project_id=f"p{n}") for n in range(1, 20)]
    found = seen(booked(*rows))
    assert len(found.series) == 6
    assert found.series[0] == "p19"
    assert found.series[-1] == "others"
    assert sum(sum(step.cost) for step in found.steps) == found.spend.cost


def test_kinds_of_tokens_do_not_overlap() -> None:
    usage = Usage(
        input_tokens=100,
        cache_read_tokens=60,
        cache_write_tokens=30,
        output_tokens=50,
        reasoning_tokens=20,
    )
    assert dict(zip(BUCKETS, buckets_of(usage), strict=True)) == {
        "fresh input": 10,
        "cache read": 60,
        "cache write": 30,
        "output": 30,
        "reasoning": 20,
    }


@pytest.fixture
def nasty(booked: Booked) -> str:
    rows = [
        row(
            f"2026-11-{day:02}T12:00",
            project_id=NASTY,
            agent_id=f"agent {day} {NASTY}",
            model=NASTY,
            usage=Usage(10, 5, cache_read_tokens=3, reasoning_tokens=2),
        )
        for day in range(10, 23)
    ]
    rows.append(row(dollars=None, outcome="failed", usage=Usage(5, 0, estimated=True)))
    return page(seen(booked(*rows), by=["project", "agent"], since="month"), NOW)


def test_labels_are_other_peoples_words_and_escaped(nasty: str) -> None:
    assert "<script" not in nasty
    assert "&lt;script&gt;" in nasty


def test_it_needs_nothing_else(nasty: str) -> None:
    assert not re.search(r"(?i)\b(src|href|@import|url\((?!#))", nasty)
    assert "http" not in nasty


class Balanced(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_is_well_formed(nasty: str) -> None:
    parser = Balanced()
    parser.feed(nasty)
    parser.close()
    assert parser.open == []


def charts(text: str) -> list[ET.Element]:
    found = re.findall(r'<svg viewBox.*?role="img".*?</svg>', text, re.DOTALL)
    return [ET.fromstring(each) for each in found]


def test_every_chart_can_be_read_aloud(nasty: str) -> None:
    drawn = charts(nasty)
    assert len(drawn) == 6
    ids = [each.get("id") for chart in drawn for each in chart.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    for chart in drawn:
        named = (chart.get("aria-labelledby") or "").split()
        texts = {each.get("id"): each.text for each in chart}
        assert all(texts[name] for name in named)


def test_series_differ_without_colour(nasty: str) -> None:
    used = set(re.findall(r'fill="url\(#(fill\d)\)"', nasty))
    patterns = dict(re.findall(r'<pattern id="(fill\d)".*?<rect[^>]*/>(.*?)</pattern>', nasty))
    assert len(used) > 3
    assert len({patterns[name] for name in used}) == len(used)


def test_nothing_of_a_chart_is_drawn_outside_of_it(nasty: str) -> None:
    for chart in charts(nasty):
        _, _, width, height = map(float, (chart.get("viewBox") or "").split())
        for each in chart.iter("rect"):
            x, y = float(each.get("x") or 0), float(each.get("y") or 0)
            assert 0 <= x <= x + float(each.get("width") or 0) <= width
            assert -0.1 <= y <= y + float(each.get("height") or 0) <= height + 0.1


def test_what_sums_lack_is_said(nasty: str) -> None:
    assert "1 attempt without a price" in nasty
    assert "1 attempt with estimated tokens" in nasty


def test_every_row_is_in_the_table(nasty: str) -> None:
    table = nasty.rpartition("<h2>Row by row</h2>")[2]
    assert table.count("<tr>") == 1 + 14


def test_a_report_of_nothing_is_a_page_too(booked: Booked) -> None:
    text = page(seen(booked(), since="month"), NOW)
    assert "Nothing in this time." in text
    assert "Row by row" not in text
