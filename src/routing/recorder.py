"""Writes the decision record of one call as it happens."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from ..accounting.money import Pico, usd
from ..clock import Clock
from ..decision import Outcome, Step, Trace
from ..errors import SwitchgearError

if TYPE_CHECKING:
    from .turn import Turn

__all__ = ["Recorder"]


class Recorder:
    """Collects the steps of one call. Times are seconds from its start.

    Attributes:
        now: The clock's monotonic time, seconds.
        started: When the call began, by it.
    """

    __slots__ = ("_labels", "_steps", "_target", "now", "started")

    def __init__(self, target: str, labels: dict[str, str], clock: Clock) -> None:
        self._target = target
        self._labels = labels
        self.now = clock.monotonic
        self._steps: list[Step] = []
        self.started = clock.monotonic()

    @property
    def steps(self) -> int:
        """How many have been written down."""
        return len(self._steps)

    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self.now() - self.started

    def skip(self, candidate: str, reason: str) -> None:
        """A candidate that was not tried."""
        step = Step(candidate, "skipped", reason, started=self.elapsed())
        self._steps.append(step)

    def cached(self, candidate: str, reason: str, first_token: float | None) -> None:
        """An answer that cost nothing.

        Args:
            candidate: Who once gave it.
            reason: How it came to be there.
            first_token: Seconds from the start of the call to the first delta.
        """
        began = max((step.started + step.duration for step in self._steps), default=0.0)
        step = Step(
            candidate,
            "cached",
            reason,
            started=began,
            duration=max(0.0, self.elapsed() - began),
            time_to_first_token=None if first_token is None else max(0.0, first_token - began),
            cost=Decimal(0),
        )
        self._steps.append(step)

    def heard(self, trace: Trace) -> None:
        """What another call went through on behalf of this one, which it costs nothing."""
        self._steps += (
            msgspec.structs.replace(step, cost=None, bound=None) for step in trace.steps
        )

    def fail(self, turn: Turn, error: SwitchgearError) -> None:
        """An attempt that ended in an error."""
        self._add(
            turn,
            "failed",
            reason=error.message,
            status=error.status,
            code=error.code,
            error=type(error).__name__,
            request_id=error.request_id,
        )

    def end(
        self,
        turn: Turn,
        outcome: Outcome,
        *,
        reason: str = "",
        first_token: float | None = None,
        request_id: str | None = None,
    ) -> None:
        """An attempt that reached an answer, whole or not.

        Args:
            turn: The attempt.
            outcome: What became of it.
            reason: Why it is not whole.
            first_token: Seconds from the start of the call to the first delta.
            request_id: The provider's id of the request.
        """
        wait = None if first_token is None else first_token - turn.began
        self._add(turn, outcome, reason=reason, time_to_first_token=wait, request_id=request_id)

    def _add(self, turn: Turn, outcome: Outcome, **fields: Any) -> None:
        began, entry = turn.began, turn.entry
        charge = turn.booked.charge if turn.booked is not None else None
        if charge is not None and not charge.nothing:
            cost = fields["cost"] = _dollars(charge.cost)
            # The same of most attempts, and the decimal is dear to make.
            fields["bound"] = cost if charge.bound == charge.cost else _dollars(charge.bound)
            if charge.usage is not None:
                fields["input_tokens"] = charge.usage.input_tokens
                fields["output_tokens"] = charge.usage.output_tokens
        self._steps.append(
            Step(
                turn.candidate.name,
                outcome,
                started=began,
                duration=self.elapsed() - began,
                waited=turn.waited,
                repeat=turn.repeat,
                circuit=entry.circuit,
                room=entry.room,
                **fields,
            )
        )

    def trace(self) -> Trace:
        """The record so far."""
        return Trace(self._target, tuple(self._steps), self._labels)


def _dollars(amount: Pico | None) -> Decimal | None:
    return usd(amount) if amount is not None else None
