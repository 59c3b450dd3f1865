from __future__ import annotations

import base64
import itertools
import json

import pytest
from hypothesis import given, strategies as st

from switchgear.errors import MalformedResponseError
from switchgear.providers.dialects.event_stream import EventStreamParser
from switchgear.testing.anthropic.eventstream import encode_frame

CHUNK = {":message-type": "event", ":event-type": "chunk", ":content-type": "application/json"}


def chunk(event: object) -> bytes:
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    return encode_frame(CHUNK, json.dumps({"bytes": inner, "p": "abcd"}).encode())


def test_a_chunk_gives_its_event() -> None:
    assert EventStreamParser().feed(chunk({"type": "ping"})) == [(b"", b'{"type": "ping"}')]


def test_an_exception_gives_an_error_event() -> None:
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    (event,) = EventStreamParser().feed(encode_frame(headers, b'{"message":"slow down"}'))
    assert event[0] == b"error"
    assert json.loads(event[1]) == {
        "error": {"type": "throttlingException", "message": "slow down"}
    }


def test_an_error_without_a_payload_gives_an_error_event() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "oops"}
    (event,) = EventStreamParser().feed(encode_frame(headers, b""))
    assert json.loads(event[1]) == {"error": {"type": "InternalError", "message": "oops"}}


def test_events_of_other_kinds_are_passed_over() -> None:
    frame = encode_frame({":message-type": "event", ":event-type": "metadata"}, b"{}")
    assert EventStreamParser().feed(frame + chunk(1)) == [(b"", b"1")]


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=5),
    st.lists(st.integers(0, 2000), max_size=10),
)
def test_the_cuts_do_not_matter(events: list[dict[str, str]], cuts: list[int]) -> None:
    body = b"".join(chunk(event) for event in events)
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    parser = EventStreamParser()
    pieces = [body[a:b] for a, b in itertools.pairwise(places)]
    found = [event for piece in pieces for event in parser.feed(piece)]
    assert [json.loads(payload) for _, payload in found] == events


@pytest.mark.parametrize("place", [0, 5, 9, 20, -10, -1])
def test_a_damaged_frame_is_an_error(place: int) -> None:
    damaged = bytearray(chunk({"type": "ping"}))
    damaged[place] ^= 0x40
    with pytest.raises(MalformedResponseError):
        EventStreamParser().feed(bytes(damaged))


def test_what_is_no_frame_at_all_is_an_error() -> None:
    with pytest.raises(MalformedResponseError):
        EventStreamParser().feed(b"<html>a captive portal</html>")
