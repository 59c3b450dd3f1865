"""Whole answers, from OpenAI and from those who speak with an accent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.completion import Usage
from switchgear.errors import (
    MalformedResponseError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from switchgear.messages import Native, NativeBlock, Reasoning, Refusal, Text, ToolCall
from switchgear.providers.base import Call, Reply, ResponseMeta
from switchgear.providers.dialects import Encoded
from switchgear.providers.dialects.openai_chat import ChatDialect, ChatQuirks
from switchgear.providers.wire import WireResponse
from switchgear.request import ChatRequest

CALL = Call(request=ChatRequest(messages=()), model="asked")
META = ResponseMeta("req_1", {"x-request-id": "req_1"})


def read(body: object, *, answer_tool: str | None = None) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    encoded = Encoded({}, ("a: warning",), answer_tool)
    return ChatDialect("p", ChatQuirks()).decode(WireResponse(raw, META), CALL, encoded)


def answer(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "model": "answered",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        **more,
    }


def test_text() -> None:
    reply = read(answer({"role": "assistant", "content": "Hello"}))
    assert reply.parts == (Text("Hello"),)
    assert (reply.finish_reason, reply.native_finish_reason) == ("stop", "stop")
    assert (reply.id, reply.model, reply.usage) == ("chatcmpl-1", "answered", None)
    assert reply.meta is META
    assert reply.warnings == ("a: warning",)
    assert json.loads(reply.body)["id"] == "chatcmpl-1"


def test_usage_with_all_its_details() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {
            "cached_tokens": 60,
            "cache_write_tokens": 20,
            "audio_tokens": 5,
        },
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 7},
    }
    assert read(answer({"content": "x"}, usage=usage)).usage == Usage(
        input_tokens=100,
        output_tokens=50,
        cache_read_tokens=60,
        cache_write_tokens=20,
        audio_input_tokens=5,
        reasoning_tokens=30,
        audio_output_tokens=7,
    )


def test_reasoning_counted_beside_the_output_is_put_into_it() -> None:
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "completion_tokens_details": {"reasoning_tokens": 94},
    }
    counted = read(answer({"content": "x"}, usage=usage)).usage
    assert counted == Usage(input_tokens=32, output_tokens=103, reasoning_tokens=94)


def test_what_only_the_total_counts_was_thought() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 20}
    counted = read(answer({"content": "x"}, usage=usage)).usage
    assert counted == Usage(input_tokens=5, output_tokens=15, reasoning_tokens=13)


def test_cache_hits_in_the_place_of_moonshot_and_together() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 5}
    reply = read(answer({"content": "Hi"}, usage=usage))
    assert reply.usage == Usage(input_tokens=9, output_tokens=1, cache_read_tokens=5)


def test_deepseeks_cache_hits() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}
    counted = read(answer({"content": "x"}, usage=usage)).usage
    assert counted == Usage(input_tokens=10, output_tokens=1, cache_read_tokens=8)


@pytest.mark.parametrize(
    ("native", "common"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("model_length", "length"),
        ("insufficient_system_resource", "error"),
        ("eos", "stop"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons(native: str | None, common: str) -> None:
    reply = read(answer({"content": "x"}, native))
    assert (reply.finish_reason, reply.native_finish_reason) == (common, native)


def test_a_refusal_is_recorded_as_stop() -> None:
    reply = read(answer({"content": None, "refusal": "I can't."}))
    assert reply.parts == (Refusal("I can't."),)
    assert (reply.finish_reason, reply.native_finish_reason) == ("refusal", "stop")


def test_tool_calls_end_a_turn_whatever_the_server_calls_it() -> None:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "a", "arguments": '{"x":1}'}},
        {"id": "", "function": {"name": "b", "arguments": None}},
        {"function": {"name": "c", "arguments": {"y": 2}}},
    ]
    reply = read(answer({"content": None, "tool_calls": calls}, "stop"))
    assert reply.parts == (
        ToolCall("c1", "a", '{"x":1}'),
        ToolCall("call_1", "b", "{}"),
        ToolCall("call_2", "c", '{"y":2}'),
    )
    assert reply.finish_reason == "tool_calls"
    cut = read(answer({"content": None, "tool_calls": calls}, "length"))
    assert cut.finish_reason == "length"


def test_the_older_form_of_a_call() -> None:
    function = {"name": "a", "arguments": "{}"}
    reply = read(answer({"content": None, "function_call": function}, "function_call"))
    assert reply.parts == (ToolCall("call_0", "a", "{}"),)
    assert reply.finish_reason == "tool_calls"


def test_custom_tools_and_signed_calls_keep_their_native_form() -> None:
    signed = {"google": {"thought_signature": "s"}}
    calls = [
        {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": 'say "hi"'}},
        {"id": "c2", "extra_content": signed, "function": {"name": "b", "arguments": "{}"}},
    ]
    first, second = read(answer({"tool_calls": calls})).parts
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert first.parse() == {"input": 'say "hi"'}
    assert first.native is not None
    assert first.native.data == {"custom": {"name": "sql", "input": 'say "hi"'}}
    assert second.native == Native("openai-chat", {"extra_content": signed})


def test_the_forced_tool_becomes_the_answer() -> None:
    calls = [{"id": "c1", "function": {"name": "count", "arguments": '{"n":3}'}}]
    reply = read(answer({"content": None, "tool_calls": calls}, "tool_calls"), answer_tool="count")
    assert reply.parts == (Text('{"n":3}'),)
    assert reply.finish_reason == "stop"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_readable_reasoning_under_either_name(field: str) -> None:
    reply = read(answer({field: "Hm.", "content": "Yes"}))
    assert reply.parts == (Reasoning("Hm."), Text("Yes"))


def test_openrouters_reasoning_is_kept_as_it_came() -> None:
    details = [
        {"type": "reasoning.text", "text": "Hm.", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "xyz", "index": 1},
    ]
    reply = read(answer({"content": "Yes", "reasoning_details": details}))
    assert reply.parts == (
        Reasoning("Hm.", Native("openai-chat", {"reasoning_details": details})),
        Text("Yes"),
    )


def test_content_in_blocks_with_thinking_among_them() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Yes"},
    ]
    assert read(answer({"content": content})).parts == (Reasoning("Hm."), Text("Yes"))


def test_an_answer_that_comes_parsed_already_is_text_again() -> None:
    reply = read(answer({"content": {"city": "Bern", "size": [1, 2]}}))
    assert reply.parts == (Text('{"city":"Bern","size":[1,2]}'),)


def test_pictures_that_the_model_made_are_kept() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    reply = read(answer({"content": "", "images": [picture]}))
    assert reply.parts == (NativeBlock(Native("openai-chat", {"images": [picture]})),)


def test_think_tags_are_left_alone() -> None:
    assert read(answer({"content": "<think>Hm.</think>Yes"})).parts == (
        Text("<think>Hm.</think>Yes"),
    )


def test_a_spoken_answer_is_read_by_its_transcript() -> None:
    audio = {"id": "audio_1", "data": "QUJD", "transcript": "Hello", "expires_at": 1}
    text, block = read(answer({"content": None, "audio": audio})).parts
    assert text == Text("Hello")
    assert block == NativeBlock(Native("openai-chat", {"audio": audio}))


def test_citations_stay_with_their_text() -> None:
    notes = [{"type": "url_citation", "url_citation": {"url": "https://x"}}]
    (text,) = read(answer({"content": "See", "annotations": notes})).parts
    assert text == Text("See", native=Native("openai-chat", {"annotations": notes}))


def test_of_several_answers_the_first_is_given_with_a_warning() -> None:
    body = answer({"content": "one"})
    body["choices"].insert(0, {"index": 1, "message": {"content": "two"}, "finish_reason": "stop"})
    reply = read(body)
    assert reply.parts == (Text("one"),)
    assert reply.warnings[1].startswith("n: 2 answers")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "malformed"),
        (b"<html>", "malformed"),
        (b"[]", "malformed"),
        (b"\xff\xfe", "malformed"),
        ({}, "choices"),
        ({"choices": []}, "choices"),
        ({"choices": [{"index": 0}]}, r"choices\[0\].message"),
        ({"choices": [{"message": {"content": 7}}]}, r"choices\[0\].message.content"),
        (answer({"tool_calls": [{"id": "c1", "function": {"arguments": "{}"}}]}), "without a name"),
    ],
)
def test_a_body_that_is_no_answer_is_named(body: object, field: str) -> None:
    with pytest.raises(MalformedResponseError, match=field) as caught:
        read(body)
    assert (caught.value.provider, caught.value.model) == ("p", "asked")
    assert caught.value.request_id == "req_1"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": {"message": "slow down", "code": 429}}, RateLimitError),
        ({"object": "error", "message": "boom", "code": 500}, ServerError),
        ({"choices": [{"error": {"message": "upstream died", "code": 502}}]}, ServerError),
    ],
)
def test_an_error_with_the_status_of_a_success(
    body: dict[str, Any], error: type[SwitchgearError]
) -> None:
    with pytest.raises(error) as caught:
        read(body)
    assert caught.value.provider == "p"
    assert "inside the answer" in str(caught.value)
