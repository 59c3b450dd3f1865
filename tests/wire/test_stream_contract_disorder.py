"""Events doubled, swapped, lost, and errors among them: never an answer that is not the vendor's.

A connection does not reorder bytes, but gateways in between send events again, late, or never, and
end streams of which they have lost the rest. Each recorded stream of up to 30 kB (all but two, of
Chat Completions) is spoiled at every event, and then one of two things holds:

- it is an error, or not complete; or
- it is complete, and it is the very reply of the unspoiled stream: a double was dropped.

What a format gives no means to see is left out below, and here is all of it:

- Anthropic numbers its blocks, not the deltas inside them: two ``content_block_delta`` of one block
  that change places, or one that comes twice, can't be told from what the model said.
- A chunk of Chat Completions, or a line of Ollama's, has no number at all: the same holds for all
  that add to the answer, but not for a tool call's whole arguments, since behind a JSON object no
  second one can stand. A call whose pieces come before its name is put together with an id of ours.
- ``[DONE]`` and Ollama's ``done`` are the end by definition: what a swap moves behind them is not
  read. A usage that is lost so is estimated by the router; a finish reason that is lost so is an
  error of a server that always sends ``[DONE]`` after one, and a warning of any other.
- A Responses stream has numbers: nothing is left out. Where a gateway takes them away, the item's
  ``done`` still says what its deltas should have been: a doubled one has been delivered when that
  is found, but the stream is an error.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from switchgear import (
    AllProvidersFailedError,
    MalformedResponseError,
    OverloadedError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    SwitchgearError,
)
from switchgear.messages import ToolCall
from switchgear.providers.base import Reply, ResponseMeta
from tests.wire.bench import bench_of, cut_of
from tests.wire.breaking import Cut
from tests.wire.replay import Recording
from tests.wire.streams import (
    ANTHROPIC,
    CHAT,
    COMPATIBLE,
    KINDS,
    OLLAMA,
    ONE_EACH,
    RESPONSES,
    Kind,
    Said,
    decoder_of,
    delivered,
    marks,
    recorded,
    said_by,
)

ALL = recorded(*KINDS, most=30_000)


@dataclass(frozen=True)
class Event:
    """One event of a recorded stream, and whether it adds to the answer."""

    raw: bytes
    adds: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a stream that the real adapter's decoder was fed as a whole."""

    said: Said
    reply: Reply
    error: SwitchgearError | None
    complete: bool


@pytest.mark.parametrize(("kind", "recording"), ALL)
async def test_an_event_that_comes_twice_is_dropped_or_an_error(
    kind: Kind, recording: Recording
) -> None:
    events = events_of(kind, recording)
    whole = await read(kind, recording, events)
    for place, event in enumerate(events):
        if can_tell(kind, event):
            doubled = [*events[: place + 1], *events[place:]]
            check(kind, await read(kind, recording, doubled), whole, place)


@pytest.mark.parametrize(("kind", "recording"), ALL)
async def test_events_that_change_places_make_no_other_answer(
    kind: Kind, recording: Recording
) -> None:
    events = events_of(kind, recording)
    whole = await read(kind, recording, events)
    for place, (first, second) in enumerate(itertools.pairwise(events)):
        if can_tell(kind, first) or can_tell(kind, second):
            swapped = [*events[:place], second, first, *events[place + 2 :]]
            check(kind, await read(kind, recording, swapped), whole, place)


@pytest.mark.parametrize(("kind", "recording"), recorded(RESPONSES))
async def test_an_event_that_is_lost_is_missed_where_events_are_numbered(
    kind: Kind, recording: Recording
) -> None:
    events = events_of(kind, recording)
    whole = await read(kind, recording, events)
    for place in range(len(events)):
        lossy = await read(kind, recording, [*events[:place], *events[place + 1 :]])
        check(kind, lossy, whole, place)
        # The first event only names the answer, and there are servers that count from 1.
        numbered = place > 0 and b'"sequence_number"' in events[place].raw
        assert not (lossy.complete and (numbered or place == len(events) - 1)), place


def events_of(kind: Kind, recording: Recording) -> list[Event]:
    found = []
    start, size = 0, 0
    for mark in marks(kind, recording):
        found.append(Event(recording.body[start : mark.end], mark.said.size > size))
        start, size = mark.end, mark.said.size
    return found


def can_tell(kind: Kind, event: Event) -> bool:
    """The format says enough to see that this event is not where it belongs."""
    if kind is ANTHROPIC:
        return b"content_block_delta" not in event.raw
    return kind is RESPONSES or not event.adds


async def read(kind: Kind, recording: Recording, events: list[Event]) -> Outcome:
    body = b"".join(event.raw for event in events)
    return await read_bytes(kind, recording.request_body["model"], body)


async def read_bytes(kind: Kind, model: str, body: bytes) -> Outcome:
    decoder = await decoder_of(kind, model)
    found = [*decoder.feed(body)]
    if decoder.error is None:
        found += decoder.end()
    complete = decoder.finished and decoder.error is None
    reply = decoder.snapshot(ResponseMeta())
    assert delivered(found) == said_by(reply) or not complete
    return Outcome(delivered(found), reply, decoder.error, complete)


def check(kind: Kind, spoiled: Outcome, whole: Outcome, place: int) -> None:
    """An error, or the reply of the unspoiled stream, but for what the module's text says."""
    assert whole.complete
    if not spoiled.complete:
        assert spoiled.error is None or isinstance(spoiled.error, MalformedResponseError), place
        return
    if kind is OLLAMA and spoiled.said != whole.said:
        assert spoiled.said.begins(whole.said), place
        return
    reply, expected = spoiled.reply, whole.reply
    if kind is CHAT or kind is COMPATIBLE:
        reply, expected = without_ids(reply), without_ids(expected)
        if reply.usage is None:
            expected = msgspec.structs.replace(expected, usage=None)
        if reply.native_finish_reason is None and kind is COMPATIBLE and reply.warnings:
            assert "may not be whole" in reply.warnings[-1]
            assert reply.parts == expected.parts
            return
    assert reply == expected, place


def without_ids(reply: Reply) -> Reply:
    parts = tuple(
        msgspec.structs.replace(part, id="") if isinstance(part, ToolCall) else part
        for part in reply.parts
    )
    return msgspec.structs.replace(reply, parts=parts)


def sse(*events: dict[str, Any] | str) -> bytes:
    texts = (event if isinstance(event, str) else json.dumps(event) for event in events)
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def start(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def text(index: int, said: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": said}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


BEGIN = {"type": "message_start", "message": {"id": "msg_1", "content": []}}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
STOP = {"type": "message_stop"}
HELLO = (start(0, type="text", text=""), text(0, "Hello"), stop(0))


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ((BEGIN, text(0, "Hello"), *HELLO, DELTA, STOP), "no block 0 has begun"),
        ((BEGIN, *HELLO, text(0, "!"), DELTA, STOP), "block 0 has ended"),
        ((BEGIN, *HELLO, *HELLO, DELTA, STOP), "block 0 begins twice"),
        ((BEGIN, *HELLO, BEGIN, DELTA, STOP), "a message inside a message"),
        ((BEGIN, *HELLO[:2], DELTA, STOP), "message_stop: inside a block"),
        ((BEGIN, *HELLO, STOP), "message_stop: without a stop_reason"),
        ((BEGIN, *HELLO, stop(1), DELTA, STOP), "no block 1 has begun"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
async def test_anthropic_blocks_that_are_out_of_order_are_malformed(
    events: tuple[dict[str, Any], ...], why: str
) -> None:
    outcome = await read_bytes(ANTHROPIC, "claude-haiku-4-5", sse(*events))
    assert isinstance(outcome.error, MalformedResponseError)
    assert why in str(outcome.error)
    assert not outcome.complete
    assert outcome.said.begins(Said("Hello"))


async def test_a_block_that_begins_with_its_text_does_not_say_it_twice() -> None:
    whole = start(0, type="text", text="Hello")
    outcome = await read_bytes(ANTHROPIC, "claude-haiku-4-5", sse(BEGIN, whole, whole))
    assert isinstance(outcome.error, MalformedResponseError)
    assert outcome.said == Said("Hello")


async def test_a_block_that_ends_twice_has_ended() -> None:
    body = sse(BEGIN, *HELLO, stop(0), DELTA, STOP)
    outcome = await read_bytes(ANTHROPIC, "claude-haiku-4-5", body)
    assert outcome.complete
    assert outcome.said == Said("Hello")


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "c-1", "model": "m", "choices": choices}


def call(index: int, arguments: str, name: str | None = None) -> dict[str, Any]:
    piece: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
    if name is not None:
        piece = {**piece, "id": f"call_{name}", "function": {"name": name, "arguments": arguments}}
    return chunk({"tool_calls": [piece]})


CALLED = chunk({}, "tool_calls")


@pytest.mark.parametrize("kind", [CHAT, COMPATIBLE], ids=repr)
async def test_a_tool_call_whose_beginning_was_lost_is_malformed(kind: Kind) -> None:
    body = sse(call(0, "{}", "f"), call(1, '{"a":'), call(1, "1}"), CALLED, "[DONE]")
    outcome = await read_bytes(kind, "m", body)
    assert isinstance(outcome.error, MalformedResponseError)
    assert not outcome.complete


@pytest.mark.parametrize("again", [None, "f"])
@pytest.mark.parametrize("kind", [CHAT, COMPATIBLE], ids=repr)
async def test_whole_arguments_that_come_again_are_dropped(kind: Kind, again: str | None) -> None:
    pieces = (call(0, '{"a":', "f"), call(0, "1}"), call(0, '{"a":1}', again))
    outcome = await read_bytes(kind, "m", sse(*pieces, CALLED, "[DONE]"))
    assert outcome.complete
    assert outcome.said.arguments == '{"a":1}'
    assert outcome.reply.parts == (ToolCall("call_f", "f", '{"a":1}'),)


async def test_done_alone_ends_a_stream_only_of_a_server_that_may_leave_the_reason_out() -> None:
    body = sse(chunk({"content": "Hel"}), "[DONE]")
    strict = await read_bytes(CHAT, "gpt-4o", body)
    assert isinstance(strict.error, MalformedResponseError)
    assert not strict.complete
    lenient = await read_bytes(COMPATIBLE, "m", body)
    assert lenient.complete
    assert "may not be whole" in lenient.reply.warnings[0]


@pytest.mark.parametrize("word", ["error", "abort", "insufficient_system_resource"])
@pytest.mark.parametrize("kind", [CHAT, COMPATIBLE], ids=repr)
async def test_a_server_that_says_it_broke_off_has_not_finished(kind: Kind, word: str) -> None:
    body = sse(chunk({"content": "Hel"}), chunk({}, word), "[DONE]")
    outcome = await read_bytes(kind, "m", body)
    assert isinstance(outcome.error, ServerError)
    assert repr(word) in str(outcome.error)
    assert not outcome.complete
    assert outcome.said == Said("Hel")


async def test_an_error_behind_the_finish_reason_is_heard_though_its_event_has_no_end() -> None:
    error = {"error": {"message": "The server had an error", "type": "server_error"}}
    body = sse(chunk({"content": "Hello"}), chunk({}, "stop"), error)
    outcome = await read_bytes(COMPATIBLE, "m", body.rstrip(b"\n"))
    assert isinstance(outcome.error, ServerError)
    assert not outcome.complete


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "output_index": 0, "item_id": "msg_1", "content_index": 0, **fields}


async def test_a_late_delta_of_a_settled_item_is_dropped_without_numbers_too() -> None:
    said = [{"type": "output_text", "text": "Hello", "annotations": []}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": said}
    delta = item("response.output_text.delta", delta="Hello")
    answer = {"id": "resp_1", "status": "completed", "output": [message]}
    body = sse(
        delta,
        item("response.output_item.done", item=message),
        delta,
        {"type": "response.completed", "response": answer},
    )
    outcome = await read_bytes(RESPONSES, "gpt-4o", body)
    assert outcome.complete
    assert outcome.said == Said("Hello")


def named(event: dict[str, Any], name: str = "") -> bytes:
    line = f"event: {name or event['type']}\n" if name or "type" in event else ""
    return line.encode() + sse(event)


OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}
LIMITED = {"type": "rate_limit_error", "message": "Number of tokens has exceeded the limit"}
FAILED = {"code": "server_error", "message": "The server had an error processing your request"}
SLOW_DOWN = {"code": "rate_limit_exceeded", "message": "Slow down", "param": None}
LOST = {"code": 502, "message": "Provider disconnected unexpectedly"}
DIED = {"error": "llama runner process has terminated: exit status 2"}

IN_STREAM: list[tuple[Kind, bytes, type[SwitchgearError]]] = [
    (ANTHROPIC, named({"type": "error", "error": OVERLOADED}), OverloadedError),
    (ANTHROPIC, named({"type": "error", "error": LIMITED}), RateLimitError),
    (ANTHROPIC, b"event: content_block_delta\ndata: <html>\n\n", MalformedResponseError),
    (CHAT, sse({"error": FAILED}), ServerError),
    (CHAT, named({"error": SLOW_DOWN}, "error"), RateLimitError),
    (CHAT, sse("<html>502 Bad Gateway</html>"), MalformedResponseError),
    (COMPATIBLE, sse({**chunk({"content": ""}, "error"), "error": LOST}), ServerError),
    (RESPONSES, named({"type": "error", **SLOW_DOWN, "sequence_number": 9}), RateLimitError),
    (RESPONSES, named({"type": "response.failed", "response": {"error": FAILED}}), ServerError),
    (OLLAMA, json.dumps(DIED).encode() + b"\n", ServerError),
    (OLLAMA, b"<html>502 Bad Gateway</html>\n", MalformedResponseError),
]


@pytest.mark.parametrize(
    ("kind", "recording", "error", "cls"),
    [
        pytest.param(*param.values, error, cls, id=f"{kind}-{cls.__name__}", marks=param.marks)
        for kind, error, cls in IN_STREAM
        for param in ONE_EACH
        if param.values[0] is kind
    ],
)
async def test_an_error_inside_a_stream_is_told_as_what_it_is(
    kind: Kind, recording: Recording, error: bytes, cls: type[SwitchgearError]
) -> None:
    told = marks(kind, recording)
    body = recording.body
    whole = cut_of(recording, len(body), "last-chunk")
    async with bench_of(kind, recording) as bench:
        for place, said in ((0, Said()), *((mark.end, mark.said) for mark in told[:-1])):
            # What stands behind the error must not be delivered.
            spoiled = body[:place] + error + body[place:]
            cut = Cut((spoiled,), "last-chunk", recording.headers["content-type"])
            result = await bench.ask(cut)
            assert delivered(result.events) == said, place
            if result.events:
                assert isinstance(result.error, StreamInterruptedError), place
                assert type(result.error.__cause__) is cls, place
                assert result.error.completion is not None
                assert said_by(result.error.completion) == said, place
                assert result.error.completion.usage.estimated
                continue
            assert isinstance(result.error, AllProvidersFailedError), place
            assert [type(exc) for exc in result.error.exceptions] == [cls], place
            survived = await bench.ask(cut, whole)
            assert survived.completion is not None, place
            assert said_by(survived.completion) == told[-1].said, place
