"""How any stream of any adapter ends: complete, or with an error, never in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from switchgear.completion import StreamEvent
from switchgear.errors import OverloadedError, ProviderConnectionError, SwitchgearError
from switchgear.messages import Text
from switchgear.providers.base import Reply, ReplyStream, ResponseMeta
from switchgear.providers.stream import DecodedStream

META = ResponseMeta("req_1", {"x": "y"})


class Source:
    """Bytes, one piece a read; an exception in the list is raised, ``None`` waits for ever."""

    def __init__(self, *pieces: bytes | SwitchgearError | None) -> None:
        self.pieces = list(pieces)
        self.meta = META
        self.closed = 0
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if piece is None:
            await asyncio.Event().wait()
        if isinstance(piece, SwitchgearError):
            raise piece
        return piece or b""

    async def aclose(self) -> None:
        self.closed += 1


class Letters:
    """A format of letters: each is an event, ``.`` the end, ``!`` an error, ``~`` nothing yet."""

    def __init__(self, at_end: str = "") -> None:
        self.finished = False
        self.error: SwitchgearError | None = None
        self.said = ""
        self._at_end = at_end

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        events = []
        for letter in data.decode():
            if letter == ".":
                self.finished = True
                break
            if letter == "!":
                self.error = OverloadedError("overloaded")
                break
            if letter != "~":
                self.said += letter
                events.append(StreamEvent(text=letter))
        return events

    def end(self) -> Sequence[StreamEvent]:
        return self.feed(self._at_end.encode())

    def snapshot(self, meta: ResponseMeta) -> Reply:
        return Reply(parts=(Text(self.said),), finish_reason="stop", meta=meta)


def stream_of(
    *pieces: bytes | SwitchgearError | None, at_end: str = ""
) -> tuple[DecodedStream, Source]:
    source = Source(*pieces)
    return DecodedStream(source, Letters(at_end), provider="p", model="m"), source


async def read(stream: DecodedStream) -> str:
    said = ""
    async for event in stream:
        said += event.text
    return said


async def test_a_whole_stream_is_read_to_its_end_and_let_go() -> None:
    stream, source = stream_of(b"ab", b"~", b"c.")
    assert not stream.finished
    assert await read(stream) == "abc"
    assert stream.finished
    assert source.closed
    assert stream.snapshot().parts == (Text("abc"),)
    served: ReplyStream = stream
    assert served.meta is META


async def test_after_the_end_there_is_nothing_more() -> None:
    stream, _ = stream_of(b"a.")
    await read(stream)
    with pytest.raises(StopAsyncIteration):
        await stream.__anext__()


async def test_what_follows_the_end_is_read_so_that_the_connection_can_be_used_again() -> None:
    stream, source = stream_of(b"a.", b"trailing", b"bytes")
    assert await read(stream) == "a"
    assert source.pieces == []


async def test_a_peer_that_never_ends_its_body_is_not_waited_for() -> None:
    stream, source = stream_of(b"a.", None)
    async with asyncio.timeout(30):
        assert await read(stream) == "a"
    assert source.closed


async def test_a_body_that_merely_stops_is_an_error() -> None:
    stream, source = stream_of(b"ab")
    said = [(await stream.__anext__()).text, (await stream.__anext__()).text]
    with pytest.raises(ProviderConnectionError, match="stopped before its end") as error:
        await stream.__anext__()
    assert said == ["a", "b"]
    assert not stream.finished
    assert source.closed
    assert error.value.request_id == "req_1"
    assert (error.value.provider, error.value.model) == ("p", "m")


async def test_an_empty_body_is_an_error() -> None:
    stream, _ = stream_of()
    with pytest.raises(ProviderConnectionError):
        await read(stream)


async def test_the_end_of_the_body_may_complete_the_answer() -> None:
    stream, _ = stream_of(b"ab", at_end="c.")
    assert await read(stream) == "abc"
    assert stream.finished


async def test_events_before_an_error_are_given_first() -> None:
    stream, source = stream_of(b"ab!c")
    assert (await stream.__anext__()).text == "a"
    assert (await stream.__anext__()).text == "b"
    for _ in range(2):
        with pytest.raises(OverloadedError):
            await stream.__anext__()
    assert source.closed
    assert not stream.finished
    assert stream.snapshot().parts == (Text("ab"),)


async def test_a_broken_connection_is_passed_on() -> None:
    broken = ProviderConnectionError("reset")
    stream, _ = stream_of(b"a", broken)
    assert (await stream.__anext__()).text == "a"
    with pytest.raises(ProviderConnectionError, match="reset"):
        await stream.__anext__()
    assert not stream.finished


async def test_closing_twice_and_reading_afterwards() -> None:
    stream, source = stream_of(b"ab", b"c.")
    await stream.__anext__()
    await stream.aclose()
    await stream.aclose()
    assert source.closed
    assert (await stream.__anext__()).text == "b"  # it had arrived
    with pytest.raises(ProviderConnectionError):
        await stream.__anext__()
    assert not stream.finished


async def test_a_snapshot_never_waits_and_changes_nothing() -> None:
    stream, source = stream_of(b"ab", b"c.")
    await stream.__anext__()
    assert stream.snapshot().parts == (Text("ab"),)
    assert source.reads == 1
    assert await read(stream) == "bc"


async def test_a_reader_that_is_cancelled_can_go_on() -> None:
    stream, source = stream_of(b"a", None, b"b.")
    assert (await stream.__anext__()).text == "a"
    task = asyncio.ensure_future(stream.__anext__())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed == 0
    assert await read(stream) == "b"


async def test_what_is_ready_was_decoded_already_and_nothing_is_read_for_it() -> None:
    stream, source = stream_of(b"abc", b"d", b"~", b".")
    assert list(stream.ready) == []
    assert source.reads == 0
    assert (await anext(stream)).text == "a"
    assert [event.text for event in stream.ready] == ["b", "c"]
    assert source.reads == 1
    assert [event.text for event in await stream.more()] == ["d"]
    assert list(await stream.more()) == []
    assert source.reads == 3
    assert await read(stream) == ""
    assert stream.finished


async def test_more_of_a_stream_that_only_stops_is_an_error() -> None:
    stream, source = stream_of(b"a")
    assert [event.text for event in await stream.more()] == ["a"]
    assert list(await stream.more()) == []
    with pytest.raises(ProviderConnectionError, match="before its end"):
        await stream.more()
    assert source.closed
