"""What a circuit breaker is set to."""

from __future__ import annotations

import math

import msgspec

from ..errors import ConfigError

__all__ = ["BreakerSettings"]


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a candidate is left alone, and how it comes back.

    Attributes:
        failure_rate: Opens once this share of the window's calls has failed, above 0, up to 1.
        minimum_calls: Fewer calls in the window than this make no rate.
        window: Seconds that an outcome counts.
        consecutive_failures: Opens after that many failures without a success between them, so
            that a dead provider is left before the window has its minimum.
        open_seconds: How long an open circuit lets nothing through. Every failed round of probes
            doubles it.
        longest_open: Seconds; it never doubles past this.
        probes: Calls let through at once while half-open.
        probe_successes: Successful probes that close it; the first failed one opens it again.
        probe_timeout: Seconds after which a probe that was not heard of no longer keeps others
            out. Its outcome still counts if the circuit is still half-open then.
        ramp_seconds: After closing, the share of calls let through grows from 10 % to all within
            this time, since what has just recovered may not bear everything at once. 0: all at
            once.
        slow_call_seconds: A success whose first token took longer is a slow call; ``None`` for no
            such limit. A slow probe counts as a failed one.
        slow_call_rate: Opens once this share of the window's calls was slow, above 0, up to 1.

    Raises:
        ConfigError: A value that makes no sense; ``param`` names it.
    """

    failure_rate: float = 0.5
    minimum_calls: int = 10
    window: float = 60.0
    consecutive_failures: int = 5
    open_seconds: float = 30.0
    longest_open: float = 300.0
    probes: int = 1
    probe_successes: int = 1
    probe_timeout: float = 60.0
    ramp_seconds: float = 10.0
    slow_call_seconds: float | None = None
    slow_call_rate: float = 0.8

    def __post_init__(self) -> None:
        for name in ("failure_rate", "slow_call_rate"):
            self._check(name, "a share above 0, at most 1", holds=0 < getattr(self, name) <= 1)
        for name in ("minimum_calls", "consecutive_failures", "probes", "probe_successes"):
            self._check(name, "a whole number from 1", holds=getattr(self, name) >= 1)
        for name in ("window", "open_seconds", "longest_open", "probe_timeout"):
            self._check(name, "seconds above 0", holds=0 < getattr(self, name) < math.inf)
        self._check("ramp_seconds", "seconds from 0", holds=0 <= self.ramp_seconds < math.inf)
        slow = self.slow_call_seconds
        self._check(
            "slow_call_seconds", "seconds above 0", holds=slow is None or 0 < slow < math.inf
        )
        least = f"at least open_seconds ({self.open_seconds:g})"
        self._check("longest_open", least, holds=self.longest_open >= self.open_seconds)

    def _check(self, name: str, what: str, *, holds: bool) -> None:
        if not holds:
            message = f"breaker.{name}: must be {what}, but is {getattr(self, name)!r}"
            raise ConfigError(message, param=f"breaker.{name}")
