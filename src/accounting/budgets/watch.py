"""Who is told when much of a budget is spent, and when groups are exchanged for cheaper ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Literal

import msgspec

from ..ledger.row import Row
from ..ledger.store import Standing
from ..money import nano, nano_usd
from .applied import Applied, Rules
from .keys import party_of
from .unbooked import Unbooked

__all__ = ["BudgetEvent", "Watch"]

_log = logging.getLogger("switchgear.budgets")

_MOST = 4096
"""Counters remembered at once; the ones not heard of for longest are forgotten first."""


class BudgetEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a budget.

    Attributes:
        kind: ``threshold``: that part of it is spent; told once for each period, by whichever
            process books it first. ``overrun``: an attempt cost more than was reserved for it.
        budget: Which: ``project:p1 per day``.
        scope: The rule's scope.
        hard: Whether the rule is never exceeded.
        threshold: The part that was reached; ``None`` for an overrun.
        limit: USD; what may be spent in its period.
        spent: USD; for a hard budget the most that it can have cost, for a soft one what it cost.
    """

    kind: Literal["threshold", "overrun"]
    budget: str
    scope: str
    hard: bool
    limit: Decimal
    spent: Decimal
    threshold: float | None = None


class Watch:
    """Remembers how counters stood when they were last heard of, and what was spent here since.

    Args:
        rules: What is configured.
        on_event: Told what happens.
    """

    def __init__(self, rules: Rules, on_event: Callable[[BudgetEvent], None]) -> None:
        self._rules = rules
        self._on_event = on_event
        self._standings: dict[str, Standing] = {}
        self._unbooked = Unbooked()
        # Thresholds that were passed here and not yet asked about, then those that were.
        self._due: dict[tuple[str, str], tuple[Applied, float]] = {}
        self._asked: dict[tuple[str, str], None] = {}

    def settled(self, row: Row, position: int) -> None:
        """An attempt of this process has ended.

        Only what may exchange groups is counted ahead of the database: all else can wait for it.

        Args:
            row: As it is written down.
            position: Where in the journal.
        """
        if self._rules.downgrades:
            applied = self._rules.exchanging(party_of(row), row.at / 1_000_000)
            keys = dict.fromkeys(each.key for each in applied)
            self._unbooked.add(position, keys, nano(row.bound or 0), nano(row.cost or 0))

    def booked(self, upto: int) -> None:
        """Rows up to that place are in the database; how counters stand with them is seen next."""
        self._unbooked.booked(upto)

    def see(self, standings: Iterable[Standing]) -> None:
        """Counters as the database just had them."""
        for standing in standings:
            self._standings.pop(standing.key, None)
            self._standings[standing.key] = standing
            for applied in self._rules.of_counter(standing.key):
                self._look(applied)
        while len(self._standings) > _MOST:
            del self._standings[next(iter(self._standings))]
        while len(self._asked) > _MOST:
            del self._asked[next(iter(self._asked))]

    def due(self) -> list[tuple[str, str]]:
        """Marks to be set for thresholds that were passed; each is answered once."""
        marks = [mark for mark in self._due if mark not in self._asked]
        self._asked.update(dict.fromkeys(marks))
        return marks

    def announce(self, marks: Iterable[tuple[str, str]]) -> None:
        """Tell of the thresholds whose marks nobody had set before."""
        for mark in marks:
            found = self._due.get(mark)
            if found is not None:
                applied, threshold = found
                self._tell("threshold", applied, self._spent(applied), threshold)

    def answered(self, marks: Iterable[tuple[str, str]]) -> None:
        """It is known of these marks who sets them."""
        for mark in marks:
            self._due.pop(mark, None)

    def unanswered(self, marks: Iterable[tuple[str, str]]) -> None:
        """Nobody could be asked about these marks: again with the next booking."""
        for mark in marks:
            self._asked.pop(mark, None)

    def overrun(self, keys: Iterable[str], bound: int, reserved: int) -> None:
        """An attempt cost more than was reserved for it; 10⁻⁹ USD."""
        for key in keys:
            for applied in self._rules.of_counter(key):
                if applied.rule.hard:
                    _log.error(
                        "budget %s: an attempt cost $%s, more than the $%s reserved for it: the "
                        "provider counted more than it can by its own documentation",
                        applied.name,
                        nano_usd(bound),
                        nano_usd(reserved),
                    )
                    self._tell("overrun", applied, self._spent(applied), None)

    def knows(self, key: str) -> bool:
        """A counter was heard of."""
        return key in self._standings

    def part_spent(self, applied: Applied) -> float:
        """The part of a budget that is spent, also by what is not in the database yet."""
        return self._counted(applied) / applied.limit if applied.limit else 1.0

    def left(self, applied: Applied) -> int:
        """What is not spent of a budget, reserved or not; 10⁻⁹ USD."""
        return max(0, applied.limit - self._counted(applied))

    def _counted(self, applied: Applied) -> int:
        sums = self._unbooked.bound if applied.rule.hard else self._unbooked.cost
        return self._spent(applied) + sums(applied.key)

    def _spent(self, applied: Applied) -> int:
        standing = self._standings.get(applied.key)
        if standing is None:
            return 0
        return standing.bound if applied.rule.hard else standing.cost

    def _look(self, applied: Applied) -> None:
        spent = self._spent(applied)
        for threshold in applied.rule.thresholds:
            mark = (applied.key, f"{applied.rule.enforcement} {applied.rule.usd} {threshold}")
            if spent >= applied.limit * threshold and mark not in self._asked:
                self._due[mark] = (applied, threshold)

    def _tell(
        self,
        kind: Literal["threshold", "overrun"],
        applied: Applied,
        spent: int,
        threshold: float | None,
    ) -> None:
        rule = applied.rule
        if threshold is not None:
            _log.warning(
                "budget %s: %.0f %% of $%s is spent", applied.name, threshold * 100, rule.usd
            )
        self._on_event(
            BudgetEvent(
                kind=kind,
                budget=applied.name,
                scope=rule.scope,
                hard=rule.hard,
                limit=rule.usd,
                spent=nano_usd(spent),
                threshold=threshold,
            )
        )
