"""A configured limit, and which calls it is about."""

from __future__ import annotations

import fnmatch
import math
from typing import Literal

import msgspec

from ..errors import ConfigError

__all__ = ["LimitRule"]

_NUMBERS = ("rpm", "rpd", "tpm", "itpm", "otpm", "concurrency")


class LimitRule(msgspec.Struct, frozen=True):
    """What a provider allows, as one table ``[limits."PATTERN"]`` says.

    ``anthropic`` is the provider as a whole, all models out of one bucket. ``anthropic/claude-x``
    is one model. ``anthropic/*`` is each model apart, as vendors count ("rate limits are applied
    separately for each model"). Any other wildcard is one bucket for all that it matches, for the
    families that share a limit: ``anthropic/claude-opus-4*``. Each key has buckets of its own.
    Every rule that matches a call has to agree to it.

    Attributes:
        pattern: ``provider``, ``provider/model``, or ``provider/`` with ``*`` and ``?``.
        rpm: Requests a minute.
        rpd: Requests in any 24 hours.
        tpm: Tokens a minute, input and output together.
        itpm: Input tokens a minute.
        otpm: Output tokens a minute.
        concurrency: Requests under way at once.
        share: This instance's part of all of these, where several instances run; above 0, up to 1.
        burst: The part of a minute's worth that may go at once, above 0, up to 1. Vendors do not
            publish it; some enforce "60 a minute" as one a second. Lower it where a limit that is
            kept on average still draws 429s.
        output: Whether answers count by what they held (``actual``) or by the ``max_tokens`` that
            was asked for, with nothing given back (``reserved``). By default ``otpm`` is actual,
            as Anthropic documents it, and ``tpm`` is reserved, as OpenAI does.
        counts_cached_input: Whether input that was read from the provider's cache counts. By
            default it does in ``tpm`` and does not in ``itpm``.

    Raises:
        ConfigError: A number out of range, or a pattern that is none; ``param`` names the key.
    """

    pattern: str
    rpm: float | None = None
    rpd: float | None = None
    tpm: float | None = None
    itpm: float | None = None
    otpm: float | None = None
    concurrency: int | None = None
    share: float = 1.0
    burst: float = 1.0
    output: Literal["actual", "reserved"] | None = None
    counts_cached_input: bool | None = None

    def __post_init__(self) -> None:
        provider, slash, model = self.pattern.partition("/")
        if not provider or (slash and not model) or "*" in provider or "?" in provider:
            raise ConfigError(
                f'limits."{self.pattern}": expected a provider ("anthropic") or provider/model '
                '("anthropic/claude-x", "anthropic/*")',
                param=f'limits."{self.pattern}"',
            )
        for field in _NUMBERS:
            value = getattr(self, field)
            if value is not None and not (value >= 1 and math.isfinite(value)):
                self._refuse(field, value, "expected a number from 1; leave it out for no limit")
        for field in ("share", "burst"):
            value = getattr(self, field)
            if not 0 < value <= 1:
                self._refuse(field, value, "expected a part above 0, up to 1")

    def _refuse(self, field: str, value: object, hint: str) -> None:
        place = f'limits."{self.pattern}".{field}'
        raise ConfigError(f"{place}: {value!r} is out of range; {hint}", param=place)

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.pattern.partition("/")[0]

    @property
    def each_model(self) -> bool:
        """Whether every model has buckets of its own."""
        return self.pattern.partition("/")[2] == "*"

    def matches(self, provider: str, model: str) -> bool:
        """Whether a call of this model counts."""
        mine, slash, models = self.pattern.partition("/")
        return mine == provider and (not slash or fnmatch.fnmatchcase(model, models))
