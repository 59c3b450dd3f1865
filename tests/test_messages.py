"""The plain values of a conversation."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, strategies as st

from switchgear.errors import InvalidRequestError
from switchgear.messages import (
    File,
    Image,
    Message,
    Native,
    NativeBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
)

_MIXED = Message(
    "assistant",
    (
        Reasoning("think", Native("anthropic", {"signature": "s"})),
        Text("a"),
        ToolCall("1", "f", '{"x": 1}'),
        Text("b"),
        Refusal("no"),
        NativeBlock(Native("anthropic", {"type": "server_tool_use"})),
        ToolCall("2", "g"),
    ),
)


def test_a_message_gives_its_text_reasoning_and_calls() -> None:
    assert _MIXED.text == "ab"
    assert _MIXED.reasoning == "think"
    assert [call.id for call in _MIXED.tool_calls] == ["1", "2"]


def test_a_string_is_one_text_part_and_an_empty_one_none() -> None:
    assert Message("user", "hi").parts == (Text("hi"),)
    assert Message("user", "").parts == ()
    assert Message("user", "hi").tool_calls == ()
    assert Message("user", "hi").reasoning == ""


def test_values_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Text("a").text = "b"  # type: ignore[misc]


def test_stored_parts_read_back() -> None:
    stored = msgspec.json.encode(_MIXED)
    assert msgspec.json.decode(stored, type=Message) == _MIXED
    assert msgspec.json.decode(b'{"type":"text","text":"a"}', type=Part) == Text("a")


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_arguments_parse_to_what_was_written(arguments: dict[str, object]) -> None:
    arguments = {k: v for k, v in arguments.items() if not isinstance(v, int) or abs(v) < 2**63}
    assert ToolCall("1", "f", msgspec.json.encode(arguments).decode()).parse() == arguments


def test_no_arguments_are_an_empty_object() -> None:
    assert ToolCall("1", "f", "").parse() == {}
    assert ToolCall("1", "f").parse() == {}


@pytest.mark.parametrize(
    ("arguments", "fault"), [('{"a": ', "not JSON"), ("[1]", "not a JSON object"), ("7", "object")]
)
def test_arguments_that_are_no_object_name_the_call(arguments: str, fault: str) -> None:
    with pytest.raises(InvalidRequestError, match=fault) as caught:
        ToolCall("call_7", "search", arguments).parse()
    assert "call_7" in str(caught.value)
    assert "search" in str(caught.value)


def test_an_image_from_a_file_knows_its_type(tmp_path: Path) -> None:
    path = tmp_path / "photo.JPG"
    path.write_bytes(b"\xff\xd8\xff")
    image = Image.from_path(path)
    assert image.media_type == "image/jpeg"
    assert base64.b64decode(image.data or "") == b"\xff\xd8\xff"
    assert Image.from_path(str(path)) == image


def test_a_file_that_is_no_image_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("x")
    with pytest.raises(InvalidRequestError, match="Image\\(data=, media_type=\\)"):
        Image.from_path(path)


def test_a_missing_image_is_pythons_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Image.from_path(tmp_path / "none.png")


def test_a_document_from_a_file_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF")
    assert File.from_path(path) == File(
        data=base64.b64encode(b"%PDF").decode(), media_type="application/pdf", filename="report.pdf"
    )
    unknown = tmp_path / "blob"
    unknown.write_bytes(b"x")
    assert File.from_path(unknown).media_type == "application/octet-stream"


def test_tools_do_not_share_their_default_schema() -> None:
    assert Tool("a").parameters == {"type": "object", "properties": {}}
    assert Tool("a").parameters is not Tool("b").parameters
