"""Recorded traffic of api.anthropic.com, replayed through the real SDK and the adapter."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from switchgear.completion import StreamEvent, Usage
from switchgear.credentials import Secret
from switchgear.messages import (
    Message,
    Native,
    NativeBlock,
    Reasoning,
    Text,
    Tool,
    ToolCall,
)
from switchgear.normalise import normalise_messages
from switchgear.providers.anthropic import create
from switchgear.providers.base import Call, ProviderSettings, Reply, ResponseMeta
from switchgear.providers.dialects.anthropic_stream import AnthropicDecoder
from switchgear.request import ChatRequest, ResponseFormat
from tests.wire import replay
from tests.wire.replay import Recording, Replay

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
}


# -- what a recording holds, read in the plainest way -------------------------------------------


def events_of(body: bytes) -> list[dict[str, Any]]:
    lines = body.decode().splitlines()
    return [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")]


def message_of(recording: Recording) -> dict[str, Any]:
    """The whole message, put together from a stream's events where it is one."""
    if not recording.stream:
        whole: dict[str, Any] = json.loads(recording.body)
        return whole
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    for event in events_of(recording.body):
        kind = event["type"]
        if kind == "message_start":
            message = event["message"] | {"content": {}}
        elif kind == "content_block_start":
            message["content"][event["index"]] = dict(event["content_block"])
        elif kind == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            if delta["type"] == "citations_delta":
                block["citations"] = [*block.get("citations", []), delta["citation"]]
            elif delta["type"] == "input_json_delta":
                inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
            else:
                field = delta["type"].removesuffix("_delta")
                block[field] = block.get(field, "") + delta[field]
        elif kind == "message_delta":
            message |= event["delta"]
            message["usage"] = message["usage"] | event["usage"]
    for index, text in inputs.items():
        message["content"][index]["input"] = json.loads(text or "{}")
    message["content"] = [message["content"][index] for index in sorted(message["content"])]
    return message


def plain(part: object) -> object:
    """A part as the recording would show it, arguments parsed."""
    match part:
        case Text(text=text, native=native):
            return "text", text, (native.data["citations"] if native else None)
        case Reasoning(text=text, native=Native(data=data)):
            return "thinking", text, data["signature"]
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return "tool_use", call_id, name, json.loads(arguments)
        case NativeBlock(native=native):
            return "native", native.data
    raise AssertionError(part)


def plain_block(block: dict[str, Any]) -> object:
    match block["type"]:
        case "text":
            return "text", block["text"], block.get("citations") or None
        case "thinking":
            return "thinking", block["thinking"], block["signature"]
        case "tool_use":
            return "tool_use", block["id"], block["name"], block["input"]
    return "native", block


def usage_in(message: dict[str, Any]) -> Usage:
    usage = message["usage"]
    read = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    return Usage(
        input_tokens=usage["input_tokens"] + read + written,
        output_tokens=usage["output_tokens"],
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=(usage.get("cache_creation") or {}).get(
            "ephemeral_1h_input_tokens", 0
        ),
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens", 0),
        web_searches=(usage.get("server_tool_use") or {}).get("web_search_requests", 0),
    )


def assert_same(reply: Reply, recording: Recording) -> None:
    message = message_of(recording)
    blocks = [block for block in message["content"] if block.get("text") != ""]
    assert [plain(part) for part in reply.parts] == [plain_block(block) for block in blocks]
    assert reply.usage == usage_in(message)
    assert reply.finish_reason == FINISH[message["stop_reason"]]
    assert reply.native_finish_reason == message["stop_reason"]
    assert reply.id == message["id"]
    assert reply.model == message["model"]


# -- the recorded request in our form -----------------------------------------------------------


def request_of(body: dict[str, Any]) -> ChatRequest:
    system = body.get("system")
    messages = list(body["messages"])
    if system:
        messages.insert(0, {"role": "system", "content": system})
    schema = (body.get("output_config") or {}).get("format") or body.get("output_format")
    return ChatRequest(
        messages=normalise_messages(messages),
        tools=tuple(tool_of(tool) for tool in body.get("tools", ())),
        response_format=ResponseFormat("schema", schema=schema["schema"]) if schema else None,
        temperature=body.get("temperature"),
        max_tokens=body["max_tokens"],
        stop=tuple(body.get("stop_sequences", ())),
        reasoning_effort="minimal" if "thinking" in body else None,
    )


def tool_of(tool: dict[str, Any]) -> Tool:
    if "input_schema" not in tool:
        return Tool(tool["name"], native=Native("anthropic", tool))
    return Tool(tool["name"], tool.get("description", ""), tool["input_schema"])


def call_of(recording: Recording) -> Call:
    body = recording.request_body
    return Call(request=request_of(body), model=body["model"], timeout=20, unsupported="warn")


def provider_at(server: Replay, road: str = "sdk") -> Any:
    return create(
        ProviderSettings(
            name="anthropic",
            plugin="anthropic",
            api_key=Secret("sk-test"),
            base_url=server.url,
            options={"wire": road},
        )
    )


# -- through the SDK ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recording", "road"),
    replay.on_both_roads(replay.recordings("anthropic", endpoint="messages", stream=False)),
)
async def test_a_recorded_answer_is_read_as_it_was_written(recording: Recording, road: str) -> None:
    async with Replay([recording]) as server:
        provider = provider_at(server, road)
        reply = await provider.complete(call_of(recording))
        await provider.aclose()
    assert_same(reply, recording)
    assert reply.body == recording.body
    assert reply.meta.request_id == recording.headers["request-id"]


@pytest.mark.parametrize(
    ("recording", "road"),
    replay.on_both_roads(replay.recordings("anthropic", endpoint="messages", stream=True)),
)
async def test_a_recorded_stream_is_read_as_it_was_written(recording: Recording, road: str) -> None:
    async with Replay([recording]) as server:
        provider = provider_at(server, road)
        stream = await provider.stream(call_of(recording))
        events = [event async for event in stream]
        assert stream.finished
        reply = stream.snapshot()
        await stream.aclose()
        await provider.aclose()
    assert_same(reply, recording)
    assert_events_add_up(events, reply)
    assert reply.meta.request_id == recording.headers["request-id"]


@pytest.mark.parametrize("recording", replay.recordings("anthropic", endpoint="messages"))
async def test_what_is_sent_says_what_the_recorded_request_said(recording: Recording) -> None:
    async with Replay([recording]) as server:
        provider = provider_at(server)
        if recording.stream:
            await (await provider.stream(call_of(recording))).aclose()
        else:
            await provider.complete(call_of(recording))
        await provider.aclose()
    (received,) = server.received
    assert received.headers["authorization"] == "Bearer sk-test"
    sent, recorded = received.json(), recording.request_body
    assert sent["model"] == recorded["model"]
    assert sent.get("stream", False) is recording.stream
    assert said(sent) == said(recorded)
    assert sent.get("stop_sequences") == recorded.get("stop_sequences")
    assert [tool["name"] for tool in sent.get("tools", [])] == [
        tool["name"] for tool in recorded.get("tools", [])
    ]
    if "temperature" in sent:
        assert received.headers["anthropic-version"] == "2023-06-01"
    schema = recorded.get("output_config", {}).get("format") or recorded.get("output_format")
    if schema:
        properties = sent["output_config"]["format"]["schema"]["properties"]
        assert set(properties) == set(schema["schema"]["properties"])
    if "thinking" in recorded:
        assert sent["thinking"]["type"] in {"enabled", "adaptive"}


def said(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a request says, whichever way it writes it: text, pictures, calls, results, marks."""
    everything: list[tuple[str, Any]] = []
    system = body.get("system") or []
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
    turns = [{"role": "system", "content": blocks}, *body["messages"]]
    for turn in turns:
        content = turn["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if block["type"] == "text" and not block["text"].strip():
                continue  # the API refuses blank text in most places
            detail = dict(block)
            inner = detail.get("content")
            if isinstance(inner, list):
                detail["content"] = "".join(part["text"] for part in inner)
            if detail.get("is_error") is False:
                del detail["is_error"]
            everything.append((turn["role"], detail))
    return everything


# -- the decoder alone --------------------------------------------------------------------------


def decode(pieces: list[bytes]) -> tuple[list[StreamEvent], Reply]:
    decoder = AnthropicDecoder(provider="anthropic", model="m")
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert decoder.error is None
    assert decoder.finished
    return events, decoder.snapshot(ResponseMeta())


def assert_events_add_up(events: list[StreamEvent], reply: Reply) -> None:
    message = Message("assistant", reply.parts)
    assert "".join(event.text for event in events) == message.text
    assert "".join(event.reasoning for event in events) == message.reasoning
    for index, call in enumerate(message.tool_calls):
        deltas = [e.tool_call for e in events if e.tool_call and e.tool_call.index == index]
        assert [(delta.id, delta.name) for delta in deltas if delta.id] == [(call.id, call.name)]
        assert ("".join(delta.arguments for delta in deltas) or "{}") == call.arguments


@pytest.mark.parametrize(
    "recording", replay.recordings("anthropic", endpoint="messages", stream=True)
)
def test_the_cuts_of_a_stream_do_not_matter(recording: Recording) -> None:
    body = recording.body
    whole = decode([body])
    rng = random.Random(replay.seed())
    if len(body) <= 3_000:
        for first, second in replay.cut_in_two(body):
            assert decode([first, second]) == whole
    for _ in range(20):
        assert decode(replay.pieces(body, rng)) == whole
    assert decode(replay.pieces(body, rng, "bytes")) == whole


@pytest.mark.parametrize(
    "recording", replay.recordings("anthropic", endpoint="messages", stream=True)
)
def test_a_stream_that_stops_early_is_never_finished(recording: Recording) -> None:
    rng = random.Random(replay.seed())
    end = recording.body.rindex(b"message_stop")
    for place in {0, end, *(rng.randrange(end) for _ in range(20))}:
        decoder = AnthropicDecoder(provider="anthropic", model="m")
        decoder.feed(recording.body[:place])
        decoder.end()
        assert not decoder.finished
        usage = decoder.snapshot(ResponseMeta()).usage
        assert usage is None or usage.estimated
