"""What a run found out, as it is saved in JSON."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .scenarios import Measure, Scenario, Target
from .statistics import Figure, figure, percentile, ratios
from .subjects import SUBJECTS

__all__ = ["Found", "Results", "Row", "Verdict", "judge", "machine", "row"]

MB = 1e6


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One subject in one scenario.

    Attributes:
        subject: Its name.
        title: For people.
        version: Of its package.
        cpu_us: CPU time a call, of all of the process's threads, in microseconds.
        wall_us: Time by the clock a call, in microseconds: of a round, divided by its calls.
        p50_ms: Percentiles of the latency of all calls of all rounds.
        p95_ms: The same.
        p99_ms: The same.
        p99_rounds_ms: The 99th percentile of each round.
        first_p50_ms: The same, of the time to the first token.
        first_p99_ms: The same.
        memory_mb: Resident after the last round; of `memory`, by how much it grew.
        memory_trail: Of `memory`: after how many calls how many megabytes were resident.
    """

    subject: str
    title: str
    version: str
    cpu_us: Figure | None = None
    wall_us: Figure | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    p99_rounds_ms: Figure | None = None
    first_p50_ms: float | None = None
    first_p99_ms: float | None = None
    memory_mb: Figure | None = None
    memory_trail: tuple[tuple[int, float], ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A target, and what was found.

    Attributes:
        subject: Whose.
        measure: What of it.
        against: What it is a ratio of, or above; empty: an absolute figure.
        unit: Of the figures: "×" for a ratio.
        at_most: The target.
        found: What was measured.
        met: Whether the median is no more than the target.
    """

    subject: str
    measure: Measure
    against: str
    unit: str
    at_most: float
    found: Figure
    met: bool


class Found(msgspec.Struct, kw_only=True):
    """One scenario's results.

    Attributes:
        scenario: Its name.
        title: For people.
        yardstick: Whom the others are compared with.
        rows: One a subject.
        verdicts: One a target whose subjects both took part.
        left_out: Why each subject that is missing is missing.
    """

    scenario: str
    title: str
    yardstick: str = ""
    rows: list[Row] = msgspec.field(default_factory=list)
    verdicts: list[Verdict] = msgspec.field(default_factory=list)
    left_out: dict[str, str] = msgspec.field(default_factory=dict)


class Results(msgspec.Struct, kw_only=True):
    """A run.

    Attributes:
        machine: Where it ran, and how busy that was before and after.
        options: How it ran.
        scenarios: What it found.
    """

    machine: dict[str, Any]
    options: dict[str, Any]
    scenarios: list[Found]


def machine() -> dict[str, Any]:
    """What there is to know of the machine without asking who it belongs to."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "processors": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def row(
    subject: str, version: str, rounds: Sequence[Mapping[str, Any]], calls: int, memory: float
) -> Row:
    """Sum up the rounds of one subject."""
    latencies = [each / 1e3 for one in rounds for each in one["latencies"]]
    firsts = [each / 1e3 for one in rounds for each in one["firsts"]]
    return Row(
        subject=subject,
        title=SUBJECTS[subject].title,
        version=version,
        cpu_us=figure([one["cpu"] / calls * 1e6 for one in rounds]),
        wall_us=figure([one["wall"] / calls * 1e6 for one in rounds]),
        p50_ms=percentile(latencies, 0.5),
        p95_ms=percentile(latencies, 0.95),
        p99_ms=percentile(latencies, 0.99),
        p99_rounds_ms=figure([percentile(one["latencies"], 0.99) / 1e3 for one in rounds]),
        first_p50_ms=percentile(firsts, 0.5) if firsts else None,
        first_p99_ms=percentile(firsts, 0.99) if firsts else None,
        memory_mb=figure([memory / MB]),
    )


def _figure(row: Row, measure: Measure) -> Figure | None:
    by = {"cpu": row.cpu_us, "p99": row.p99_rounds_ms, "memory": row.memory_mb}
    return by[measure]


def judge(scenario: Scenario, rows: Sequence[Row]) -> list[Verdict]:
    """Hold the rows against the scenario's targets, as far as both sides were measured."""
    by_subject = {each.subject: each for each in rows}
    verdicts = []
    for target in scenario.targets:
        mine = by_subject.get(target.subject)
        theirs = by_subject.get(target.against)
        if mine is None or (target.against and theirs is None):
            continue
        found = _compare(target, mine, theirs, above=not scenario.operation)
        if found is not None:
            verdicts.append(found)
    return verdicts


def _compare(target: Target, mine: Row, theirs: Row | None, *, above: bool) -> Verdict | None:
    one = _figure(mine, target.measure)
    other = _figure(theirs, target.measure) if theirs else None
    if one is None or (theirs and other is None):
        return None
    unit = "MB" if target.measure == "memory" else "µs"
    if other is not None and above:
        pairs = zip(one.rounds, other.rounds, strict=True)
        one = figure([first - second for first, second in pairs])
    elif other is not None:
        one, unit = ratios(one.rounds, other.rounds), "×"
    return Verdict(
        subject=target.subject,
        measure=target.measure,
        against=target.against,
        unit=unit,
        at_most=target.at_most,
        found=one,
        met=one.median <= target.at_most,
    )
