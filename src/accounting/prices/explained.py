"""Why ``pricing.toml`` differs from ``genai-prices`` where it means to.

A reason is for one difference with its two figures: when either changes, it is a new difference,
which somebody has to look at.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec

from ...errors import ConfigError

__all__ = ["Explanation", "Explanations", "read_explanations"]


class Explanation(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}
):
    """Differences with one reason.

    Attributes:
        reason: Why ours stands.
        differences: As :class:`.diff.Difference` is written.
        since: The first day on which there are these; ``None``: always.
        until: The first day on which there no longer are.
    """

    reason: str
    differences: tuple[str, ...]
    since: dt.date | None = None
    until: dt.date | None = None

    def holds(self, on: dt.date) -> bool:
        """Whether they are expected on a day."""
        return (self.since is None or self.since <= on) and (self.until is None or on < self.until)


class Explanations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that the package has, as they stand in ``known_differences.toml``.

    Attributes:
        checked: The first day for which they are complete.
        known: The explanations.
    """

    checked: dt.date
    known: tuple[Explanation, ...]

    def reasons(self, on: dt.date, *, providers: Iterable[str]) -> dict[str, str]:
        """The reason for each difference that is expected on a day.

        Args:
            on: The day.
            providers: Of our tables, those whose differences are meant.
        """
        chosen = frozenset(providers)
        return {
            line: each.reason
            for each in self.known
            if each.holds(on)
            for line in each.differences
            if line.partition("/")[0] in chosen
        }


def read_explanations() -> Explanations:
    """Read them.

    Raises:
        ConfigError: The package was installed without the file.
    """
    import tomllib
    from pkgutil import get_data

    data = get_data(__package__, "known_differences.toml")
    if data is None:
        message = "known_differences.toml: this package was installed without its data files"
        raise ConfigError(message)
    return msgspec.convert(tomllib.loads(data.decode()), Explanations)
