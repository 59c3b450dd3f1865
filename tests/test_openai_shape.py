"""Our messages in OpenAI's shape and back, without loss."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from openai.types.chat import ChatCompletion

from switchgear.completion import Completion, Usage
from switchgear.decision import Trace
from switchgear.errors import InvalidRequestError
from switchgear.messages import (
    Audio,
    File,
    Image,
    Message,
    Native,
    NativeBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from switchgear.normalise import normalise_message, normalise_messages
from switchgear.openai_shape import completion_to_openai, message_to_openai

_words = st.text(st.characters(codec="utf-8"), max_size=8)
_some = _words.filter(bool)
_marks = st.sampled_from([None, "5m", "1h"])
_base64 = st.binary(min_size=1, max_size=9).map(lambda raw: base64.b64encode(raw).decode())
_json = st.dictionaries(_words, st.one_of(_words, st.integers(-9, 9), st.lists(_words, max_size=2)))
_native = st.none() | st.builds(
    Native, st.sampled_from(["anthropic", "openai-chat", "openai-responses"]), _json
)
_types = st.none() | st.sampled_from(["image/png", "application/pdf", "a,b;c", ""])
_texts = st.builds(Text, _words, _marks, _native)
_images = st.one_of(
    st.builds(
        Image,
        url=st.sampled_from(["https://a.example/b.png", "http://x/"]),
        media_type=_types,
        detail=st.sampled_from([None, "low", "high"]),
        cache=_marks,
    ),
    st.builds(Image, data=_base64, media_type=_types, cache=_marks),
)
_files = st.one_of(
    st.builds(File, data=_base64, media_type=_types, filename=st.none() | _words, cache=_marks),
    st.builds(File, url=_some, filename=st.none() | _some),
    st.builds(File, file_id=_some, media_type=_types),
)
_blocks = st.builds(NativeBlock, st.builds(Native, st.just("anthropic"), _json))
_input = st.one_of(_texts, _images, _files, _blocks, st.builds(Audio, _base64, _some))
_said = st.one_of(
    _input, st.builds(Reasoning, _words, _native), st.builds(Refusal, _words)
) | st.builds(ToolCall, _some, _some, _words.filter(bool), _native)


def _content(parts: st.SearchStrategy[Part]) -> st.SearchStrategy[str | tuple[Part, ...]]:
    return _words | st.lists(parts, max_size=4).map(tuple)


def _ids_differ(message: Message) -> bool:
    ids = [call.id for call in message.tool_calls]
    return len(ids) == len(set(ids))


_names = st.none() | _some
_messages = st.one_of(
    st.builds(Message, st.sampled_from(["system", "developer"]), _content(_texts), name=_names),
    st.builds(Message, st.just("user"), _content(_input), name=_names),
    st.builds(Message, st.just("assistant"), _content(_said), name=_names).filter(_ids_differ),
    st.builds(
        Message,
        st.just("tool"),
        _content(_input),
        tool_call_id=_some,
        name=_names,
        is_error=st.booleans(),
    ),
)


def _conversation(message: Message) -> list[Message]:
    """A place where the message may stand: a tool's result needs its call."""
    if message.role != "tool":
        return [message]
    call = ToolCall(message.tool_call_id or "", "f")
    return [Message("assistant", (call,)), message]


@given(_messages)
def test_every_message_reads_back_as_itself_also_through_json(message: Message) -> None:
    conversation = _conversation(message)
    written = [message_to_openai(m) for m in conversation]
    assert normalise_messages(written) == tuple(conversation)
    assert normalise_messages(json.loads(json.dumps(written))) == tuple(conversation)
    assert normalise_messages(conversation) == tuple(conversation)


@given(_messages, _words)
def test_an_edit_of_the_visible_content_always_wins(message: Message, words: str) -> None:
    written = json.loads(json.dumps(message_to_openai(message)))
    edited = f"edited {words}"
    written["content"] = edited
    (read,) = normalise_message(written)
    assert read.text == edited
    assert read.is_error == message.is_error


def test_what_openai_can_say_needs_no_extra_key() -> None:
    plain = [
        Message("system", "Be brief."),
        Message("user", (Text("see", "1h"), Image(url="https://a.example/b.png", detail="low"))),
        Message(
            "assistant", (Reasoning("hm"), Text("let me look"), ToolCall("c1", "f", '{"a":1}'))
        ),
        Message("tool", "42", tool_call_id="c1", name="f"),
        Message("assistant", (Text("It is "), Text("42."))),
        Message("assistant", (Refusal("No."),)),
        Message("assistant", ()),
        Message("assistant", ""),
    ]
    for message in plain:
        assert "switchgear" not in message_to_openai(message), message


def test_the_visible_form_is_openais() -> None:
    message = Message("assistant", (Reasoning("hm"), Text("look"), ToolCall("c1", "f", '{"a":1}')))
    assert message_to_openai(message) == {
        "role": "assistant",
        "content": "look",
        "reasoning_content": "hm",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
        ],
    }


def test_a_signature_travels_under_the_extra_key() -> None:
    native = Native("anthropic", {"signature": "c2ln"})
    message = Message("assistant", (Reasoning("hm", native), Text("yes")))
    written = message_to_openai(message)
    assert written["content"] == "yes"
    assert written["switchgear"]["content"][0]["native"]["data"] == {"signature": "c2ln"}
    assert message.to_openai() == written


def test_an_edited_tool_result_stays_a_failure() -> None:
    written = message_to_openai(Message("tool", "boom", tool_call_id="c", is_error=True))
    written["content"] = "boom, shortened"
    assert normalise_message(written) == [
        Message("tool", "boom, shortened", tool_call_id="c", is_error=True)
    ]


@pytest.mark.parametrize(
    "extra", [7, {"content": 7}, {"content": [{"type": "nope"}]}, {"content": "a", "is_error": 2}]
)
def test_an_extra_key_of_someone_elses_is_refused(extra: object) -> None:
    message = {"role": "assistant", "content": "a", "switchgear": extra}
    with pytest.raises(InvalidRequestError) as caught:
        normalise_messages([message])
    assert caught.value.param == "messages[0].switchgear"


def _completion(*parts: Part, **fields: Any) -> Completion:
    values: dict[str, Any] = {
        "id": "chatcmpl-1",
        "message": Message("assistant", parts),
        "finish_reason": "stop",
        "usage": Usage(
            input_tokens=100,
            output_tokens=20,
            cache_read_tokens=60,
            cache_write_tokens=30,
            reasoning_tokens=5,
        ),
        "provider": "anthropic",
        "model": "m",
        "trace": Trace("m"),
        "cost": Decimal("1E-7"),
    }
    return Completion(**{**values, **fields})


def test_a_completion_is_what_the_official_sdk_expects() -> None:
    written = completion_to_openai(_completion(Text("hello"), created=17))
    reply = ChatCompletion.model_validate_json(json.dumps(written))
    assert reply.choices[0].message.content == "hello"
    assert reply.choices[0].finish_reason == "stop"
    assert (reply.id, reply.created, reply.model) == ("chatcmpl-1", 17, "m")
    assert reply.usage is not None
    assert reply.usage.total_tokens == 120
    assert reply.usage.prompt_tokens_details is not None
    assert reply.usage.prompt_tokens_details.cached_tokens == 60
    assert reply.usage.completion_tokens_details is not None
    assert reply.usage.completion_tokens_details.reasoning_tokens == 5
    assert written["switchgear"]["cost"] == "0.0000001"
    assert "switchgear" not in written["choices"][0]["message"]


def test_a_completions_signature_survives_the_official_sdk() -> None:
    native = Native("anthropic", {"signature": "c2ln"})
    completion = _completion(Reasoning("hm", native), Text("a"), ToolCall("t", "f"), Text("b"))
    written = completion.to_openai()
    assert written["choices"][0]["message"]["content"] == "ab"
    reply = ChatCompletion.model_validate_json(json.dumps(written))
    assert normalise_messages([reply]) == (completion.message,)
    assert normalise_messages([reply.choices[0].message]) == (completion.message,)
    assert normalise_messages([written]) == (completion.message,)


@given(st.lists(_said, max_size=4).map(tuple))
def test_a_completions_parts_read_back(parts: tuple[Part, ...]) -> None:
    message = Message("assistant", parts)
    if not _ids_differ(message):
        return
    written = json.loads(json.dumps(completion_to_openai(_completion(*parts))))
    assert isinstance(written["choices"][0]["message"]["content"], str | None)
    (read,) = normalise_message(written)
    assert read.parts == message.parts


@pytest.mark.parametrize(
    ("ours", "parts", "theirs"),
    [
        ("stop", (Text("a"),), "stop"),
        ("tool_calls", (ToolCall("a", "f"),), "tool_calls"),
        ("refusal", (Refusal("no"),), "stop"),
        ("refusal", (), "content_filter"),
        ("pause", (Text("a"),), "length"),
        ("error", (), "length"),
    ],
)
def test_finish_reasons_are_words_that_clients_know(
    ours: str, parts: tuple[Part, ...], theirs: str
) -> None:
    written = completion_to_openai(_completion(*parts, finish_reason=ours))
    assert written["choices"][0]["finish_reason"] == theirs
    assert written["switchgear"]["finish_reason"] == ours


def test_a_written_message_is_plain_data() -> None:
    native = Native("anthropic", {"citations": [{"cited_text": "x"}]})
    written = message_to_openai(Message("assistant", (Text("a", native=native),)))
    assert msgspec.json.decode(msgspec.json.encode(written)) == written
