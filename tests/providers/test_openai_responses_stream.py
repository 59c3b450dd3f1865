"""What a stream of the Responses API becomes, event by event."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.completion import StreamEvent, ToolCallDelta
from switchgear.errors import (
    ContentFilterError,
    MalformedResponseError,
    OverloadedError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from switchgear.messages import Message, NativeBlock, Reasoning, Refusal, Text, ToolCall
from switchgear.providers.base import Call, Capabilities, Reply, ResponseMeta
from switchgear.providers.dialects.openai_responses import ResponsesDialect
from switchgear.providers.stream import Decoder
from switchgear.request import ChatRequest, ResponseFormat

ME = "openai-responses/openai"
DIALECT = ResponsesDialect("openai")
USAGE = {"input_tokens": 3, "output_tokens": 5}

Event = dict[str, Any]


class Script:
    """A stream being written: each event gets its number."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.output: list[Event] = []

    def add(self, kind: str, **fields: Any) -> Script:
        self.events.append({"type": kind, "sequence_number": len(self.events), **fields})
        return self

    def begin(self) -> Script:
        response = {"id": "resp_1", "model": "gpt-x-1", "status": "in_progress", "output": []}
        self.add("response.created", response=response)
        return self.add("response.in_progress", response=response)

    def item(self, item: Event, *deltas: tuple[str, str] | tuple[str, str, int]) -> Script:
        """An item: its beginning, its deltas (kind, piece, place), its end."""
        index = len(self.output)
        self.output.append(item)
        bare = {**item, "content": [], "arguments": "", "status": "in_progress"}
        self.add("response.output_item.added", output_index=index, item=bare)
        for kind, piece, *place in deltas:
            where = place[0] if place else 0
            self.add(
                f"response.{kind}.delta",
                output_index=index,
                item_id=item["id"],
                delta=piece,
                content_index=where,
                summary_index=where,
            )
        return self.add("response.output_item.done", output_index=index, item=item)

    def end(self, kind: str = "completed", **fields: Any) -> Script:
        response = {
            "id": "resp_1", "model": "gpt-x-1", "status": kind, "output": self.output,
            "usage": USAGE, **fields,
        }  # fmt: skip
        return self.add(f"response.{kind}", response=response)


def wire(events: Iterable[Event], *, named: bool = True) -> bytes:
    lines = (
        (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n"
        for event in events
    )
    return "".join(lines).encode()


def new_decoder(request: ChatRequest | None = None) -> Decoder:
    call = Call(request=request or ChatRequest(messages=(Message("user", "Hi"),)), model="gpt-x")
    encoded = DIALECT.encode(call, Capabilities(schema="tool"), stream=True)
    return DIALECT.decoder(call, encoded)


def run(
    events: Iterable[Event], request: ChatRequest | None = None, *, named: bool = True
) -> tuple[list[StreamEvent], Reply]:
    """The events and the reply of a stream that ends well."""
    decoder = new_decoder(request)
    given_out = list(decoder.feed(wire(events, named=named)))
    assert decoder.error is None
    assert decoder.finished
    return given_out, decoder.snapshot(ResponseMeta("req_1"))


def broken(events: Iterable[Event]) -> tuple[list[StreamEvent], SwitchgearError]:
    """The events and the error of a stream that does not."""
    decoder = new_decoder()
    given_out = list(decoder.feed(wire(events)))
    assert not decoder.finished
    assert decoder.error is not None
    return given_out, decoder.error


def message(text: str, *, number: int = 1, **more: Any) -> Event:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed",
        "content": content, **more,
    }  # fmt: skip


def thought(*summary: str, **more: Any) -> Event:
    texts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": "rs_1", "summary": texts, **more}


def function_call(number: int, arguments: str, **more: Any) -> Event:
    return {
        "type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}",
        "name": "weather", "arguments": arguments, "status": "completed", **more,
    }  # fmt: skip


def hello() -> Script:
    deltas = (("output_text", "Hel"), ("output_text", "lo"))
    return Script().begin().item(message("Hello"), *deltas).end()


def texts(events: Iterable[StreamEvent]) -> str:
    return "".join(event.text for event in events)


def test_text_arrives_as_it_is_written() -> None:
    events, reply = run(hello().events)
    assert events == [StreamEvent(text="Hel"), StreamEvent(text="lo")]
    assert reply.parts == (Text("Hello"),)
    assert (reply.id, reply.model, reply.finish_reason) == ("resp_1", "gpt-x-1", "stop")
    assert reply.native_finish_reason == "completed"
    assert reply.usage is not None
    assert reply.usage.total_tokens == 8


def test_reasoning_summaries_are_set_apart_and_the_whole_item_is_kept() -> None:
    item = thought("First.", "Second.", encrypted_content="gAAA-final")
    script = Script().begin()
    script.item(
        item,
        ("reasoning_summary_text", "Fir", 0),
        ("reasoning_summary_text", "st.", 0),
        ("reasoning_summary_text", "Second.", 1),
    )
    events, reply = run(script.item(message("Hi"), ("output_text", "Hi")).end().events)
    assert [event.reasoning for event in events[:3]] == ["Fir", "st.", "\n\nSecond."]
    part = reply.parts[0]
    assert isinstance(part, Reasoning)
    assert part.text == "First.\n\nSecond."
    assert part.native is not None
    assert (part.native.author, part.native.data) == (ME, item)


def test_an_open_models_own_reasoning_is_read() -> None:
    item = thought(content=[{"type": "reasoning_text", "text": "Raw."}])
    events, reply = run(Script().begin().item(item, ("reasoning_text", "Raw.")).end().events)
    assert [event.reasoning for event in events] == ["Raw."]
    assert isinstance(reply.parts[0], Reasoning)
    assert reply.parts[0].text == "Raw."


def test_parallel_calls_arrive_in_pieces() -> None:
    script = Script().begin()
    script.item(
        function_call(1, '{"a":1}'),
        ("function_call_arguments", '{"a"'),
        ("function_call_arguments", ":1}"),
    )
    script.item(function_call(2, "{}"), ("function_call_arguments", "{}"))
    events, reply = run(script.end().events)
    assert [event.tool_call for event in events] == [
        ToolCallDelta(0, "call_1", "weather", ""),
        ToolCallDelta(0, "", "", '{"a"'),
        ToolCallDelta(0, "", "", ":1}"),
        ToolCallDelta(1, "call_2", "weather", ""),
        ToolCallDelta(1, "", "", "{}"),
    ]
    assert reply.parts == (
        ToolCall("call_1", "weather", '{"a":1}'),
        ToolCall("call_2", "weather", "{}"),
    )
    assert reply.finish_reason == "tool_calls"


def test_a_refusal_reads_as_text_on_the_way() -> None:
    item = {**message(""), "content": [{"type": "refusal", "refusal": "I can't."}]}
    events, reply = run(Script().begin().item(item, ("refusal", "I can't.")).end().events)
    assert texts(events) == "I can't."
    assert reply.parts == (Refusal("I can't."),)
    assert reply.finish_reason == "refusal"


def test_a_hosted_tools_item_is_kept_whole_and_in_its_place() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"q": 1}}
    note = {"type": "url_citation", "url": "https://x.test"}
    found = message("Found", phase="final_answer")
    found["content"][0]["annotations"] = [note]
    script = Script().begin().item(search)
    script.add("response.web_search_call.searching", output_index=0, item_id="ws_1")
    events, reply = run(script.item(found, ("output_text", "Found")).end().events)
    assert texts(events) == "Found"
    block, text = reply.parts
    assert isinstance(block, NativeBlock)
    assert block.native.data == search
    assert isinstance(text, Text)
    assert text.native is not None
    assert text.native.data["annotations"] == [note]
    assert text.native.data["phase"] == "final_answer"


def test_a_custom_tools_call_arrives_at_once() -> None:
    item = {
        "type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "sql",
        "input": "SELECT 1",
    }  # fmt: skip
    script = Script().begin().item(item, ("custom_tool_call_input", "SELECT 1")).end()
    events, reply = run(script.events)
    assert [event.tool_call for event in events] == [
        ToolCallDelta(0, "c1", "sql", ""),
        ToolCallDelta(0, "", "", '{"input":"SELECT 1"}'),
    ]
    assert isinstance(reply.parts[0], ToolCall)
    assert reply.parts[0].parse() == {"input": "SELECT 1"}


def test_what_the_deltas_left_out_comes_with_the_whole_item() -> None:
    script = Script().begin().item(message("Hello"), ("output_text", "Hel"))
    script.item(function_call(1, '{"a":1}')).item(thought("Hm."))
    events, reply = run(script.end().events)
    assert texts(events) == "Hello"
    assert "".join(e.tool_call.arguments for e in events if e.tool_call) == '{"a":1}'
    assert "".join(e.reasoning for e in events) == "Hm."
    assert [type(part) for part in reply.parts] == [Text, ToolCall, Reasoning]


def test_an_item_that_only_the_last_event_brings_is_not_lost() -> None:
    script = Script().begin()
    script.output = [thought("Hm."), message("Hello"), function_call(1, "{}")]
    events, reply = run(script.end().events)
    assert texts(events) == "Hello"
    assert [type(part) for part in reply.parts] == [Reasoning, Text, ToolCall]


@pytest.mark.parametrize(
    ("item", "delta"),
    [
        (message("Hello"), ("output_text", "Help")),
        (message("Hello"), ("output_text", "Hello!")),
        (function_call(1, '{"a":1}'), ("function_call_arguments", '{"b"')),
        (
            {**message(""), "content": [{"type": "refusal", "refusal": "No"}]},
            ("refusal", "Yes"),
        ),
    ],
)
def test_deltas_that_contradict_their_item_are_an_error(
    item: Event, delta: tuple[str, str]
) -> None:
    _, error = broken(Script().begin().item(item, delta).end().events)
    assert isinstance(error, MalformedResponseError)
    assert "deltas" in str(error)


@given(st.lists(st.integers(0, 20), max_size=6), st.booleans())
def test_an_event_that_comes_twice_counts_once(places: list[int], named: bool) -> None:
    events = hello().events
    for place in places:
        again = events[place % len(events)]
        if again["type"] != "response.completed":
            at = events.index(again) + 1
            events.insert(at + place % (len(events) - at), again)
    given_out, reply = run(events, named=named)
    assert texts(given_out) == "Hello"
    assert reply == run(hello().events)[1]


@given(st.data())
def test_a_lost_event_never_passes_for_a_whole_answer(data: st.DataObject) -> None:
    script = Script().begin()
    script.item(thought("Hm."), ("reasoning_summary_text", "Hm."))
    script.item(message("Hello"), ("output_text", "Hel"), ("output_text", "lo"))
    script.item(function_call(1, "{}"), ("function_call_arguments", "{}")).end()
    lost = data.draw(st.integers(1, len(script.events) - 2))
    events = [event for place, event in enumerate(script.events) if place != lost]
    given_out, error = broken(events)
    assert isinstance(error, MalformedResponseError)
    assert f"event {lost + 1} came where {lost} was due" in str(error)
    assert "Hello".startswith(texts(given_out))


def test_events_out_of_order_are_an_error() -> None:
    events = hello().events
    events[3], events[4] = events[4], events[3]
    given_out, error = broken(events)
    assert isinstance(error, MalformedResponseError)
    assert texts(given_out) == ""


def test_a_first_event_that_is_not_the_first_is_an_error() -> None:
    _, error = broken(hello().events[3:])
    assert "event 3 came where 0 was due" in str(error)


def test_numbers_may_be_absent_or_begin_at_one() -> None:
    bare = [{k: v for k, v in event.items() if k != "sequence_number"} for event in hello().events]
    assert texts(run(bare)[0]) == "Hello"
    shifted = [
        {**event, "sequence_number": event["sequence_number"] + 1} for event in hello().events
    ]
    assert texts(run(shifted)[0]) == "Hello"


def test_events_may_come_without_names_and_items_without_indexes() -> None:
    script = Script().begin()
    script.item(message("Hello"), ("output_text", "Hel"), ("output_text", "lo"))
    script.item(message(" you", number=2), ("output_text", " you"))
    script.item(function_call(1, "{}"), ("function_call_arguments", "{}")).end()
    drop = {"output_index", "sequence_number"}
    bare = [{k: v for k, v in event.items() if k not in drop} for event in script.events]
    events, reply = run(bare, named=False)
    assert texts(events) == "Hello you"
    assert reply.parts == (Text("Hello"), Text(" you"), ToolCall("call_1", "weather", "{}"))


def test_what_is_unknown_is_passed_over_but_counts() -> None:
    events = hello().events
    script = Script()
    for event in events[:4]:
        script.add(event.pop("type"), **{k: v for k, v in event.items() if k != "sequence_number"})
    script.add("response.hologram.delta", delta={"x": 1})
    for event in events[4:]:
        script.add(event.pop("type"), **{k: v for k, v in event.items() if k != "sequence_number"})
    assert texts(run(script.events)[0]) == "Hello"
    assert texts(run([*script.events, {"type": "late"}])[0]) == "Hello"


def test_a_stray_done_marker_does_no_harm_and_ends_nothing() -> None:
    decoder = new_decoder()
    body = wire(hello().events)
    end = body.rindex(b"event: ")
    decoder.feed(body[:end] + b"data: [DONE]\n\n")
    assert not decoder.finished
    assert decoder.error is None
    decoder.feed(body[end:])
    assert decoder.finished


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_an_incomplete_answer_ends_the_stream_and_says_why(reason: str, finish: str) -> None:
    script = Script().begin().item(message("Hel"), ("output_text", "Hel"))
    _, reply = run(script.end("incomplete", incomplete_details={"reason": reason}).events)
    assert reply.finish_reason == finish
    assert reply.native_finish_reason == reason


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("rate_limit_exceeded", RateLimitError),
        ("server_error", ServerError),
        ("invalid_prompt", ContentFilterError),
        ("server_overloaded", OverloadedError),
    ],
)
@pytest.mark.parametrize("form", ["failed", "flat", "nested"])
def test_an_error_keeps_what_came_before_it(
    code: str, kind: type[SwitchgearError], form: str
) -> None:
    script = Script().begin().item(message("Hel"), ("output_text", "Hel"))
    error = {"code": code, "message": "it broke"}
    if form == "failed":
        script.add("response.failed", response={"status": "failed", "error": error})
    elif form == "flat":
        script.add("error", param=None, **error)
    else:
        script.add("error", error={"type": "server_error", "param": None, **error})
    events, raised = broken(script.events)
    assert texts(events) == "Hel"
    assert isinstance(raised, kind)
    assert raised.code == code
    assert "it broke" in str(raised)


def test_an_error_is_told_even_where_events_before_it_are_lost() -> None:
    script = Script().begin()
    script.add("error", code="server_error", message="it broke", param=None)
    script.events[-1]["sequence_number"] = 9
    _, error = broken(script.events)
    assert isinstance(error, ServerError)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":"response.output_text.delta","delta":3}',
        b'{"type":"response.output_text.delta"',
        b"nonsense",
        b'{"type":"response.completed"}',
        b'{"type":"response.completed","response":{}}',
        b'{"type":"response.output_item.done","output_index":0,"item":{}}',
        b'{"type":"response.output_item.done","output_index":0,"item":{"type":"message"}}',
        b'{"type":"response.output_item.added","item":{"type":"function_call","name":3}}',
        b'{"type":"response.output_text.delta","delta":"\xff"}',
    ],
)
def test_an_event_that_the_api_does_not_promise_is_malformed(payload: bytes) -> None:
    decoder = new_decoder()
    decoder.feed(b"data: " + payload + b"\n\n")
    assert isinstance(decoder.error, MalformedResponseError)
    assert str(decoder.error).startswith("openai: malformed stream: ")
    assert not decoder.finished


def test_nothing_after_the_end_changes_the_answer() -> None:
    body = wire(hello().events)
    decoder = new_decoder()
    decoder.feed(body + wire([{"type": "error", "message": "late"}]))
    decoder.feed(body)
    assert decoder.finished
    assert decoder.error is None
    assert decoder.snapshot(ResponseMeta()).parts == (Text("Hello"),)


def test_a_cut_stream_keeps_what_arrived_but_no_half_an_item() -> None:
    script = Script().begin()
    script.item(thought("Hm.", encrypted_content="gAAA"), ("reasoning_summary_text", "Hm."))
    cut = script.events[:-1]
    cut.append({**cut[-1], "sequence_number": len(cut), "delta": " So"})
    decoder = new_decoder()
    decoder.feed(wire(cut))
    decoder.end()
    assert not decoder.finished
    reply = decoder.snapshot(ResponseMeta())
    # Without its end there is nothing of the author's to give back.
    assert reply.parts == (Reasoning("Hm. So"),)
    assert (reply.finish_reason, reply.usage) == ("error", None)
    assert (reply.id, reply.model) == ("resp_1", "gpt-x-1")


def test_the_forced_tools_arguments_stream_as_the_answers_text() -> None:
    request = ChatRequest(
        messages=(Message("user", "Hi"),),
        response_format=ResponseFormat("schema", schema={"type": "object"}),
    )
    script = Script().begin().item(
        function_call(1, '{"a":1}', name="answer"),
        ("function_call_arguments", '{"a"'),
        ("function_call_arguments", ":1}"),
    )  # fmt: skip
    events, reply = run(script.end().events, request)
    assert [event.text for event in events] == ['{"a"', ":1}"]
    assert reply.parts == (Text('{"a":1}'),)
    assert reply.finish_reason == "stop"


@given(st.integers(0, 2**32))
def test_a_stream_reads_the_same_wherever_it_is_cut(seed: int) -> None:
    script = Script().begin()
    script.item(thought("Hm…"), ("reasoning_summary_text", "Hm…"))
    script.item(message("Grüß dich 🙂"), ("output_text", "Grüß "), ("output_text", "dich 🙂"))
    body = wire(script.item(function_call(1, "{}"), ("function_call_arguments", "{}")).end().events)
    whole, reply = run(script.events)
    rng = random.Random(seed)
    places = sorted(rng.randrange(len(body)) for _ in range(rng.randrange(60)))
    decoder = new_decoder()
    events: list[StreamEvent] = []
    for start, stop in zip([0, *places], [*places, len(body)], strict=True):
        events += decoder.feed(body[start:stop])
    assert events == whole
    assert decoder.snapshot(ResponseMeta("req_1")) == reply
