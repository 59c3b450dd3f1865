"""What a circuit breaker tells."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import msgspec

from ..config.breaker import BreakerSettings
from ..errors import (
    MalformedResponseError,
    PluginError,
    ProviderConnectionError,
    ProviderTimeoutError,
    ServerError,
    StreamInterruptedError,
)

__all__ = [
    "BreakerChange",
    "BreakerHealth",
    "BreakerSettings",
    "BreakerState",
    "CircuitFleet",
    "CircuitWord",
    "Refusal",
    "Result",
    "is_failure",
]

BreakerState: TypeAlias = Literal["closed", "open", "half-open", "ramping"]

Result: TypeAlias = Literal["success", "slow", "failure", "ignored"]

_FAILURES = (
    ProviderTimeoutError,
    ProviderConnectionError,
    ServerError,
    MalformedResponseError,
    StreamInterruptedError,
    PluginError,
)


def is_failure(error: BaseException) -> bool:
    """Whether an error speaks against the candidate.

    Time-outs, broken connections and streams, 5xx, malformed bodies and broken plugins do. What
    the caller made (4xx), 429 and cancellations say nothing about its health: they are ignored.
    """
    return isinstance(error, _FAILURES)


class CircuitWord(msgspec.Struct, frozen=True):
    """What a fleet decided of a circuit. Times are relative, since clocks of machines differ.

    Attributes:
        state: The state that it is in.
        ago: Seconds since this state began.
        left: Seconds until it ends by itself; for ``open`` and ``ramping`` only.
        rounds: Rounds of probes that failed, which double the next wait.
        reason: Why, in a few words.
    """

    state: BreakerState
    ago: float
    left: float
    rounds: int
    reason: str


class CircuitFleet(Protocol):
    """The fleet behind a breaker, as the breaker sees it. Nothing here waits."""

    @property
    def leads(self) -> bool:
        """The circuit is as the fleet has decided, and the fleet can be heard."""

    def refused(self) -> None:
        """A call was refused for the circuit's sake: there are calls that could be a probe."""

    def leave(self) -> str | None:
        """Leave for one probe, used up with this; ``None`` while there is none."""

    def probed(self, leave: str | None, result: Result) -> None:
        """A probe ended."""

    def counted(self, result: Result) -> None:
        """Any other attempt ended whose outcome matters."""

    def departed(self) -> None:
        """The breaker moved the circuit by itself, to where the fleet may not be."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a call may not go to a candidate now.

    Attributes:
        reason: For a trace, in one line.
        retry_in: Seconds after which asking again makes sense; for a probe that is awaited, the
            longest that this can take.
        soft: Holds only while there is another candidate: whoever has none left may insist.
        waitable: Only a rate limit stands in the way, so a call that can wait that long may.
    """

    reason: str
    retry_in: float
    soft: bool = False
    waitable: bool = False


class BreakerChange(msgspec.Struct, frozen=True):
    """A circuit went from one state to another.

    Attributes:
        name: The candidate, ``provider/model``.
        before: The state that it left.
        after: The state that it is in now.
        reason: Why, in a few words.
        retry_in: Seconds until it may be probed, where it opened; else 0.
        at: When it was noticed, seconds since the epoch.
    """

    name: str
    before: BreakerState
    after: BreakerState
    reason: str
    retry_in: float
    at: float


class BreakerHealth(msgspec.Struct, frozen=True):
    """How a candidate stands. ``str()`` is a line for a person.

    Attributes:
        name: The candidate, ``provider/model``.
        state: ``closed`` is healthy.
        since: When this state began, seconds since the epoch.
        reason: What led to this state; empty if it was never another.
        calls: Outcomes in the window.
        failures: Failed ones among them.
        slow_calls: Slow ones among them.
        failure_rate: ``failures / calls``; ``None`` without calls.
        failures_in_a_row: Since the last success.
        opened: How often the circuit has opened so far.
        share: Of calls that are let through: 1 closed, 0 open and half-open, between while ramping.
        retry_in: Seconds until an open circuit may be probed; else 0.
    """

    name: str
    state: BreakerState
    since: float
    reason: str
    calls: int
    failures: int
    slow_calls: int
    failure_rate: float | None
    failures_in_a_row: int
    opened: int
    share: float
    retry_in: float

    def __str__(self) -> str:
        parts = [f"{self.name}: {self.state}"]
        if self.reason and self.state != "closed":
            parts.append(f"({self.reason})")
        if self.state == "open":
            parts.append(f"next probe in {self.retry_in:.0f} s")
        elif self.state == "ramping":
            parts.append(f"takes {self.share:.0%} of its calls")
        if self.calls:
            slow = f" and {self.slow_calls} slow" if self.slow_calls else ""
            parts.append(f"— {self.failures} failed{slow} of {self.calls} lately")
        return " ".join(parts)
