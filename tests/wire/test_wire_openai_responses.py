"""Every recorded Responses interaction, through the real SDK and through the decoder alone.

What an answer holds is read out of the recording here by plain dict code, so that a mistake in the
decoder can't agree with itself.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from switchgear.credentials import Secret
from switchgear.messages import Message, Native, Part, Reasoning, Text, Tool, ToolCall, ToolChoice
from switchgear.providers import openai
from switchgear.providers.base import Call, ProviderSettings, Reply, ResponseMeta
from switchgear.providers.dialects.openai_responses import ResponsesDialect
from switchgear.providers.openai_models import facts
from switchgear.providers.wire import WireResponse
from switchgear.request import ChatRequest, ResponseFormat
from tests.wire import replay
from tests.wire.replay import Recording, Replay

ALL = replay.recordings("openai", endpoint="responses")
STREAMED = replay.recordings("openai", endpoint="responses", stream=True)
WHOLE = replay.recordings("openai", endpoint="responses", stream=False)

_AUTHOR = "openai-responses/openai"
_TAKEN = {"input", "model", "stream", "tools", "tool_choice", "text", "reasoning", "store"}
_KNOBS = {"max_output_tokens": "max_tokens", "temperature": "temperature", "top_p": "top_p"}


@contextlib.asynccontextmanager
async def provider_at(server: Replay, road: str = "sdk") -> AsyncIterator[openai.OpenAIProvider]:
    settings = ProviderSettings(
        name="openai",
        plugin="openai",
        api_key=Secret("sk-test"),
        base_url=f"{server.url}/v1",
        options={"api": "responses", "wire": road},
    )
    async with contextlib.aclosing(openai.create(settings)) as provider:
        yield provider


def test_the_recordings_are_all_there() -> None:
    if ALL[0].values[0] is None:
        pytest.skip("recorded traffic is absent")
    assert len(ALL) == 56
    assert len(STREAMED) == 21


@pytest.mark.parametrize(("recording", "road"), replay.on_both_roads(ALL))
async def test_an_answer_arrives_as_it_was_recorded(recording: Recording, road: str) -> None:
    call = call_of(recording.request_body)
    async with Replay([recording]) as server, provider_at(server, road) as provider:
        if recording.stream:
            stream = await provider.stream(call)
            events = [event async for event in stream]
            assert stream.finished
            reply = stream.snapshot()
            await stream.aclose()
            assert "".join(event.text for event in events) == reading(recording)["text"]
        else:
            reply = await provider.complete(call)
            assert reply.body == recording.body
    assert told(reply) == reading(recording)
    assert reply.meta.request_id == recording.headers["x-request-id"]


@pytest.mark.parametrize("recording", ALL)
async def test_what_is_sent_means_what_the_recorded_client_sent(recording: Recording) -> None:
    call = call_of(recording.request_body)
    async with Replay([recording]) as server, provider_at(server) as provider:
        if recording.stream:
            await (await provider.stream(call)).aclose()
        else:
            await provider.complete(call)
    sent = server.received[0].json()
    recorded = recording.request_body
    assert sent["store"] is recorded.get("store", False)
    assert plain_input(sent["input"]) == plain_input(recorded["input"])
    for field in ("model", "max_output_tokens", "temperature", "top_p", "truncation"):
        assert sent.get(field) == recorded.get(field), field
    assert sent.get("stream", False) == recorded.get("stream", False)
    assert sent.get("service_tier") == recorded.get("service_tier")
    assert without_nulls(sent.get("reasoning")) == without_nulls(recorded.get("reasoning"))
    assert sent.get("tool_choice") == recorded.get("tool_choice")
    assert [tool["name"] for tool in sent.get("tools", [])] == [
        tool["name"] for tool in recorded.get("tools", [])
    ]
    thinks = recorded["model"].startswith("gpt-5")
    assert sent.get("include", []) == (["reasoning.encrypted_content"] if thinks else [])


@pytest.mark.parametrize("recording", STREAMED)
def test_a_stream_reads_the_same_wherever_it_is_cut(recording: Recording) -> None:
    expected = reading(recording)
    whole = fed(recording, [recording.body])
    assert told(whole) == expected
    if len(recording.body) < 7_000:
        for cut in replay.cut_in_two(recording.body):
            assert fed(recording, cut) == whole
    rng = random.Random(replay.seed())
    for _ in range(20):
        assert fed(recording, replay.pieces(recording.body, rng)) == whole
    assert fed(recording, replay.pieces(recording.body, rng, "bytes")) == whole


@pytest.mark.parametrize("recording", STREAMED)
def test_a_stream_that_stops_early_never_looks_finished(recording: Recording) -> None:
    rng = random.Random(replay.seed())
    ends = recording.body.rindex(b"data: ")
    for place in (0, ends, *(rng.randrange(ends) for _ in range(10))):
        decoder = decoder_for(recording)
        decoder.feed(recording.body[:place])
        decoder.end()
        assert not decoder.finished
        assert decoder.error is None
        partial = decoder.snapshot(ResponseMeta())
        assert partial.finish_reason == "error"
        text = "".join(part.text for part in partial.parts if isinstance(part, Text))
        assert reading(recording)["text"].startswith(text)


@pytest.mark.parametrize("recording", STREAMED)
def test_the_events_of_a_stream_add_up_to_its_reply(recording: Recording) -> None:
    decoder = decoder_for(recording)
    text, thought = "", ""
    arguments: dict[int, str] = {}
    for event in decoder.feed(recording.body):
        text += event.text
        thought += event.reasoning
        if event.tool_call is not None:
            before = arguments.get(event.tool_call.index, "")
            arguments[event.tool_call.index] = before + event.tool_call.arguments
    expected = reading(recording)
    assert text == expected["text"]
    assert thought == expected["reasoning"]
    assert [arguments[i] for i in sorted(arguments)] == [call[2] for call in expected["calls"]]


@pytest.mark.parametrize("recording", WHOLE)
def test_an_answer_goes_back_into_the_next_request_in_its_order(recording: Recording) -> None:
    dialect = ResponsesDialect("openai")
    call = call_of(recording.request_body)
    capabilities = facts(call.model).capabilities
    encoded = dialect.encode(call, capabilities, stream=False)
    meta = ResponseMeta()
    reply = dialect.decode(WireResponse(recording.body, meta), call, encoded)
    answer = Message("assistant", reply.parts)
    results = tuple(
        Message("tool", "done", tool_call_id=part.id)
        for part in reply.parts
        if isinstance(part, ToolCall)
    )
    messages = (*call.request.messages, answer, *results, Message("user", "Go on."))
    request = msgspec.structs.replace(call.request, messages=messages)
    again = dialect.encode(
        msgspec.structs.replace(call, request=request), capabilities, stream=False
    )
    before = len(encoded.body["input"])
    given = [item["type"] for item in again.body["input"][before:-1]]
    output = json.loads(recording.body)["output"]
    # Reasoning that came without its encrypted content can't go back.
    kinds = [
        item["type"]
        for item in output
        if item["type"] != "reasoning" or item.get("encrypted_content")
    ]
    assert given == [*kinds, *("function_call_output" for _ in results)]
    for item in output:
        if item.get("encrypted_content"):
            assert item in again.body["input"]


# ── The recording, read without the code under test ─────────────────────────────────────────────


def final(recording: Recording) -> dict[str, Any]:
    """The response object: the body, or what the last event of a stream brought."""
    if not recording.stream:
        return dict(json.loads(recording.body))
    lines = recording.body.decode().split("\n")
    events = [json.loads(line[len("data: ") :]) for line in lines if line.startswith("data: ")]
    assert events[-1]["type"] == "response.completed"
    return dict(events[-1]["response"])


def reading(recording: Recording) -> dict[str, Any]:
    response = final(recording)
    output = response["output"]
    messages = [item for item in output if item["type"] == "message"]
    calls = [item for item in output if item["type"] == "function_call"]
    thoughts = [item for item in output if item["type"] == "reasoning"]
    usage = response["usage"]
    return {
        "id": response["id"],
        "model": response["model"],
        "text": "".join(piece["text"] for item in messages for piece in item["content"]),
        "calls": [(item["call_id"], item["name"], item["arguments"]) for item in calls],
        "reasoning": "\n\n".join(s["text"] for item in thoughts for s in item["summary"]),
        "thoughts": thoughts,
        "finish": "tool_calls" if calls else "stop",
        "native_finish": "completed",
        "usage": [
            usage["input_tokens"],
            usage["input_tokens_details"]["cached_tokens"],
            usage["output_tokens"],
            usage["output_tokens_details"]["reasoning_tokens"],
        ],
    }


def told(reply: Reply) -> dict[str, Any]:
    """A reply in the same terms."""
    thoughts = [part for part in reply.parts if isinstance(part, Reasoning)]
    assert reply.usage is not None
    return {
        "id": reply.id,
        "model": reply.model,
        "text": "".join(part.text for part in reply.parts if isinstance(part, Text)),
        "calls": [
            (part.id, part.name, part.arguments)
            for part in reply.parts
            if isinstance(part, ToolCall)
        ],
        "reasoning": "\n\n".join(part.text for part in thoughts if part.text),
        "thoughts": [part.native.data for part in thoughts if part.native is not None],
        "finish": reply.finish_reason,
        "native_finish": reply.native_finish_reason,
        "usage": [
            reply.usage.input_tokens,
            reply.usage.cache_read_tokens,
            reply.usage.output_tokens,
            reply.usage.reasoning_tokens,
        ],
    }


def plain_input(items: str | list[dict[str, Any]]) -> list[Any]:
    """Input items without what may differ between two ways of saying the same."""
    if isinstance(items, str):
        return [("user", items)]
    result: list[Any] = []
    for item in items:
        if item.get("type", "message") == "message":
            content = item["content"]
            if not isinstance(content, str):
                content = "".join(piece["text"] for piece in content)
            result.append((item["role"], content))
        else:
            result.append({key: value for key, value in item.items() if key != "status"})
    return result


def without_nulls(data: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (data or {}).items() if value is not None}


# ── A recorded request as a call ────────────────────────────────────────────────────────────────


def call_of(body: dict[str, Any]) -> Call:
    wanted = body.get("text", {}).get("format")
    reasoning = without_nulls(body.get("reasoning"))
    choice = body.get("tool_choice")
    request = ChatRequest(
        messages=tuple(messages_of(body["input"])),
        tools=tuple(
            Tool(t["name"], t["description"], t["parameters"], strict=t.get("strict"))
            for t in body.get("tools", ())
        ),
        tool_choice=ToolChoice(choice) if choice else None,
        response_format=ResponseFormat(
            "schema", name=wanted["name"], schema=wanted["schema"], strict=wanted.get("strict")
        )
        if wanted
        else None,
        reasoning_effort=reasoning.pop("effort", None),
        **{ours: body[theirs] for theirs, ours in _KNOBS.items() if theirs in body},
    )
    extra: dict[str, Any] = {
        key: value for key, value in body.items() if key not in _TAKEN and key not in _KNOBS
    }
    if "store" in body:
        extra["store"] = body["store"]
    if reasoning:
        extra["reasoning"] = reasoning
    return Call(request=request, model=body["model"], extra=extra, timeout=10)


def messages_of(items: str | list[dict[str, Any]]) -> list[Message]:
    if isinstance(items, str):
        return [Message("user", items)]
    messages: list[Message] = []
    said: list[Part] = []

    def flush() -> None:
        if said:
            messages.append(Message("assistant", tuple(said)))
            said.clear()

    for item in items:
        match item.get("type", "message"):
            case "reasoning":
                said.append(Reasoning("", Native(_AUTHOR, item)))
            case "function_call":
                said.append(ToolCall(item["call_id"], item["name"], item["arguments"]))
            case "function_call_output":
                flush()
                messages.append(Message("tool", item["output"], tool_call_id=item["call_id"]))
            case _ if item["role"] == "assistant":
                content = item["content"]
                texts = [content] if isinstance(content, str) else [c["text"] for c in content]
                said.extend(Text(text) for text in texts)
            case _:
                flush()
                messages.append(Message(item["role"], item["content"]))
    flush()
    return messages


def decoder_for(recording: Recording) -> Any:
    dialect = ResponsesDialect("openai")
    call = call_of(recording.request_body)
    encoded = dialect.encode(call, facts(call.model).capabilities, stream=True)
    return dialect.decoder(call, encoded)


def fed(recording: Recording, pieces: Any) -> Reply:
    decoder = decoder_for(recording)
    for piece in pieces:
        decoder.feed(piece)
    assert decoder.error is None
    assert decoder.finished
    reply = decoder.snapshot(ResponseMeta())
    assert isinstance(reply, Reply)
    return reply
