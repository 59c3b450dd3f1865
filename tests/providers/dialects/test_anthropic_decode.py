from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.completion import Usage
from switchgear.errors import (
    ContextWindowExceededError,
    MalformedResponseError,
    OverloadedError,
    RateLimitError,
    SwitchgearError,
)
from switchgear.messages import Native, NativeBlock, Reasoning, Text, ToolCall
from switchgear.providers.base import Reply, ResponseMeta
from switchgear.providers.dialects.anthropic_decode import decode_reply
from switchgear.providers.dialects.anthropic_stream import AnthropicDecoder

META = ResponseMeta("req_1", {})
Block = dict[str, Any]


def decode(
    *content: Block,
    stop: str = "end_turn",
    usage: Block | None = None,
    answer_tool: str | None = None,
    **fields: Any,
) -> Reply:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(content),
        "stop_reason": stop,
        "usage": usage or {"input_tokens": 3, "output_tokens": 5},
        **fields,
    }
    return decode_body(json.dumps(message).encode(), answer_tool)


def decode_body(body: bytes, answer_tool: str | None = None) -> Reply:
    return decode_reply(
        body, provider="p", model="m", meta=META, answer_tool=answer_tool, warnings=()
    )


def events(*items: Block) -> bytes:
    return b"".join(
        f"event: {item['type']}\ndata: {json.dumps(item)}\n\n".encode() for item in items
    )


def start(usage: Block | None = None) -> Block:
    message = {"id": "msg_1", "model": "claude-x", "usage": usage or {"input_tokens": 3}}
    return {"type": "message_start", "message": message}


def block(index: int, content: Block, *deltas: Block) -> list[Block]:
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def stop(reason: str = "end_turn", usage: Block | None = None, **fields: Any) -> list[Block]:
    delta = {"type": "message_delta", "delta": {"stop_reason": reason, **fields}}
    return [delta | {"usage": usage or {"output_tokens": 5}}, {"type": "message_stop"}]


def stream(*items: Block, **options: Any) -> tuple[AnthropicDecoder, list[Any]]:
    decoder = AnthropicDecoder(provider="p", model="m", **options)
    return decoder, list(decoder.feed(events(*items)))


def streamed(*items: Block, **options: Any) -> Reply:
    decoder, _ = stream(*items, **options)
    assert decoder.error is None
    assert decoder.finished
    return decoder.snapshot(META)


# -- stop reasons and usage ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "pause"),
        ("compaction", "pause"),
        ("refusal", "refusal"),
        ("something_new", "stop"),
    ],
)
def test_stop_reasons(word: str, reason: str) -> None:
    text = {"type": "text", "text": "hi"}
    for reply in (decode(text, stop=word), streamed(start(), *block(0, text), *stop(word))):
        assert reply.finish_reason == reason
        assert reply.native_finish_reason == word


def test_tool_calls_make_the_finish_reason() -> None:
    call = {"type": "tool_use", "id": "t", "name": "x", "input": {}}
    assert decode(call, stop="end_turn").finish_reason == "tool_calls"
    assert decode(call, stop="max_tokens").finish_reason == "length"


def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "Declined."}
    whole = decode(stop="refusal", stop_details=details)
    parts = streamed(start(), *stop("refusal", stop_details=details))
    assert whole.warnings == parts.warnings == ("refusal: bio: Declined.",)


def test_a_compaction_is_billed_beside_the_counts_and_added_to_them() -> None:
    compaction = {
        "type": "compaction",
        "input_tokens": 1000,
        "cache_read_input_tokens": 70,
        "cache_creation_input_tokens": 40,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 40},
        "output_tokens": 60,
    }
    told = {
        "input_tokens": 12,
        "output_tokens": 5,
        "iterations": [
            compaction,
            {"type": "message", "input_tokens": 12, "output_tokens": 5},
        ],
    }
    counted = Usage(
        input_tokens=1122,
        output_tokens=65,
        cache_read_tokens=70,
        cache_write_tokens=40,
        cache_write_1h_tokens=40,
    )
    text = {"type": "text", "text": "hi"}
    assert decode(text, usage=told).usage == counted
    assert streamed(start(), *block(0, text), *stop(usage=told)).usage == counted


def test_what_another_model_was_billed_for_is_said() -> None:
    told = {
        "input_tokens": 4,
        "output_tokens": 5,
        "iterations": [
            {"type": "message", "input_tokens": 4, "output_tokens": 0},
            {"type": "advisor_message", "model": "wise", "input_tokens": 9, "output_tokens": 7},
            {"type": "fallback_message", "model": "spare", "input_tokens": 4, "output_tokens": 5},
        ],
    }
    text = {"type": "text", "text": "hi"}
    for reply in (decode(text, usage=told), streamed(start(), *block(0, text), *stop(usage=told))):
        assert reply.usage == Usage(input_tokens=4, output_tokens=5, estimated=True)
        advised, fell_back = reply.warnings
        assert advised.startswith("usage: 9 input and 7 output tokens of the advisor wise")
        assert fell_back.startswith("model: spare stepped in")


USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 50,
    "output_tokens_details": {"thinking_tokens": 40},
}
COUNTED = Usage(
    input_tokens=140,
    cache_read_tokens=100,
    cache_write_tokens=30,
    cache_write_1h_tokens=20,
    output_tokens=50,
    reasoning_tokens=40,
)


def test_usage_counts_cached_tokens_as_input() -> None:
    assert decode(usage=USAGE).usage == COUNTED


def test_the_last_usage_of_a_stream_wins_where_it_speaks() -> None:
    first = USAGE | {"input_tokens": 1, "output_tokens": 1}
    last = {"input_tokens": 10, "output_tokens": 50, "cache_read_input_tokens": None}
    assert streamed(start(first), *stop(usage=last)).usage == COUNTED


def test_usage_before_the_end_is_marked_as_an_estimate() -> None:
    decoder, _ = stream(start(USAGE))
    usage = decoder.snapshot(META).usage
    assert usage is not None
    assert usage.estimated


# -- blocks -------------------------------------------------------------------------------------


def test_thinking_keeps_what_must_go_back() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    redacted = {"type": "redacted_thinking", "data": "xyz"}
    expected = (
        Reasoning("hm", Native("anthropic", {"signature": "sig"})),
        Reasoning("", Native("anthropic", redacted)),
        Text("hi"),
    )
    assert decode(thinking, redacted, {"type": "text", "text": "hi"}).parts == expected
    reply = streamed(
        start(),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "h"},
            {"type": "thinking_delta", "thinking": "m"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        *block(1, redacted),
        *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "hi"}),
        *stop(),
    )
    assert reply.parts == expected


def test_thinking_that_cannot_be_read_still_goes_back() -> None:
    reply = streamed(
        start(),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "signature_delta", "signature": "sig"},
        ),
        *stop(),
    )
    assert reply.parts == (Reasoning("", Native("anthropic", {"signature": "sig"})),)


def test_thinking_that_was_cut_has_no_signature() -> None:
    decoder, seen = stream(
        start(),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "h"},
        )[:-1],
    )
    assert [event.reasoning for event in seen] == ["h"]
    assert decoder.snapshot(META).parts == (Reasoning("h"),)


@pytest.mark.parametrize("pieces", [(), ("",), ("{}",), ('{"a"', ": 1}")])
def test_arguments_in_pieces(pieces: tuple[str, ...]) -> None:
    call = {"type": "tool_use", "id": "t", "name": "x", "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    reply = streamed(start(), *block(0, call, *deltas), *stop("tool_use"))
    assert reply.parts == (ToolCall("t", "x", "".join(pieces) or "{}"),)


def test_input_that_comes_whole_at_the_start() -> None:
    call = {"type": "tool_use", "id": "t", "name": "x", "input": {"a": 1}}
    assert streamed(start(), *block(0, call), *stop("tool_use")).parts == (
        ToolCall("t", "x", '{"a":1}'),
    )


def test_who_called_a_tool_goes_back_unless_it_was_the_model_itself() -> None:
    call = {"type": "tool_use", "id": "t", "name": "x", "input": {}}
    by_code = {"caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}}
    direct = {"caller": {"type": "direct"}}
    expected = (
        ToolCall("t", "x", "{}", Native("anthropic", by_code)),
        ToolCall("u", "x", "{}"),
    )
    other = call | {"id": "u"} | direct
    assert decode(call | by_code, other).parts == expected
    assert (
        streamed(start(), *block(0, call | by_code), *block(1, other), *stop("tool_use")).parts
        == expected
    )


def test_a_servers_tools_stay_as_they_are() -> None:
    used = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    citations = [{"type": "web_search_result_location", "url": "https://x"}]
    said = {"type": "text", "text": "sun", "citations": citations}
    expected = (
        NativeBlock(Native("anthropic", used)),
        NativeBlock(Native("anthropic", found)),
        Text("sun", native=Native("anthropic", {"citations": citations})),
    )
    assert decode(used, found, said).parts == expected
    reply = streamed(
        start(),
        *block(
            0,
            used | {"input": {}},
            {"type": "input_json_delta", "partial_json": '{"query":'},
            {"type": "input_json_delta", "partial_json": '"q"}'},
        ),
        *block(1, found),
        *block(
            2,
            {"type": "text", "text": "", "citations": []},
            {"type": "citations_delta", "citation": citations[0]},
            {"type": "text_delta", "text": "sun"},
        ),
        *stop(),
    )
    assert reply.parts == expected


def test_blocks_and_deltas_younger_than_this_code_are_kept() -> None:
    reply = streamed(
        start(),
        *block(
            0,
            {"type": "compaction", "content": ""},
            {"type": "compaction_delta", "content": "sum"},
            {"type": "compaction_delta", "content": "mary"},
        ),
        {"type": "telemetry", "of": "no interest"},
        *block(1, {"type": "text", "text": ""}, {"type": "shimmer_delta", "x": 1}),
        *stop(),
    )
    assert reply.parts == (
        NativeBlock(Native("anthropic", {"type": "compaction", "content": "summary"})),
    )


# -- an answer that a tool gives ----------------------------------------------------------------


def test_the_answer_tools_arguments_are_the_text() -> None:
    call = {"type": "tool_use", "id": "t", "name": "city", "input": {"name": "Bonn"}}
    whole = decode(call, stop="tool_use", answer_tool="city")
    assert whole.parts == (Text('{"name":"Bonn"}'),)
    assert whole.finish_reason == "stop"
    items = [
        start(),
        *block(
            0,
            call | {"input": {}},
            {"type": "input_json_delta", "partial_json": '{"name":'},
            {"type": "input_json_delta", "partial_json": '"Bonn"}'},
        ),
        *stop("tool_use"),
    ]
    decoder, seen = stream(*items, answer_tool="city")
    assert [event.text for event in seen] == ['{"name":', '"Bonn"}']
    reply = decoder.snapshot(META)
    assert reply.parts == whole.parts
    assert reply.finish_reason == "stop"


def test_an_answer_tool_called_with_nothing_answers_an_empty_object() -> None:
    call = {"type": "tool_use", "id": "t", "name": "city", "input": {}}
    _, seen = stream(start(), *block(0, call), *stop("tool_use"), answer_tool="city")
    assert [event.text for event in seen] == ["{}"]


def test_other_calls_beside_the_answer_tool_are_calls() -> None:
    answer = {"type": "tool_use", "id": "t", "name": "city", "input": {}}
    other = {"type": "tool_use", "id": "u", "name": "clock", "input": {}}
    reply = decode(answer, other, stop="tool_use", answer_tool="city")
    assert reply.finish_reason == "tool_calls"


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "message", "error"),
    [
        ("overloaded_error", "Overloaded", OverloadedError),
        ("rate_limit_error", "Too fast", RateLimitError),
        ("invalid_request_error", "prompt is too long: 9 > 8", ContextWindowExceededError),
    ],
)
def test_an_error_in_a_stream_keeps_what_came_before_it(
    word: str, message: str, error: type[SwitchgearError]
) -> None:
    decoder, seen = stream(
        start(),
        *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "so f"})[:-1],
        {"type": "error", "error": {"type": word, "message": message}},
        request_id="req_9",
    )
    assert [event.text for event in seen] == ["so f"]
    assert type(decoder.error) is error
    assert decoder.error.code == word
    assert decoder.error.request_id == "req_9"
    assert not decoder.finished
    assert decoder.snapshot(META).parts == (Text("so f"),)


def test_an_error_with_a_status_of_200() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    with pytest.raises(OverloadedError):
        decode_body(body)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", ""),
        (b"<html>", ""),
        (b"[]", "object"),
        (b"{}", "stop_reason"),
        (b'{"content":[{"type":"text"}],"stop_reason":"end_turn"}', "text"),
        (b'{"content":[{"text":"x"}],"stop_reason":"end_turn"}', "type"),
        (b'{"content":"hi","stop_reason":"end_turn"}', "content"),
    ],
)
def test_a_body_that_is_none_names_what_is_wrong(body: bytes, named: str) -> None:
    with pytest.raises(MalformedResponseError) as error:
        decode_body(body)
    assert named in error.value.message
    assert error.value.request_id == "req_1"


@pytest.mark.parametrize(
    "items",
    [
        [start(), {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}}],
        [start(), {"type": "content_block_stop", "index": 4}],
        [start(), {"type": "content_block_start", "index": 0, "content_block": {}}],
        [
            start(),
            {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use"}},
        ],
        [{"type": "message_start"}],
        [start(), *block(0, {"type": "text", "text": "half"}), start()],
        [{"type": "message_stop"}],
        [start(), {"type": "message_delta", "delta": "done"}],
    ],
)
def test_events_that_make_no_sense_end_the_stream(items: list[Block]) -> None:
    decoder, _ = stream(*items)
    assert isinstance(decoder.error, MalformedResponseError)


def test_a_message_that_is_announced_twice_before_it_begins_is_one_message() -> None:
    text = {"type": "text", "text": "hi"}
    assert streamed(start(), start(), *block(0, text), *stop()).parts == (Text("hi"),)


def test_blocks_that_come_with_the_start_of_a_message_are_not_lost() -> None:
    caller = {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}
    content: list[Block] = [
        {"type": "text", "text": "So far:", "citations": [{"type": "page"}]},
        {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {}},
        {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 7}, "caller": caller},
    ]
    opening = start({"input_tokens": 0, "output_tokens": 0})
    opening["message"] |= {"content": content, "stop_reason": "tool_use"}
    decoder, given = stream(opening, *block(0, {"type": "text", "text": " on"}), stop()[-1])
    reply = decoder.snapshot(META)
    assert reply.parts == (
        Text("So far:", native=Native("anthropic", {"citations": [{"type": "page"}]})),
        NativeBlock(Native("anthropic", content[1])),
        ToolCall("t", "look", '{"at":7}', Native("anthropic", {"caller": caller})),
        Text(" on"),
    )
    assert (reply.finish_reason, reply.native_finish_reason) == ("tool_calls", "tool_use")
    assert "".join(event.text for event in given) == "So far: on"
    assert [event.tool_call.name for event in given if event.tool_call] == ["look"]


def test_events_without_a_name_are_known_by_their_type() -> None:
    body = events(start(), *block(0, {"type": "text", "text": "hi"}), *stop())
    nameless = b"\n".join(line for line in body.split(b"\n") if not line.startswith(b"event:"))
    decoder = AnthropicDecoder(provider="p", model="m")
    assert [event.text for event in decoder.feed(nameless)] == ["hi"]
    assert decoder.finished
