"""The errors that a call ends with, each with the call's trace."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import (
    AllProvidersFailedError,
    BudgetBusyError,
    BudgetError,
    DeadlineExceededError,
    InvalidRequestError,
    LedgerError,
    LifecycleError,
    ProviderError,
    SwitchgearError,
    UnboundedCostError,
)

if TYPE_CHECKING:
    from .recorder import Recorder
    from .setbacks import Setbacks

__all__ = ["Ending"]


class Ending:
    """Makes the error for a call without an answer. Whoever asks for one raises it.

    Args:
        timeout: Seconds that the call was given.
        setbacks: What went wrong.
        recorder: The call's record.
        target: The group or model whose candidates were asked: another one than the caller named,
            where a budget has exchanged that.
    """

    __slots__ = ("_recorder", "_setbacks", "_target", "_timeout")

    def __init__(self, timeout: float, setbacks: Setbacks, recorder: Recorder, target: str) -> None:
        self._target = target
        self._timeout = timeout
        self._setbacks = setbacks
        self._recorder = recorder

    def by(self, error: SwitchgearError) -> SwitchgearError:
        """This failure ends the call: nobody else can mend it."""
        error.trace = self._recorder.trace()
        return error

    def closed(self) -> SwitchgearError:
        """The router was closed."""
        return self.by(LifecycleError("the router was closed during the call"))

    def too_late(self) -> SwitchgearError:
        """The deadline is over; the last failure, if there was one, is the cause."""
        message = f"the call's timeout of {self._timeout:g} s is over"
        error = self.by(DeadlineExceededError(message))
        if self._setbacks.errors:
            error.__cause__ = self._setbacks.errors[-1]
        return error

    def exhausted(self) -> SwitchgearError:
        """Nobody is left to be asked."""
        setbacks = self._setbacks
        if not setbacks.errors:
            if _unpaid_or_unfit(setbacks.skips):
                return self.by(self._unpaid())
            if (error := self._unfit()) is not None:
                return self.by(error)
        causes = [*setbacks.errors, *setbacks.skips]
        waits = [exc.retry_after for exc in causes if exc.retry_after is not None]
        return self.by(
            AllProvidersFailedError(
                f"all candidates of {self._target!r} failed",
                setbacks.errors or setbacks.skips,
                retry_after=min(waits, default=None),
            )
        )

    def _unpaid(self) -> SwitchgearError:
        """Money alone stands in the way of those that could serve it.

        A budget that may have room later says more than one that will not, and one that is spent
        more than a candidate for which none would do: that one can't be had for any money.
        """
        unpaid = [*self._setbacks.unpaid.values()] or [
            error for error in self._setbacks.skips if isinstance(error, BudgetError)
        ]
        later = (error for error in unpaid if isinstance(error, BudgetBusyError))
        bounded = (error for error in unpaid if not isinstance(error, UnboundedCostError))
        return next(later, None) or next(bounded, unpaid[0])

    def _unfit(self) -> SwitchgearError | None:
        """Nothing was sent, and for one reason in the request: that reason is the error."""
        skips = self._setbacks.skips
        if not skips or isinstance(skips[0], ProviderError) or len(set(map(type, skips))) > 1:
            return None
        named = zip(self._setbacks.skipped_names, skips, strict=True)
        names = "; ".join(f"{name}: {error.message}" for name, error in named)
        return type(skips[0])(f"no candidate can serve this: {names}", param=skips[0].param)


def _unpaid_or_unfit(skips: Sequence[SwitchgearError]) -> bool:
    unpaid = [isinstance(error, BudgetError | LedgerError) for error in skips]
    unfit = [isinstance(error, InvalidRequestError) for error in skips]
    return any(unpaid) and all(map(operator.or_, unpaid, unfit))
