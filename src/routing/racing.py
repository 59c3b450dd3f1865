"""Hedging: an attempt that takes too long gets another one beside it, at the next candidate."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import SwitchgearError
from .gates import Entry
from .hedging import Finish, race
from .plan import Candidate, Skip
from .turn import Attempt, Lost, Turn, broken

if TYPE_CHECKING:
    from .attempts import Attempts
    from .deadline import Deadline
    from .gates import Gates, Visit
    from .recorder import Recorder
    from .setbacks import Setbacks

__all__ = ["Racing"]

T = TypeVar("T")


class Racing(Generic[T]):
    """Makes the attempts of one call that may get another one beside them.

    Args:
        plan: The call's candidates.
        after: Seconds without an answer until the second begins; ``True`` for the live 95th
            percentile of the first candidate's waits.
        attempt: Makes the call's attempts.
        lost: Told of one that was outrun.
        attempts: Books them and bounds them.
        setbacks: Told what goes wrong.
        gates: Who may be asked now.
        visit: Who asks.
        recorder: Knows when the call began.
        deadline: The call's.
    """

    def __init__(
        self,
        plan: Sequence[Candidate | Skip],
        after: float,
        attempt: Attempt[T],
        lost: Lost[T],
        *,
        attempts: Attempts,
        setbacks: Setbacks,
        gates: Gates,
        visit: Visit,
        recorder: Recorder,
        deadline: Deadline,
    ) -> None:
        self._plan = plan
        self._after = after
        self._attempt = attempt
        self._lost = lost
        self._attempts = attempts
        self._setbacks = setbacks
        self._gates = gates
        self._visit = visit
        self._recorder = recorder
        self._deadline = deadline
        self._seconds: dict[int, Turn] = {}

    def had(self, position: int) -> bool:
        """Whether this candidate of the plan has had its attempt, beside a slow one."""
        return position in self._seconds

    async def make(self, first: Turn, position: int) -> tuple[T] | SwitchgearError:
        """An attempt, and where it takes too long another one beside it.

        Args:
            first: The attempt.
            position: Its candidate's, in the plan.

        Returns:
            The first answer; where both fail, the first one's error. Everything else that comes of
            the two is written down here.
        """
        after = self._patience(first.candidate)
        if after is None:
            return await self._attempts.make(first, self._attempt)
        beside: list[Turn] = []

        def second() -> Coroutine[Any, Any, tuple[T] | SwitchgearError] | None:
            turn = self._second(position)
            if turn is None:
                return None
            beside.append(turn)
            return self._attempts.make(turn, self._attempt)

        async def discard(index: int, outcome: tuple[T] | SwitchgearError) -> None:
            if isinstance(outcome, tuple):
                await self._lost(first if index == 0 else beside[0], outcome[0])

        finish = await race(
            self._attempts.make(first, self._attempt),
            second,
            after=after,
            good=_is_good,
            discard=discard,
        )
        return await self._judge(finish, first, beside[0] if beside else None)

    def _patience(self, candidate: Candidate) -> float | None:
        """Seconds until a second begins; ``None`` where that is not known well enough yet."""
        if self._after is not True:
            return self._after
        return self._gates.of(candidate.name).waits[self._visit.stream].value()

    def _second(self, position: int) -> Turn | None:
        """An attempt at the next candidate that may be asked now, paid by its retry budget."""
        for index in range(position + 1, len(self._plan)):
            item = self._plan[index]
            if isinstance(item, Skip) or index in self._seconds:
                continue
            entry = self._gates.enter(item, self._visit, repeat=True)
            if isinstance(entry, Entry):
                until = self._recorder.elapsed() + self._deadline.remaining()
                turn = self._attempts.turn(item, entry, until, hedge=True)
                self._seconds[index] = turn
                return turn
        return None

    async def _judge(
        self, finish: Finish[tuple[T] | SwitchgearError], turn: Turn, other: Turn | None
    ) -> tuple[T] | SwitchgearError:
        """The outcome of a race: that of a good attempt, else the first one's error."""
        first, second = finish
        if other is not None and isinstance(second, SwitchgearError):
            self._failed(other, second)
        if isinstance(first, tuple):
            if second is None and (other is None or other.booked is None):
                return first  # the second was not sent
            if other is not None and not isinstance(second, SwitchgearError):
                await self._lost(other, second[0] if second is not None else None)
            return first
        if isinstance(second, tuple):
            if first is not None:
                self._setbacks.failed(turn, first)
            elif turn.booked is not None:
                await self._lost(turn, None)
            return second
        return first if first is not None else broken(turn, RuntimeError("outrun"))

    def _failed(self, second: Turn, error: SwitchgearError) -> None:
        self._setbacks.failed(second, error)
        if second.booked is None:
            # It was not sent, so its candidate has not had its attempt.
            self._seconds = {i: turn for i, turn in self._seconds.items() if turn is not second}


def _is_good(outcome: object) -> bool:
    return isinstance(outcome, tuple)
