"""Which of the ledger's models and which of a bill's are the same.

The ledger may know a model by an alias where the bill names its snapshot, or the other way round.
Names that are equal on both sides are the same; a name that stands on one side only goes with those
it can be an alias or a snapshot of. Where that leaves a choice, all of them are compared together:
a difference is never hidden by a guess about who it belongs to.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Final

from ..prices.names import candidates

__all__ = ["EVERYTHING", "groups_of"]

EVERYTHING: Final = "all models"

_FIRST: Final = re.compile(r"-0$")


def groups_of(
    ledger: Iterable[str],
    export: Iterable[str],
    fees: Mapping[str, Iterable[str]],
    *,
    split: bool,
) -> dict[str, str]:
    """The group that each name belongs to, by what is compared together.

    Args:
        ledger: The models in the ledger.
        export: Those in the export.
        fees: Of each charge that the export makes without naming a model (``web_searches``): the
            ledger's models that it is for, whose costs hold it.
        split: The export tells models apart at all.
    """
    booked, billed = set(ledger), set(export)
    names = sorted({*booked, *billed, *fees})
    if not split:
        return dict.fromkeys(names, EVERYTHING)
    sets = _Sets(names)
    for lonely, others in ((booked - billed, billed), (billed - booked, booked)):
        for name, other in itertools.product(sorted(lonely), sorted(others)):
            if _may_be(name, other):
                sets.join(name, other)
    for fee, models in fees.items():
        for model in models:
            sets.join(fee, model)
    return {name: _title(group, billed, booked) for group in sets.members() for name in group}


class _Sets:
    """Names that can be joined into sets."""

    def __init__(self, names: Iterable[str]) -> None:
        self._parent = {name: name for name in names}

    def join(self, one: str, other: str) -> None:
        self._parent[self._root(one)] = self._root(other)

    def members(self) -> list[list[str]]:
        found: dict[str, list[str]] = {}
        for name in self._parent:
            found.setdefault(self._root(name), []).append(name)
        return list(found.values())

    def _root(self, name: str) -> str:
        while self._parent[name] != name:
            name = self._parent[name]
        return name


def _may_be(one: str, other: str) -> bool:
    """Whether one is an alias of the other; two snapshots of a model are not each other's."""
    first, second = _plain(one), _plain(other)
    return second in candidates(first) or first in candidates(second)


def _plain(model: str) -> str:
    # claude-sonnet-4-0 is the first claude-sonnet-4.
    return _FIRST.sub("", model.lower())


def _title(group: list[str], billed: set[str], booked: set[str]) -> str:
    """What a group is called: as the export has it, since that is the reader's other paper."""
    shown = [name for name in group if name in billed] or [name for name in group if name in booked]
    fees = [name.replace("_", " ") for name in group if name not in billed | booked]
    return " + ".join([*shown, *fees])
