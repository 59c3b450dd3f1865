"""A configured spending limit, and whose spending it is about."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ..errors import ConfigError
from .values import EMPTY

__all__ = ["SCOPES", "BudgetRule", "Downgrade", "Enforcement", "Period"]

Period: TypeAlias = Literal["hour", "day", "week", "month", "run", "ever"]
Enforcement: TypeAlias = Literal["hard", "soft"]

SCOPES: Final = (
    "global",
    "project",
    "agent",
    "agent-type",
    "run",
    "provider",
    "model",
    "key",
    "api-key",
    "tag",
)
_OF_A_CANDIDATE: Final = frozenset({"provider", "model", "key"})
_TWELVE_PLACES: Final = -12
_LARGEST: Final = Decimal(1_000_000_000)
"""USD. Counters are 64-bit integers of 10⁻⁹ USD."""


class Downgrade(msgspec.Struct, frozen=True):
    """What becomes of groups once much of a budget is spent, or too little of a hard one is left.

    Attributes:
        at: The part of the budget, above 0 and below 1, from which it holds.
        groups: The group that is asked for, and the one that answers in its place. One
            budget moves a call one step: what it puts in a group's place it does not exchange again
            unless it refuses that too.
    """

    at: float
    groups: Mapping[str, str] = EMPTY


class BudgetRule(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be spent, as one table ``[[budgets]]`` says.

    Every rule that matches an attempt has to agree to it. ``project:*`` is a budget for each
    project apart, ``project:p1`` one for that project alone; ``global`` is everything. An attempt
    without the label in question counts as one whose label is empty: leaving the label out is no
    way around a budget.

    Attributes:
        scope: ``global``, or a kind with a value: ``project:``, ``agent:``, ``agent-type:``,
            ``run:``, ``provider:``, ``model:provider/model``, ``key:`` (a provider's own
            credential: calls that bring their own key do not count), ``api-key:`` (a virtual key),
            ``tag:name=value``. The value ``*`` is each value apart.
        usd: The limit of one period.
        period: ``hour``, ``day``, ``week`` (from Monday), ``month``, ``run`` (each ``run_id``
            apart) or ``ever``.
        timezone: Where its day, week and month begin.
        enforcement: ``hard`` is never exceeded; ``soft`` only warns.
        thresholds: Parts of the limit at which listeners are told, ascending.
        downgrade: Cheaper groups for when most of it is spent; ``None`` for none.

    Raises:
        ConfigError: Something that makes no sense; ``param`` names the key.
    """

    scope: str
    usd: Decimal
    period: Period
    timezone: str = "UTC"
    enforcement: Enforcement = "hard"
    thresholds: tuple[float, ...] = (0.8, 1.0)
    downgrade: Downgrade | None = None

    def __post_init__(self) -> None:
        self._check_scope()
        self._check_amount()
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._refuse("timezone", 'must be the name of a time zone, such as "Europe/Berlin"')
        if any(not 0 < part <= 1 for part in self.thresholds) or list(self.thresholds) != sorted(
            set(self.thresholds)
        ):
            self._refuse("thresholds", "must be parts above 0, up to 1, ascending")
        if self.downgrade is not None:
            if not 0 < self.downgrade.at < 1:
                self._refuse("downgrade.at", "must be a part above 0 and below 1")
            if self.kind in _OF_A_CANDIDATE:
                self._refuse("downgrade", f"a group can't be chosen by {self.kind}: not known yet")

    def _check_scope(self) -> None:
        kind, colon, value = self.scope.partition(":")
        if kind not in SCOPES:
            self._refuse("scope", f"must begin with one of {', '.join(SCOPES)}")
        if kind == "global" and colon:
            self._refuse("scope", "global has no value")
        if kind != "global" and not value:
            self._refuse("scope", f'needs a value: "{kind}:NAME", or "{kind}:*" for each')
        if kind == "tag" and not all(value.partition("=")):
            self._refuse("scope", 'needs a name and a value: "tag:team=red", or "tag:team=*"')
        # What could never match would be a budget that does not hold.
        if "*" in self.value and self.value != "*":
            self._refuse("scope", "a * means each value apart, and must stand alone")
        if kind == "model" and self.value != "*" and "/" not in self.value:
            self._refuse("scope", 'must name a model as "model:PROVIDER/MODEL"')

    def _check_amount(self) -> None:
        if not (self.usd.is_finite() and 0 <= self.usd <= _LARGEST):
            self._refuse("usd", f"must be an amount in USD from 0 to {_LARGEST}")
        exponent = self.usd.normalize().as_tuple().exponent
        if isinstance(exponent, int) and exponent < _TWELVE_PLACES:
            self._refuse("usd", "is finer than 10⁻¹² USD")

    def _refuse(self, field: str, message: str) -> None:
        place = f"budgets[{self.scope!r}].{field}"
        raise ConfigError(f"{place}: {message}", param=place)

    @property
    def kind(self) -> str:
        """The scope's first word; a tag's name goes with it: ``tag:team``."""
        kind, _, value = self.scope.partition(":")
        return f"tag:{value.partition('=')[0]}" if kind == "tag" else kind

    @property
    def value(self) -> str:
        """The scope's value; ``*`` for each, empty for ``global``."""
        kind, _, value = self.scope.partition(":")
        return value.partition("=")[2] if kind == "tag" else value

    @property
    def hard(self) -> bool:
        """Whether it is never exceeded."""
        return self.enforcement == "hard"
