"""What Ollama answers, read from bytes made by hand."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.completion import StreamEvent, ToolCallDelta, Usage
from switchgear.errors import (
    ContextWindowExceededError,
    MalformedResponseError,
    OverloadedError,
    ServerError,
)
from switchgear.messages import Message, Reasoning, Text, ToolCall
from switchgear.providers.base import Call, EmbedCall, Reply, ResponseMeta
from switchgear.providers.dialects import Encoded
from switchgear.providers.dialects.ollama_chat_decode import ChatDecoder, decode
from switchgear.providers.dialects.ollama_chat_encode import ChatDefaults
from switchgear.providers.dialects.ollama_embeddings import (
    decode_embeddings,
    decode_models,
    encode_embeddings,
)
from switchgear.providers.wire import WireResponse
from switchgear.request import ChatRequest

CALL = Call(request=ChatRequest(messages=(Message("user", "How is Rome? " * 10),)), model="qwen3")
ENCODED = Encoded({}, ("seed: left out",))
EMBED = EmbedCall(inputs=("a", "b"), model="nomic-embed-text")
COUNTS = {"prompt_eval_count": 11, "eval_count": 7}


def response(data: object) -> WireResponse:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return WireResponse(body, ResponseMeta(None, {"x": "y"}))


def line(done: bool = False, **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "", **fields.pop("message", {})}
    return {
        "model": "qwen3",
        "created_at": "2026-01-01T00:00:00.5Z",
        "message": message,
        "done": done,
        **fields,
    }


def last(**fields: Any) -> dict[str, Any]:
    return line(True, **{"done_reason": "stop", **COUNTS, **fields})


def answer(**fields: Any) -> Reply:
    return decode(response(last(**fields)), CALL, ENCODED, provider="ollama")


def body_of(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in lines)


def fed(*pieces: bytes) -> tuple[list[StreamEvent], ChatDecoder]:
    decoder = ChatDecoder(CALL, ENCODED, provider="ollama")
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.end()], decoder


WEATHER = {"function": {"name": "weather", "arguments": {"city": "Rom\u00e4"}}}
LOOP = body_of(
    line(message={"thinking": "The user "}),
    line(message={"thinking": "asks."}),
    line(message={"content": "One \u26a1"}),
    line(message={"content": " moment."}),
    line(message={"tool_calls": [WEATHER]}),
    line(message={"tool_calls": [WEATHER, {"id": "mine", "function": {"name": "time"}}]}),
    last(),
)


def test_an_answer_is_thinking_then_text_then_tool_calls() -> None:
    reply = answer(
        message={"thinking": "Hm.", "content": "So.", "tool_calls": [WEATHER | {"id": "call_x"}]}
    )
    assert reply.parts == (
        Reasoning("Hm."),
        Text("So."),
        ToolCall("call_x", "weather", '{"city": "Rom\\u00e4"}'),
    )
    assert reply.usage == Usage(input_tokens=11, output_tokens=7)
    assert reply.model == "qwen3"
    assert reply.warnings == ENCODED.warnings
    assert reply.meta.headers == {"x": "y"}
    assert json.loads(reply.body)["done"] is True


def test_stop_beside_tool_calls_means_tool_calls() -> None:
    reply = answer(message={"tool_calls": [WEATHER]})
    assert reply.finish_reason == "tool_calls"
    assert reply.native_finish_reason == "stop"


@pytest.mark.parametrize(
    ("native", "reason"),
    [("stop", "stop"), ("length", "length"), ("load", "stop"), ("unload", "stop"), (None, "stop")],
)
def test_the_reasons_for_an_end(native: str | None, reason: str) -> None:
    reply = answer(done_reason=native, message={"content": "x"})
    assert (reply.finish_reason, reply.native_finish_reason) == (reason, native)


def test_a_call_that_was_cut_by_its_length_is_not_ready() -> None:
    reply = answer(done_reason="length", message={"tool_calls": [WEATHER]})
    assert reply.finish_reason == "length"


def test_calls_without_ids_get_ids_that_no_other_turn_has() -> None:
    calls = {"tool_calls": [WEATHER, WEATHER]}
    now = answer(message=calls).parts
    later = answer(message=calls, created_at="2026-01-01T00:00:01Z").parts
    ids = [part.id for part in (*now, *later) if isinstance(part, ToolCall)]
    assert len(set(ids)) == 4
    assert all(call_id.startswith("call_") for call_id in ids)


@pytest.mark.parametrize(
    ("written", "read"),
    [({}, "{}"), (None, "{}"), ('{"a": 1}', '{"a": 1}'), ("", "{}"), ({"a": [1]}, '{"a": [1]}')],
)
def test_arguments_come_as_objects_and_sometimes_as_text(written: object, read: str) -> None:
    function = {"name": "f", "arguments": written}
    (call,) = answer(message={"tool_calls": [{"function": function}]}).parts
    assert isinstance(call, ToolCall)
    assert call.arguments == read


def test_a_prompt_that_was_not_counted_is_estimated_and_flagged() -> None:
    body = last()
    del body["prompt_eval_count"]
    reply = decode(response(body), CALL, ENCODED, provider="ollama")
    assert reply.usage is not None
    assert reply.usage.estimated
    assert reply.usage.output_tokens == 7
    assert 20 <= reply.usage.input_tokens <= 130, "130 characters"


def test_without_any_count_there_is_no_usage() -> None:
    body = line(True, done_reason="stop")
    assert decode(response(body), CALL, ENCODED, provider="ollama").usage is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'{"done": true}',
        b'{"message": {"content": "x"}, "done": false}',
        b'{"message": {"content": 1}, "done": true}',
        b'{"message": {"tool_calls": [{"function": {}}]}, "done": true}',
        b'\xff\xfe{"done": true}',
    ],
)
def test_what_the_api_does_not_promise_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponseError) as caught:
        decode(response(body), CALL, ENCODED, provider="ollama")
    assert (caught.value.provider, caught.value.model) == ("ollama", "qwen3")


def test_an_error_in_an_answer_of_200_is_an_error() -> None:
    with pytest.raises(ServerError, match="llama runner"):
        decode(response({"error": "llama runner died"}), CALL, ENCODED, provider="ollama")
    with pytest.raises(ContextWindowExceededError):
        decode(
            response({"error": "the input length exceeds the context length"}),
            CALL,
            ENCODED,
            provider="ollama",
        )


def test_a_stream_gives_its_deltas_and_then_the_whole() -> None:
    events, decoder = fed(LOOP)
    assert [event.reasoning for event in events if event.reasoning] == ["The user ", "asks."]
    assert [event.text for event in events if event.text] == ["One \u26a1", " moment."]
    calls = [event.tool_call for event in events if event.tool_call is not None]
    assert [call.index for call in calls] == [0, 1, 2]
    assert calls[2] == ToolCallDelta(2, "mine", "time", "{}")
    reply = decoder.snapshot(ResponseMeta())
    assert decoder.finished
    assert reply.finish_reason == "tool_calls"
    assert reply.usage == Usage(input_tokens=11, output_tokens=7)
    assert [type(part) for part in reply.parts] == [Reasoning, Text, ToolCall, ToolCall, ToolCall]
    first = reply.parts[2]
    assert isinstance(first, ToolCall)
    assert first.parse() == {"city": "Rom\u00e4"}
    assert len({part.id for part in reply.parts if isinstance(part, ToolCall)}) == 3


def test_a_stream_may_be_cut_at_every_byte() -> None:
    expected_events, expected = fed(LOOP)
    for place in range(len(LOOP) + 1):
        events, decoder = fed(LOOP[:place], LOOP[place:])
        assert events == expected_events
        assert decoder.snapshot(ResponseMeta()) == expected.snapshot(ResponseMeta())
    events, decoder = fed(*(LOOP[at : at + 1] for at in range(len(LOOP))))
    assert (events, decoder.finished) == (expected_events, True)


@given(st.lists(st.text(), max_size=8), st.sampled_from(["\n", "\r\n", "\n\n"]), st.integers())
def test_any_text_comes_through_any_cuts(texts: list[str], end: str, seed: int) -> None:
    said = [line(message={"content": text}) for text in texts]
    body = end.join(json.dumps(item) for item in [*said, last()]).encode()
    rng = random.Random(seed)
    cuts = sorted(rng.randrange(len(body) + 1) for _ in range(6))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    events, decoder = fed(*pieces)
    assert "".join(event.text for event in events) == "".join(texts)
    assert decoder.finished, "the last line has no end of its own"


def test_a_cut_stream_is_not_finished_and_keeps_what_came() -> None:
    whole = body_of(line(message={"content": "Half"}), last())
    events, decoder = fed(whole[:-4])
    assert [event.text for event in events] == ["Half"]
    assert not decoder.finished
    assert decoder.error is None
    reply = decoder.snapshot(ResponseMeta())
    assert reply.parts == (Text("Half"),)
    assert reply.usage is None


def test_an_error_line_ends_a_stream_after_what_came_before_it() -> None:
    events, decoder = fed(body_of(line(message={"content": "Half"}), {"error": "runner died"}))
    assert [event.text for event in events] == ["Half"]
    assert isinstance(decoder.error, ServerError)
    assert "runner died" in decoder.error.message
    assert not decoder.finished


def test_an_error_line_may_be_the_only_one_and_lack_its_end() -> None:
    _, decoder = fed(b'{"error":"unexpected EOF"}')
    assert isinstance(decoder.error, ServerError)
    _, decoder = fed(b'{"error":{"message":"busy","type":"overloaded_error"}}\n')
    assert isinstance(decoder.error, OverloadedError)


@pytest.mark.parametrize("bad", [b"data: {}\n", b"{\n", b"[1]\n", b'{"model":"x"}\n', b"\xff\n"])
def test_a_line_that_the_api_does_not_promise_is_malformed(bad: bytes) -> None:
    events, decoder = fed(body_of(line(message={"content": "Half"})) + bad)
    assert [event.text for event in events] == ["Half"]
    assert isinstance(decoder.error, MalformedResponseError)


def test_nothing_counts_after_the_line_that_says_done() -> None:
    events, decoder = fed(body_of(last(), line(message={"content": "late"}), {"error": "late"}))
    assert events == []
    assert decoder.finished
    assert decoder.error is None


def test_embeddings_are_asked_for_at_once_and_refused_rather_than_cut() -> None:
    assert encode_embeddings(EMBED, ChatDefaults()) == {
        "model": "nomic-embed-text",
        "input": ["a", "b"],
        "truncate": False,
    }
    call = EmbedCall(inputs=("a",), model="m", dimensions=64, extra={"truncate": True})
    body = encode_embeddings(call, ChatDefaults(options={"num_ctx": 5}, keep_alive=-1))
    assert body == {
        "model": "m",
        "input": ["a"],
        "truncate": True,
        "dimensions": 64,
        "options": {"num_ctx": 5},
        "keep_alive": -1,
    }


def test_vectors_are_read_in_order() -> None:
    data = {"model": "n:latest", "embeddings": [[1, 0.5], [0, -2]], "prompt_eval_count": 4}
    made = decode_embeddings(response(data), EMBED, provider="ollama")
    assert made.vectors == ((1.0, 0.5), (0.0, -2.0))
    assert made.usage == Usage(input_tokens=4)
    assert made.model == "n:latest"
    del data["prompt_eval_count"]
    assert decode_embeddings(response(data), EMBED, provider="ollama").usage is None


@pytest.mark.parametrize("data", [b"", {"embeddings": [[1.0]]}, {"embeddings": [["a"], [1]]}, {}])
def test_vectors_that_do_not_fit_are_malformed(data: object) -> None:
    with pytest.raises(MalformedResponseError):
        decode_embeddings(response(data), EMBED, provider="ollama")


def test_a_text_that_is_too_long_to_embed_says_so() -> None:
    data = {"error": "the input length exceeds the context length"}
    with pytest.raises(ContextWindowExceededError):
        decode_embeddings(response(data), EMBED, provider="ollama")


def test_models_have_names() -> None:
    data = {"models": [{"name": "a:latest", "model": "a:latest"}, {"name": "b"}, {"size": 1}]}
    assert decode_models(response(data), provider="ollama") == ("a:latest", "b")
    assert decode_models(response({"models": None}), provider="ollama") == ()
    with pytest.raises(MalformedResponseError):
        decode_models(response(b"<html>"), provider="ollama")
