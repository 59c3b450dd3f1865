"""What cooldowns are set to, and what they tell."""

from __future__ import annotations

import math
from typing import Literal, Protocol, TypeAlias

import msgspec

from ..errors import ConfigError

__all__ = [
    "WORDS",
    "Cause",
    "Cooldown",
    "CooldownChange",
    "CooldownFleet",
    "CooldownSettings",
    "CooldownWord",
    "Key",
]

Cause: TypeAlias = Literal["key", "model", "quota", "rate"]
# A provider, and a model of it; a provider as a whole has None.
Key: TypeAlias = tuple[str, str | None]

WORDS: dict[Cause, str] = {
    "key": "its key was refused (401)",
    "model": "it refuses this model (403, 404)",
    "quota": "out of quota or credit",
    "rate": "rate limited (429)",
}
"""What each cause means, for a person."""


class CooldownSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long what said no is left alone. All in seconds but ``distinct_calls``.

    Attributes:
        key_seconds: After a 401, until the provider is probed; and from probe to probe.
        model_seconds: After 403 or 404, until the model is probed; and from probe to probe.
        distinct_calls: That many different calls must have met 403 or 404, without a success of the
            model between them: a single 404 may mean a file that the request names.
        quota_seconds: Out of quota or credit, until the candidate is probed.
        rate_seconds: A 429 that names no time. Providers that name none recover within seconds.
        longest: No provider's ``retry-after`` counts for more than this.
        probe_timeout: How long others wait for a probe's outcome, at most. Never longer than the
            cooldown itself was.
        most: Models remembered at once, since callers may name any; the oldest are forgotten.

    Raises:
        ConfigError: A value that makes no sense; ``param`` names it.
    """

    key_seconds: float = 300.0
    model_seconds: float = 300.0
    distinct_calls: int = 3
    quota_seconds: float = 900.0
    rate_seconds: float = 5.0
    longest: float = 3600.0
    probe_timeout: float = 60.0
    most: int = 1024

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                message = f"cooldown.{name}: must be above 0, but is {value!r}"
                raise ConfigError(message, param=f"cooldown.{name}")


class CooldownChange(msgspec.Struct, frozen=True):
    """A cooldown began or ended.

    Attributes:
        name: Who: a provider, or ``provider/model``.
        began: It began; else it ended.
        reason: What it was for, in a few words.
        retry_in: Seconds until a probe may go; 0 where it ended.
    """

    name: str
    began: bool
    reason: str
    retry_in: float


class Cooldown(msgspec.Struct, frozen=True):
    """One cooldown, for a person and for code.

    Attributes:
        provider: Who cools down.
        model: Which model; ``None`` for the whole provider.
        reason: What it said.
        since: When it began, seconds since the epoch.
        retry_in: Seconds until the next probe may go.
        probing: A probe is on its way.
    """

    provider: str
    model: str | None
    reason: str
    since: float
    retry_in: float
    probing: bool

    def __str__(self) -> str:
        name = self.provider if self.model is None else f"{self.provider}/{self.model}"
        then = "a probe is on its way" if self.probing else f"next probe in {self.retry_in:.0f} s"
        return f"{name}: cooling down ({self.reason}), {then}"


class CooldownWord(msgspec.Struct, frozen=True):
    """What a fleet says of a cooldown. Times are relative, since clocks of machines differ.

    Attributes:
        cause: What was said.
        active: It is on; else it was, and has been ended by a success.
        ago: Seconds since it began.
        left: Seconds until the next probe may go.
        length: Seconds that it takes in all.
        held: Seconds that another replica's probe may still take; 0 for none.
    """

    cause: Cause
    active: bool
    ago: float
    left: float
    length: float
    held: float


class CooldownFleet(Protocol):
    """The fleet behind the cooldowns, as these see it. Nothing here waits.

    A ``version`` is that of the fleet's which a call had heard of when it was let through.
    """

    version: int

    def cooled(self, key: Key, cause: Cause, seconds: float, version: int) -> None:
        """It said no, for so long."""

    def cleared(self, key: Key, version: int) -> None:
        """A success ended its cooldown."""

    def struck(self, key: Key, call_id: str) -> None:
        """It refused the model to this call."""

    def sound(self, key: Key) -> None:
        """The model answered."""

    def probing(self, key: Key, seconds: float) -> None:
        """A probe goes; it may take so long."""

    def probed(self, key: Key) -> None:
        """The probe is over."""
