"""Whether memory grows with calls, and with streams that break."""

from __future__ import annotations

from .processes import Subjects
from .progress import Progress
from .results import MB, Found, Row
from .scenarios import Scenario
from .statistics import figure
from .subjects import SUBJECTS, UnavailableError

__all__ = ["grow"]

FIRST = 5_000
CALLS = 100_000
STREAMS = 10_000
AT_ONCE = 1_000
LOOKS = 10
"""On the way through each: a leak grows evenly, what is filled up does not."""

_TAKING_PART = ("switchgear", "switchgear-direct")


def grow(scenario: Scenario, subjects: Subjects, shrink: int, progress: Progress) -> Found:
    """Measure one after the other: nobody's memory depends on who else runs."""
    found = Found(scenario=scenario.name, title=scenario.title)
    for name in _TAKING_PART:
        try:
            trail = _one(name, subjects, shrink, progress)
        except UnavailableError as exc:
            found.left_out[name] = str(exc)
            continue
        found.rows.append(
            Row(
                subject=name,
                title=SUBJECTS[name].title,
                version=subjects.versions[name],
                memory_mb=figure([trail[-1][1] - trail[0][1]]),
                memory_trail=tuple(trail),
            )
        )
    return found


def _one(name: str, subjects: Subjects, shrink: int, progress: Progress) -> list[tuple[int, float]]:
    child, trail, made = subjects[name], list[tuple[int, float]](), 0

    def repeat(operation: str, count: int) -> None:
        nonlocal made
        for done in range(0, count, AT_ONCE):
            progress.step(done, count, f"{name}, {operation}")
            calls = min(AT_ONCE, count - done)
            made += calls
            # Its streams break; whole answers are the same there.
            child.ask(
                do="round",
                operation=operation,
                prefix="/broken",
                calls=calls,
                in_flight=64,
                settle=0.1 if shrink == 1 else 0.0,
            )

    def look() -> None:
        trail.append((made, child.ask(do="memory", collect=True)["resident"] / MB))

    # What is loaded and kept once, for streams too, is no growth.
    repeat("openai-stream", AT_ONCE // shrink)
    repeat("openai", FIRST // shrink)
    look()
    for _ in range(LOOKS):
        repeat("openai", (CALLS - FIRST) // shrink // LOOKS)
        look()
    for _ in range(LOOKS):
        repeat("openai-stream", STREAMS // shrink // LOOKS)
        look()
    return trail
