"""A cut stream never looks like a finished one: every recorded stream, cut at every byte.

What is covered here, without sockets: the 117 recorded streams of ``../shared/wire`` in the four
formats that adapters speak (47 Anthropic Messages, 47 Chat Completions, 21 Responses, 2 Ollama
chats), each through the decoder that its real adapter makes. Chat Completions are read twice: as
``openai`` does, for which only ``[DONE]`` ends a stream, and as ``openai-compatible`` does, for
which an orderly end of the body after the finish reason will do.

- *Every byte.* The stream is fed one byte at a time, and after each byte the body is ended there.
  What may come of it was read out of the recording by other code (``streams.marks``): a delta
  appears with the last byte of its event and never else, and the answer is complete from the last
  byte of the terminal event on and never before. Ending the body must change nothing where it
  completes nothing, so one decoder serves all offsets; where it may complete something, a copy
  of the decoder is ended.
- *Cut in one piece.* A fresh decoder is fed the cut body at once, at every event's end and up to
  two bytes to either side, and at random other offsets (as many as 2 MB of decoding allow, drawn
  at random beyond that), and must be where the one fed by single bytes was.

The same over real sockets is in ``test_stream_contract_sockets.py``; spoiled rather than cut
streams are in ``test_stream_contract_disorder.py``.
"""

from __future__ import annotations

import copy
import random

import pytest

from switchgear.completion import StreamEvent
from switchgear.providers.base import Reply, ResponseMeta
from switchgear.providers.stream import Decoder
from tests.wire import replay
from tests.wire.replay import Recording
from tests.wire.streams import (
    KINDS,
    Kind,
    Mark,
    Said,
    decoder_of,
    delivered,
    marks,
    needed,
    recorded,
    said_by,
)

ALL = recorded(*KINDS)
META = ResponseMeta()

_DECODED_AT_MOST = 2_000_000


def test_the_recorded_streams_are_all_there() -> None:
    if ALL[0].values[1] is None:
        pytest.skip("recorded traffic is absent")
    counts = {kind.name: sum(param.values[0] is kind for param in ALL) for kind in KINDS}
    assert counts == {
        "anthropic": 47,
        "chat": 47,
        "responses": 21,
        "ollama": 2,
        "compatible": 47,
    }


@pytest.mark.parametrize(("kind", "recording"), ALL)
async def test_at_every_byte_a_cut_is_told_from_the_end(kind: Kind, recording: Recording) -> None:
    decoder = await decoder_of(kind, recording.request_body["model"])
    told = {mark.end: mark for mark in marks(kind, recording)}
    whole = await whole_reply(kind, recording)
    at_feed = needed(kind, recording, at_end=False)
    at_end = needed(kind, recording, at_end=True)
    seen: list[StreamEvent] = []
    for size in range(1, len(recording.body) + 1):
        events = decoder.feed(recording.body[size - 1 : size])
        seen += events
        assert decoder.error is None, size
        assert decoder.finished == (size >= at_feed), size
        mark = told.get(size)
        if mark is not None:
            assert delivered(seen) == mark.said, size
            assert said_by(decoder.snapshot(META)) == mark.said, size
        else:
            assert not events, size
        if size >= at_end:
            if not decoder.finished:
                check_ended(copy.deepcopy(decoder), seen, whole, kind)
        elif kind.whole_without_separator and size + 1 in told:
            check_cut(copy.deepcopy(decoder), seen, told[size + 1].said)
        else:
            assert not decoder.end(), size
            assert decoder.error is None, size
            assert not decoder.finished, size
    assert decoder.snapshot(META) == whole
    assert not decoder.end()


@pytest.mark.parametrize(("kind", "recording"), ALL)
async def test_what_was_complete_was_all_that_the_stream_says(
    kind: Kind, recording: Recording
) -> None:
    last = marks(kind, recording)[-1]
    whole = await whole_reply(kind, recording)
    assert said_by(whole) == last.said
    assert whole.native_finish_reason == last.finish
    assert (whole.usage.output_tokens if whole.usage is not None else None) == last.tokens


@pytest.mark.parametrize(("kind", "recording"), ALL)
async def test_a_body_cut_in_one_piece_is_read_as_by_single_bytes(
    kind: Kind, recording: Recording
) -> None:
    rng = random.Random(replay.seed())
    told = marks(kind, recording)
    at_end = needed(kind, recording, at_end=True)
    model = recording.request_body["model"]
    for size in sample(told, len(recording.body), rng):
        decoder = await decoder_of(kind, model)
        events = [*decoder.feed(recording.body[:size])]
        events += decoder.end()
        assert decoder.error is None, size
        assert decoder.finished == (size >= at_end), size
        reached = size + 1 if kind.whole_without_separator else size
        expected = said_until(told, reached if size < at_end else len(recording.body))
        assert delivered(events) == said_by(decoder.snapshot(META)) == expected, size


async def whole_reply(kind: Kind, recording: Recording) -> Reply:
    """What the uncut stream gives, fed in one piece."""
    decoder = await decoder_of(kind, recording.request_body["model"])
    decoder.feed(recording.body)
    assert decoder.finished
    return decoder.snapshot(META)


def check_cut(decoder: Decoder, seen: list[StreamEvent], said: Said) -> None:
    """The body ends here, before the separator of an event that is whole: it counts, no more."""
    events = [*seen, *decoder.end()]
    assert decoder.error is None
    assert not decoder.finished
    assert delivered(events) == said_by(decoder.snapshot(META)) == said


def check_ended(decoder: Decoder, seen: list[StreamEvent], whole: Reply, kind: Kind) -> None:
    """The body ends here, and this is enough: nothing is lacking but perhaps the usage."""
    events = [*seen, *decoder.end()]
    assert decoder.error is None
    assert decoder.finished
    assert not decoder.end()
    reply = decoder.snapshot(META)
    assert delivered(events) == said_by(reply) == said_by(whole)
    assert reply.parts == whole.parts
    assert reply.finish_reason == whole.finish_reason
    # A server that promises no [DONE] may count after the finish reason. A count that was cut off
    # is left out, so that the router estimates it and says so; it is never a wrong one.
    assert reply.usage == whole.usage or (reply.usage is None and kind.orderly_end_will_do)


def said_until(told: tuple[Mark, ...], size: int) -> Said:
    return next((mark.said for mark in reversed(told) if mark.end <= size), Said())


def sample(told: tuple[Mark, ...], length: int, rng: random.Random) -> list[int]:
    """Offsets to cut at: around the events' ends, and others; as many as there is time for."""
    around = {end + d for end in (0, *(mark.end for mark in told)) for d in range(-2, 3)}
    offsets = [size for size in around if 0 <= size <= length]
    offsets += [rng.randrange(length + 1) for _ in range(50)]
    rng.shuffle(offsets)
    budget = _DECODED_AT_MOST
    chosen = []
    for size in offsets:
        budget -= size
        if budget < 0:
            break
        chosen.append(size)
    return chosen
