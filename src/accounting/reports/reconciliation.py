"""What came of comparing the ledger with a vendor's export."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Final, Literal, TypeAlias

import msgspec

from ..money import usd

__all__ = [
    "NONE",
    "Difference",
    "Kind",
    "Reconciliation",
    "Tolerance",
    "Total",
    "Verdict",
    "in_users_terms",
]

Kind: TypeAlias = Literal["amounts differ", "missing in ledger", "missing in export"]
Verdict: TypeAlias = Literal["agree", "differ", "incomplete", "nothing compared"]


class Tolerance(msgspec.Struct, frozen=True):
    """What is too little to be called a difference, beside what the export itself rounds.

    Attributes:
        usd: An amount of money; for costs.
        part: A part of the larger side: 0.01 for a hundredth; for everything.
    """

    usd: Decimal = Decimal(0)
    part: Decimal = Decimal(0)


NONE: Final = Tolerance()


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One figure on which the two do not agree.

    Attributes:
        kind: Whether one side says nothing at all about that model on that day.
        day: The day, in UTC.
        model: The model; several where they could not be told apart.
        measure: ``cost`` in USD, ``requests``, or a counter of :class:`~switchgear.Usage`.
        ledger: What the ledger says.
        export: What the vendor says.
        api_keys: The vendor's keys that it is about.
        projects: Its projects or workspaces.
        notes: What may explain it.
    """

    kind: Kind
    day: dt.date
    model: str
    measure: str
    ledger: Decimal
    export: Decimal
    api_keys: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def by(self) -> Decimal:
        """By how much the vendor has more."""
        return self.export - self.ledger


class Total(msgspec.Struct, frozen=True):
    """A measure over the whole time, on both sides."""

    measure: str
    ledger: Decimal
    export: Decimal


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the comparison.

    Attributes:
        vendor: Whose export it was.
        form: What kind of export.
        since: From when on both were compared; ``None`` where the export is empty.
        until: Until when, exclusive.
        attempts: Attempts of the ledger that were compared.
        compared: Figures that were compared.
        differences: Those that do not agree, day by day.
        totals: Every measure over the whole time.
        notes: What was left out, and what to keep in mind, one line each.
        complete: The export is whole, as far as it says.
    """

    vendor: str
    form: str
    since: dt.datetime | None
    until: dt.datetime | None
    attempts: int
    compared: int
    differences: tuple[Difference, ...]
    totals: tuple[Total, ...]
    notes: tuple[str, ...]
    complete: bool = True

    @property
    def verdict(self) -> Verdict:
        """Whether they agree, or why nobody may take it for that.

        ``incomplete`` and ``nothing compared`` are said of what shows no difference only because
        it holds too little.
        """
        if self.differences:
            return "differ"
        if not self.complete:
            return "incomplete"
        return "agree" if self.compared else "nothing compared"


def in_users_terms(measure: str, value: int) -> Decimal:
    """A sum as users see it: USD for costs, else a count."""
    return usd(value) if measure == "cost" else Decimal(value)
