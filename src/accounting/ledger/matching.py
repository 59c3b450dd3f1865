"""Which rows a counter counts: of one row its counters, of one counter the rows as a condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from ...errors import LedgerError
from ..budgets.keys import LABELS, counter_key, party_of, value_of
from ..budgets.periods import span_of
from .columns import LARGEST
from .database import Database
from .row import Row
from .store import Counted

__all__ = [
    "Condition",
    "Keyring",
    "Subject",
    "between",
    "conditions",
    "in_nano",
    "made_at",
    "stamp",
]

_QUARTER: Final = 900
_LAST_STAMP: Final = 2**48 - 1
Condition = tuple[str, list[Any]]
"""A piece of a ``WHERE`` with its values."""


class Subject(msgspec.Struct, frozen=True):
    """What a counter is about: its key, taken apart."""

    kind: str
    value: str
    period: str
    timezone: str
    start: int = 0
    run: str = ""

    @classmethod
    def of(cls, key: str) -> Subject:
        """Of a counter's key.

        Raises:
            LedgerError: It is not one.
        """
        try:
            kind, value, period, timezone, last = msgspec.json.decode(
                key, type=tuple[str, str, str, str, int | str]
            )
        except msgspec.DecodeError as exc:
            raise LedgerError(f"{key!r} is not the key of a budget counter") from exc
        if isinstance(last, str):
            return cls(kind, value, period, timezone, 0, last)
        return cls(kind, value, period, timezone, last)

    def at(self, second: int) -> Subject:
        """The same in the period in which a second falls."""
        return Subject.of(counter_key(self.kind, self.value, self.period, self.timezone, second))

    def counted_by(self, rule: Counted) -> bool:
        """Whether a rule is about this."""
        return (
            (rule.kind, rule.period, rule.timezone) == (self.kind, self.period, self.timezone)
        ) and rule.value in {"*", self.value}

    def bounds(self) -> tuple[int | None, int | None]:
        """The period's first second, and the first one after it."""
        if self.period in {"run", "ever"}:
            return None, None
        if self.period != "hour":
            return self.start, span_of(self.period, self.timezone, self.start).end
        # Where a clock is moved by half an hour, an hour's key may not stand for 3600 seconds.
        first = self.start // _QUARTER - 4
        own = [
            quarter
            for quarter in range(first, first + 12)
            if span_of("hour", self.timezone, quarter * _QUARTER).start == self.start
        ]
        return (own[0] * _QUARTER, (own[-1] + 1) * _QUARTER) if own else (self.start, self.start)


class Keyring:
    """Finds the counters of rows, for the rules that it was made with."""

    def __init__(self, rules: Iterable[Counted]) -> None:
        self._rules = tuple((rule, _value_of(rule)) for rule in rules)
        self._keys: dict[tuple[Counted, str, str | int], str] = {}

    def keys_of(self, row: Row) -> dict[str, None]:
        """The keys of a row's counters: one for all rules that mean the same one."""
        keys: dict[str, None] = {}
        known, seconds = self._keys, row.at // 1_000_000
        for rule, value_in in self._rules:
            value = value_in(row)
            if value is None or rule.value not in ("*", value):
                continue
            part = (row.run_id or "") if rule.period == "run" else seconds // _QUARTER
            key = known.get((rule, value, part))
            if key is None:
                key = known[rule, value, part] = counter_key(
                    rule.kind, value, rule.period, rule.timezone, seconds, run_id=row.run_id or ""
                )
            keys[key] = None
        return keys

    def found(self, rules: Iterable[Counted]) -> set[str]:
        """The keys that some of its rules had, in all rows so far."""
        wanted = frozenset(rules)
        return {key for (rule, _, _), key in self._keys.items() if rule in wanted}


def _value_of(rule: Counted) -> Callable[[Row], str | None]:
    """What tells a row's value of a rule's kind: as :func:`~..budgets.keys.value_of` does."""
    label = LABELS.get(rule.kind)
    if label is None:
        return lambda row: value_of(rule.kind, party_of(row))
    held = attrgetter(label)
    return lambda row: held(row) or ""


def stamp(microseconds: int) -> bytes:
    """What ids of that moment begin with."""
    return max(0, min(microseconds // 1000, _LAST_STAMP)).to_bytes(6, "big")


def made_at(identifier: bytes) -> int:
    """When an id was made, to the millisecond; in microseconds."""
    return int.from_bytes(identifier[:6], "big") * 1000


def between(since: int | None, until: int | None, drift: int) -> Condition:
    """Rows that began in [since, until), microseconds.

    Narrowed down by id, the one index there is, as far as the two clocks in a row were ever apart.
    """
    pieces: list[str] = []
    values: list[Any] = []
    if since is not None:
        pieces.append("id >= ? AND at >= ?")
        values += [stamp(since - drift), max(since, -LARGEST)]
    if until is not None:
        pieces.append("id <= ? AND at < ?")
        values += [stamp(until + drift) + b"\xff" * 11, min(until, LARGEST)]
    return " AND ".join(pieces) or "1 = 1", values


def conditions(database: Database, subject: Subject) -> Sequence[Condition]:
    """What rows of a counter have in common, apart from their time.

    Raises:
        LedgerError: A kind that this version does not know.
    """
    about = _about(database, subject.kind, subject.value)
    if subject.period == "run":
        return [about, _labelled("run_id", subject.run)]
    return [about]


def _about(database: Database, kind: str, value: str) -> Condition:
    if kind == "global":
        return "1 = 1", []
    if kind == "provider":
        return "provider = ?", [value]
    if kind == "model":
        return "provider || '/' || model = ?", [value]
    if kind == "key":
        return "NOT own_key AND provider = ?", [value]
    if kind.startswith("tag:"):
        return f"COALESCE({database.tag()}, '') = ?", [kind[4:], value]
    if kind in LABELS:
        return _labelled(LABELS[kind], value)
    raise LedgerError(
        f"the ledger at {database.place} counts a budget by {kind!r}, which this version of "
        "Switchgear does not know: update it"
    )


def _labelled(column: str, value: str) -> Condition:
    if value:
        return f"{column} = ?", [value]
    return f"({column} IS NULL OR {column} = '')", []


def in_nano(column: str) -> str:
    """An expression: a column of pico-dollars in 10⁻⁹ USD, rounded up in each row."""
    return f"({column} / 1000 + CASE WHEN {column} % 1000 > 0 THEN 1 ELSE 0 END)"
