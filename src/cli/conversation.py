"""One turn, and one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import SwitchgearError
from ..messages import Message
from .failure import Failure
from .output import Answer, complain, say, show_trace, warn, write_json
from .questions import ask, prompting

if TYPE_CHECKING:
    from ..completion import Completion
    from .session import Session

__all__ = ["Talk", "converse"]

_ENDINGS = {
    "length": "the answer stops at its longest; --max-tokens allows a longer one",
    "content_filter": "the provider held back the answer",
    "refusal": "the model declined to answer",
    "pause": "the provider paused the answer; it is not complete",
}


class Talk:
    """What every turn has in common.

    Args:
        session: Where it happens.
        model: The group or model that is asked.
        options: Of each call, as ``CallOptions`` has them.
        streamed: The answer is shown as it comes.
        traced: Every attempt is shown after it.
        as_json: The answer is shown as JSON.
    """

    def __init__(
        self,
        session: Session,
        model: str,
        options: dict[str, Any],
        *,
        streamed: bool,
        traced: bool,
        as_json: bool,
    ) -> None:
        self.model = model
        self._session = session
        self._options = options
        self._streamed = streamed
        self.traced = traced
        self._as_json = as_json

    def turn(self, messages: Sequence[Message]) -> Completion:
        """Ask, and show the answer.

        Raises:
            SwitchgearError: The call failed.
            KeyboardInterrupt: It was stopped.
        """
        ask_once = self._stream if self._streamed else self._complete
        try:
            reply = self._session.run(ask_once(messages))
        except SwitchgearError as exc:
            if self.traced and exc.trace is not None:
                show_trace(exc.trace, err=True)
            raise
        for warning in reply.warnings:
            warn(warning)
        if note := _ENDINGS.get(reply.finish_reason) or ("" if reply.parts else "no answer came"):
            warn(note)
        if self.traced:
            show_trace(reply.trace, err=True)
        return reply

    async def _complete(self, messages: Sequence[Message]) -> Completion:
        reply = await self._session.router.complete(self.model, messages, **self._options)
        if self._as_json:
            shown = reply.to_openai()
            ours = {**shown["switchgear"], "latency": reply.latency, "trace": reply.trace.to_dict()}
            write_json({**shown, "switchgear": ours})
        else:
            answer = Answer()
            answer.write(reply.text)
            answer.end()
        return reply

    async def _stream(self, messages: Sequence[Message]) -> Completion:
        answer = Answer()
        try:
            await self._session.router.ready()
            async with self._session.router.stream(self.model, messages, **self._options) as stream:
                async for event in stream:
                    answer.write(event.text)
        finally:
            # Also where it broke: what is said about that stands apart from the half answer.
            answer.end()
        return stream.completion


def converse(talk: Talk, opening: Sequence[Message]) -> None:
    """Turn by turn until the end of the input.

    A turn that failed or was stopped does not end the conversation, and is not part of it.
    """
    prompting()
    say(f"asking {talk.model}; Ctrl-D ends, Ctrl-C stops an answer", err=True, dim=True)
    messages = list(opening)
    while True:
        try:
            line = ask()
        except EOFError:
            say(err=True)
            return
        except UnicodeError:
            complain("the line is not valid UTF-8 text")
            continue
        if not line.strip():
            continue
        asked = [*messages, Message("user", line)]
        try:
            reply = talk.turn(asked)
        except KeyboardInterrupt:
            say("stopped", err=True, dim=True)
        except SwitchgearError as exc:
            failure = Failure(exc, traced=talk.traced)
            complain(failure.message, hint=failure.hint)
        else:
            messages = [*asked, reply.message]
