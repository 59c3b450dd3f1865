"""Checks 29 to 32 and 68: why an answer ended, what it cost, and who gave it."""

from __future__ import annotations

from ...completion import Usage
from ...errors import ContentFilterError
from ..answers import Answer, TokenUsage
from .check import check
from .trial import Trial, expect


@check(29, needs="server")
async def finish_length(trial: Trial) -> None:
    """An answer cut by its limit.

    An answer that ran into ``max_tokens`` has the finish reason ``length``.
    """
    if trial.simulated:
        answer = Answer(text="This is as far as", stop_reason="length")
        reply, streamed = await trial.both(trial.call(max_tokens=64), answer)
    else:
        question = "Write the numbers from one to a hundred, in words and one a line."
        asked = trial.call(question, max_tokens=16)
        reply, streamed = await trial.both(asked)
    for said in (reply, streamed.reply):
        expect(
            said.finish_reason == "length",
            f"expected the finish 'length', came {said.finish_reason!r}: half passes for all",
        )


@check(30)
async def finish_content_filter(trial: Trial) -> None:
    """An answer cut by a filter.

    An answer that the vendor's filter ended says so: by its finish reason, or as an error.
    """
    answer = Answer(text="I would", stop_reason="content_filter")
    for stream in (False, True):
        try:
            if stream:
                said = (await trial.streamed(trial.call(), answer)).reply
            else:
                said = await trial.whole(trial.call(), answer)
        except ContentFilterError:
            continue
        expect(
            said.finish_reason in {"content_filter", "refusal"},
            f"expected the finish 'content_filter' or 'refusal', came {said.finish_reason!r}",
        )


@check(31, needs="server")
async def usage_adds_up(trial: Trial) -> None:
    """Usage adds up.

    Tokens are inclusive totals, as the vendor counted them, cached and reasoning tokens among
    them; whole and streamed answers count alike.
    """
    stated = TokenUsage(
        input_tokens=1000,
        output_tokens=200,
        cache_read_tokens=600,
        reasoning_tokens=50,
    )
    outcome = Answer(text="Hello.", usage=stated) if trial.simulated else None
    reply, streamed = await trial.both(trial.call(), outcome)
    for usage in (reply.usage, streamed.reply.usage):
        expect(usage is not None, "expected the vendor's count, came none: costs are guessed then")
        assert usage is not None  # noqa: S101 - narrows for the type checker
        _inclusive(usage)
        if not trial.simulated:
            some = usage.input_tokens > 0 and usage.output_tokens > 0
            expect(some, f"expected tokens in and out, came {usage}: what was used is not booked")
            continue
        expect(
            (usage.input_tokens, usage.output_tokens) == (1000, 200),
            f"expected 1000 tokens in (cached ones included) and 200 out (thought included), came "
            f"{usage}: budgets are held to it",
        )
        expect(
            usage.cache_read_tokens in {0, 600} and usage.reasoning_tokens in {0, 50},
            f"expected 600 cached and 50 reasoning tokens, or none told, came {usage}",
        )
        expect(not usage.estimated, "expected the vendor's count, it says that it is an estimate")


@check(32)
async def no_usage(trial: Trial) -> None:
    """No count is no zero.

    Where the vendor did not count, ``usage`` is ``None``: the router then estimates.
    """
    answer = Answer(text="Hello.", send_usage=False)
    reply, streamed = await trial.both(trial.call(), answer)
    for usage in (reply.usage, streamed.reply.usage):
        expect(usage is None, f"expected no usage where the vendor sent none, came {usage}")


@check(68)
async def answering_model(trial: Trial) -> None:
    """The model that answered.

    An answer names the model that the vendor says has answered, whole and streamed alike.
    """
    answered = f"{trial.model}-2026-01-01"
    reply, streamed = await trial.both(trial.call(), Answer(text="Hello.", model=answered))
    expect(reply.model, "expected the name of the model that answered, came none")
    expect(
        reply.model == streamed.reply.model,
        f"expected the same model whole and streamed, came {reply.model!r} and "
        f"{streamed.reply.model!r}: prices go by it",
    )


def _inclusive(usage: Usage) -> None:
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    expect(
        cached + usage.audio_input_tokens <= usage.input_tokens
        and usage.cache_write_1h_tokens <= usage.cache_write_tokens
        and usage.reasoning_tokens + usage.audio_output_tokens <= usage.output_tokens,
        f"expected parts of the usage that are no more than the whole, came {usage}",
    )
