from __future__ import annotations

import re

from hypothesis import given, strategies as st

from switchgear.messages import Message, Native, Text, ToolCall
from switchgear.providers.history import foreign, own, with_valid_ids

VALID = re.compile(r"[a-z0-9_]{1,8}")


def asked(*ids: str) -> Message:
    return Message("assistant", (Text("Looking."), *(ToolCall(name, "x") for name in ids)))


def told(call_id: str) -> Message:
    return Message("tool", call_id, tool_call_id=call_id)


def ids_of(messages: object) -> list[list[str]]:
    assert isinstance(messages, list)
    return [
        [call.id for call in message.tool_calls]
        or ([message.tool_call_id] if message.tool_call_id else [])
        for message in messages
    ]


def test_only_the_author_owns_what_it_wrote() -> None:
    native = Native("anthropic", {})
    assert own(native, "anthropic")
    assert not own(native, "ollama")
    assert not own(None, "anthropic")


def test_the_warning_names_the_author() -> None:
    assert foreign("reasoning", Native("ollama", {})) == (
        "history: reasoning of ollama left out: only its author can read it"
    )
    assert foreign("reasoning", None).startswith("history: reasoning left out")


def test_good_ids_stay_and_nothing_is_copied() -> None:
    messages = [Message("user", "hi"), asked("a", "b"), told("a"), told("b")]
    result = with_valid_ids(messages, valid=VALID)
    assert all(new is old for new, old in zip(result, messages, strict=True))


def test_bad_ids_are_replaced_in_the_call_and_in_its_result() -> None:
    result = with_valid_ids(
        [asked("functions.x:0", "ok"), told("functions.x:0"), told("ok")], valid=VALID
    )
    (new, ok), (answered,), (other,) = ids_of(result)
    assert VALID.fullmatch(new)
    assert answered == new
    assert ok == other == "ok"
    assert result[1].text == "functions.x:0"


def test_ids_that_every_turn_uses_again_become_different() -> None:
    result = with_valid_ids(
        [asked("call_0"), told("call_0"), asked("call_0"), told("call_0")], valid=VALID
    )
    first, first_told, second, second_told = ids_of(result)
    assert first == first_told == ["call_0"]
    assert second == second_told != first


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "call_0", "call_1", "Ä", ""]), unique=True, max_size=4),
        max_size=6,
    )
)
def test_afterwards_ids_are_valid_and_unique_and_each_result_has_its_call(
    turns: list[list[str]],
) -> None:
    messages: list[Message] = []
    for ids in turns:
        messages.append(asked(*ids))
        messages += [told(name) for name in ids]
    result = with_valid_ids(messages, valid=VALID)
    calls = [call for message in result for call in message.tool_calls]
    names = [call.id for call in calls]
    assert len(set(names)) == len(names)
    assert all(VALID.fullmatch(name) for name in names)
    assert [m.tool_call_id for m in result if m.role == "tool"] == names
