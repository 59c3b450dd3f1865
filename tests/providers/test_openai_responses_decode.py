"""What a whole answer of the Responses API becomes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from switchgear.completion import Usage
from switchgear.errors import (
    ContentFilterError,
    InvalidRequestError,
    MalformedResponseError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from switchgear.messages import Message, NativeBlock, Reasoning, Refusal, Text, Tool, ToolCall
from switchgear.providers.base import Call, Capabilities, Reply, ResponseMeta
from switchgear.providers.dialects.openai_responses import ResponsesDialect
from switchgear.providers.wire import WireResponse
from switchgear.request import ChatRequest, ResponseFormat

ME = "openai-responses/openai"
DIALECT = ResponsesDialect("openai")


def message(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
        "content": list(content), **more,
    }  # fmt: skip


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], **more}


def function_call(arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {
        "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather",
        "arguments": arguments, "status": "completed", **more,
    }  # fmt: skip


def decode(*output: Any, request: ChatRequest | None = None, **more: Any) -> Reply:
    body = {"id": "resp_1", "model": "gpt-x-1", "status": "completed", "output": output, **more}
    return decode_bytes(msgspec.json.encode(body), request)


def decode_bytes(body: bytes, request: ChatRequest | None = None) -> Reply:
    call = Call(request=request or ChatRequest(messages=(Message("user", "Hi"),)), model="gpt-x")
    encoded = DIALECT.encode(call, Capabilities(schema="tool"), stream=False)
    return DIALECT.decode(WireResponse(body, ResponseMeta("req_1")), call, encoded)


def test_items_become_parts_in_their_order() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}
    reply = decode(thought, search, message(said("Hello")), function_call('{"a":1}'))
    assert [type(part) for part in reply.parts] == [Reasoning, NativeBlock, Text, ToolCall]
    first, block, text, call = reply.parts
    assert isinstance(first, Reasoning)
    assert first.native is not None
    assert (first.native.author, first.native.data) == (ME, thought)
    assert isinstance(block, NativeBlock)
    assert (block.native.author, block.native.data) == (ME, search)
    assert text == Text("Hello")
    assert call == ToolCall("call_1", "weather", '{"a":1}')
    assert reply.finish_reason == "tool_calls"
    assert reply.native_finish_reason == "completed"
    assert (reply.id, reply.model, reply.meta.request_id) == ("resp_1", "gpt-x-1", "req_1")


def test_annotations_and_phase_stay_with_their_text() -> None:
    note = {"type": "url_citation", "url": "https://x.test"}
    reply = decode(message(said("Hello", annotations=[note]), phase="final_answer"))
    (text,) = reply.parts
    assert isinstance(text, Text)
    assert text.native is not None
    assert text.native.author == ME
    assert text.native.data == {
        "id": "msg_1",
        "phase": "final_answer",
        "status": "completed",
        "annotations": [note],
    }


def test_a_refusal_is_one() -> None:
    reply = decode(message({"type": "refusal", "refusal": "No."}))
    assert reply.parts == (Refusal("No."),)
    assert reply.finish_reason == "refusal"


def test_reasoning_reads_as_its_summary_or_as_itself() -> None:
    summary = [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "2."}]
    content = [{"type": "reasoning_text", "text": "Raw."}]
    one, other = decode(
        {"type": "reasoning", "id": "rs_1", "summary": summary},
        {"type": "reasoning", "id": "rs_2", "summary": [], "content": content},
        message(said("Hi")),
    ).parts[:2]
    assert isinstance(one, Reasoning)
    assert isinstance(other, Reasoning)
    assert (one.text, other.text) == ("First.\n\n2.", "Raw.")


def test_usage_counts_what_was_cached_and_thought() -> None:
    reply = decode(
        message(said("Hi")),
        usage={
            "input_tokens": 100,
            "input_tokens_details": {
                "cached_tokens": 40,
                "cache_write_tokens": 30,
                "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 20},
            },
            "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 25},
            "total_tokens": 150,
        },
    )
    assert reply.usage == Usage(
        input_tokens=100,
        output_tokens=50,
        cache_read_tokens=40,
        cache_write_tokens=30,
        cache_write_1h_tokens=20,
        reasoning_tokens=25,
    )
    assert decode(message(said("Hi"))).usage is None
    bare = decode(usage={"input_tokens": 1, "output_tokens": 2, "input_tokens_details": None})
    assert bare.usage == Usage(input_tokens=1, output_tokens=2)


@pytest.mark.parametrize(
    ("reason", "finish", "native"),
    [
        ("max_output_tokens", "length", "max_output_tokens"),
        ("content_filter", "content_filter", "content_filter"),
        ("max_messages", "pause", "max_messages"),
        (None, "pause", "incomplete"),
    ],
)
def test_an_incomplete_answer_says_why(reason: str | None, finish: str, native: str) -> None:
    reply = decode(message(said("Hel")), status="incomplete", incomplete_details={"reason": reason})
    assert reply.finish_reason == finish
    assert reply.native_finish_reason == native


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("server_error", ServerError),
        ("rate_limit_exceeded", RateLimitError),
        ("invalid_prompt", ContentFilterError),
        ("failed_to_download_image", InvalidRequestError),
        ("something_new", ServerError),
    ],
)
def test_a_failed_answer_is_an_error(code: str, error: type[SwitchgearError]) -> None:
    with pytest.raises(error, match="it broke") as caught:
        decode(status="failed", error={"code": code, "message": "it broke"})
    assert caught.value.code == code
    assert caught.value.request_id == "req_1"
    assert caught.value.provider == "openai"


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_an_answer_that_is_none_yet_is_an_error(status: str) -> None:
    with pytest.raises(MalformedResponseError, match=f"status '{status}'"):
        decode(status=status)


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ({"id": "x"}, "output[1]: the item has no type"),
        ({"type": "message", "content": None}, "output[1]: `content` of a message"),
        ({"type": "message", "content": [{"type": "output_text"}]}, "`content[].text`"),
        ({"type": "message", "content": [{"type": "refusal"}]}, "`content[].refusal`"),
        ({"type": "reasoning", "summary": [{"text": 1}]}, "`summary[].text`"),
        ({"type": "function_call", "arguments": "{}"}, "output[1]: `name`"),
        ({"type": "function_call", "name": "", "arguments": "{}"}, "output[1]: `name`"),
        ({"type": "function_call", "name": "a", "arguments": {}}, "output[1]: `arguments`"),
        ({"type": "custom_tool_call", "name": "a"}, "output[1]: `input`"),
        ("text", "output[1]"),
    ],
)
def test_an_item_that_lacks_what_the_api_promises_is_named(item: Any, named: str) -> None:
    with pytest.raises(MalformedResponseError) as caught:
        decode(message(said("Hi")), item)
    assert named in str(caught.value)
    assert caught.value.request_id == "req_1"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"output":null}', b"\xff"])
def test_a_body_that_is_no_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponseError, match="openai: malformed response"):
        decode_bytes(body)


def test_calls_without_ids_or_arguments_can_still_be_answered() -> None:
    reply = decode(
        function_call("", call_id="", id=None), function_call(None, call_id=None, id=None)
    )
    assert reply.parts == (ToolCall("call_0", "weather"), ToolCall("call_1", "weather"))


def test_a_custom_tools_free_text_becomes_json() -> None:
    item = {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": 'SELECT "a"'}
    (call,) = decode(item).parts
    assert isinstance(call, ToolCall)
    assert call.parse() == {"input": 'SELECT "a"'}
    assert call.native is not None
    assert call.native.data == item


def test_a_call_keeps_what_only_its_author_understands() -> None:
    plain, special = decode(
        function_call(namespace=None, caller={"type": "direct"}),
        function_call(namespace="crm"),
    ).parts
    assert isinstance(plain, ToolCall)
    assert isinstance(special, ToolCall)
    assert plain.native is None
    assert special.native is not None
    assert special.native.data["namespace"] == "crm"


def test_the_forced_tools_arguments_are_the_answers_text() -> None:
    request = ChatRequest(
        messages=(Message("user", "Hi"),),
        tools=(Tool("weather"),),
        response_format=ResponseFormat("schema", schema={"type": "object"}),
    )
    reply = decode(function_call('{"a":1}', name="answer"), request=request)
    assert reply.parts == (Text('{"a":1}'),)
    assert reply.finish_reason == "stop"
    both = decode(function_call(), function_call('{"a":1}', name="answer"), request=request)
    assert both.finish_reason == "tool_calls"


def test_what_is_unknown_is_passed_over() -> None:
    reply = decode(
        message(said("Hi"), {"type": "hologram", "data": 1}), new_field={"a": [1]}, status=None
    )
    assert reply.parts == (Text("Hi"),)
    assert reply.finish_reason == "stop"
