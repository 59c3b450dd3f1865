"""Whatever a caller has at hand becomes one frozen form, or an error that names the place."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

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
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from switchgear.normalise import normalise_messages

_DATA = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def _one(content: object, role: str = "user") -> Message:
    (message,) = normalise_messages([{"role": role, "content": content}])
    return message


def _part(block: dict[str, Any], role: str = "user") -> object:
    (part,) = _one([block], role).parts
    return part


def _fault(messages: object) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        normalise_messages(messages)
    return caught.value


def _call(call_id: str, name: str = "f", arguments: object = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _calls(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


# --- the whole


def test_a_string_is_one_user_message() -> None:
    assert normalise_messages("hi") == (Message("user", "hi"),)


def test_dicts_messages_and_answers_mix() -> None:
    answer = Message("assistant", (Text("yes"),))
    completion = Completion(
        id="1",
        message=answer,
        finish_reason="stop",
        usage=Usage(),
        provider="p",
        model="m",
        trace=Trace("m"),
    )
    typed = Message("user", "again?")
    mixed = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "ok?"},
        completion,
        typed,
    ]
    assert normalise_messages(mixed) == (
        Message("system", "Be brief."),
        Message("user", "ok?"),
        answer,
        typed,
    )


def test_typed_messages_stay_the_same_objects() -> None:
    messages = [Message("user", (Text("a"), Image(url="https://a.example/b"))), Message("user")]
    for before, after in zip(messages, normalise_messages(messages), strict=True):
        assert before is after


def test_any_iterable_of_messages_will_do() -> None:
    assert normalise_messages(m for m in [Message("user", "a")]) == (Message("user", "a"),)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text()}
        ),
        min_size=1,
    )
)
def test_plain_conversations_keep_every_word(messages: list[dict[str, str]]) -> None:
    sayable = all(m["content"].isascii() or _encodes(m["content"]) for m in messages)
    if not sayable:
        assert "surrogate" in str(_fault(messages))
        return
    read = normalise_messages(messages)
    assert [(m.role, m.content) for m in read] == [(m["role"], m["content"]) for m in messages]


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def test_the_input_is_never_changed() -> None:
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a"}], "cache_control": _CACHE},
        _calls(_call(""), _call("")),
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2"},
    ]
    before = copy.deepcopy(messages)
    normalise_messages(messages)
    assert messages == before


_CACHE = {"type": "ephemeral", "ttl": "1h"}


# --- OpenAI's content parts


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "a"}, Text("a")),
        ({"type": "input_text", "text": "a"}, Text("a")),
        ({"type": "text", "text": "a", "cache_control": _CACHE}, Text("a", "1h")),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, Text("a", "5m")),
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b", "detail": "low"}},
            Image(url="https://a.example/b", detail="low"),
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_DATA}"}},
            Image(data=_DATA, media_type="image/png"),
        ),
        ({"type": "input_image", "image_url": "http://a/b"}, Image(url="http://a/b")),
        (
            {"type": "input_audio", "input_audio": {"data": _DATA, "format": "wav"}},
            Audio(_DATA, "wav"),
        ),
        (
            {
                "type": "file",
                "file": {"file_data": f"data:application/pdf;base64,{_DATA}", "filename": "a.pdf"},
            },
            File(data=_DATA, media_type="application/pdf", filename="a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": _DATA}}, File(data=_DATA)),
        ({"type": "file", "file": {"file_id": "file-1"}}, File(file_id="file-1")),
        ({"type": "input_file", "file_url": "https://a/b.pdf"}, File(url="https://a/b.pdf")),
    ],
)
def test_openais_parts(block: dict[str, Any], part: object) -> None:
    assert _part(block) == part


def test_a_refusal_is_kept_apart_from_text() -> None:
    assert _part({"type": "refusal", "refusal": "no"}, "assistant") == Refusal("no")
    message = {"role": "assistant", "content": None, "refusal": "no"}
    assert normalise_messages([message]) == (Message("assistant", (Refusal("no"),)),)


def test_a_cache_mark_on_the_message_goes_to_its_last_part() -> None:
    system = {"role": "system", "content": "long", "cache_control": _CACHE}
    user = {
        "role": "user",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "cache_control": {"type": "ephemeral"},
    }
    assert normalise_messages([system, user]) == (
        Message("system", (Text("long", "1h"),)),
        Message("user", (Text("a"), Text("b", "5m"))),
    )


# --- what an assistant says beside its content


def test_reasoning_comes_first_and_calls_last() -> None:
    message = {**_calls(_call("c")), "content": "let me see", "reasoning_content": "hm"}
    assert normalise_messages([message])[0].content == (
        Reasoning("hm"),
        Text("let me see"),
        ToolCall("c", "f"),
    )


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_by_any_of_its_names(key: str) -> None:
    message = {"role": "assistant", "content": "a", key: "hm"}
    assert normalise_messages([message])[0].content == (Reasoning("hm"), Text("a"))


def test_openrouters_reasoning_details_go_back_unmodified() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s"}]
    message = {"role": "assistant", "content": "a", "reasoning_details": details}
    native = Native("openai-chat", {"reasoning_details": details})
    assert normalise_messages([message])[0].parts[0] == Reasoning("hm", native)


def test_the_old_function_call_is_a_tool_call_answered_by_name() -> None:
    read = normalise_messages(
        [
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "now", "arguments": '{"z":1}'},
            },
            {"role": "function", "name": "now", "content": "12:00"},
        ]
    )
    (call,) = read[0].tool_calls
    assert (call.name, call.arguments) == ("now", '{"z":1}')
    assert read[1] == Message("tool", "12:00", tool_call_id=call.id, name="now")


def test_annotations_and_audio_are_kept_for_their_author() -> None:
    notes = [{"type": "url_citation", "url_citation": {"url": "https://a"}}]
    audio = {"id": "audio_1", "transcript": "hello"}
    message = {"role": "assistant", "content": None, "audio": audio, "annotations": notes}
    assert normalise_messages([message])[0].content == (
        Text("hello", native=Native("openai-chat", {"annotations": notes})),
        NativeBlock(Native("openai-chat", {"audio": audio})),
    )


def test_a_custom_tools_free_text_becomes_json_and_keeps_its_form() -> None:
    custom = {"name": "sql", "input": "select 1"}
    (call,) = normalise_messages([_calls({"id": "c", "type": "custom", "custom": custom})])[
        0
    ].tool_calls
    assert call.parse() == {"input": "select 1"}
    assert call.native == Native("openai-chat", {"custom": custom})


def test_geminis_signature_on_a_call_is_kept() -> None:
    extra = {"google": {"thought_signature": "s"}}
    message = _calls({**_call("c"), "extra_content": extra})
    (call,) = normalise_messages([message])[0].tool_calls
    assert call.native == Native("openai-chat", {"extra_content": extra})


@pytest.mark.parametrize(
    ("given_arguments", "kept"),
    [
        ("", "{}"),
        (None, "{}"),
        ('{"a": 1}', '{"a": 1}'),
        ({"a": [1]}, '{"a":[1]}'),
        ("{bad", "{bad"),
    ],
)
def test_arguments_are_kept_as_the_model_wrote_them(given_arguments: object, kept: str) -> None:
    (message,) = normalise_messages([_calls(_call("c", arguments=given_arguments))])
    assert message.tool_calls[0].arguments == kept


def test_empty_unknown_fields_say_nothing_and_others_are_refused() -> None:
    empty: dict[str, Any] = {
        "role": "assistant",
        "content": "a",
        "audio": None,
        "vendor": {"x": None},
        "more": [],
    }
    assert normalise_messages([empty]) == (Message("assistant", "a"),)
    error = _fault([{"role": "user", "content": "a"}, {**empty, "prefix": True}])
    assert error.param == "messages[1].prefix"


# --- what is wrong


def _with(block: object) -> list[Any]:
    return [
        {"role": "system", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, block]},
    ]


_AT = "messages[1].content[1]"


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ("", "messages"),
        (None, "messages"),
        (7, "messages"),
        ({"role": "user", "content": "a"}, "messages"),
        (Message("user", "a"), "messages"),
        (["a"], "messages[0]"),
        ([None], "messages[0]"),
        ([Message], "messages[0]"),
        ([{"content": "a"}], "messages[0].role"),
        ([{"role": "model", "content": "a"}], "messages[0].role"),
        ([{"role": ["user"], "content": "a"}], "messages[0].role"),
        ([{"type": "function_call_output", "call_id": "a", "output": "x"}], "messages[0]"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "user", "content": 7}], "messages[0].content"),
        ([{"role": "user", "content": {"type": "text", "text": "a"}}], "messages[0].content"),
        ([{"role": "user", "content": "\ud800"}], "messages[0].content"),
        ([{"role": "user", "content": "a", "name": 7}], "messages[0].name"),
        ([{"role": "user", "content": "a", "nmae": "x"}], "messages[0].nmae"),
        ([{"choices": []}], "messages[0].choices"),
        (_with("text"), _AT),
        (_with({"text": "a"}), f"{_AT}.type"),
        (_with({"type": "video"}), f"{_AT}.type"),
        (_with({"type": ["text"]}), f"{_AT}.type"),
        (_with({"type": "text"}), f"{_AT}.text"),
        (_with({"type": "text", "text": "a", "colour": "red"}), f"{_AT}.colour"),
        (_with({"type": "text", "text": "a", "cache_control": "yes"}), f"{_AT}.cache_control"),
        (
            _with(
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "2h"}}
            ),
            f"{_AT}.cache_control",
        ),
        (_with({"type": "image_url", "image_url": {"url": "photo.png"}}), f"{_AT}.image_url.url"),
        (_with({"type": "image_url", "image_url": {}}), f"{_AT}.image_url.url"),
        (_with({"type": "image_url"}), f"{_AT}.image_url"),
        (
            _with({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}),
            f"{_AT}.image_url.url",
        ),
        (
            _with({"type": "image_url", "image_url": {"url": "data:image/png,abc"}}),
            f"{_AT}.image_url.url",
        ),
        (
            _with({"type": "image_url", "image_url": {"url": "https://a", "detail": "best"}}),
            f"{_AT}.image_url.detail",
        ),
        (
            _with({"type": "image", "source": {"type": "base64", "media_type": "a", "data": "€"}}),
            f"{_AT}.source.data",
        ),
        (_with({"type": "image", "source": {"type": "ftp"}}), f"{_AT}.source.type"),
        (
            _with({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
            f"{_AT}.input_audio.data",
        ),
        (_with({"type": "file", "file": {"filename": "a"}}), f"{_AT}.file"),
        (_with({"type": "thinking", "thinking": "hm"}), _AT),
        (_with({"type": "tool_use", "id": "a", "name": "f", "input": {}}), _AT),
        (
            [{"role": "system", "content": [{"type": "input_image", "image_url": "https://a"}]}],
            "messages[0].content[0]",
        ),
        (
            [{"role": "user", "content": "a", "images": ["not base64!"]}],
            "messages[0].images[0]",
        ),
        ([_calls(_call("a", arguments=[1]))], "messages[0].tool_calls[0].function.arguments"),
        (
            [_calls(_call("a", arguments={"a": {1}.pop}))],
            "messages[0].tool_calls[0].function.arguments",
        ),
        ([_calls(_call("a", name=""))], "messages[0].tool_calls[0].function.name"),
        ([_calls({"id": "a", "type": "function"})], "messages[0].tool_calls[0].function"),
        ([_calls({"id": "a", "type": "magic"})], "messages[0].tool_calls[0].type"),
        ([{"role": "assistant", "tool_calls": "f"}], "messages[0].tool_calls"),
        (
            [{"role": "assistant", "content": "a", "reasoning": "x", "reasoning_content": "y"}],
            "messages[0].reasoning",
        ),
        ([Message("robot", "a")], "messages[0].role"),  # type: ignore[arg-type]
        ([Message("user", 7)], "messages[0].content"),  # type: ignore[arg-type]
        ([Message("user", ("a",))], "messages[0].content[0]"),  # type: ignore[arg-type]
        ([Message("user", (Text(7),))], "messages[0].content[0].text"),  # type: ignore[arg-type]
        ([Message("user", (Image(),))], "messages[0].content[0]"),
        ([Message("user", (Image(data="???"),))], "messages[0].content[0].data"),
        ([Message("user", (File(filename="a"),))], "messages[0].content[0]"),
        ([Message("user", (ToolCall("a", "f"),))], "messages[0].content[0]"),
        ([Message("user", "a", tool_call_id="x")], "messages[0]"),
        ([Message("assistant", (ToolCall("a", ""),))], "messages[0].content[0].name"),
    ],
)
def test_a_fault_is_named_by_its_place(messages: object, param: str) -> None:
    error = _fault(messages)
    assert error.param == param
    assert error.message.startswith(param)


# --- junk: a valid history with one place in it replaced by anything

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
_JUNK = st.recursive(
    _SCALARS | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "id", "role", "url"]), inner, max_size=2)
    ),
    max_leaves=4,
)
_HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": "hi", "name": "ann", "images": [_DATA]},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "a", "cache_control": _CACHE, "citations": []},
            {"type": "image_url", "image_url": {"url": "https://a", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": _DATA, "format": "wav"}},
            {"type": "file", "file": {"file_data": _DATA, "filename": "a"}},
            {"type": "document", "source": {"type": "url", "url": "https://a"}, "title": "t"},
            {"type": "image", "source": {"type": "base64", "media_type": "a", "data": _DATA}},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "a", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "is_error": True}]},
    {
        "role": "assistant",
        "content": "a",
        "reasoning": "r",
        "reasoning_details": [{"text": "r"}],
        "audio": {"transcript": "a"},
        "annotations": [{"a": 1}],
        "tool_calls": [_call("c")],
        "switchgear": {"content": "a", "is_error": False},
    },
    {"role": "tool", "content": "x", "tool_call_id": "c", "is_error": False},
    {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
    {"role": "function", "name": "f", "content": "x"},
    {"choices": [{"message": {"role": "assistant", "content": "a"}}]},
]


def _places(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    else:
        keys = list(range(len(value))) if isinstance(value, list) else []
    return [found for key in keys for found in ((value, key), *_places(value[key]))]


@given(st.data())
def test_junk_anywhere_is_read_or_refused_with_its_place(data: st.DataObject) -> None:
    history = copy.deepcopy(_HISTORY)
    places = _places(history)
    holder, key = places[data.draw(st.integers(0, len(places) - 1))]
    holder[key] = data.draw(_JUNK)
    try:
        read = normalise_messages(history)
    except InvalidRequestError as error:
        assert (error.param or "").startswith("messages[")  # noqa: PT017 - some junk is fine
    else:
        assert normalise_messages(read) == read
