"""Anthropic's signed thinking, as LiteLLM and its proxy put it into Chat Completions."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from switchgear.completion import StreamEvent
from switchgear.messages import Message, Native, Reasoning, Text, Tool, ToolCall
from switchgear.providers.base import Call, Capabilities, ResponseMeta
from switchgear.providers.dialects import Encoded
from switchgear.providers.dialects.openai_chat import ChatDialect, ChatQuirks
from switchgear.providers.wire import WireResponse
from switchgear.request import ChatRequest

SIGNED = Reasoning("Let me think.", Native("anthropic", {"signature": "sig-1"}))
REDACTED = Reasoning("", Native("anthropic", {"type": "redacted_thinking", "data": "xyz"}))
BLOCKS = [
    {"type": "thinking", "thinking": "Let me think.", "signature": "sig-1"},
    {"type": "redacted_thinking", "data": "xyz"},
]
ENCODED = Encoded({})
CALL = Call(request=ChatRequest(messages=(Message("user", "Hi"),)), model="m")


def encoded(message: Message, quirks: ChatQuirks, **fields: Any) -> Encoded:
    request = ChatRequest(messages=(Message("user", "Hi"), message), **fields)
    return ChatDialect("p", quirks).encode(
        Call(request=request, model="m"), Capabilities(prompt_cache=True), stream=False
    )


def test_signed_blocks_are_their_authors_and_not_said_twice() -> None:
    message = {"content": "Hi", "reasoning_content": "Let me think.", "thinking_blocks": BLOCKS}
    body = msgspec.json.encode({"choices": [{"message": message, "finish_reason": "stop"}]})
    dialect = ChatDialect("p", ChatQuirks())
    reply = dialect.decode(WireResponse(body, ResponseMeta()), CALL, ENCODED)
    assert reply.parts == (SIGNED, REDACTED, Text("Hi"))


def test_a_stream_puts_them_together() -> None:
    pieces: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "Let me "},
        {"type": "thinking", "thinking": "think."},
        {"type": "thinking", "thinking": "", "signature": "sig-1"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "something_else"},
    ]
    decoder = ChatDialect("p", ChatQuirks()).decoder(CALL, ENCODED)
    deltas = [
        {"reasoning_content": piece.get("thinking", ""), "thinking_blocks": [piece]}
        for piece in pieces
    ]
    events: list[StreamEvent] = []
    for delta in (*deltas, {"content": "Hi"}):
        chunk = msgspec.json.encode({"choices": [{"delta": delta}]})
        events += decoder.feed(b"data: " + chunk + b"\n\n")
    assert [event.reasoning for event in events] == ["Let me ", "think.", ""]
    assert decoder.snapshot(ResponseMeta()).parts == (SIGNED, REDACTED, Text("Hi"))


@pytest.mark.parametrize("blocks", [None, "x", {}, [], [1], [{"type": "thinking"}], [{"a": 1}]])
def test_whatever_else_has_that_name_costs_nothing(blocks: Any) -> None:
    message = {"content": "Hi", "reasoning_content": "Hm", "thinking_blocks": blocks}
    body = msgspec.json.encode({"choices": [{"message": message}]})
    dialect = ChatDialect("p", ChatQuirks())
    reply = dialect.decode(WireResponse(body, ResponseMeta()), CALL, ENCODED)
    assert reply.parts == (Reasoning("Hm"), Text("Hi"))


def test_they_go_back_unmodified_and_only_where_they_are_wanted() -> None:
    message = Message("assistant", (SIGNED, REDACTED, Text("Hi")))
    wanted = encoded(message, ChatQuirks(thinking_blocks=True))
    assert wanted.body["messages"][1]["thinking_blocks"] == BLOCKS
    assert wanted.warnings == ()
    not_wanted = encoded(message, ChatQuirks())
    assert "thinking_blocks" not in not_wanted.body["messages"][1]
    assert not_wanted.warnings == (
        "history: reasoning of anthropic left out: only its author can read it",
    )


def test_a_calls_own_fields_travel_with_it() -> None:
    fields = {"thought_signature": "c2ln"}
    function = {"name": "f", "arguments": "{}"}
    written = {"id": "c1", "function": function, "provider_specific_fields": fields}
    for finish, streamed in itertools.product(("tool_calls",), (False, True)):
        said = {"tool_calls": [written | {"index": 0}]}
        key = "delta" if streamed else "message"
        body = msgspec.json.encode({"choices": [{key: said, "finish_reason": finish}]})
        dialect = ChatDialect("p", ChatQuirks())
        if streamed:
            decoder = dialect.decoder(CALL, ENCODED)
            decoder.feed(b"data: " + body + b"\n\n")
            reply = decoder.snapshot(ResponseMeta())
        else:
            reply = dialect.decode(WireResponse(body, ResponseMeta()), CALL, ENCODED)
        native = Native("openai-chat", {"provider_specific_fields": fields})
        assert reply.parts == (ToolCall("c1", "f", "{}", native),)
        message = Message("assistant", reply.parts)
        back = encoded(message, ChatQuirks(call_fields=True))
        (call,) = back.body["messages"][1]["tool_calls"]
        assert call["provider_specific_fields"] == fields
        (warning,) = encoded(message, ChatQuirks()).warnings
        assert warning.startswith("history: the vendor's own fields of a tool call")


@pytest.mark.parametrize(
    ("ttl", "mark"),
    [("5m", {"type": "ephemeral"}), ("1h", {"type": "ephemeral", "ttl": "1h"})],
)
def test_marks_for_the_cache_are_anthropics_where_they_are_taken(ttl: Any, mark: Any) -> None:
    message = Message("assistant", (Text("one"), Text("two", cache=ttl)))
    tool = Tool("f", "", {"type": "object"}, cache=ttl)
    made = encoded(message, ChatQuirks(cache_control=True), tools=(tool,))
    assert made.warnings == ()
    assert made.body["tools"][0]["cache_control"] == mark
    assert made.body["messages"][1]["content"] == [
        {"type": "text", "text": "one"},
        {"type": "text", "text": "two", "cache_control": mark},
    ]
    plain = encoded(message, ChatQuirks(), tools=(tool,))
    assert plain.body["messages"][1]["content"] == "onetwo"
    assert len(plain.warnings) == 2
