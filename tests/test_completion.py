"""A completion as a dict: the second view of an answer."""

import copy
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from switchgear import Completion, InvalidRequestError, Message, Text, ToolCall, Usage
from switchgear.decision import Trace
from switchgear.normalise import normalise_messages


def answer(*parts: Any, **fields: Any) -> Completion:
    settings: dict[str, Any] = {
        "id": "a-1",
        "message": Message("assistant", parts or (Text("Hello."),)),
        "finish_reason": "stop",
        "usage": Usage(input_tokens=3, output_tokens=2),
        "provider": "anthropic",
        "model": "claude",
        "cost": Decimal("0.001"),
        "trace": Trace("g"),
        **fields,
    }
    return Completion(**settings)


def test_it_reads_as_the_dict_in_openais_shape() -> None:
    reply = answer()
    assert reply["choices"][0]["message"]["content"] == "Hello."
    assert reply["usage"]["total_tokens"] == 5
    assert reply.get("id") == "a-1"
    assert reply.get("nothing") is None
    assert reply.get("nothing", 7) == 7
    assert "choices" in reply
    assert "text" not in reply
    assert len(reply) == len(reply.to_openai())
    assert list(reply) == list(reply.keys()) == list(reply.to_openai())
    assert dict(reply.items()) == dict(reply) == {**reply} == reply.to_openai()
    assert list(reply.values()) == list(reply.to_openai().values())
    assert json.loads(json.dumps(dict(reply))) == dict(reply)
    with pytest.raises(KeyError):
        reply["nothing"]


def test_tool_calls_too() -> None:
    reply = answer(ToolCall("c1", "look_up", '{"city":"Rome"}'), finish_reason="tool_calls")
    (call,) = reply["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "look_up", "arguments": '{"city":"Rome"}'}
    assert reply["choices"][0]["finish_reason"] == "tool_calls"


def test_it_passes_for_a_mapping() -> None:
    reply: object = answer()
    assert isinstance(reply, Mapping)
    match reply:
        case {"choices": [{"message": {"content": text}}], **rest}:
            assert text == "Hello."
            assert "id" in rest
        case _:
            pytest.fail("is no mapping to a match statement")


def test_the_dict_is_made_once_and_the_answer_stays_what_it_is() -> None:
    reply = answer()
    assert reply["choices"] is reply["choices"]
    assert reply == answer()
    assert msgspec.json.decode(msgspec.json.encode(reply))["finish_reason"] == "stop"
    assert bool(reply)


def test_a_changed_copy_has_a_dict_of_its_own() -> None:
    reply = answer()
    assert reply["id"] == "a-1"
    assert msgspec.structs.replace(reply, id="b-2")["id"] == "b-2"
    assert copy.copy(reply)["id"] == "a-1"


def test_to_openai_gives_a_new_dict_each_time() -> None:
    reply = answer()
    reply.to_openai()["id"] = "changed"
    assert reply["id"] == "a-1"


def test_it_goes_back_into_a_conversation_as_itself_and_is_none() -> None:
    reply = answer()
    assert normalise_messages([reply]) == (reply.message,)
    assert normalise_messages([dict(reply)])[0].text == "Hello."
    with pytest.raises(InvalidRequestError):
        normalise_messages(reply)
