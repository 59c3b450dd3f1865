"""Streams whose events come in whatever pieces the network made: one at a time, or many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from switchgear import (
    CompletionStream,
    LifecycleError,
    OverloadedError,
    ProviderTimeoutError,
    StreamInterruptedError,
)
from switchgear.completion import FinishReason, StreamEvent
from switchgear.errors import SwitchgearError
from switchgear.messages import Text
from switchgear.providers.base import Call, Reply, ReplyStream, ResponseMeta
from switchgear.providers.stream import DecodedStream
from switchgear.testing.scripted import ScriptedProvider

from .helpers import virtual

pytestmark = pytest.mark.looptime

META = ResponseMeta("req_1", {})
PAUSE = 4.0
"""Seconds before each piece."""


class Source:
    """Bytes, one piece a read; an exception is raised, ``None`` waits for ever."""

    def __init__(self, pieces: Sequence[bytes | SwitchgearError | None]) -> None:
        self.pieces = list(pieces)
        self.meta = META
        self.closed = False
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        await asyncio.sleep(PAUSE)
        piece = self.pieces.pop(0) if self.pieces else b""
        if piece is None:
            await asyncio.Event().wait()
        if isinstance(piece, SwitchgearError):
            raise piece
        return piece or b""

    async def aclose(self) -> None:
        self.closed = True


class Letters:
    """A format of letters: each is an event, ``.`` the end."""

    def __init__(self) -> None:
        self.finished = False
        self.error: SwitchgearError | None = None
        self.said = ""

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        letters, end, _ = data.decode().partition(".")
        self.finished = bool(end)
        self.said += letters
        return [StreamEvent(letter) for letter in letters]

    def end(self) -> Sequence[StreamEvent]:
        return ()

    def snapshot(self, meta: ResponseMeta) -> Reply:
        finish: FinishReason = "stop" if self.finished else "error"
        return Reply(parts=(Text(self.said),), finish_reason=finish, meta=meta)


class Decoding(ScriptedProvider):
    """Answers with these pieces of a body."""

    def __init__(self, *pieces: bytes | SwitchgearError | None) -> None:
        super().__init__("a")
        self.source = Source(pieces)

    async def stream(self, call: Call) -> ReplyStream:  # type: ignore[override]
        return DecodedStream(self.source, Letters(), provider="a", model=call.model)


async def rest_of(stream: CompletionStream) -> str:
    return "".join([event.text async for event in stream])


@pytest.mark.parametrize(
    "pieces",
    [(b"abcdef.",), (b"a", b"b", b"c", b"d", b"e", b"f", b"."), (b"abc", b"d", b"ef", b".")],
)
async def test_it_is_the_same_answer_however_the_events_arrive(pieces: Sequence[bytes]) -> None:
    provider = Decoding(*pieces)
    async with virtual(provider) as router:
        async with router.stream("g", "hi") as stream:
            assert await rest_of(stream) == "abcdef"
    assert stream.completion.text == "abcdef"
    assert provider.source.closed


async def test_nothing_is_read_before_what_has_arrived_is_given() -> None:
    provider = Decoding(b"abc", b"de", b".")
    async with virtual(provider) as router:
        async with router.stream("g", "hi") as stream:
            reads = []
            async for _ in stream:
                await asyncio.sleep(100)
                reads.append(provider.source.reads)
    assert reads == [1, 1, 1, 2, 2]


async def test_the_reader_may_take_its_time_but_the_provider_may_not() -> None:
    provider = Decoding(b"abc", b"de", None)
    async with virtual(provider) as router:
        loop = asyncio.get_running_loop()
        async with router.stream("g", "hi", idle_timeout=5) as stream:
            said = ""
            with pytest.raises(StreamInterruptedError) as broken:
                async for event in stream:
                    said += event.text
                    await asyncio.sleep(30)
                    last = loop.time()
    assert said == "abcde"
    assert isinstance(broken.value.__cause__, ProviderTimeoutError)
    assert loop.time() - last == pytest.approx(5)


async def test_what_arrived_before_a_break_is_given_before_it_is_told() -> None:
    provider = Decoding(b"abc", OverloadedError("busy"))
    seen = ""
    async with virtual(provider) as router:
        async with router.stream("g", "hi") as stream:
            with pytest.raises(StreamInterruptedError) as broken:
                async for event in stream:
                    seen += event.text
            assert [event async for event in stream] == []
    assert broken.value.completion is not None
    assert seen == broken.value.completion.text == "abc"


async def test_a_body_that_only_stops_is_no_end() -> None:
    async with virtual(Decoding(b"abc")) as router:
        async with router.stream("g", "hi") as stream:
            with pytest.raises(StreamInterruptedError, match="stopped before its end"):
                await rest_of(stream)


async def test_once_closed_not_even_what_has_arrived_is_given() -> None:
    provider = Decoding(b"abc", b".")
    async with virtual(provider) as router:
        async with router.stream("g", "hi") as stream:
            assert (await anext(stream)).text == "a"
            assert (await anext(stream)).text == "b"
            await stream.aclose()
            with pytest.raises(LifecycleError, match="before its end"):
                await anext(stream)
    assert provider.source.closed
    assert stream.completion.text == "abc"


async def test_a_second_reader_is_refused_while_the_first_one_waits() -> None:
    async with virtual(Decoding(b"ab", b"cd", b".")) as router:
        async with router.stream("g", "hi") as stream:
            await anext(stream)
            await anext(stream)
            first = asyncio.ensure_future(rest_of(stream))
            await asyncio.sleep(PAUSE / 2)
            with pytest.raises(LifecycleError, match="another task"):
                await anext(stream)
            assert await first == "cd"
    assert stream.completion.text == "abcd"


async def test_cancelling_the_reader_lets_go_of_the_connection() -> None:
    provider = Decoding(b"ab", b"cd", b".")
    async with virtual(provider) as router:

        async def read() -> None:
            async with router.stream("g", "hi") as stream:
                await rest_of(stream)

        task = asyncio.ensure_future(read())
        await asyncio.sleep(1.5 * PAUSE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert provider.source.closed
