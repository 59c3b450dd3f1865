"""The times that an export speaks of, and those between them that it leaves out."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from .figures import times

__all__ = ["Span", "gap_note", "gaps", "merged", "shown_moment"]

Span: TypeAlias = tuple[dt.datetime, dt.datetime]
"""From the first instant to the first that no longer belongs to it."""

_NAMED: Final = 3
"""Gaps that are named one by one."""


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans that follow each other without a gap as one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def gaps(spans: Iterable[Span]) -> list[Span]:
    """What lies between the first and the last of the spans, and in none."""
    whole = merged(spans)
    return [(end, start) for (_, end), (start, _) in itertools.pairwise(whole)]


def gap_note(found: Sequence[Span], attempts: int) -> str:
    """What is to be said of gaps.

    Args:
        found: They themselves; at least one.
        attempts: How many attempts of the ledger are in them, and so compared with nothing.
    """
    named = [f"{shown_moment(start)} to {shown_moment(end)}" for start, end in found[:_NAMED]]
    if len(found) > _NAMED:
        named.append(f"{times(len(found) - _NAMED, 'other gap')}")
    what = f"it leaves out {', '.join(named)} (UTC)"
    if not attempts:
        return f"{what}, when the ledger has nothing either"
    return f"{what}, when the ledger has {times(attempts, 'attempt')} that nothing is compared with"


def shown_moment(at: dt.datetime) -> str:
    """In UTC, to the minute."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M}"
