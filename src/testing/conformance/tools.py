"""Checks 7 to 11: tools."""

from __future__ import annotations

import msgspec

from ...messages import Message, Tool, ToolCall, ToolChoice
from ...providers.base import Reply
from ..answers import Answer, ToolCall as Asked
from .check import check
from .trial import WEATHER, Trial, calls_in, expect

__all__ = ["ARGUMENTS"]

ARGUMENTS = {
    "city": 'Zürich "HB"',
    "days": 9007199254740993,
    "precise": True,
    "nested": {"list": [1, 2.5, None, {"deep": "世界\n"}], "empty": {}},
    "nothing": "",
}

CLOCK = Tool("get_time", "Tells the time.", {"type": "object", "properties": {}})


def calls_of(reply: Reply) -> list[ToolCall]:
    """The tools that an answer wants run."""
    return [part for part in reply.parts if isinstance(part, ToolCall)]


@check(7, capability="tools")
async def tool_round_trip(trial: Trial) -> None:
    """A tool call.

    A tool call comes with its name, an id and the very arguments, and the finish reason
    ``tool_calls``, whole and streamed; call and result go back in the next request.
    """
    asked = Answer(tool_calls=(Asked(name=WEATHER.name, arguments=ARGUMENTS, id="call_a1b2c3d4e"),))
    question = Message("user", "How is the weather in Zürich?")
    reply, streamed = await trial.both(trial.call(messages=(question,), tools=(WEATHER,)), asked)
    trial.arrived(WEATHER.name, WEATHER.description, what="the tool")
    for said in (reply, streamed.reply):
        calls = calls_of(said)
        expect(len(calls) == 1, f"expected one tool call, came {len(calls)}")
        _check(calls[0], WEATHER.name, ARGUMENTS)
        expect(
            said.finish_reason == "tool_calls",
            f"expected the finish 'tool_calls', came {said.finish_reason!r}: tool loops go by it",
        )
    call = calls_of(reply)[0]
    answered = (
        question,
        Message("assistant", reply.parts),
        Message("tool", "7 degrees, fog", tool_call_id=call.id, name=call.name),
    )
    await trial.whole(trial.call(messages=answered, tools=(WEATHER,)))
    trial.arrived("7 degrees, fog", what="the tool's result")
    trial.arrived('Zürich "HB"', what="the arguments that the model had chosen")


@check(8, capability="tools")
async def several_tool_calls(trial: Trial) -> None:
    """Several tool calls.

    Several calls in one answer, behind text, keep their order, names and arguments; each has
    an id of its own, and the deltas of a stream count them from 0.
    """
    cities = ["Oslo", "Bergen", "Tromsø"]
    answer = Answer(
        text="I look it up.",
        tool_calls=tuple(
            Asked(name=WEATHER.name, arguments={"city": city}, id=f"call_{n}abcdefgh")
            for n, city in enumerate(cities)
        ),
    )
    reply, streamed = await trial.both(trial.call(tools=(WEATHER,)), answer)
    for said in (reply, streamed.reply):
        calls = calls_of(said)
        expect(
            [call.parse() for call in calls] == [{"city": city} for city in cities],
            f"expected calls for {cities}, came {[call.arguments for call in calls]}",
        )
        expect(
            len({call.id for call in calls}) == len(cities),
            f"expected an id for each call, came {[call.id for call in calls]}: results go by ids",
        )
    deltas = calls_in(streamed.events)
    expect(
        [delta.index for delta in deltas] == [0, 1, 2]
        and [delta.id for delta in deltas] == [call.id for call in calls_of(streamed.reply)]
        and all(delta.name == WEATHER.name for delta in deltas),
        f"expected the deltas to add up to the calls, came {deltas}",
    )


@check(9, capability="tools")
async def empty_arguments(trial: Trial) -> None:
    """A tool call without arguments.

    A call of a tool that takes nothing has ``{}`` as its arguments, which goes back too.
    """
    answer = Answer(tool_calls=(Asked(name=CLOCK.name, arguments={}, id="call_t1m2e3f4g"),))
    reply, streamed = await trial.both(trial.call(tools=(CLOCK,)), answer)
    for said in (reply, streamed.reply):
        calls = calls_of(said)
        expect(len(calls) == 1, f"expected one tool call, came {len(calls)}")
        _check(calls[0], CLOCK.name, {})
    call = calls_of(streamed.reply)[0]
    answered = (
        Message("user", "How late is it?"),
        Message("assistant", streamed.reply.parts),
        Message("tool", "noon", tool_call_id=call.id),
    )
    await trial.whole(trial.call(messages=answered, tools=(CLOCK,)))
    trial.arrived("noon", what="the tool's result")


@check(10, needs="nothing", capability="tool_choice")
async def tool_choice(trial: Trial) -> None:
    """A forced tool.

    The model can be made to use a tool, to use a certain one, and not to use any.
    """
    tools = (WEATHER, CLOCK)
    text = "How is the weather in Oslo?"
    reply = await trial.whole(trial.call(text, tools=tools, tool_choice=ToolChoice("required")))
    expect(calls_of(reply), "expected a tool call where one was required, came none")
    named = ToolChoice("required", CLOCK.name)
    reply = await trial.whole(trial.call(text, tools=tools, tool_choice=named))
    names = [call.name for call in calls_of(reply)]
    expect(
        names and set(names) == {CLOCK.name},
        f"expected a call of {CLOCK.name}, which was named, came {names}",
    )
    reply = await trial.whole(trial.call(text, tools=tools, tool_choice=ToolChoice("none")))
    expect(not calls_of(reply), "expected no tool call where none was allowed, came one")


@check(11, capability="parallel_tool_calls")
async def parallel_tool_calls(trial: Trial) -> None:
    """One tool at a time.

    ``parallel_tool_calls`` is expressed: the vendor accepts it, it changes the request, and
    nothing warns that it was left out.
    """
    bodies = []
    for value in (True, False):
        reply = await trial.whole(trial.call(tools=(WEATHER,), parallel_tool_calls=value))
        bodies.append(msgspec.json.encode(trial.sent.body))
        dropped = [line for line in reply.warnings if line.startswith("parallel_tool_calls")]
        expect(not dropped, f"expected no such warning of what it claims to take, came {dropped}")
    expect(
        bodies[0] != bodies[1],
        "expected parallel_tool_calls to make a difference in the request, it makes none",
    )


def _check(call: ToolCall, name: str, arguments: object) -> None:
    expect(call.name == name, f"expected a call of {name!r}, came {call.name!r}")
    expect(call.arguments, "expected arguments in JSON, came an empty text")
    expect(call.id, "expected an id of the tool call, came none: results go by ids")
    expect(
        call.parse() == arguments,
        f"expected the arguments {arguments}, came {call.arguments}: tools run on them",
    )
