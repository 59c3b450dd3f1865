"""From a seed to what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec

from switchgear.providers import faults

from .features import Features
from .invariants import INVARIANTS, Invariant
from .loop import StuckError, VirtualLoop
from .records import Violation
from .scenario import Scenario, scenario_of
from .vendors import EPOCH
from .world import World

__all__ = ["Outcome", "simulate"]


class Outcome(msgspec.Struct, frozen=True):
    """What came of one seed.

    Attributes:
        violation: The first invariant that did not hold; ``None`` where all did.
        digest: A hash of everything that happened and when.
        log: The same as lines.
        behaviours: How many requests met what.
        outcomes: How many calls ended how.
    """

    seed: int
    violation: Violation | None
    digest: str
    log: tuple[str, ...]
    behaviours: dict[str, int]
    outcomes: dict[str, int]


def simulate(
    seed: int,
    *,
    features: Features | None = None,
    invariants: Sequence[type[Invariant]] = INVARIANTS,
    scenario: Scenario | None = None,
) -> Outcome:
    """Run the scenario of a seed (or the one given) up to its end or the first violation."""
    outcome = _run(seed, features or Features(), invariants, scenario or scenario_of(seed))
    if outcome.violation is not None:
        _sweep(outcome.violation)
    return outcome


def _run(
    seed: int, features: Features, invariants: Sequence[type[Invariant]], scenario: Scenario
) -> Outcome:
    draw = random.Random(f"loop {seed}")
    loop = VirtualLoop(
        lambda: draw.uniform(0.0, scenario.lag),
        executor_delay=scenario.executor_delay,
        executor_late=scenario.executor_late,
    )
    with _wall_clock(loop), _orderly_garbage():
        world = World(scenario, loop, features=features, invariants=invariants)
        main = loop.create_task(world.main(), name="main")
        try:
            loop.run_until_complete(main)
        except StuckError as exc:
            world.violate("progress", str(exc))
        except Violation:
            pass
        finally:
            _tidy(loop)
    return _outcome(world)


def _outcome(world: World) -> Outcome:
    lines = world.lines()
    behaviours: dict[str, int] = {}
    for exchange in world.exchanges:
        behaviours[exchange.behaviour] = behaviours.get(exchange.behaviour, 0) + 1
    outcomes: dict[str, int] = {}
    for record in world.calls:
        how = f"{record.plan.kind} {record.outcome}"
        how += f" {type(record.error).__name__}" if record.outcome == "raised" else ""
        outcomes[how] = outcomes.get(how, 0) + 1
    return Outcome(
        seed=world.scenario.seed,
        violation=world.violation,
        digest=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        log=tuple(lines),
        behaviours=behaviours,
        outcomes=outcomes,
    )


@contextmanager
def _wall_clock(loop: VirtualLoop) -> Iterator[None]:
    """Where the adapters read the wall clock (for a ``retry-after`` that is a date), it is ours."""
    module: Any = faults
    real, start = module.time, loop.time()
    module.time = SimpleNamespace(time=lambda: EPOCH + loop.time() - start)
    try:
        yield
    finally:
        module.time = real


@contextmanager
def _orderly_garbage() -> Iterator[None]:
    """No collection in the middle: what it finds, and when, is not the seed's to say."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _tidy(loop: VirtualLoop) -> None:
    """End what a violation left behind, quietly."""
    loop.after_event = None
    loop.set_exception_handler(lambda _loop, _context: None)
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        with contextlib.suppress(Exception):
            loop.run_until_complete(asyncio.wait(tasks))
    with contextlib.suppress(Exception):
        loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _sweep(violation: Violation) -> None:
    """Collect what a broken run left behind, here and not in the middle of somebody's test.

    Generators whose loop is gone can't be closed any more, which Python 3.13 warns about.
    """
    violation.__traceback__ = violation.__context__ = violation.__cause__ = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        gc.collect()
