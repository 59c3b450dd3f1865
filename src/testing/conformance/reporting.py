"""Results as a table to read, as rows for a script, and side by side for a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .catalogue import CHECKS
from .check import Result

__all__ = ["listing", "matrix", "report", "rows"]

_WIDEST = 100
_SIGNS = {"yes": "yes", "no": "**no**", "can't": "–", "not tried": " "}


def rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One JSON object a check: ``number``, ``check``, ``title``, ``verdict``, ``detail``."""
    return [
        {
            "number": each.number,
            "check": each.name,
            "title": each.title,
            "verdict": each.verdict,
            "detail": each.detail,
        }
        for each in results
    ]


def report(results: Sequence[Result]) -> str:
    """A table for people, with the sums below."""
    lines = [("#", "check", "verdict", "detail")]
    lines += [(str(r.number), r.name, r.verdict, _short(r.detail)) for r in results]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    first, second, third = widths
    shown = [
        f"{line[0]:>{first}}  {line[1]:<{second}}  {line[2]:<{third}}  {line[3]}".rstrip()
        for line in lines
    ]
    return "\n".join([*shown, "", summary(results)])


def summary(results: Sequence[Result]) -> str:
    """How many ended how, in a line."""
    counts = dict.fromkeys(("yes", "no", "can't", "not tried"), 0)
    for each in results:
        counts[each.verdict] += 1
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def listing() -> str:
    """The published list: every check with its number and what it guarantees."""
    return "\n".join(
        f"{each.number:>2}  {each.name}: {' '.join(each.guarantee.split())}" for each in CHECKS
    )


def matrix(columns: Mapping[str, Sequence[Result]]) -> str:
    """Several providers side by side, as a Markdown table: yes, no, – for what it can't."""
    found = {name: {each.number: each for each in results} for name, results in columns.items()}
    lines = [
        f"| | check | {' | '.join(found)} |",
        f"|--:|---|{'---|' * len(found)}",
    ]
    for each in CHECKS:
        cells = [
            _SIGNS[results[each.number].verdict] if each.number in results else " "
            for results in found.values()
        ]
        lines.append(f"| {each.number} | {each.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"
