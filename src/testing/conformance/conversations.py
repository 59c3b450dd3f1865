"""Checks 3 to 6: plain text there and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from ...completion import FinishReason
from ...messages import Message
from ...providers.base import Reply
from ..answers import Answer
from .check import check
from .trial import Trial, expect, text_of

__all__ = ["ODD"]

ODD = "Grüße, 世界! 👩‍🚀 “quoted” \\ back\tslash,\nnext line, \u2028, </s>, {brace}."
"""Text that careless code spoils."""

_REASONS = frozenset(get_args(FinishReason))


@check(3, needs="nothing")
async def text_round_trip(trial: Trial) -> None:
    """An answer.

    A question is answered with the text that was sent, letter by letter, a finish reason of
    ours, and no warning where there is nothing to warn of.
    """
    reply = await trial.whole(trial.call(), *((Answer(text=ODD),) if trial.simulated else ()))
    expect(isinstance(reply, Reply), f"expected a Reply, came {type(reply).__name__}")
    expect(
        reply.finish_reason in _REASONS,
        f"expected one of our finish reasons, came {reply.finish_reason!r}",
    )
    text = text_of(reply)
    if not trial.simulated:
        expect(text, "expected some text, came none")
        return
    expect(text == ODD, f"expected the text {ODD!r}, came {text!r}: an answer is not to be changed")
    expect(
        reply.finish_reason == "stop", f"expected the finish 'stop', came {reply.finish_reason!r}"
    )
    expect(not reply.warnings, f"expected no warnings of a plain question, came {reply.warnings}")


@check(4)
async def conversation_arrives(trial: Trial) -> None:
    """A conversation arrives whole.

    The system prompt, every turn and the model's name arrive at the vendor, unspoilt.
    """
    turns = (
        Message("system", f"Be brief. System: {ODD}"),
        Message("user", f"First: {ODD}"),
        Message("assistant", f"Answered: {ODD}"),
        Message("user", f"Second: {ODD}"),
    )
    await trial.whole(trial.call(messages=turns))
    for turn in turns:
        trial.arrived(turn.text, what=f"the {turn.role}'s turn")
    asked = trial.sent.model
    expect(
        asked and (asked in trial.model or trial.model in asked),
        f"expected the model {trial.model!r} to be asked, it was {asked!r}",
    )


@check(5)
async def unknown_words(trial: Trial) -> None:
    """News from the vendor do no harm.

    Fields and finish reasons that did not exist when the adapter was written are borne.
    """
    news = Answer(
        text="Hello.", stop_reason="reason_of_tomorrow", extra={"field_of_tomorrow": {"a": [1]}}
    )
    reply, streamed = await trial.both(trial.call(), news)
    for said in (reply, streamed.reply):
        expect(text_of(said) == "Hello.", f"expected the text in spite of news, came {said.parts}")
        expect(
            said.finish_reason in _REASONS,
            f"expected one of our finish reasons, came {said.finish_reason!r}: callers compare it",
        )


@check(6)
async def headers_come_back(trial: Trial) -> None:
    """What the headers say.

    Whole and streamed answers bring the vendor's request id and all headers, names in lower
    case; a stream has them from the start.
    """
    answer = Answer(text="Hello.", headers={"X-Conformance": "it is me"})
    reply = await trial.whole(trial.call(), answer)
    _check_meta(trial, reply.meta.headers, reply.meta.request_id)
    trial.will(answer)
    stream = await trial.provider.stream(trial.call())
    try:
        meta = stream.meta
        _check_meta(trial, meta.headers, meta.request_id)
    finally:
        await stream.aclose()


def _check_meta(trial: Trial, headers: Mapping[str, str], request_id: str | None) -> None:
    expect(
        headers.get("x-conformance") == "it is me",
        f"expected the answer's headers, came {sorted(headers)}: rate limits are read out of them",
    )
    own = trial.sent.request_id
    sends = own and any(own in value for value in trial.endpoint.wire.headers(trial.sent).values())
    if sends:
        expect(
            request_id == own,
            f"expected the vendor's request id {own!r}, came {request_id!r}: support asks for it",
        )
