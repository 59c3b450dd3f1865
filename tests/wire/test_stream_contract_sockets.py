"""A cut stream never looks like a finished one: over real sockets, SDKs, adapters and the router.

Recorded streams are served by a server that breaks off after each event and one byte to either side
of that: by an orderly end of the body (a last chunk, or the close of a body without framing), a
close against the framing (no last chunk, a ``content-length`` not reached), a reset, or silence.
The recordings are the small ones of each format and one or two with tools, reasoning, parallel
calls and a usage apart; silence, failover and abandonment are tried with one recording each. Each
time there is one of two outcomes, and no third:

- the answer was complete in what was sent, and it arrives whole;
- it was not, and the caller gets a typed error: ``StreamInterruptedError`` with what had been
  delivered, its usage estimated and its cost settled, or, where nothing had been delivered, the
  failure of the attempt, after which the next candidate is asked.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from switchgear import (
    AllProvidersFailedError,
    Completion,
    ProviderConnectionError,
    ProviderTimeoutError,
    StreamInterruptedError,
)
from tests.wire.bench import AT_ONCE, Result, bench_of, cut_of
from tests.wire.breaking import DISORDERLY, ENDINGS, ORDERLY, Cut, Ending
from tests.wire.replay import Recording
from tests.wire.streams import (
    ANTHROPIC,
    CHAT,
    COMPATIBLE,
    OLLAMA,
    ONE_EACH,
    RESPONSES,
    Kind,
    Said,
    delivered,
    directly,
    marks,
    needed,
    recorded,
    said_by,
)

# `make attack` tries more of the small ones; a whole run of the tests has to stay short.
MORE = bool(os.environ.get("SWITCHGEAR_FULL"))

CHOSEN = [
    *recorded(ANTHROPIC, most=1_700 if MORE else 1_400, lines=[37]),
    *recorded(CHAT, most=2_500 if MORE else 2_000, lines=[205, 283]),
    *recorded(RESPONSES, most=6_000 if MORE else 4_500, lines=[303]),
    *recorded(OLLAMA, most=7_000),
    *recorded(COMPATIBLE, most=0, lines=[283, 291]),
    *recorded(directly(CHAT), most=1_000 if MORE else 0, lines=[205]),
    *(recorded(directly(ANTHROPIC), most=1_400, lines=[37]) if MORE else ()),
]


@pytest.mark.parametrize(("kind", "recording"), CHOSEN)
async def test_a_stream_cut_around_any_event_is_complete_or_an_error(
    kind: Kind, recording: Recording
) -> None:
    offsets = around_events(kind, recording)
    async with bench_of(kind, recording) as bench:
        uncut = await bench.ask(cut_of(recording, len(recording.body), "until-close"))
        assert uncut.completion is not None
        assert uncut.completion.cost or kind not in (ANTHROPIC, RESPONSES), "a model with a price"
        for ending in (*DISORDERLY, "reset", *ORDERLY):
            results = await asyncio.gather(
                *(bench.ask(cut_of(recording, size, ending)) for size in offsets)
            )
            if ending not in ORDERLY:
                await bench.server.let_go()
            for size, result in zip(offsets, results, strict=True):
                check(result, kind, recording, size, ending)
                check_cost(result, uncut.completion)
        assert len(bench.server.open) <= AT_ONCE, "kept for the next requests, and no more"


@pytest.mark.parametrize(("kind", "recording"), ONE_EACH)
async def test_a_stream_that_falls_silent_anywhere_is_complete_or_an_error(
    kind: Kind, recording: Recording
) -> None:
    offsets = around_events(kind, recording)
    async with bench_of(kind, recording) as bench:
        await bench.ask(cut_of(recording, len(recording.body), "until-close"))
        results = await asyncio.gather(
            *(
                bench.ask(cut_of(recording, size, "stall"), idle_timeout=0.1, attempt_timeout=0.4)
                for size in offsets
            )
        )
        await bench.server.let_go()
    for size, result in zip(offsets, results, strict=True):
        check(result, kind, recording, size, "stall")
        if result.error is not None and result.events:
            assert isinstance(result.error.__cause__, ProviderTimeoutError)
            assert "silent for 0.1 s" in str(result.error)


@pytest.mark.parametrize(("kind", "recording"), ONE_EACH)
async def test_only_before_the_first_token_does_another_candidate_answer(
    kind: Kind, recording: Recording
) -> None:
    told = marks(kind, recording)
    token = next(mark for mark in told if mark.said != Said())
    before = [mark.end for mark in told if mark.end < token.end]
    sizes = sorted({0, *before, *(end - 1 for end in before), token.end - 1, token.end})
    whole = cut_of(recording, len(recording.body), "last-chunk")
    async with bench_of(kind, recording) as bench:
        await bench.ask(whole, whole)
        for ending in ENDINGS:
            idle = 3 if ending == "stall" else 30
            results = await asyncio.gather(
                *(bench.ask(cut_of(recording, n, ending), whole, idle_timeout=idle) for n in sizes)
            )
            for result in results:
                check_failover(result, told[-1].said, stalled=ending == "stall")
            assert results[0].completion is not None
            assert ending not in ORDERLY or results[-1].error is not None


def check_failover(result: Result, whole: Said, *, stalled: bool) -> None:
    """Nothing was delivered by the first candidate and all by the second, or the stream broke."""
    if result.error is not None:
        assert isinstance(result.error, StreamInterruptedError)
        assert result.events
        assert result.asked == ("first",)
        return
    assert result.completion is not None
    # On a busy machine, an attempt's half second may be over before its request has arrived.
    assert result.asked == ("first", "second") or (result.asked == ("second",) and stalled)
    assert delivered(result.events) == said_by(result.completion) == whole
    assert result.completion.provider == "second"
    steps = [
        (step.candidate.partition("/")[0], step.outcome) for step in result.completion.trace.steps
    ]
    assert steps == [("first", "failed"), ("second", "answered")]


@pytest.mark.parametrize("how", ["leaves", "cancelled"])
@pytest.mark.parametrize(("kind", "recording"), ONE_EACH)
async def test_a_stream_that_its_caller_gives_up_is_settled_and_let_go(
    kind: Kind, recording: Recording, how: str
) -> None:
    told = marks(kind, recording)
    half = next(mark for mark in told if mark.said != Said())
    async with bench_of(kind, recording) as bench:
        whole = await bench.ask(cut_of(recording, len(recording.body), "until-close"))
        assert whole.completion is not None
        result = await bench.give_up(cut_of(recording, half.end, "stall"), how)
        await bench.server.let_go()
    assert result.completion is not None
    assert delivered(result.events).begins(said_by(result.completion))
    assert said_by(result.completion).begins(half.said)
    assert result.completion.finish_reason == "error"
    assert result.completion.usage.estimated
    assert result.completion.trace.steps[-1].outcome == "cancelled"
    check_cost(result, whole.completion)


@pytest.mark.parametrize(("kind", "recording"), ONE_EACH)
async def test_a_finished_answer_is_not_spoilt_by_what_becomes_of_its_connection(
    kind: Kind, recording: Recording
) -> None:
    body = recording.body
    async with bench_of(kind, recording) as bench:
        for ending in ("stall", "reset", *DISORDERLY):
            # The last event arrives by itself, and then the connection is lost or falls silent.
            cut = Cut((body[:-1], body[-1:]), ending, recording.headers["content-type"])
            result = await bench.ask(cut, idle_timeout=5)
            if ending == "stall":
                assert result.completion is not None
            check(result, kind, recording, len(body), ending)
        await bench.server.let_go()


def around_events(kind: Kind, recording: Recording) -> list[int]:
    """Each event's end, and one byte to either side."""
    ends = [0, *(mark.end for mark in marks(kind, recording))]
    around = {end + d for end in ends for d in (-1, 0, 1)}
    return sorted(size for size in around if 0 <= size <= len(recording.body))


def check(result: Result, kind: Kind, recording: Recording, size: int, ending: Ending) -> None:
    """The stream ended in one of the two ways that it may."""
    told = marks(kind, recording)
    said = delivered(result.events)
    place = f"cut at {size} of {len(recording.body)}, {ending}"
    if result.completion is not None:
        assert size >= needed(kind, recording, at_end=ending in ORDERLY), place
        assert said == said_by(result.completion) == told[-1].said, place
        return
    assert ending not in ORDERLY or size < needed(kind, recording, at_end=True), place
    reached = size + 1 if kind.whole_without_separator else size
    sent = next((mark.said for mark in reversed(told) if mark.end <= reached), Said())
    assert said == sent if ending in ORDERLY else said.begins(sent), place
    if not result.events:
        assert isinstance(result.error, AllProvidersFailedError), place
        kinds = ProviderTimeoutError if ending == "stall" else ProviderConnectionError
        assert isinstance(result.error.exceptions[0], kinds), place
        return
    assert isinstance(result.error, StreamInterruptedError), place
    partial = result.error.completion
    assert partial is not None
    assert said_by(partial) == said, place
    assert partial.finish_reason == "error"
    assert partial.usage.estimated
    assert partial.trace.steps[-1].outcome == "interrupted"


def check_cost(result: Result, uncut: Completion) -> None:
    """A broken stream costs something where a whole one does: estimated, flagged, in the trace."""
    partial = result.completion or getattr(result.error, "completion", None)
    if partial is None:
        return
    assert (partial.cost is None) == (uncut.cost is None)
    assert partial.trace.steps[-1].cost == partial.cost
    if uncut.cost:
        assert partial.cost
        assert partial.usage.input_tokens > 0
