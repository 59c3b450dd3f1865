"""What has gone wrong in one call so far: who failed, who was not asked, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BudgetBusyError, ProviderError, RateLimitError, SwitchgearError

if TYPE_CHECKING:
    from .breaker_values import Refusal
    from .plan import Candidate
    from .recorder import Recorder
    from .turn import Turn

__all__ = ["Setbacks"]


class Setbacks:
    """Collects them as they happen, and has the recorder write each down.

    Args:
        recorder: The call's record.

    Attributes:
        errors: Of the attempts that failed, in order.
        skips: Of the candidates that were not asked, in order.
        skipped_names: Theirs.
        unpaid: Those among the skips for which a budget or the ledger is the reason, the latest of
            each candidate by its name.
        queues: Candidates in whose way only a rate limit stands, by name.
        short: Candidates in whose way only the reservations of others stand, by name.
    """

    __slots__ = ("_recorder", "errors", "queues", "short", "skipped_names", "skips", "unpaid")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.errors: list[SwitchgearError] = []
        self.skips: list[SwitchgearError] = []
        self.skipped_names: list[str] = []
        self.unpaid: dict[str, SwitchgearError] = {}
        self.queues: dict[str, tuple[Candidate, Refusal]] = {}
        self.short: dict[str, Candidate] = {}

    def skipped(self, name: str, error: SwitchgearError) -> None:
        """A candidate can't serve this call."""
        self.skips.append(error)
        self.skipped_names.append(name)
        self._recorder.skip(name, error.message)

    def refused(self, candidate: Candidate, refusal: Refusal) -> None:
        """The gates let nobody to it now."""
        if refusal.waitable:
            self.queues[candidate.name] = candidate, refusal
        kind = RateLimitError if refusal.waitable else ProviderError
        wait = refusal.retry_in if refusal.retry_in >= 0 else None
        entry = candidate.entry
        error = kind(refusal.reason, provider=entry.provider, model=entry.model, retry_after=wait)
        self.skipped(candidate.name, error)

    def unaffordable(self, candidate: Candidate, error: SwitchgearError) -> None:
        """No budget, or no ledger, for an attempt: the next candidate may cost nothing."""
        self.unpaid[candidate.name] = error
        self.skipped(candidate.name, error)

    def failed(self, turn: Turn, error: SwitchgearError) -> None:
        """An attempt failed, or was not sent because it could not be put into the books."""
        if turn.booked is None:
            if isinstance(error, BudgetBusyError):
                self.short[turn.candidate.name] = turn.candidate
            self.unaffordable(turn.candidate, error)
            return
        self.errors.append(error)
        self._recorder.fail(turn, error)
