"""The rules of a configuration, and those of them that an attempt has to agree with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ...config.budgets import BudgetRule
from ..ledger.store import Counted, Need
from ..money import PICO_IN_NANO, ceil_pico, exact_decimal
from .keys import LABELS, TAG, Party, counter_key, party_of_labels, value_of
from .periods import span_of

__all__ = ["EMPTY", "Applied", "Rules", "Together", "budget_name", "budget_scope", "counted_by"]

EMPTY: Final = '""'
"""How a label that attempts do not have is shown."""

_QUARTER: Final = 900
"""Seconds: no period ends within one, in any time zone."""
_MOST_KNOWN: Final = 4096


class Applied(msgspec.Struct, frozen=True):
    """A rule and the counter in which it counts an attempt.

    Attributes:
        rule: The rule.
        key: The counter's key.
        limit: In 10⁻⁹ USD, rounded down: a limit is never stretched.
    """

    rule: BudgetRule
    key: str
    limit: int

    @property
    def name(self) -> str:
        """For people: ``project:p1 per day``."""
        _, value, period, _, start = self.parts
        return budget_name(self.rule, value, start if period == "run" else None)

    @property
    def parts(self) -> tuple[Any, ...]:
        """Kind, value, period, time zone, start."""
        return tuple(msgspec.json.decode(self.key))

    @property
    def ends(self) -> int | None:
        """The second since 1970 at which its period is over; ``None`` for one without end."""
        if self.rule.period in {"run", "ever"}:
            return None
        return span_of(self.rule.period, self.rule.timezone, float(self.parts[4])).end

    def need(self, amount: int) -> Need:
        """What an attempt needs of it."""
        return Need(self.key, self.limit, amount)


class Together(NamedTuple):
    """The rules that all have to agree to an attempt.

    Attributes:
        applied: Each rule with its counter.
        keys: The counters, each once.
    """

    applied: tuple[Applied, ...]
    keys: tuple[str, ...]


class Rules:
    """All rules of a configuration."""

    def __init__(self, rules: Sequence[BudgetRule]) -> None:
        self._rules = tuple((rule, _floor_nano(rule)) for rule in rules)
        self._by_counter: dict[Counted, list[tuple[BudgetRule, int]]] = {}
        for rule, limit in self._rules:
            self._by_counter.setdefault(counted_by(rule), []).append((rule, limit))
        self.counted = frozenset(self._by_counter)
        self.any = bool(rules)
        self.hard = any(rule.hard for rule in rules)
        self.downgrades = any(rule.downgrade is not None for rule in rules)
        # What hard rules go by, and what they said for it, within the present quarter of an hour.
        self._labels = _labels_of(rule for rule in rules if rule.hard)
        self._aimed = any(rule.hard and rule.kind in _AIMED for rule in rules)
        self._quarter = 0
        self._known: dict[tuple[object, ...], Together | None] = {}

    def __iter__(self) -> Iterator[BudgetRule]:
        return iter([rule for rule, _ in self._rules])

    def applying(self, party: Party, at: float, *, hard: bool | None = None) -> list[Applied]:
        """The rules that match an attempt which begins then (seconds since 1970)."""
        found = []
        for rule, limit in self._rules:
            if hard is not None and rule.hard is not hard:
                continue
            applied = _applied(rule, limit, party, at)
            if applied is not None:
                found.append(applied)
        return found

    def guarding(
        self, labels: Mapping[str, str], provider: str, model: str, at: float, *, own_key: bool
    ) -> Together | None:
        """The hard rules that match an attempt which begins then; ``None`` where none does.

        Remembered for all attempts that do not differ in what any hard rule goes by.

        Args:
            labels: Whom the call is for.
            provider: At whom the attempt is aimed.
            model: At which of its models.
            at: Seconds since 1970.
            own_key: The call brought its own credential.
        """
        quarter = int(at // _QUARTER)
        if quarter != self._quarter:
            self._known.clear()
            self._quarter = quarter
        whose = tuple([labels.get(name) for name in self._labels])
        about = (whose, provider, model, own_key) if self._aimed else whose
        try:
            return self._known[about]
        except KeyError:
            party = party_of_labels(labels, provider, model, own_key=own_key)
            applied = tuple(self.applying(party, at, hard=True))
            keys = tuple(dict.fromkeys([each.key for each in applied]))
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[about] = Together(applied, keys) if applied else None
            return found

    def exchanging(self, party: Party, at: float) -> list[Applied]:
        """The rules that match a call and exchange groups, the ones that do so last in front."""
        found = [each for each in self.applying(party, at) if each.rule.downgrade is not None]
        return sorted(found, key=lambda each: each.rule.downgrade.at if each.rule.downgrade else 0)

    def of_counter(self, key: str) -> list[Applied]:
        """The rules that are about a counter."""
        kind, value, period, timezone, _ = msgspec.json.decode(key)
        found = []
        for wanted in dict.fromkeys((value, "*")):
            for rule, limit in self._by_counter.get(Counted(kind, wanted, period, timezone), ()):
                found.append(Applied(rule, key, limit))
        return found


_AIMED: Final = frozenset({"provider", "model", "key"})


def _labels_of(rules: Iterable[BudgetRule]) -> tuple[str, ...]:
    """The labels of calls that these go by."""
    names: dict[str, None] = {}
    for rule in rules:
        if rule.kind.startswith(TAG):
            names[rule.kind] = None
        elif rule.kind in LABELS:
            names[LABELS[rule.kind]] = None
        if rule.period == "run":
            names[LABELS["run"]] = None
    return tuple(names)


def _applied(rule: BudgetRule, limit: int, party: Party, at: float) -> Applied | None:
    kind, wanted = rule.kind, rule.value
    value = value_of(kind, party)
    if value is None or wanted not in ("*", value):
        return None
    key = counter_key(kind, value, rule.period, rule.timezone, at, run_id=party.run_id)
    return Applied(rule, key, limit)


def budget_name(rule: BudgetRule, value: str, run_id: str | None = None) -> str:
    """``project:p1 per day``; a label that is missing shows as ``""``."""
    whose = budget_scope(rule, value)
    if rule.period == "ever":
        return f"{whose} for ever"
    return f"{whose} per {rule.period}" + ("" if run_id is None else f" {run_id or EMPTY}")


def budget_scope(rule: BudgetRule, value: str) -> str:
    """``project:p1``: what a rule is about, the value in place of its ``*``."""
    if rule.kind == "global":
        return "global"
    join = "=" if rule.kind.startswith("tag:") else ":"
    return f"{rule.kind}{join}{value or EMPTY}"


def counted_by(rule: BudgetRule) -> Counted:
    """What is counted for a rule."""
    return Counted(rule.kind, rule.value, rule.period, rule.timezone)


def _floor_nano(rule: BudgetRule) -> int:
    return ceil_pico(exact_decimal(rule.usd)) // PICO_IN_NANO
