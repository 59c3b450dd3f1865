"""Results as plain text."""

from __future__ import annotations

from collections.abc import Iterator

from .results import Found, Results, Row, Verdict
from .statistics import Figure, ratios
from .subjects import SUBJECTS

__all__ = ["heading", "show"]

_COLUMNS = (
    ("CPU µs", 11),
    ("quartiles", 21),
    ("ratio", 8),
    ("wall µs", 11),
    ("p50 ms", 9),
    ("p95 ms", 9),
    ("p99 ms", 9),
    ("1st p50", 9),
    ("1st p99", 9),
    ("MB", 8),
)
_MEASURES = {"cpu": "CPU", "p99": "p99 latency", "memory": "memory"}


def heading(results: Results) -> str:
    """Where and how it was measured."""
    machine, options = results.machine, results.options
    return (
        f"{machine['at']}, {machine['system']}, {machine['processors']} processors, load"
        f" {machine['load_before']}; {machine['python']}, {options['loop']};"
        f" medians of {options['rounds']} interleaved rounds"
    )


def show(found: Found) -> str:
    """One scenario's table and its targets."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Found) -> Iterator[str]:
    yield found.title
    yield f"  {'':<31}" + "".join(f"{name:>{width}}" for name, width in _COLUMNS)
    yardstick = next((row for row in found.rows if row.subject == found.yardstick), None)
    for row in found.rows:
        cells = zip(_cells(row, yardstick), _COLUMNS, strict=True)
        title = f"{row.title} {row.version}".strip()
        yield f"  {title:<31}" + "".join(f"{cell:>{width}}" for cell, (_, width) in cells)
    for name, why in found.left_out.items():
        yield f"  {SUBJECTS[name].title if name in SUBJECTS else name}: left out, {why}"
    for verdict in found.verdicts:
        yield f"  {_verdict(verdict, found)}"


def _cells(row: Row, yardstick: Row | None) -> Iterator[str]:
    cpu = row.cpu_us
    yield _number(cpu.median) if cpu else ""
    yield f"{_number(cpu.low)}–{_number(cpu.high)}" if cpu else ""
    yield _ratio(cpu, yardstick.cpu_us) if cpu and yardstick and yardstick.cpu_us else ""
    yield _number(row.wall_us.median) if row.wall_us else ""
    for each in (row.p50_ms, row.p95_ms, row.p99_ms, row.first_p50_ms, row.first_p99_ms):
        yield "" if each is None else _number(each)
    yield _number(row.memory_mb.median) if row.memory_mb else ""


def _ratio(mine: Figure, theirs: Figure) -> str:
    return f"{ratios(mine.rounds, theirs.rounds).median:.2f}"


def _verdict(verdict: Verdict, found: Found) -> str:
    titles = {row.subject: row.title for row in found.rows}
    what = f"{titles[verdict.subject]}: {_MEASURES[verdict.measure]}"
    if verdict.against:
        what += f" {'of' if verdict.unit == '×' else 'above'} {titles[verdict.against]}'s"
    low, high = _number(verdict.found.low), _number(verdict.found.high)
    return (
        f"{what} ≤ {_number(verdict.at_most)} {verdict.unit}:"
        f" {_number(verdict.found.median)} ({low}–{high}) {'yes' if verdict.met else 'NO'}"
    )


def _number(value: float) -> str:
    """Three digits that count, and all that stand before the point."""
    size = abs(value)
    return f"{value:,.{0 if size >= 100 else 1 if size >= 10 else 2}f}"
