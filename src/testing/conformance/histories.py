"""Checks 12 to 15: conversations that were begun somewhere else."""

from __future__ import annotations

from typing import Any

from ...messages import Message, Native, NativeBlock, Part, Reasoning, Text, ToolCall
from ..answers import Answer, ToolCall as Asked
from .check import check
from .trial import WEATHER, Trial, expect, strings_in

__all__ = ["AUTHORS"]

AUTHORS = ("anthropic", "openai-chat", "openai-responses/elsewhere", "ollama", "vendor-of-tomorrow")
"""Whose histories are handed over. The last one is unknown to everybody."""

_OPAQUE = "opaque0only1its2author3can4read5this6"
# Shorter strings are names and kinds; signatures and encrypted reasoning are long.
_LONG = 40

_IDS = {
    "anthropic": ("toolu_01A09q90qw90lq917835lq9", "toolu_01A09q90qw90lq917835lqA"),
    "openai-responses/elsewhere": (
        "call_12345xyz|fc_67ccd2bf17f0819081ff3bb2cf6508e6",
        "call_67890abc|fc_67ccd2bf17f0819081ff3bb2cf6508e7",
    ),
    "ollama": ("call_0", "call_1"),
}


@check(12, needs="nothing")
async def foreign_histories(trial: Trial) -> None:
    """Foreign histories.

    A conversation in which other vendors answered (with reasoning, blocks of their own, tool
    calls) is continued: what only its author can read stays out of the request, and a warning
    says so; the rest arrives.
    """
    own = trial.subject.author
    for author in AUTHORS:
        if author == own:
            continue
        tools = (WEATHER,) if trial.can().tools else ()
        asked = trial.call(messages=_history(author, tools=bool(tools)), tools=tools)
        reply = await trial.whole(asked)
        warned = any("history" in line or author in line for line in reply.warnings)
        if own is None and not warned:
            own = author  # nobody said who is the provider's own author; it may be one of these
            continue
        expect(
            warned,
            f"expected a warning that parts of {author}'s history were left out, came "
            f"{reply.warnings}: the caller has to know",
        )
        if not trial.simulated:
            continue
        expect(
            _OPAQUE.encode() not in trial.sent.raw,
            f"expected what only {author} can read to be left out, it was sent on: vendors refuse "
            "it, and it is not theirs",
        )
        trial.arrived("Two cities, one answer.", "And tomorrow?", what=f"{author}'s history")
        if tools:
            trial.arrived("7 degrees in Oslo", "9 degrees in Bergen", what="a tool's result")


@check(13, capability="tools")
async def own_history(trial: Trial) -> None:
    """Its own history.

    An answer goes back as the turn that it was, in the middle of a tool loop too: the vendor
    accepts it, and gets what only it can read (signatures, encrypted reasoning) unmodified.
    """
    effort = "high" if trial.can().reasoning else None
    question = Message("user", "How is the weather in Oslo and in Bergen?")
    asked = trial.call(messages=(question,), tools=(WEATHER,), reasoning_effort=effort)
    answer = Answer(
        reasoning="Both have to be looked up." if effort else None,
        text="One moment.",
        tool_calls=(
            Asked(name=WEATHER.name, arguments={"city": "Oslo"}, id="call_o1s2l3o4x"),
            Asked(name=WEATHER.name, arguments={"city": "Bergen"}, id="call_b1e2r3g4n"),
        ),
    )
    for reply in (await trial.whole(asked, answer), (await trial.streamed(asked, answer)).reply):
        calls = [part for part in reply.parts if isinstance(part, ToolCall)]
        results = tuple(
            Message("tool", f"{n} degrees there", tool_call_id=call.id)
            for n, call in enumerate(calls)
        )
        turns = (question, Message("assistant", reply.parts), *results)
        await trial.whole(trial.call(messages=turns, tools=(WEATHER,), reasoning_effort=effort))
        trial.arrived("One moment.", "0 degrees there", "1 degrees there", what="the last turn")
        for sealed in _sealed(reply.parts):
            trial.arrived(sealed, what="what only the vendor can read")


@check(14, capability="tools")
async def odd_tool_ids(trial: Trial) -> None:
    """Odd ids of tool calls.

    Ids that the vendor would refuse (too long, odd letters, used twice in a conversation) are
    replaced, results still follow their calls, and the request is accepted.
    """
    turns: list[Message] = [Message("user", "How is the weather?")]
    said: list[str] = []
    for turn, ids in enumerate(
        [("call_0", "call_1"), ("call_0", "call_1"), ("x" * 200, "ünïcode id/with.all|that")]
    ):
        calls = tuple(
            ToolCall(each, WEATHER.name, f'{{"city": "City {turn}{n}"}}')
            for n, each in enumerate(ids)
        )
        turns.append(Message("assistant", calls))
        for n, each in enumerate(ids):
            said.append(f"{turn}{n} degrees")
            turns.append(Message("tool", said[-1], tool_call_id=each))
    await trial.whole(trial.call(messages=tuple(turns), tools=(WEATHER,)))
    expect(trial.sent.refused is None, f"the vendor refuses the request: {trial.sent.refused}")
    trial.arrived(*said, what="a tool's result")
    order = [text for text in strings_in(trial.sent.body) for each in said if each in text]
    expect(
        all(first in second for first, second in zip(said, order, strict=False)),
        f"expected the results in the order of their calls, came {order}",
    )


@check(15, capability="tools")
async def tool_results(trial: Trial) -> None:
    """Results of tools.

    Results of several calls arrive in their order, empty ones and failures among them; that a
    tool failed is told to the model.
    """
    ids = ("call_a1b2c3d4e", "call_f1g2h3i4j", "call_k1l2m3n4o")
    calls = tuple(ToolCall(each, WEATHER.name, '{"city": "Oslo"}') for each in ids)
    turns = (
        Message("user", "How is the weather?"),
        Message("assistant", calls),
        Message("tool", "first: fog", tool_call_id=ids[0]),
        Message("tool", "", tool_call_id=ids[1]),
        Message("tool", "third: no such city", tool_call_id=ids[2], is_error=True),
    )
    await trial.whole(trial.call(messages=turns, tools=(WEATHER,)))
    trial.arrived("first: fog", "third: no such city", what="a tool's result")
    failed = trial.sent.raw
    good = (*turns[:-1], Message("tool", "third: no such city", tool_call_id=ids[2]))
    await trial.whole(trial.call(messages=good, tools=(WEATHER,)))
    expect(
        trial.sent.raw != failed,
        "expected a tool's failure to be told to the model, the request is the same as of success",
    )


def _history(author: str, *, tools: bool) -> tuple[Message, ...]:
    first, second = _IDS.get(author, ("chatcmpl-tool-5a9f", "chatcmpl-tool-6b0e"))
    begun: tuple[Message, ...] = (
        Message("system", "You are terse."),
        Message("user", "How is the weather in Oslo and Bergen?"),
    )
    thought: tuple[Part, ...] = (
        Reasoning("Two cities, two calls.", Native(author, _sealed_by(author))),
        NativeBlock(Native(author, {"type": "server_tool_use", "id": "st_1", "data": _OPAQUE})),
    )
    last: tuple[Message, ...] = (
        Message(
            "assistant",
            (Text("Two cities, one answer.", native=Native(author, {"citations": [_OPAQUE]})),),
        ),
        Message("user", "And tomorrow?"),
    )
    if not tools:
        return (*begun, Message("assistant", (*thought, Text("Wet."))), Message("user", "?"), *last)
    calls = (
        ToolCall(first, WEATHER.name, '{"city": "Oslo"}', Native(author, {"seal": _OPAQUE})),
        ToolCall(second, WEATHER.name, '{"city":"Bergen"}'),
    )
    results = (
        Message("tool", "7 degrees in Oslo", tool_call_id=first),
        Message("tool", "9 degrees in Bergen", tool_call_id=second),
    )
    return (*begun, Message("assistant", (*thought, *calls)), *results, *last)


def _sealed_by(author: str) -> dict[str, Any]:
    """Reasoning in the author's own form, with what nobody else can read."""
    match author.partition("/")[0]:
        case "anthropic":
            return {"type": "thinking", "thinking": "Two cities.", "signature": _OPAQUE}
        case "openai-responses":
            return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": _OPAQUE}
        case "openai-chat":
            return {"reasoning_details": [{"type": "reasoning.encrypted", "data": _OPAQUE}]}
    return {"seal": _OPAQUE}


def _sealed(parts: tuple[Part, ...]) -> list[str]:
    """The long strings in the vendor's own forms of an answer's reasoning and calls."""
    natives = [getattr(part, "native", None) for part in parts if not isinstance(part, NativeBlock)]
    found = [text for native in natives if native for text in strings_in(native.data)]
    return [text for text in found if len(text) >= _LONG and " " not in text]
