from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from switchgear.errors import MalformedResponseError
from switchgear.providers import sse
from switchgear.providers.sse import LineParser, SseParser

Event = tuple[bytes, bytes]


def parse(*pieces: bytes) -> list[Event]:
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[a:b] for a, b in itertools.pairwise(edges)]


# -- lines --------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_any_of_three_ways(end: bytes) -> None:
    assert LineParser().feed(b"a" + end + b"b" + end) == [b"a", b"b"]


def test_a_return_and_its_newline_may_come_apart() -> None:
    parser = LineParser()
    assert parser.feed(b"a\r") == [b"a"]
    assert parser.feed(b"\nb\r") == [b"b"]
    assert parser.feed(b"\n") == []
    assert parser.feed(b"\n") == [b""]


def test_what_has_no_end_yet_waits() -> None:
    parser = LineParser()
    assert parser.feed(b"half a l") == []
    assert parser.rest() == b"half a l"
    assert parser.feed(b"ine\nand") == [b"half a line"]
    assert parser.rest() == b"and"


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LONGEST_EVENT", 10)
    parser = LineParser()
    parser.feed(b"x" * 10)
    with pytest.raises(MalformedResponseError):
        parser.feed(b"x")


lines = st.lists(st.binary(max_size=8).map(lambda b: b.translate(None, b"\r\n")), max_size=8)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(lines, st.lists(ends, min_size=8, max_size=8), st.lists(st.integers(0), max_size=10))
def test_lines_do_not_depend_on_the_cuts(
    written: list[bytes], endings: list[bytes], places: list[int]
) -> None:
    body = b"".join(line + end for line, end in zip(written, endings, strict=False))
    parser, whole = LineParser(), LineParser()
    assert [line for piece in cut(body, places) for line in parser.feed(piece)] == whole.feed(body)
    assert parser.rest() == whole.rest() == b""


# -- events -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a\n\n", [(b"", b"a")]),
        (b"event: e\ndata: a\n\n", [(b"e", b"a")]),
        (b"data:a\n\n", [(b"", b"a")]),
        (b"data:  two spaces\n\n", [(b"", b" two spaces")]),
        (b"data: a\ndata: b\n\n", [(b"", b"a\nb")]),
        (b"data\n\n", [(b"", b"")]),
        (b"data: a: b\n\n", [(b"", b"a: b")]),
        (b": a comment\ndata: a\n: another\n\n", [(b"", b"a")]),
        (b"id: 7\nretry: 100\ndata: a\n\n", [(b"", b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")]),
        (b" data: a\n\n", [(b"", b"a")]),
        (b"event: e\n\ndata: a\n\n", [(b"", b"a")]),
        (b"\n\n\ndata: a\n\n\n\n", [(b"", b"a")]),
        (b"data: {}   \n\n", [(b"", b"{}   ")]),
        (b"data: a\n\ndata: cut sho", [(b"", b"a")]),
        (b"data: a\n\ndata: b\n", [(b"", b"a")]),
        (b"unknown: x\ndata: a\n\n", [(b"", b"a")]),
        (b"", []),
    ],
)
def test_events(body: bytes, events: list[Event]) -> None:
    assert parse(body) == events


def test_a_character_may_be_cut_in_two() -> None:
    body = "data: grün\n\n".encode()
    place = body.index("ü".encode()) + 1
    assert parse(body[:place], body[place:]) == [(b"", "grün".encode())]


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LONGEST_EVENT", 10)
    with pytest.raises(MalformedResponseError):
        parse(*[b"data: 123456\n"] * 2)


payloads = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=10)
events_strategy = st.lists(
    st.tuples(st.sampled_from(["", "delta", "stop"]), st.lists(payloads, min_size=1, max_size=3)),
    max_size=6,
)
noise = st.sampled_from(["", ": ping", "id: 1", "retry: 10"])


@given(
    events_strategy,
    st.lists(noise, min_size=6, max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.lists(st.integers(0), max_size=12),
)
def test_any_cutting_gives_the_events_that_were_written(
    written: list[tuple[str, list[str]]],
    noises: list[str],
    end: str,
    marked: bool,
    places: list[int],
) -> None:
    rows: list[str] = []
    for (name, data), other in zip(written, noises, strict=False):
        rows += [other] if other else []
        rows += [f"event: {name}"] if name else []
        rows += [f"data: {line}" for line in data]
        rows.append("")
    body = ("\ufeff" if marked else "").encode() + "".join(row + end for row in rows).encode()
    expected = [(name.encode(), "\n".join(data).encode()) for name, data in written]
    assert parse(body) == expected
    assert parse(*cut(body, places)) == expected
    assert parse(*(body[i : i + 1] for i in range(len(body)))) == expected


# -- the short way gives what the long way gives ------------------------------------------------


def by_line(*pieces: bytes) -> list[Event]:
    """Read line by line from the first byte on."""
    parser = SseParser()
    return [event for piece in pieces for event in parser._by_line(piece)]


fragments = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"data",
        b"event: ",
        b"event:",
        b" ",
        b": ",
        b"id: 1",
        b"\n",
        b"\n\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        b'{"a":1}',
        b"x",
        b"[DONE]",
        b"data: {}\n\n",
        b"event: e\ndata: {}\n\n",
        b"data: {}\r\n\r\n",
        b"event: e\r\ndata: {}\r\n\r\n",
    ]
)
any_body = st.lists(fragments, max_size=24).map(b"".join)


@given(any_body, st.lists(st.integers(0), max_size=12))
def test_whatever_is_sent_reads_the_same_by_event_and_by_line(
    body: bytes, places: list[int]
) -> None:
    expected = by_line(body)
    assert parse(body) == expected
    assert parse(*cut(body, places)) == expected
    assert parse(*(body[i : i + 1] for i in range(len(body)))) == expected


@given(any_body, st.lists(st.integers(0), max_size=6))
def test_each_event_is_given_with_its_last_byte(body: bytes, places: list[int]) -> None:
    short, long = SseParser(), SseParser()
    for piece in cut(body, places):
        assert short.feed(piece) == long._by_line(piece)


@given(any_body, st.lists(st.integers(0), max_size=6))
def test_how_much_may_wait_in_one_piece_makes_no_difference(body: bytes, places: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sse, "_SHORT", 3)
        assert parse(*cut(body, places)) == by_line(body)


def test_a_long_event_in_small_pieces_is_not_copied_for_each() -> None:
    parser = SseParser()
    parser.feed(b"data: ")
    for _ in range(3):
        assert parser.feed(b"x" * 4000) == []
    assert len(parser._rest) <= 4096
    assert parser.feed(b"\n\ndata: y\n\n") == [(b"", b"x" * 12000), (b"", b"y")]
    assert parser.feed(b"data: z\n\n") == [(b"", b"z")]
