"""Checks 16 to 21: good streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from ...providers.base import Call, Reply
from ..answers import Answer, TokenUsage, ToolCall as Asked
from ..faults import Fault, Outcome
from .check import Failed, check
from .conversations import ODD
from .tools import ARGUMENTS, calls_of
from .trial import WEATHER, Streamed, Trial, calls_in, expect, plain, text_of

_USAGE = TokenUsage(input_tokens=120, output_tokens=40)
_PIECES = ("Once ", "upon ", "a ", "time ", "there ", "was ", "a ", "router.")
_SIZES = (1, 3)
_CUTS = 11
_PAUSE = 0.002

T = TypeVar("T")


@check(16)
async def stream_equals_whole(trial: Trial) -> None:
    """A stream says the same as a whole answer.

    Streamed and whole answers have the same parts, finish reason and usage.
    """
    for stop in ("stop", "length"):
        answer = Answer(text=f"{ODD} {ODD}", usage=_USAGE, stop_reason=stop)
        _same(*await trial.both(trial.call(), answer))


@check(17, capability="tools")
async def stream_of_tools_equals_whole(trial: Trial) -> None:
    """A stream of tool calls says the same.

    The same holds for text with tool calls behind it, and the deltas add up to the calls.
    """
    answer = Answer(
        text="I look it up.",
        usage=_USAGE,
        tool_calls=(
            Asked(name=WEATHER.name, arguments=ARGUMENTS, id="call_a1b2c3d4e"),
            Asked(name=WEATHER.name, arguments={"city": "Oslo"}, id="call_f1g2h3i4j"),
        ),
    )
    reply, streamed = await trial.both(trial.call(tools=(WEATHER,)), answer)
    _same(reply, streamed)
    deltas = [(delta.id, delta.name, delta.arguments) for delta in calls_in(streamed.events)]
    calls = [(call.id, call.name, call.arguments) for call in calls_of(streamed.reply)]
    expect(deltas == calls, f"expected the deltas to add up to {calls}, came {deltas}")


@check(18, needs="nothing")
async def deltas_in_order(trial: Trial) -> None:
    """Each delta once and in order.

    The deltas of a stream, joined, are the answer; each has exactly one field filled; behind
    the last one the stream is finished, and stays so.
    """
    answers = (Answer(text="".join(_PIECES), chunks=_PIECES),) if trial.simulated else ()
    streamed = await trial.streamed(trial.call(), *answers)
    for event in streamed.events:
        filled = sum(bool(each) for each in (event.text, event.reasoning, event.tool_call))
        expect(filled == 1, f"expected exactly one field of a delta to be filled, came {event}")
    expect(streamed.finished, "expected a stream that was read to its end to be finished")
    text = text_of(streamed.reply)
    expect(
        streamed.text == text and text,
        f"expected the deltas to add up to the answer {text!r}, came {streamed.text!r}",
    )
    if trial.simulated:
        expect(
            text == "".join(_PIECES),
            f"expected the answer {''.join(_PIECES)!r}, came {text!r}",
        )


@check(19)
async def snapshot_midway(trial: Trial) -> None:
    """A stream is delivered as it comes.

    While the vendor pauses, what it has sent is there: the first delta is delivered, a snapshot
    holds it and never waits, and the stream is not finished.
    """
    whole = "".join(_PIECES)
    trial.will(Fault.stall(after_chunks=3, answer=Answer(text=whole, chunks=_PIECES)))
    stream = await _at_once(trial, trial.provider.stream(trial.call()))
    try:
        first = await _at_once(trial, anext(stream))
        said = text_of(stream.snapshot())
        expect(
            first.text and said.startswith(first.text) and whole.startswith(said),
            f"expected a snapshot with what has come ({first.text!r}), it has {said!r}",
        )
        expect(not stream.finished, "expected a stream in its midst not to be finished, it is")
    finally:
        await stream.aclose()


async def _at_once(trial: Trial, coming: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(trial.subject.patience):
            return await coming
    except TimeoutError as exc:
        message = "expected the deltas sent before a pause, none came: the stream is held back"
        raise Failed(message) from exc


@check(20)
async def text_at_every_cut(trial: Trial) -> None:
    """Text in pieces of any size.

    However the network cuts the bytes of a stream, inside letters and line ends too, the text
    is the same.
    """
    text = "Grüße 世界 👩‍🚀 “!”"
    answer = Answer(text=text, chunks=("Grüße ", "世", "界 👩‍", "🚀 “!”"), usage=_USAGE)
    async for how, streamed in _in_pieces(trial, trial.call(), answer):
        expect(
            streamed.text == text_of(streamed.reply) == text,
            f"expected {text!r} of a stream {how}, came {streamed.text!r}",
        )


@check(21, capability="tools")
async def tool_arguments_at_every_cut(trial: Trial) -> None:
    """Tool arguments in pieces of any size.

    However the network cuts the bytes of a stream, the tool calls' arguments are the same.
    """
    arguments = {"city": "Zürich 世界", "at": [1, None, {"x": '"\\'}]}
    asked = Asked(name=WEATHER.name, arguments=arguments, id="call_a1b2c3d4e")
    answer = Answer(tool_calls=(asked,), usage=_USAGE)
    async for how, streamed in _in_pieces(trial, trial.call(tools=(WEATHER,)), answer):
        found = [call.parse() for call in calls_of(streamed.reply)]
        expect(found == [arguments], f"expected {arguments} of a stream {how}, came {found}")


async def _in_pieces(
    trial: Trial, asked: Call, answer: Answer
) -> AsyncIterator[tuple[str, Streamed]]:
    """The same stream, cut at every byte, and in two at a number of places."""
    for size in _SIZES:
        outcome: Outcome = Fault.drip(0, size=size, answer=answer)
        yield f"in pieces of {size} bytes", await trial.streamed(asked, outcome)
    length = trial.sent.bytes_sent
    # Small pieces may still arrive together; two halves with a pause between them do not.
    for cut in range(1, _CUTS + 1):
        place = length * cut // (_CUTS + 1)
        outcome = Fault.stall(_PAUSE, after_bytes=place, answer=answer)
        yield f"cut at byte {place}", await trial.streamed(asked, outcome)


def _same(reply: Reply, streamed: Streamed) -> None:
    other = streamed.reply
    expect(
        plain(reply.parts) == plain(other.parts),
        f"expected a stream to say {plain(reply.parts)}, came {plain(other.parts)}",
    )
    for field in ("finish_reason", "native_finish_reason", "usage", "tier", "region"):
        first, second = getattr(reply, field), getattr(other, field)
        expect(
            first == second,
            f"expected the same {field} whole and streamed, came {first!r} and {second!r}",
        )
    expect(streamed.finished, "expected the stream to be finished, it is not")
