"""Checks 22 to 28: streams and answers that something spoils on their way."""

from __future__ import annotations

from typing import Any

from ...errors import MalformedResponseError, ProviderError, ProviderTimeoutError, ServerError
from ...providers.base import Reply
from ..answers import Answer
from ..faults import BrokenReply, Fault
from .check import Failed, check
from .trial import Streamed, Trial, expect

_PIECES = ("Half ", "of ", "this ", "is ", "less ", "than ", "all ", "of ", "it.")
_WHOLE = Answer(text="".join(_PIECES), chunks=_PIECES)
_NOTHING = Reply(parts=(), finish_reason="error")
_SOON = 0.25
_WORDS = {
    "cut": "is cut",
    "reset": "is reset",
    "no_terminal": "lacks its end",
    "stream_error": "ends in the vendor's error",
    "stall": "falls silent",
    "broken_json": "has half an event",
    "wrong_content_type": "is a web page",
    "empty_body": "is empty",
}


@check(22)
async def cut_stream(trial: Trial) -> None:
    """A cut stream is an error.

    A connection that closes or is reset in the middle of a stream ends it in an error of ours,
    never as a finished answer; the deltas before it were delivered.
    """
    for outcome in (
        Fault.cut(after_chunks=4, answer=_WHOLE),
        Fault.reset(after_chunks=4, answer=_WHOLE),
    ):
        read = await _broken(trial, outcome)
        expect(
            _WHOLE.text is not None and _WHOLE.text.startswith(read.text),
            f"expected the beginning of {_WHOLE.text!r}, came {read.text!r}",
        )


@check(23)
async def early_end(trial: Trial) -> None:
    """A stream that ends too early is an error.

    A body that ends in good order in the middle of the answer is told from a whole one.
    """
    await _broken(trial, Fault.no_terminal(after_chunks=4, answer=_WHOLE))


@check(24)
async def missing_end(trial: Trial) -> None:
    """A stream without its last event is an error.

    An answer whose text is all there, but for the event that says so, does not count as whole:
    its finish reason or its usage may be lacking.
    """
    await _broken(trial, Fault.no_terminal(answer=_WHOLE))


@check(25)
async def error_in_stream(trial: Trial) -> None:
    """An error inside a stream.

    The vendor's own error event ends the stream in the error that it means, behind the deltas
    that came before.
    """
    fault = Fault.stream_error(Fault.overloaded(), after_chunks=3, answer=_WHOLE)
    read = await _broken(trial, fault)
    expect(
        isinstance(read.error, ServerError),
        f"expected OverloadedError or ServerError of an overloaded vendor, came {read.error!r}",
    )
    expect(read.text, "expected the deltas before the error, they are lost")


@check(26)
async def stalled_stream(trial: Trial) -> None:
    """A stream that falls silent.

    Silence for longer than the call's timeout ends a stream in ``ProviderTimeoutError``.
    """
    fault = Fault.stall(after_chunks=3, answer=_WHOLE)
    read = await _broken(trial, fault, timeout=_SOON)
    expect(
        isinstance(read.error, ProviderTimeoutError),
        f"expected ProviderTimeoutError, came {read.error!r}",
    )


@check(27)
async def malformed_stream(trial: Trial) -> None:
    """A stream that is none.

    Broken JSON inside a stream, a proxy's HTML page and an empty body are errors of ours.
    """
    for outcome in (
        Fault.broken_json(after_events=1, answer=_WHOLE),
        Fault.wrong_content_type(),
        Fault.empty_body(),
    ):
        await _broken(trial, outcome)


@check(28)
async def malformed_answer(trial: Trial) -> None:
    """An answer that is none.

    Broken JSON, a proxy's HTML page and an empty body, all with a status of 200, raise
    ``MalformedResponseError``.
    """
    for outcome in (Fault.broken_json(), Fault.wrong_content_type(), Fault.empty_body()):
        error = await trial.failure(outcome)
        expect(
            isinstance(error, MalformedResponseError),
            f"expected MalformedResponseError ({outcome.kind}), came {error!r}",
        )


async def _broken(trial: Trial, outcome: BrokenReply, **fields: Any) -> Streamed:
    """A stream that has to end in an error, and not to be finished."""
    what = f"a stream that {_WORDS[outcome.kind]}"
    try:
        read = await trial.read(trial.call(**fields), outcome)
    except ProviderError as exc:
        return Streamed((), _NOTHING, finished=False, error=exc)
    if read.error is None:
        raise Failed(f"expected an error of {what}, came an answer: {read.text!r}")
    if not isinstance(read.error, ProviderError):
        raise Failed(f"expected a ProviderError of {what}, came {read.error!r}") from read.error
    expect(not read.finished, f"expected {what} not to be finished, it says it is")
    return read
