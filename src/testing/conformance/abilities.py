"""Checks 33 to 40: what it claims that a model can do is asked for in earnest."""

from __future__ import annotations

from typing import Any

import msgspec

from ...messages import Audio, File, Image, Message, Part, Reasoning, Text, ToolCall
from ...providers.base import Reply
from ...request import ChatRequest, ResponseFormat
from ..answers import Answer
from .check import Failed, NotTried, check
from .trial import Trial, expect, plain, text_of

__all__ = ["PIXEL", "SCHEMA", "SHEET", "SOUND"]

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
SHEET = "JVBERi0xLjQKJSBhIGNvbmZvcm1hbmNlIGNoZWNrCiUlRU9GCg=="
SOUND = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
SCHEMA = ResponseFormat(
    "schema",
    name="town",
    schema={
        "type": "object",
        "properties": {"town": {"type": "string"}, "inhabitants": {"type": "integer"}},
        "required": ["town", "inhabitants"],
        "additionalProperties": False,
    },
)

_LONG_ENOUGH = 200
_KNOBS: dict[str, Any] = {
    "temperature": 0.25,
    "top_p": 0.75,
    "stop": ("CONFORMANCE-STOP",),
    "seed": 4711,
}


@check(33, needs="nothing", capability="schema")
async def structured_output(trial: Trial) -> None:
    """An answer by a schema.

    A schema reaches the vendor, and the answer is text that keeps to it, whichever way the
    vendor has for that: no tool call is to be seen, whole or streamed.
    """
    asked = trial.call(
        "Name a town and its inhabitants.", response_format=SCHEMA, max_tokens=_LONG_ENOUGH
    )
    reply, streamed = await trial.both(asked)
    if trial.simulated:
        trial.arrived("inhabitants", what="the schema")
    for said in (reply, streamed.reply):
        value = _json(trial, said)
        expect(
            value.keys() == {"town", "inhabitants"}
            and isinstance(value["town"], str)
            and isinstance(value["inhabitants"], int),
            f"expected an answer by the schema, came {value}",
        )
    expect(
        not any(event.tool_call for event in streamed.events),
        "expected text only, came deltas of a tool call: how it is done is nobody's business",
    )


@check(34, needs="nothing", capability="json_object")
async def json_object(trial: Trial) -> None:
    """An answer in JSON.

    JSON mode is asked for, and the answer is one JSON object.
    """
    asked = trial.call(
        "Name a town and its inhabitants.",
        response_format=ResponseFormat("json"),
        max_tokens=_LONG_ENOUGH,
    )
    if not trial.simulated:
        reply, streamed = await trial.both(asked)
    else:
        await trial.whole(msgspec.structs.replace(asked, request=_free(asked.request)))
        free = trial.sent.body
        reply = await trial.whole(asked)
        expect(
            trial.sent.body != free,
            "expected JSON mode to make a difference in the request, it makes none",
        )
        # A vendor without such a mode is asked in words, which a simulated one does not read.
        words = () if text_of(reply).startswith("{") else (Answer(text='{"town": "Oslo"}'),)
        reply, streamed = await trial.both(asked, *words)
    for said in (reply, streamed.reply):
        _json(trial, said)


@check(35, capability="images")
async def images(trial: Trial) -> None:
    """Images.

    An image arrives, and the vendor accepts the request.
    """
    await _shown(trial, Image(data=PIXEL, media_type="image/png"), PIXEL)


@check(36, capability="files")
async def files(trial: Trial) -> None:
    """Documents.

    A document arrives, and the vendor accepts the request.
    """
    part = File(data=SHEET, media_type="application/pdf", filename="conformance.pdf")
    await _shown(trial, part, SHEET)


@check(37, capability="audio")
async def audio(trial: Trial) -> None:
    """Spoken input.

    Spoken input arrives, and the vendor accepts the request.
    """
    await _shown(trial, Audio(data=SOUND, format="wav"), SOUND)


@check(38, capability="reasoning")
async def reasoning(trial: Trial) -> None:
    """Reasoning.

    ``reasoning_effort`` makes a difference in the request. What the vendor shows of the reasoning
    comes as ``Reasoning``, never as text, and a stream shows the same.
    """
    answer = Answer(reasoning="Let me think about that.", text="It is 42.")
    await trial.whole(trial.call(), answer)
    without = trial.sent.body
    asked = trial.call(reasoning_effort="high")
    reply = await trial.whole(asked, answer)
    expect(
        trial.sent.body != without,
        "expected reasoning_effort to make a difference in the request, it makes none",
    )
    streamed = await trial.streamed(asked, answer)
    for said in (reply, streamed.reply):
        expect(text_of(said) == "It is 42.", f"expected the answer alone, came {text_of(said)!r}")
    thought = [part.text for part in reply.parts if isinstance(part, Reasoning)]
    expect(
        "".join(event.reasoning for event in streamed.events) == "".join(thought),
        f"expected a stream to show the reasoning {thought}, it does not",
    )
    expect(
        plain(reply.parts) == plain(streamed.reply.parts),
        f"expected {plain(reply.parts)} of a stream too, came {plain(streamed.reply.parts)}",
    )


@check(39, capability="sampling")
async def sampling(trial: Trial) -> None:
    """Sampling.

    Each sampling knob that it claims to take arrives with its value, without a warning.
    """
    for knob in sorted(trial.can().sampling & _KNOBS.keys()):
        value = _KNOBS[knob]
        reply = await trial.whole(trial.call(**{knob: value}), Answer(text="Hello."))
        trial.arrived(value[0] if knob == "stop" else value, what=knob)
        dropped = [line for line in reply.warnings if line.startswith(knob)]
        expect(not dropped, f"expected no such warning of what it claims to take, came {dropped}")


@check(40)
async def max_tokens(trial: Trial) -> None:
    """The longest answer.

    ``max_tokens`` arrives with its value.
    """
    await trial.whole(trial.call(max_tokens=777), Answer(text="Hello."))
    trial.arrived(777, what="max_tokens")


def _free(request: ChatRequest) -> ChatRequest:
    return msgspec.structs.replace(request, response_format=None)


async def _shown(trial: Trial, part: Part, data: str) -> None:
    message = Message("user", (Text("What is this?"), part))
    await trial.whole(trial.call(messages=(message,)), Answer(text="Something small."))
    trial.arrived("What is this?", what="the question")
    trial.arrived(data, what=type(part).__name__)


def _json(trial: Trial, reply: Reply) -> dict[str, Any]:
    expect(
        not any(isinstance(part, ToolCall) for part in reply.parts),
        "expected text, came a tool call: how the form is kept is nobody's business",
    )
    text = text_of(reply)
    if not trial.simulated and reply.finish_reason == "length":
        raise NotTried(f"the model had not finished after {len(text)} letters")
    expect(
        reply.finish_reason == "stop", f"expected the finish 'stop', came {reply.finish_reason!r}"
    )
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as exc:
        raise Failed(f"expected JSON, came {text!r}") from exc
    if not isinstance(value, dict):
        raise Failed(f"expected a JSON object, came {text!r}")
    return value
