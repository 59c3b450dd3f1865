"""Tool calls and their results belong together."""

from __future__ import annotations

from typing import Any

import pytest

from switchgear.errors import InvalidRequestError
from switchgear.messages import (
    Message,
    ToolCall,
)
from switchgear.normalise import normalise_messages


def _fault(messages: object) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        normalise_messages(messages)
    return caught.value


def _call(call_id: str, name: str = "f", arguments: object = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _calls(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def _result(call_id: str, content: str = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_results_may_come_in_any_order_and_ids_may_return_in_a_later_turn() -> None:
    turn = [_calls(_call("a"), _call("b")), _result("b"), _result("a")]
    read = normalise_messages([*turn, {"role": "user", "content": "again"}, *turn])
    assert [m.tool_call_id for m in read if m.role == "tool"] == ["b", "a", "b", "a"]


def test_empty_ids_are_filled_in_the_same_way_each_time() -> None:
    history = [_calls(_call(""), _call("")), _result("", "1"), _result("", "2")]
    first, again = normalise_messages(history), normalise_messages(history)
    assert first == again
    ids = [call.id for call in first[0].tool_calls]
    assert len(set(ids)) == 2
    assert [m.tool_call_id for m in first[1:]] == ids


def test_typed_messages_without_ids_are_filled_in_too() -> None:
    typed = [Message("assistant", (ToolCall("", "f"),)), Message("tool", "1")]
    asked, answered = normalise_messages(typed)
    assert answered.tool_call_id == asked.tool_calls[0].id != ""
    assert typed[0].tool_calls[0].id == ""


def test_the_last_message_may_wait_for_its_results() -> None:
    assert normalise_messages([_calls(_call("a"))])[0].tool_calls[0].id == "a"


@pytest.mark.parametrize(
    ("messages", "param", "says"),
    [
        ([_result("a")], "messages[0].tool_call_id", "'a'"),
        ([{"role": "tool", "content": "x"}], "messages[0]", "without an open tool call"),
        ([_calls(_call("a")), _result("b")], "messages[1].tool_call_id", "open are 'a'"),
        (
            [_calls(_call("a")), _result("a"), _result("a")],
            "messages[2].tool_call_id",
            "answered already",
        ),
        (
            [_calls(_call("a"), _call("b")), _result("a"), {"role": "user", "content": "x"}],
            "messages[0]",
            "'b' (f)",
        ),
        ([_calls(_call("a"), _call("b")), _result("a")], "messages[0]", "'b' (f)"),
        ([_calls(_call("a")), _calls(_call("b"))], "messages[0]", "'a' (f)"),
        ([_calls(_call("a"), _call("a"))], "messages[0]", "two of its tool calls"),
        (
            [_calls(_call("")), {"role": "tool", "tool_name": "g", "content": "x"}],
            "messages[1]",
            "'g'",
        ),
        (
            [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "z"}]}],
            "messages[0].tool_call_id",
            "'z'",
        ),
    ],
)
def test_calls_and_results_that_do_not_belong_together(
    messages: list[Any], param: str, says: str
) -> None:
    error = _fault(messages)
    assert error.param == param
    assert says in error.message
