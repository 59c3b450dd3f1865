"""Writes the decision record of one call as it happens."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ..clock import Clock
from ..completion import Usage
from ..decision import Outcome, Step, Trace
from ..errors import SwitchgearError

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

    def fail(
        self,
        candidate: str,
        error: SwitchgearError,
        *,
        began: float,
        waited: float,
        repeat: int,
        circuit: str,
        room: float | None,
    ) -> None:
        """An attempt that ended in an error."""
        step = Step(
            candidate,
            "failed",
            error.message,
            started=began,
            duration=self.elapsed() - began,
            waited=waited,
            repeat=repeat,
            circuit=circuit,
            room=room,
            status=error.status,
            code=error.code,
            error=type(error).__name__,
            request_id=error.request_id,
        )
        self._steps.append(step)

    def end(
        self,
        candidate: str,
        outcome: Outcome,
        *,
        began: float,
        waited: float,
        repeat: int,
        circuit: str,
        room: float | None,
        reason: str = "",
        first_token: float | None = None,
        request_id: str | None = None,
    ) -> None:
        """An attempt that reached an answer, whole or not."""
        step = Step(
            candidate,
            outcome,
            reason,
            started=began,
            duration=self.elapsed() - began,
            waited=waited,
            repeat=repeat,
            circuit=circuit,
            room=room,
            time_to_first_token=first_token,
            request_id=request_id,
        )
        self._steps.append(step)

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
