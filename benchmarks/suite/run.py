"""Scenario by scenario, the subjects take turns."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from .. import import_time
from . import memory
from .processes import Subjects, peer_python, upstream
from .progress import Progress
from .results import Found, Row, judge, row
from .scenarios import IMPORT, MEMORY, Scenario
from .statistics import figure
from .subjects import UnavailableError

__all__ = ["Plan", "run"]


class Plan(NamedTuple):
    """What to run.

    Attributes:
        scenarios: These, in this order.
        rounds: So many.
        peers: Whether other routers take part.
        loop: The module whose event loop all run on.
        shrink: Calls of `memory` are divided by it.
    """

    scenarios: Sequence[Scenario]
    rounds: int
    peers: bool = False
    loop: str = "asyncio"
    shrink: int = 1


def run(plan: Plan, progress: Progress) -> Generator[Found]:
    """Yield each scenario's results when it is through. Closing it ends all processes."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="switchgear-bench-"))
        url = stack.enter_context(upstream())
        subjects = stack.enter_context(Subjects(url, Path(folder), plan.loop))
        for scenario in plan.scenarios:
            progress.start(scenario.title)
            if scenario.name == IMPORT.name:
                found = imports(scenario, plan, progress)
            elif scenario.name == MEMORY.name:
                found = memory.grow(scenario, subjects, plan.shrink, progress)
            else:
                found = calls(scenario, plan, subjects, progress)
            found.verdicts = judge(scenario, found.rows)
            progress.end()
            yield found


def calls(scenario: Scenario, plan: Plan, subjects: Subjects, progress: Progress) -> Found:
    """A scenario of calls: warm everybody up, then let them take turns."""
    found = Found(scenario=scenario.name, title=scenario.title, yardstick=scenario.yardstick)
    request = {
        "do": "round",
        "operation": scenario.operation,
        "prefix": scenario.prefix,
        "calls": scenario.calls,
        "in_flight": scenario.in_flight,
        "settle": scenario.settle,
    }
    taking: dict[str, list[dict[str, Any]]] = {}
    names = scenario.subjects(peers=plan.peers)
    for name in names:
        with suppress(UnavailableError):
            subjects.start(name)
    for name in names:
        progress.step(0, plan.rounds, f"warming up {name}")
        try:
            for _ in range(2):
                subjects[name].ask(**request)
        except UnavailableError as exc:
            found.left_out[name] = str(exc)
        else:
            taking[name] = []
    for number in range(plan.rounds):
        # Nobody comes always after the same other one.
        names = list(taking)
        start = number % max(len(names), 1)
        for name in names[start:] + names[:start]:
            progress.step(number, plan.rounds, f"rounds, {name}")
            taking[name].append(subjects[name].ask(**request))
    for name, rounds in taking.items():
        resident = subjects[name].ask(do="memory")["resident"]
        found.rows.append(row(name, subjects.versions[name], rounds, scenario.calls, resident))
    return found


def imports(scenario: Scenario, plan: Plan, progress: Progress) -> Found:
    """What importing each takes a fresh process."""
    found = Found(scenario=scenario.name, title=scenario.title, yardstick=scenario.yardstick)
    programs = dict(import_time.PROGRAMS)
    for name, module in import_time.PEERS.items() if plan.peers else ():
        try:
            programs[name] = import_time.Program(f"import {module}", str(peer_python(name)))
        except UnavailableError as exc:
            found.left_out[name] = str(exc)
    samples = import_time.measure(
        plan.rounds, programs, lambda done, what: progress.step(done, plan.rounds, what)
    )
    for name, rounds in samples.items():
        found.rows.append(
            Row(
                subject=name,
                title=programs[name].source,
                version="",
                cpu_us=figure([each.cpu * 1e6 for each in rounds]),
                wall_us=figure([each.wall * 1e6 for each in rounds]),
                memory_mb=figure([each.memory / 1e6 for each in rounds]),
            )
        )
    return found
