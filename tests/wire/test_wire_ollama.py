"""Recorded traffic of an Ollama server, replayed through the real SDK's client and the adapter.

Of the twelve recordings six are of ``/api/chat``. The others are of endpoints that came before it
and that the adapter does not use: ``/api/generate`` (one prompt, no conversation) and
``/api/embeddings`` (one text, no counts; ``/api/embed`` has taken its place).
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from switchgear.completion import StreamEvent, Usage
from switchgear.messages import Message, Part, Text, ToolCall
from switchgear.providers.base import Call, ProviderSettings, Reply, ResponseMeta
from switchgear.providers.dialects import Encoded
from switchgear.providers.dialects.ollama_chat_decode import ChatDecoder
from switchgear.providers.ollama import OllamaProvider, create
from switchgear.request import ChatRequest
from tests.wire import replay
from tests.wire.replay import Recording, Replay

CHAT = "api.chat"


def lines_of(recording: Recording) -> list[dict[str, Any]]:
    """The recording's JSON objects, read in the plainest way."""
    return [json.loads(line) for line in recording.body.decode().split("\n") if line]


def text_in(recording: Recording) -> str:
    return "".join(line["message"]["content"] for line in lines_of(recording))


def call_of(recording: Recording) -> Call:
    """The recorded request as ours. Its tool calls have no ids: they are answered in order."""
    body = recording.request_body
    messages: list[Message] = []
    for place, said in enumerate(body["messages"]):
        parts: list[Part] = [Text(said["content"])] if said.get("content") else []
        for call in said.get("tool_calls", ()):
            arguments = json.dumps(call["function"]["arguments"])
            parts.append(ToolCall(f"recorded_{place}", call["function"]["name"], arguments))
        answered = f"recorded_{place - 1}" if said["role"] == "tool" else None
        messages.append(Message(said["role"], tuple(parts), tool_call_id=answered))
    return Call(request=ChatRequest(messages=tuple(messages)), model=body["model"])


def provider_at(server: Replay) -> OllamaProvider:
    return create(ProviderSettings(name="ollama", plugin="ollama", base_url=server.url))


def assert_same(reply: Reply, recording: Recording) -> None:
    last = lines_of(recording)[-1]
    assert reply.parts == (Text(text_in(recording)),)
    assert reply.finish_reason == reply.native_finish_reason == last["done_reason"]
    assert reply.model == last["model"]
    assert reply.usage is not None
    assert reply.usage.output_tokens == last["eval_count"]
    if "prompt_eval_count" in last:
        assert reply.usage == Usage(
            input_tokens=last["prompt_eval_count"], output_tokens=last["eval_count"]
        )
    else:
        # The prompt was in the server's cache, and the server did not say how long it was.
        assert reply.usage.estimated
        assert reply.usage.input_tokens > 0


def test_the_recordings_are_all_there() -> None:
    found = replay.recordings("ollama", endpoint=CHAT)
    streamed = [param for param in found if param.values[0] is not None and param.values[0].stream]
    assert len(found) in {1, 6}, "one where they are absent"
    assert len(streamed) in {0, 2}


@pytest.mark.parametrize("recording", replay.recordings("ollama", endpoint=CHAT, stream=False))
async def test_a_recorded_answer_is_read_as_it_was_written(recording: Recording) -> None:
    async with Replay([recording]) as server:
        provider = provider_at(server)
        reply = await provider.complete(call_of(recording))
        await provider.aclose()
    assert_same(reply, recording)
    assert reply.body == recording.body
    assert reply.meta.headers["content-type"] == recording.headers["content-type"]
    assert reply.warnings == ()


@pytest.mark.parametrize("recording", replay.recordings("ollama", endpoint=CHAT, stream=True))
@pytest.mark.parametrize("cut", ["random", "bytes", "whole"])
async def test_a_recorded_stream_is_read_as_it_was_written(
    recording: Recording, cut: replay.Cut
) -> None:
    async with Replay([recording], cut=cut) as server:
        provider = provider_at(server)
        stream = await provider.stream(call_of(recording))
        texts = [event.text async for event in stream]
        await provider.aclose()
    assert stream.finished
    assert texts == [
        line["message"]["content"] for line in lines_of(recording) if line["message"]["content"]
    ]
    assert_same(stream.snapshot(), recording)


@pytest.mark.parametrize("recording", replay.recordings("ollama", endpoint=CHAT))
async def test_what_is_sent_says_what_the_recorded_client_said(recording: Recording) -> None:
    async with Replay([recording]) as server:
        provider = provider_at(server)
        call = call_of(recording)
        if recording.stream:
            async for _ in await provider.stream(call):
                pass
        else:
            await provider.complete(call)
        await provider.aclose()
    (received,) = server.received
    sent, recorded = received.json(), recording.request_body
    assert sent["model"] == recorded["model"]
    assert sent["stream"] == recorded["stream"]
    assert len(sent["messages"]) == len(recorded["messages"])
    for ours, theirs in zip(sent["messages"], recorded["messages"], strict=True):
        assert (ours["role"], ours["content"]) == (theirs["role"], theirs.get("content", ""))
        calls = [call["function"] for call in ours.get("tool_calls", ())]
        assert calls == [call["function"] for call in theirs.get("tool_calls", ())]
    assert received.headers["user-agent"].startswith("ollama-python/")
    assert received.headers["content-type"] == recording.request_headers["content-type"]


def decode(recording: Recording, pieces: list[bytes]) -> tuple[list[StreamEvent], ChatDecoder]:
    decoder = ChatDecoder(call_of(recording), Encoded({}), provider="ollama")
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.end()], decoder


@pytest.mark.parametrize("recording", replay.recordings("ollama", endpoint=CHAT, stream=True))
def test_the_cuts_of_a_stream_do_not_matter(recording: Recording) -> None:
    whole = recording.body
    expected_events, expected = decode(recording, [whole])
    rng = random.Random(replay.seed())
    ways = [replay.pieces(whole, rng) for _ in range(100)]
    ways.append(replay.pieces(whole, rng, "bytes"))
    # Every single place, in the stretch where the stream begins and in that where it ends.
    for stretch in (whole[:600], whole[-600:]):
        start = whole.index(stretch)
        ways.extend([whole[: start + at], whole[start + at :]] for at in range(len(stretch)))
    for pieces in ways:
        events, decoder = decode(recording, pieces)
        assert events == expected_events
        assert decoder.finished
        assert decoder.snapshot(ResponseMeta()) == expected.snapshot(ResponseMeta())


@pytest.mark.parametrize("recording", replay.recordings("ollama", endpoint=CHAT, stream=True))
def test_a_stream_that_stops_early_is_never_finished(recording: Recording) -> None:
    # Without its last line's end it is whole; without that line's last brace it is not.
    last_brace = len(recording.body.rstrip()) - 1
    for length in [*range(0, last_brace, 7), last_brace]:
        _, decoder = decode(recording, [recording.body[:length]])
        assert not decoder.finished
        assert decoder.error is None


@pytest.mark.parametrize("recording", replay.recordings("ollama", endpoint=CHAT, stream=True))
def test_a_last_line_without_its_end_is_whole(recording: Recording) -> None:
    _, decoder = decode(recording, [recording.body.rstrip()])
    assert decoder.finished
