"""From a provider's reply to the caller's completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..accounting.money import usd
from ..completion import Completion
from ..errors import MalformedResponseError
from ..messages import Message, Text
from ..request import ChatRequest
from ..structured import parse_structured
from .costing import STATED

if TYPE_CHECKING:
    from ..clock import Clock
    from ..providers.base import Reply
    from .recorder import Recorder
    from .turn import Turn

__all__ = ["Settler"]

_PARSED = frozenset({"stop", "tool_calls"})


class Settler:
    """Makes the reply of an attempt that is in the books.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def completion(
        self,
        reply: Reply,
        turn: Turn,
        recorder: Recorder,
        *,
        group: str | None,
        parsed: object = None,
        first_token: float | None = None,
        whole: bool = True,
    ) -> Completion:
        """The caller's reply. The recorder's last step is the attempt that made it.

        Args:
            reply: What the provider sent.
            turn: The attempt.
            recorder: The call's record.
            group: The group whose chain served the call, if it was one.
            parsed: The answer in the form that was asked for.
            first_token: Seconds from the start of the call to the first delta.
            whole: The provider said that the answer is complete.
        """
        candidate, charge = turn.candidate, turn.booking.charge
        if charge is None or charge.usage is None:
            raise AssertionError("the attempt was not booked before its reply was made")
        warnings = reply.warnings
        if charge.cost is None:
            line = f"cost: unknown, {candidate.name} has no price"
            if charge.tier:
                line += f" in the tier {charge.tier!r}"
            warnings = (*warnings, f"{line}; add it to the price table")
        elif charge.price == STATED:
            line = f"price: {usd(charge.cost)} USD by LiteLLM's own table, unchecked"
            warnings = (*warnings, f"{line}; add {candidate.name} to the price table")
        return Completion(
            id=reply.id,
            message=Message("assistant", reply.parts),
            parsed=parsed,
            finish_reason=reply.finish_reason if whole else "error",
            native_finish_reason=reply.native_finish_reason,
            usage=charge.usage,
            cost=usd(charge.cost) if charge.cost is not None else None,
            provider=candidate.entry.provider,
            model=reply.model or candidate.entry.model,
            group=group,
            latency=recorder.elapsed(),
            time_to_first_token=first_token,
            trace=recorder.trace(),
            warnings=warnings,
            request_id=reply.meta.request_id,
            created=int(self._clock.now()),
            raw_body=reply.body,
        )

    @staticmethod
    def parse(reply: Reply, request: ChatRequest) -> object:
        """The answer in the form that was asked for; ``None`` where none was, or none came.

        Raises:
            MalformedResponseError: It is not of that form.
        """
        form = request.response_format
        if form is None or reply.finish_reason not in _PARSED:
            return None
        message = Message("assistant", reply.parts)
        if message.tool_calls and not message.text.strip():
            return None
        try:
            return parse_structured(form, message.text)
        except MalformedResponseError:
            # A preamble may stand before the answer, and OpenAI's models give it twice at times.
            texts = [part.text for part in message.parts if isinstance(part, Text)]
            if len(texts) < 2:
                raise
            return parse_structured(form, texts[-1])
