"""Streamed answers, with the oddities of those who speak with an accent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.completion import StreamEvent, Usage
from switchgear.errors import (
    ContextWindowExceededError,
    MalformedResponseError,
    OverloadedError,
    RateLimitError,
    ServerError,
)
from switchgear.messages import Native, NativeBlock, Reasoning, Refusal, Text, ToolCall
from switchgear.providers.base import Reply, ResponseMeta
from switchgear.providers.dialects import Encoded
from switchgear.providers.dialects.openai_chat_stream import ChatDecoder

DONE = "data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> str:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    body = {"id": "c-1", "model": "answered", "choices": choices, **more}
    return f"data: {json.dumps(body)}\n\n"


def call(index: int | None = None, **fields: Any) -> dict[str, Any]:
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    piece = {**fields, "function": function}
    return piece if index is None else {"index": index, **piece}


def calls(*pieces: dict[str, Any]) -> str:
    return chunk({"tool_calls": list(pieces)})


class Read:
    """A stream, read to its end."""

    def __init__(
        self, *texts: str, answer_tool: str | None = None, done_marker: bool = False
    ) -> None:
        self.decoder = ChatDecoder(
            Encoded({}, ("a: warning",), answer_tool),
            done_marker=done_marker,
            provider="p",
            model="asked",
        )
        self.events: list[StreamEvent] = []
        for text in texts:
            self.events += self.decoder.feed(text.encode())
        if not self.decoder.finished:
            self.events += self.decoder.end()

    @property
    def reply(self) -> Reply:
        assert self.decoder.error is None
        assert self.decoder.finished
        return self.decoder.snapshot(ResponseMeta())

    @property
    def calls(self) -> list[tuple[str, str, str]]:
        """The calls of the reply, which the deltas tell alike."""
        told: dict[int, list[str]] = {}
        for event in self.events:
            if (delta := event.tool_call) is not None:
                held = told.setdefault(delta.index, ["", "", ""])
                held[0] += delta.id
                held[1] += delta.name
                held[2] += delta.arguments
        parts = [part for part in self.reply.parts if isinstance(part, ToolCall)]
        found = [(part.id, part.name, part.arguments) for part in parts]
        assert [(i, name, arguments or "{}") for i, name, arguments in told.values()] == found
        return found


def test_text_and_usage() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    read = Read(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk(finish="stop"),
        f"data: {json.dumps({'id': 'c-1', 'choices': [], 'usage': usage})}\n\n",
        DONE,
    )
    assert read.events == [StreamEvent(text="Hel"), StreamEvent(text="lo")]
    reply = read.reply
    assert reply.parts == (Text("Hello"),)
    assert reply.usage == Usage(input_tokens=3, output_tokens=2)
    assert (reply.id, reply.model) == ("c-1", "answered")
    assert (reply.finish_reason, reply.native_finish_reason) == ("stop", "stop")
    assert reply.warnings == ("a: warning",)


def test_reasoning_comes_before_the_text_though_an_empty_text_came_first() -> None:
    read = Read(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm", "content": None}),
        chunk({"reasoning": ".", "content": ""}),
        chunk({"content": "Yes"}, "stop"),
        DONE,
    )
    assert read.reply.parts == (Reasoning("Hm."), Text("Yes"))
    assert [event.reasoning for event in read.events] == ["Hm", ".", ""]


def test_pieces_of_reasoning_details_are_joined() -> None:
    def detail(**fields: Any) -> str:
        return chunk({"reasoning_details": [{"index": 0, **fields}]})

    read = Read(
        detail(type="reasoning.text", text="H", signature=None),
        detail(type="reasoning.text", text="m."),
        detail(type="reasoning.text", signature="sig"),
        detail(type="reasoning.encrypted", data="xyz", id="r1"),
        chunk({"content": "Yes"}, "stop"),
        DONE,
    )
    native = Native(
        "openai-chat",
        {
            "reasoning_details": [
                {"index": 0, "type": "reasoning.text", "text": "Hm.", "signature": "sig"},
                {"index": 0, "type": "reasoning.encrypted", "data": "xyz", "id": "r1"},
            ]
        },
    )
    assert read.reply.parts == (Reasoning("Hm.", native), Text("Yes"))


def test_parallel_calls() -> None:
    read = Read(
        calls(call(0, id="a", name="f", arguments="")),
        calls(call(0, arguments='{"x"')),
        calls(call(1, id="b", name="g", arguments="")),
        calls(call(0, arguments=":1}"), call(1, arguments="{}")),
        chunk(finish="tool_calls"),
        DONE,
    )
    assert read.calls == [("a", "f", '{"x":1}'), ("b", "g", "{}")]
    assert read.reply.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(
            [call(1, id="a", name="f", arguments="{}"), call(2, id="b", name="g")],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="indexes from 1",
        ),
        pytest.param(
            [call(id="a", name="f", arguments=""), call(arguments='{"x":1}')],
            [("a", "f", '{"x":1}')],
            id="no index",
        ),
        pytest.param(
            [call(id="a", name="f", arguments="{}"), call(id="b", name="f", arguments="{}")],
            [("a", "f", "{}"), ("b", "f", "{}")],
            id="no index, told apart by id",
        ),
        pytest.param(
            [call(name="f", arguments="{}"), call(name="g", arguments="{}")],
            [("call_0", "f", "{}"), ("call_1", "g", "{}")],
            id="neither index nor id",
        ),
        pytest.param(
            [call(0, id="", name="f", arguments="{"), call(0, id="", arguments="}")],
            [("call_0", "f", "{}")],
            id="empty id",
        ),
        pytest.param(
            [call(0, id="0", name="f", arguments=""), call(0, id="0", name="f", arguments="{}")],
            [("0", "f", "{}")],
            id="id and name repeated",
        ),
        pytest.param(
            [call(0, id="a", name="f", arguments="{}"), call(0, id="b", name="f", arguments="{}")],
            [("a", "f", "{}"), ("b", "f", "{}")],
            id="every call numbered 0",
        ),
        pytest.param(
            [call(0, id="a", name="f", arguments=None)],
            [("a", "f", "{}")],
            id="null for arguments",
        ),
        pytest.param(
            [call(0, id="a", name="f", arguments={"x": 1})],
            [("a", "f", '{"x":1}')],
            id="an object for arguments",
        ),
        pytest.param(
            [{"index": 0, "id": "a", "function": {"name": "f"}}, {"index": 0}],
            [("a", "f", "{}")],
            id="nothing at all in a piece",
        ),
    ],
)
def test_calls_are_told_apart_however_they_are_numbered(
    pieces: list[dict[str, Any]], expected: list[tuple[str, str, str]]
) -> None:
    apart = Read(*(calls(piece) for piece in pieces), chunk(finish="tool_calls"), DONE)
    assert apart.calls == expected
    together = Read(calls(*pieces), chunk(finish="stop"), DONE)
    assert together.calls == expected
    assert together.reply.finish_reason == "tool_calls"


def test_the_older_form_of_a_call() -> None:
    read = Read(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"x":1}'}}),
        chunk(finish="function_call"),
        DONE,
    )
    assert read.calls == [("call_0", "f", '{"x":1}')]
    assert read.reply.finish_reason == "tool_calls"


def test_a_custom_tools_text_is_escaped_as_it_comes() -> None:
    def piece(**custom: Any) -> str:
        return calls({"index": 0, "id": "a", "type": "custom", "custom": custom})

    read = Read(piece(name="sql", input='say "'), piece(input='hi"\n'), chunk(finish="stop"), DONE)
    ((call_id, name, arguments),) = read.calls
    assert (call_id, name, json.loads(arguments)) == ("a", "sql", {"input": 'say "hi"\n'})


def test_the_forced_tool_becomes_text() -> None:
    read = Read(
        calls(call(0, id="a", name="count", arguments="")),
        calls(call(0, arguments='{"n":')),
        calls(call(0, arguments="3}")),
        chunk(finish="tool_calls"),
        DONE,
        answer_tool="count",
    )
    assert read.events == [StreamEvent(text='{"n":'), StreamEvent(text="3}")]
    assert read.reply.parts == (Text('{"n":3}'),)
    assert read.reply.finish_reason == "stop"


def test_a_refusal() -> None:
    read = Read(chunk({"refusal": "I "}), chunk({"refusal": "can't."}), chunk(finish="stop"), DONE)
    assert read.reply.parts == (Refusal("I can't."),)
    assert read.reply.finish_reason == "refusal"


def test_a_spoken_answer() -> None:
    read = Read(
        chunk({"audio": {"id": "a1", "transcript": "Hel"}}),
        chunk({"audio": {"data": "QU", "transcript": "lo"}}),
        chunk({"audio": {"data": "JD", "expires_at": 7}}, "stop"),
        DONE,
    )
    said, heard = read.reply.parts
    assert said == Text("Hello")
    assert heard == NativeBlock(
        Native(
            "openai-chat",
            {"audio": {"id": "a1", "transcript": "Hello", "data": "QUJD", "expires_at": 7}},
        )
    )


def test_other_answers_beside_the_first_are_passed_over() -> None:
    other = chunk({"content": "no"}).replace('"index": 0', '"index": 1')
    read = Read(chunk({"content": "yes"}), other, chunk(finish="stop"), DONE)
    assert read.reply.parts == (Text("yes"),)


def test_azures_first_chunk_has_no_choices_and_no_model() -> None:
    empty = 'data: {"id":"","model":"","choices":[],"prompt_filter_results":[]}\n\n'
    read = Read(empty, chunk({"content": "x"}, "stop"), DONE)
    assert (read.reply.id, read.reply.model) == ("c-1", "answered")


def test_usage_beside_a_choice_and_groqs_own_place_for_it() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    beside = Read(chunk({"content": "x"}, "stop", usage=usage), DONE)
    own = Read(chunk({"content": "x"}, "stop", x_groq={"usage": usage}), DONE)
    assert beside.reply.usage == own.reply.usage == Usage(input_tokens=3, output_tokens=2)


def test_usage_inside_a_choice_is_moonshots_place_for_it() -> None:
    counted = {"prompt_tokens": 8, "completion_tokens": 2, "cached_tokens": 6}
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": counted}
    read = Read(chunk({"content": "Hi"}), f"data: {json.dumps({'choices': [choice]})}\n\n")
    assert read.reply.usage == Usage(input_tokens=8, output_tokens=2, cache_read_tokens=6)


def test_pieces_of_several_calls_that_nothing_names_go_to_the_calls_in_turn() -> None:
    read = Read(
        calls(call(id="a", name="f", arguments=""), call(id="b", name="g", arguments="")),
        calls(call(arguments='{"x":'), call(arguments='{"y":')),
        calls(call(arguments="1}"), call(arguments="2}")),
        chunk(finish="tool_calls"),
        DONE,
    )
    assert read.calls == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


def test_pictures_that_the_model_made_are_kept() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    read = Read(chunk({"content": "Look:"}), chunk({"images": [picture]}, "stop"), DONE)
    native = Native("openai-chat", {"images": [picture]})
    assert read.reply.parts == (Text("Look:"), NativeBlock(native))


def test_a_finish_reason_outlives_the_nulls_after_it() -> None:
    read = Read(chunk({"content": "x"}, "length"), chunk({"content": ""}, None), DONE)
    assert read.reply.finish_reason == "length"


def test_comments_spaces_and_empty_data_are_passed_over() -> None:
    text = chunk({"content": "x"}, "stop")
    read = Read(": OPENROUTER PROCESSING\n\n", "data:\n\n", " " + text, "data:[DONE]\r\n\r\n")
    assert read.reply.parts == (Text("x"),)


def test_without_done_a_finish_reason_and_an_orderly_end_are_enough() -> None:
    read = Read(chunk({"content": "x"}), chunk(finish="stop"))
    assert read.reply.finish_reason == "stop"


def test_the_last_event_may_lack_its_empty_line() -> None:
    last = chunk(usage={"prompt_tokens": 3, "completion_tokens": 2}).rstrip("\n")
    read = Read(chunk({"content": "x"}, "stop"), last)
    assert read.reply.usage == Usage(input_tokens=3, output_tokens=2)
    cut = Read(chunk({"content": "x"}, "stop"), last[:-9])
    assert cut.reply.usage is None
    bare = Read(chunk({"content": "x"}), "data: [DONE]")
    assert not bare.decoder.finished


def test_a_server_that_always_says_done_was_cut_where_it_does_not() -> None:
    body = chunk({"content": "x"}, "stop")
    assert not Read(body, done_marker=True).decoder.finished
    assert not Read(body, "data: [DONE]", done_marker=True).decoder.finished
    assert Read(body, DONE, done_marker=True).decoder.finished


@pytest.mark.parametrize("texts", [[], [chunk({"content": "x"})], [": ping\n\n"]])
def test_a_cut_never_looks_complete(texts: list[str]) -> None:
    read = Read(*texts)
    assert not read.decoder.finished
    assert read.decoder.error is None


def test_done_alone_ends_an_answer_without_a_finish_reason() -> None:
    read = Read(chunk({"content": "x"}), DONE)
    assert (read.reply.finish_reason, read.reply.native_finish_reason) == ("stop", None)


@pytest.mark.parametrize(
    "text",
    [
        DONE,
        "data: {\n\n",
        "data: null\n\n",
        'data: {"choices": 3}\n\n',
        calls(call(0, id="a", arguments="{}")) + DONE,
    ],
)
def test_what_the_api_does_not_promise_is_malformed(text: str) -> None:
    read = Read(text)
    assert isinstance(read.decoder.error, MalformedResponseError)
    assert not read.decoder.finished
    assert (read.decoder.error.provider, read.decoder.error.model) == ("p", "asked")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('event: error\ndata: {"message":"boom","type":"server_error"}\n\n', ServerError),
        ("event: error\ndata: the engine died\n\n", ServerError),
        ('data: {"error":{"message":"busy","type":"overloaded_error"}}\n\n', OverloadedError),
        ('data: {"error":{"message":"slow down","code":429},"choices":[]}\n\n', RateLimitError),
        ('data: {"object":"error","message":"boom","code":500}\n\n', ServerError),
        (
            'data: {"error":{"message":"x","code":"context_length_exceeded"}}\n\n',
            ContextWindowExceededError,
        ),
        ('data: {"choices":[{"error":{"message":"x","code":502}}]}\n\n', ServerError),
    ],
)
def test_errors_inside_a_stream_after_what_came_before_them(
    text: str, error: type[Exception]
) -> None:
    read = Read(chunk({"content": "Hel"}) + text)
    assert [event.text for event in read.events] == ["Hel"]
    assert isinstance(read.decoder.error, error)
    assert not read.decoder.finished
    assert read.decoder.snapshot(ResponseMeta()).parts == (Text("Hel"),)


def test_a_whole_answer_in_place_of_a_stream() -> None:
    message = {"content": "Hello", "tool_calls": [call(id="a", name="f", arguments="{}")]}
    body = {
        "id": "c-1",
        "model": "answered",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    text = json.dumps(body, indent=1)
    read = Read(*text)
    assert read.events[0] == StreamEvent(text="Hello")
    assert read.calls == [("a", "f", "{}")]
    assert read.reply.usage == Usage(input_tokens=3, output_tokens=2)
    assert isinstance(Read(text[:-5]).decoder.error, MalformedResponseError)
    assert isinstance(Read('{"error":{"code":429}}').decoder.error, RateLimitError)


@given(st.lists(st.text(min_size=1)), st.data())
def test_text_survives_any_cut(texts: list[str], data: st.DataObject) -> None:
    body = "".join([*(chunk({"content": t}) for t in texts), chunk(finish="stop"), DONE]).encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    decoder = ChatDecoder(Encoded({}), done_marker=True, provider="p", model="m")
    events: list[StreamEvent] = []
    for start, end in zip([0, *places], [*places, len(body)], strict=True):
        events += decoder.feed(body[start:end])
    assert decoder.finished
    assert "".join(event.text for event in events) == "".join(texts)
