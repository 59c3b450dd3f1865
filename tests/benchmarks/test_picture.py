from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.suite.picture import PICTURES, Bar, Panel, draw, svg
from benchmarks.suite.results import Found, Results, Row
from benchmarks.suite.scenarios import SCENARIOS
from benchmarks.suite.statistics import figure

SVG = "{http://www.w3.org/2000/svg}"
OURS = Bar("Ours <1.0> & direct", figure([100, 110, 120]), ours=True)
THEIRS = Bar("Theirs", figure([1000.0]), ours=False)


def drawn(*panels: Panel) -> ET.Element:
    return ET.fromstring(svg("Time & again", "µs", panels, "a note"))


def bars(picture: ET.Element) -> list[ET.Element]:
    return [each for each in picture.iter(f"{SVG}rect") if "bar" in each.get("class", "")]


def texts(picture: ET.Element) -> list[str]:
    return ["".join(each.itertext()) for each in picture.iter(f"{SVG}text")]


def test_a_picture_says_what_it_shows() -> None:
    picture = drawn(Panel("One", [OURS, THEIRS]))
    assert picture.find(f"{SVG}title") is not None
    assert texts(picture) == [
        "Time & again",
        "One",
        "Ours <1.0> & direct",
        "110 µs",
        "Theirs",
        "1,000 µs",
        "a note",
    ]


def test_bars_are_as_long_as_their_figures() -> None:
    picture = drawn(Panel("One", [OURS, THEIRS]))
    ours, theirs = bars(picture)
    assert float(theirs.get("width", "")) / float(ours.get("width", "")) > 9
    assert (ours.get("class"), theirs.get("class")) == ("bar ours", "bar")


def test_only_what_spreads_has_a_line_for_it() -> None:
    picture = drawn(Panel("One", [OURS, THEIRS]))
    assert [each.get("class") for each in picture.iter(f"{SVG}path")] == ["axis", "spread"]


def test_everything_stands_within_the_picture() -> None:
    picture = drawn(Panel("One", [OURS] * 9), Panel("Two", [THEIRS]))
    width, height = (float(picture.get(name, "")) for name in ("width", "height"))
    for bar in bars(picture):
        assert float(bar.get("x", "")) + float(bar.get("width", "")) < width
    assert all(0 < float(each.get("y", "")) < height for each in picture.iter(f"{SVG}text"))


def test_a_dark_page_has_colours_of_its_own() -> None:
    assert "prefers-color-scheme: dark" in svg("", "", [], "")


def test_nothing_measured_is_no_trouble() -> None:
    assert bars(drawn(Panel("None", []))) == []


def test_a_run_gives_the_pictures_of_what_it_measured() -> None:
    row = Row(subject="switchgear", title="Switchgear", version="0.1", cpu_us=figure([1.0]))
    made = Results(
        machine={"python": "CPython 3.11", "processors": 2},
        options={"rounds": 1, "loop": "asyncio"},
        scenarios=[Found(scenario="openai-64", title="Completion", rows=[row])],
    )
    assert set(draw(made)) == {"completions.svg"}


def test_pictures_are_of_scenarios_that_there_are() -> None:
    names = {each.name for each in SCENARIOS}
    assert all(names.issuperset(each.scenarios) for each in PICTURES.values())
