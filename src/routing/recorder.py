"""Writes the decision record of one call as it happens."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from ..clock import Clock
from ..completion import Usage
from ..decision import Outcome, Step, Trace
from ..errors import SwitchgearError

if TYPE_CHECKING:
    from .turn import Turn

__all__ = ["Recorder"]


class Recorder:
    """Collects the steps of one call. Times are seconds from its start."""

    __slots__ = ("_clock", "_labels", "_steps", "_target", "started")

    def __init__(self, target: str, labels: dict[str, str], clock: Clock) -> None:
        self._target = target
        self._labels = labels
        self._clock = clock
        self._steps: list[Step] = []
        self.started = clock.monotonic()

    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self._clock.monotonic() - self.started

    def skip(self, candidate: str, reason: str) -> None:
        """A candidate that was not tried."""
        step = Step(candidate, "skipped", reason, started=self.elapsed())
        self._steps.append(step)

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
        self._steps.append(
            Step(
                turn.candidate.name,
                outcome,
                started=turn.began,
                duration=self.elapsed() - turn.began,
                waited=turn.waited,
                repeat=turn.repeat,
                circuit=turn.entry.circuit,
                room=turn.entry.room,
                **fields,
            )
        )

    def settle(self, usage: Usage, cost: Decimal | None, bound: Decimal | None) -> None:
        """What the last attempt used and cost, and the most that it can have cost."""
        self._steps[-1] = msgspec.structs.replace(
            self._steps[-1],
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=cost,
            bound=bound,
        )

    def trace(self) -> Trace:
        """The record so far."""
        return Trace(self._target, tuple(self._steps), self._labels)
