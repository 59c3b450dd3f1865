"""Every recorded Chat Completions interaction, through the real SDK and the decoder alone.

What an answer holds is read out of the recording here by plain dict code, so that a mistake in the
decoder can't agree with itself. Recordings of ``/v1/completions`` are left out: that is the older
API for plain text, and no chat.
"""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from switchgear.credentials import Secret
from switchgear.errors import InvalidRequestError
from switchgear.messages import Native, Part, Reasoning, Refusal, Text, ToolCall
from switchgear.normalise import normalise_messages
from switchgear.providers.base import Call, ProviderSettings, Reply, ResponseMeta
from switchgear.providers.dialects import Encoded
from switchgear.providers.dialects.openai_chat import ChatDialect, ChatQuirks
from switchgear.providers.dialects.openai_chat_stream import ChatDecoder
from switchgear.providers.openai import create
from switchgear.providers.openai_models import facts
from switchgear.providers.wire import WireResponse
from switchgear.request import ChatRequest
from switchgear.structured import normalise_response_format
from switchgear.tools import normalise_tool_choice, normalise_tools
from tests.wire import replay
from tests.wire.replay import Recording, Replay

ALL = replay.recordings("openai", endpoint="chat.completions")
ANSWERED = replay.recordings("openai", endpoint="chat.completions", status=200)
REFUSED = replay.recordings("openai", endpoint="chat.completions", status=400)
STREAMED = replay.recordings("openai", endpoint="chat.completions", stream=True)
WHOLE = replay.recordings("openai", endpoint="chat.completions", stream=False, status=200)

_SMALL = 3_000


def test_the_recordings_are_all_there() -> None:
    if ALL[0].values[0] is None:
        pytest.skip("recorded traffic is absent")
    assert (len(ALL), len(STREAMED), len(WHOLE), len(REFUSED)) == (199, 47, 150, 2)


@pytest.mark.parametrize(("recording", "road"), replay.on_both_roads(ANSWERED))
async def test_an_answer_arrives_as_it_was_recorded(recording: Recording, road: str) -> None:
    call = call_of(recording.request_body)
    async with Replay([recording]) as server:
        provider = provider_at(f"{server.url}/v1", road)
        try:
            if recording.stream:
                stream = await provider.stream(call)
                events = [event async for event in stream]
                assert stream.finished
                reply = stream.snapshot()
                await stream.aclose()
                assert "".join(event.text for event in events) == reading(recording)["said"]
                assert pieced_together(events) == reading(recording)["calls"]
            else:
                reply = await provider.complete(call)
                assert reply.body == recording.body
        finally:
            await provider.aclose()
    assert told(reply) == reading(recording)
    assert reply.meta.request_id == recording.headers.get("x-request-id")
    sent = server.received[0]
    assert sent.headers["authorization"] == "Bearer sk-wire"
    assert sent.headers["content-type"] == "application/json"


@pytest.mark.parametrize("recording", ANSWERED)
async def test_what_is_sent_says_what_the_recorded_client_said(recording: Recording) -> None:
    recorded = recording.request_body
    call = call_of(recorded)
    model = recorded["model"]
    dialect = ChatDialect("openai", ChatQuirks(max_tokens_field="max_completion_tokens"))
    encoded = dialect.encode(call, facts(model).capabilities, stream=recording.stream)
    body = json.loads(msgspec.json.encode(encoded.body))
    for field in ("model", "tools", "reasoning_effort", "service_tier"):
        assert body.get(field) == recorded.get(field, body.get(field)), field
    assert body.get("stream", False) == recording.stream
    assert [told_message(m) for m in body["messages"]] == [
        told_message(m) for m in recorded["messages"]
    ]
    if "response_format" in recorded and "response_format" in body:
        wanted = recorded["response_format"]["json_schema"]["schema"]
        assert body["response_format"]["json_schema"]["schema"]["properties"].keys() == (
            wanted["properties"].keys()
        )


@pytest.mark.parametrize(("recording", "road"), replay.on_both_roads(REFUSED))
async def test_a_recorded_refusal_of_the_request_is_an_invalid_request(
    recording: Recording, road: str
) -> None:
    async with Replay([recording]) as server:
        provider = provider_at(f"{server.url}/v1", road)
        try:
            with pytest.raises(InvalidRequestError) as caught:
                await provider.complete(call_of(recording.request_body))
        finally:
            await provider.aclose()
    said = json.loads(recording.body)["error"]
    assert caught.value.status == 400
    assert caught.value.provider == "openai"
    assert caught.value.request_id == recording.headers["x-request-id"]
    assert " ".join(said["message"].split())[:100] in str(caught.value)


@pytest.mark.parametrize("recording", STREAMED)
def test_the_pieces_in_which_a_stream_arrives_change_nothing(recording: Recording) -> None:
    rng = random.Random(replay.seed())
    cuts = [replay.pieces(recording.body, rng, "bytes")]
    cuts += [replay.pieces(recording.body, rng) for _ in range(25)]
    if len(recording.body) <= _SMALL:
        cuts += [list(pair) for pair in replay.cut_in_two(recording.body)]
    for cut in cuts:
        decoder = fed(cut)
        assert decoder.error is None
        assert decoder.finished
        assert told(decoder.snapshot(ResponseMeta())) == reading(recording)


@pytest.mark.parametrize("recording", STREAMED)
def test_a_recorded_stream_that_breaks_off_early_is_never_complete(recording: Recording) -> None:
    size = recording.body.index(b"[DONE]") + len(b"[DONE]\n")
    for length in {*range(0, size, max(1, size // 40)), *range(size - 60, size)}:
        decoder = fed([recording.body[:length]])
        decoder.end()
        assert not decoder.finished


@pytest.mark.parametrize("recording", WHOLE)
def test_an_answer_goes_back_into_the_conversation(recording: Recording) -> None:
    """The next request shows the model exactly what it said."""
    reply = decoded(recording)
    message = msgspec.structs.replace(normalise_messages("x")[0], role="assistant")
    message = msgspec.structs.replace(message, content=reply.parts)
    request = ChatRequest(messages=(message,))
    encoded = ChatDialect("openai", ChatQuirks()).encode(
        Call(request=request, model="gpt-4o"), facts("gpt-4o").capabilities, stream=False
    )
    said = encoded.body["messages"][0]
    recorded = first_choice(json.loads(recording.body))["message"]
    assert (said["content"] or None) == (recorded["content"] or None)
    assert said.get("refusal") == (recorded.get("refusal") or None)
    calls = recorded.get("tool_calls") or []
    assert said.get("tool_calls", []) == calls or recorded.get("function_call")
    assert encoded.warnings == ()


def provider_at(base_url: str, road: str) -> Any:
    settings = ProviderSettings(
        name="openai",
        plugin="openai",
        api_key=Secret("sk-wire"),
        base_url=base_url,
        options={"api": "chat", "wire": road},
    )
    return create(settings)


def call_of(body: dict[str, Any]) -> Call:
    """The recorded request as one of ours."""
    tools = normalise_tools(
        body.get("tools")
        or [{"type": "function", "function": f} for f in body.get("functions", ())]
    )
    chosen = body.get("tool_choice") or body.get("function_call")
    request = ChatRequest(
        messages=normalise_messages(body["messages"]),
        tools=tools,
        tool_choice=normalise_tool_choice(chosen, tools) if chosen else None,
        response_format=normalise_response_format(body.get("response_format")),
        reasoning_effort=body.get("reasoning_effort"),
    )
    known = {"messages", "model", "stream", "stream_options", "tools", "tool_choice", "n"}
    known |= {"response_format", "reasoning_effort", "functions", "function_call"}
    extra = {key: value for key, value in body.items() if key not in known}
    return Call(request=request, model=body["model"], extra=extra, unsupported="warn")


def fed(pieces: list[bytes]) -> ChatDecoder:
    decoder = ChatDecoder(Encoded({}), done_marker=True, provider="openai", model="m")
    for piece in pieces:
        decoder.feed(piece)
    return decoder


def decoded(recording: Recording) -> Reply:
    response = WireResponse(recording.body, ResponseMeta())
    call = call_of(recording.request_body)
    return ChatDialect("openai", ChatQuirks()).decode(response, call, Encoded({}))


def told_message(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what is as good as absent."""
    told = {key: value for key, value in message.items() if value not in (None, [], "")}
    content = told.get("content")
    if isinstance(content, list) and len(content) == 1 and content[0]["type"] == "text":
        told["content"] = content[0]["text"]
    if told["role"] in {"system", "developer"}:
        told["role"] = "system"
    return told


def told(reply: Reply) -> dict[str, Any]:
    """A reply in the words of ``reading``."""
    usage = reply.usage
    return {
        "id": reply.id,
        "model": reply.model,
        "said": "".join(p.text for p in reply.parts if isinstance(p, Text | Refusal)),
        "refusal": "".join(p.text for p in reply.parts if isinstance(p, Refusal)),
        "reasoning": "".join(p.text for p in reply.parts if isinstance(p, Reasoning)),
        "annotations": next(filter(None, map(notes_of, reply.parts)), []),
        "calls": [(c.id, c.name, c.arguments) for c in reply.parts if isinstance(c, ToolCall)],
        "finish": reply.finish_reason,
        "native": reply.native_finish_reason,
        "usage": usage
        and (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.reasoning_tokens,
            usage.audio_input_tokens,
            usage.audio_output_tokens,
        ),
    }


def notes_of(part: Part) -> list[Any]:
    native: Native | None = getattr(part, "native", None)
    return native.data.get("annotations", []) if native is not None else []


def pieced_together(events: list[Any]) -> list[tuple[str, str, str]]:
    """The tool calls as somebody sees them who reads the deltas only."""
    calls: dict[int, list[str]] = {}
    for event in events:
        delta = event.tool_call
        if delta is not None:
            call = calls.setdefault(delta.index, ["", "", ""])
            call[0] += delta.id
            call[1] += delta.name
            call[2] += delta.arguments
    assert list(calls) == list(range(len(calls)))
    return [(call_id, name, arguments or "{}") for call_id, name, arguments in calls.values()]


def reading(recording: Recording) -> dict[str, Any]:
    """What the recording holds, read without the library."""
    chunks = chunks_of(recording.body) if recording.stream else [json.loads(recording.body)]
    content = refusal = ""
    notes: list[Any] = []
    calls: dict[int, list[str]] = {}
    native = usage = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        choice = first_choice(chunk)
        if choice is None:
            continue
        said = choice.get("delta") or choice.get("message") or {}
        content += said.get("content") or ""
        refusal += said.get("refusal") or ""
        notes += said.get("annotations") or []
        native = choice.get("finish_reason") or native
        listed = list(said.get("tool_calls") or [])
        if said.get("function_call"):
            listed.append({"id": "call_0", "function": said["function_call"]})
        for place, piece in enumerate(listed):
            call = calls.setdefault(piece.get("index", place), ["", "", ""])
            call[0] = call[0] or piece.get("id") or ""
            call[1] = call[1] or piece["function"].get("name") or ""
            call[2] += piece["function"].get("arguments") or ""
    finish = native or "stop"
    if refusal:
        finish = "refusal"
    if calls and finish in {"stop", "function_call"}:
        finish = "tool_calls"
    return {
        "id": chunks[0]["id"],
        "model": next(chunk["model"] for chunk in chunks if chunk["model"]),
        "said": content + refusal,
        "refusal": refusal,
        "reasoning": "",
        "annotations": notes,
        "calls": [(i, name, arguments or "{}") for i, name, arguments in calls.values()],
        "finish": finish,
        "native": native,
        "usage": usage and tokens_of(usage),
    }


def tokens_of(usage: dict[str, Any]) -> tuple[int, ...]:
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        prompt.get("cached_tokens", 0),
        completion.get("reasoning_tokens", 0),
        prompt.get("audio_tokens", 0),
        completion.get("audio_tokens", 0),
    )


def chunks_of(body: bytes) -> list[dict[str, Any]]:
    lines = (line.strip() for line in body.decode().split("\n"))
    payloads = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    assert payloads[-1] == "[DONE]"
    return [json.loads(payload) for payload in payloads[:-1]]


def first_choice(answer: dict[str, Any]) -> Any:
    return next((c for c in answer["choices"] if not c.get("index")), None)
