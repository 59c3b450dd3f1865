"""Conversations as Anthropic, Ollama and the official SDKs write them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from anthropic.types import Message as AnthropicMessage
from ollama import ChatResponse, Message as OllamaMessage
from openai.types.chat import ChatCompletion, ChatCompletionMessage

from switchgear.messages import (
    File,
    Image,
    Message,
    Native,
    NativeBlock,
    Reasoning,
    Text,
    ToolCall,
)
from switchgear.normalise import normalise_messages

_DATA = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
_CACHE = {"type": "ephemeral", "ttl": "1h"}


def _one(content: object, role: str = "user") -> Message:
    (message,) = normalise_messages([{"role": role, "content": content}])
    return message


def _part(block: dict[str, Any], role: str = "user") -> object:
    (part,) = _one([block], role).parts
    return part


def _call(call_id: str, name: str = "f", arguments: object = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


# --- Anthropic


def test_anthropics_blocks_in_an_assistants_message() -> None:
    citations = [{"type": "char_location", "cited_text": "x"}]
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ"},
        search,
        found,
        {"type": "text", "text": "so", "citations": citations},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    ]
    assert _one(content, "assistant").content == (
        Reasoning("hm", Native("anthropic", {"signature": "c2ln"})),
        Reasoning("", Native("anthropic", {"type": "redacted_thinking", "data": "ZGF0YQ"})),
        NativeBlock(Native("anthropic", search)),
        NativeBlock(Native("anthropic", found)),
        Text("so", native=Native("anthropic", {"citations": citations})),
        ToolCall("t", "f", '{"a":1}'),
    )


def test_tool_results_in_a_user_message_become_tool_messages() -> None:
    asked: list[Any] = [
        {"type": "tool_use", "id": name, "name": name, "input": {}} for name in ("a", "b")
    ]
    answered = [
        {"type": "tool_result", "tool_use_id": "a", "content": "1", "cache_control": _CACHE},
        {
            "type": "tool_result",
            "tool_use_id": "b",
            "content": [{"type": "text", "text": "boom"}],
            "is_error": True,
        },
        {"type": "text", "text": "go on"},
    ]
    read = normalise_messages(
        [{"role": "assistant", "content": asked}, {"role": "user", "content": answered}]
    )
    assert read[1:] == (
        Message("tool", (Text("1", "1h"),), tool_call_id="a"),
        Message("tool", (Text("boom"),), tool_call_id="b", is_error=True),
        Message("user", (Text("go on"),)),
    )


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": _DATA},
            },
            Image(data=_DATA, media_type="image/png"),
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://a"}}, Image(url="https://a")),
        (
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": _DATA},
                "title": "a.pdf",
                "cache_control": _CACHE,
            },
            File(data=_DATA, media_type="application/pdf", filename="a.pdf", cache="1h"),
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "é"},
            },
            File(data=base64.b64encode("é".encode()).decode(), media_type="text/plain"),
        ),
        ({"type": "document", "source": {"type": "file", "file_id": "f"}}, File(file_id="f")),
    ],
)
def test_anthropics_images_and_documents(block: dict[str, Any], part: object) -> None:
    assert _part(block) == part


def test_what_only_anthropic_can_read_stays_in_its_form() -> None:
    image = {"type": "image", "source": {"type": "file", "file_id": "f"}}
    cited = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "a"},
        "citations": {"enabled": True},
    }
    for block in (image, cited):
        assert _part(block) == NativeBlock(Native("anthropic", block))


# --- Ollama


def test_ollamas_calls_have_no_ids_and_dicts_for_arguments() -> None:
    read = normalise_messages(
        [
            {
                "role": "assistant",
                "content": "",
                "thinking": "hm",
                "tool_calls": [
                    {"function": {"name": "add", "arguments": {"a": 1}}},
                    {"function": {"name": "now", "arguments": {}}},
                ],
            },
            {"role": "tool", "tool_name": "now", "content": "12:00"},
            {"role": "tool", "tool_name": "add", "content": "2"},
        ]
    )
    add, now = read[0].tool_calls
    assert read[0].parts[0] == Reasoning("hm")
    assert (add.arguments, now.arguments) == ('{"a":1}', "{}")
    assert add.id
    assert now.id not in ("", add.id)
    assert [m.tool_call_id for m in read[1:]] == [now.id, add.id]


def test_ollamas_images_stand_before_the_text_with_their_type() -> None:
    (read,) = normalise_messages([{"role": "user", "content": "what?", "images": [_DATA]}])
    assert read.content == (Image(data=_DATA, media_type="image/png"), Text("what?"))


# --- the SDKs' own objects


def test_openais_reply_objects() -> None:
    raw = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {"role": "assistant", "content": None, "tool_calls": [_call("c")]},
            }
        ],
    }
    expected = (Message("assistant", (ToolCall("c", "f"),)),)
    reply = ChatCompletion.model_validate(raw)
    assert normalise_messages([reply]) == expected
    assert normalise_messages([reply.choices[0].message]) == expected
    assert normalise_messages([raw]) == expected
    spoken = ChatCompletionMessage(role="assistant", content="hi", annotations=[])
    assert normalise_messages([spoken]) == (Message("assistant", "hi"),)


def test_anthropics_reply_object() -> None:
    raw: dict[str, Any] = {
        "id": "msg",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "text", "text": "yes", "citations": None},
            {
                "type": "tool_use",
                "id": "t",
                "name": "f",
                "input": {},
                "caller": {"type": "direct"},
            },
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    expected = Message(
        "assistant",
        (
            Reasoning("hm", Native("anthropic", {"signature": "c2ln"})),
            Text("yes"),
            ToolCall("t", "f"),
        ),
    )
    reply = AnthropicMessage.model_validate(raw)
    assert normalise_messages([reply]) == (expected,)
    assert normalise_messages([raw]) == (expected,)
    # Its blocks alone, as in the vendor's own examples of a tool loop.
    assert _one(reply.content, "assistant") == expected


def test_ollamas_reply_objects() -> None:
    call = OllamaMessage.ToolCall(
        function=OllamaMessage.ToolCall.Function(name="f", arguments={"a": 1})
    )
    message = OllamaMessage(role="assistant", content="", thinking="hm", tool_calls=[call])
    read = normalise_messages([message])
    assert read[0].reasoning == "hm"
    assert read[0].tool_calls[0].parse() == {"a": 1}
    assert normalise_messages([ChatResponse(model="m", message=message)]) == read
