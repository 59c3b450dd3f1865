"""A stored answer as a stream."""

from __future__ import annotations

from hypothesis import given, strategies as st

from switchgear.caching.replay import replay
from switchgear.messages import Native, NativeBlock, Part, Reasoning, Refusal, Text, ToolCall
from switchgear.providers.assemble import Assembler


def put_together(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """What the adapters' own assembler makes of the events."""
    assembler = Assembler()
    for event in replay(parts):
        assert (event.text != "") + (event.reasoning != "") + (event.tool_call is not None) == 1
        if event.text:
            assembler.text(0, event.text)
        elif event.reasoning:
            assembler.reasoning(0, event.reasoning)
        elif event.tool_call is not None:
            call = event.tool_call
            assembler.tool_call(call.index, id=call.id, name=call.name, arguments=call.arguments)
    return assembler.parts()


def test_text_comes_in_pieces_that_end_where_words_do() -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 10
    pieces = [event.text for event in replay([Text(text)])]
    assert "".join(pieces) == text
    assert len(pieces) > 5
    assert all(piece.endswith(" ") and len(piece) <= 64 for piece in pieces)


def test_a_word_without_end_and_line_ends_come_too() -> None:
    text = "a\n\n" + "x" * 1000 + "\r\n"
    assert "".join(event.text for event in replay([Text(text)])) == text


def test_tool_calls_are_counted_and_come_with_id_and_name_first() -> None:
    calls = (ToolCall("c1", "f", '{"a": 1}'), ToolCall("c2", "g"))
    events = [event.tool_call for event in replay((Text("so:"), *calls)) if event.tool_call]
    assert [(e.index, e.id, e.name) for e in events if e.id] == [(0, "c1", "f"), (1, "c2", "g")]
    assert put_together(calls) == calls


def test_a_refusal_reads_as_text_and_a_vendors_block_is_not_shown() -> None:
    parts = (Refusal("no"), NativeBlock(Native("x", {})), Reasoning(native=Native("x", {})))
    assert [event.text for event in replay(parts)] == ["no"]


@given(st.text(), st.text(), st.lists(st.text(min_size=1), max_size=3))
def test_put_together_it_is_the_answer(thought: str, said: str, arguments: list[str]) -> None:
    whole = (
        *((Reasoning(thought),) if thought else ()),
        *((Text(said),) if said else ()),
        *(ToolCall(f"c{n}", "f", each) for n, each in enumerate(arguments)),
    )
    assert put_together(whole) == whole
