"""The real router in seeded worlds: every invariant holds, and planted bugs are found."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from .features import Circuit, Features
from .invariants import RetryBudgetHolds
from .loop import StuckError, VirtualLoop
from .mutations import MUTATIONS
from .records import Attempt, Violation
from .run import Outcome, simulate
from .scenario import scenario_of

# A fifth of what `make simulate` goes through, so that a whole run of the tests stays short.
SEEDS = 400
BLOCKS = 6
FIRST = int(os.environ.get("SIMULATION_FIRST_SEED", "0"))


def replay(outcome: Outcome) -> str:
    """What to do about a violation."""
    last = "\n".join(outcome.log[-15:])
    return f"{outcome.violation}\n{last}\nreplay: make simulate SEED={outcome.seed}"


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_invariant_holds_in_every_world(block: int) -> None:
    met: set[str] = set()
    ended: set[str] = set()
    for seed in range(FIRST + block, FIRST + SEEDS, BLOCKS):
        outcome = simulate(seed)
        if outcome.violation is not None:
            pytest.fail(replay(outcome))
        met |= outcome.behaviours.keys()
        ended |= outcome.outcomes.keys()
    # The worlds are what they are for: nearly everything happens in each block.
    assert len(met) > 30, sorted(met)
    assert ended > {
        "complete reply",
        "stream reply",
        "embed reply",
        "stream left",
        "complete cancelled",
        "stream raised StreamInterruptedError",
        "complete raised AllProvidersFailedError",
        "complete raised DeadlineExceededError",
        "complete raised LifecycleError",
    }


@pytest.mark.parametrize("seed", [3, 14, 15, 92, 653])
def test_the_same_seed_is_the_same_run(seed: int) -> None:
    first, second = simulate(seed), simulate(seed)
    assert first.log == second.log
    assert first.digest == second.digest


def test_another_process_with_other_hashes_runs_the_same() -> None:
    seeds = range(100, 106)
    here = [simulate(seed).digest for seed in seeds]
    code = (
        "from tests.simulation.run import simulate\n"
        f"print(*(simulate(seed).digest for seed in {list(seeds)}))"
    )
    root = Path(__file__).parents[2]
    for salt in ("1", "4711"):
        path = os.pathsep.join(sys.path)
        environment = {**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": path}
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.split() == here


def test_seeds_differ() -> None:
    assert len({simulate(seed).digest for seed in range(20)}) == 20


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = MUTATIONS[name]
    mutation.plant(monkeypatch)
    found = (outcome.violation for outcome in violations(200))
    assert any(violation and violation.invariant == mutation.found_by for violation in found)


def violations(seeds: int, features: Features | None = None) -> Iterator[Outcome]:
    """Those of the first seeds that violate something."""
    for seed in range(seeds):
        outcome = simulate(seed, features=features)
        if outcome.violation is not None:
            yield outcome


def test_a_violation_is_told_with_its_seed_and_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS["a delta is delivered twice"].plant(monkeypatch)
    found = next(violations(80))
    assert f"make simulate SEED={found.seed}" in replay(found)
    assert simulate(found.seed).digest == found.digest


def test_an_open_breaker_that_is_passed_is_found() -> None:
    # No probe is allowed anywhere, so the first attempt of any kind is one too many.
    outcome = simulate(1, features=Features(circuit=lambda router, name: Circuit(0, 0, 60)))
    assert outcome.violation is not None
    assert outcome.violation.invariant == "BreakerHolds"
    assert simulate(1, features=Features(circuit=lambda router, name: None)).violation is None


def test_reservations_that_stay_are_found() -> None:
    outcome = simulate(1, features=Features(held=lambda router: 1))
    assert outcome.violation is not None
    assert outcome.violation.invariant == "NothingLeft"


def test_too_many_attempts_in_a_minute_are_found() -> None:
    now = 0.0
    loop = SimpleNamespace(time=lambda: now)
    told: list[str] = []
    world = SimpleNamespace(
        loop=loop,
        features=Features(retry_budget=True),
        violate=lambda invariant, message: told.append(message),
    )
    budget = RetryBudgetHolds(cast("Any", world))
    attempts: list[Attempt] = []
    record = cast("Any", SimpleNamespace(attempts=attempts))
    for _ in range(11):
        one = Attempt(number=0, candidate="a/m", streamed=False, began=now, timeout=1.0)
        budget.attempt(record, one)
        attempts.append(one)
    assert told == []  # 11 attempts for one call: 1.2 + 10
    budget.attempt(record, attempts[0])
    assert told == ["a/m: 12 attempts for 1 calls in 60 s"]
    now = 61.0
    budget.attempt(cast("Any", SimpleNamespace(attempts=[])), attempts[0])
    assert len(told) == 1


def test_a_scenario_is_a_value_of_its_seed() -> None:
    assert scenario_of(7) == scenario_of(7)
    assert scenario_of(7) != scenario_of(8)


# -- the loop --------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop(lambda: 0.0, executor_delay=2.0)
    yield made
    made.close()


def test_time_jumps_to_the_next_timer(loop: VirtualLoop) -> None:
    order: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append((name, loop.time() - 1000.0))

    async def main() -> None:
        await asyncio.gather(sleeper("day", 86_400.0), sleeper("minute", 60.0))

    loop.run_until_complete(main())
    assert order == [("minute", 60.0), ("day", 86_400.0)]


def test_a_wait_without_end_is_an_error(loop: VirtualLoop) -> None:
    with pytest.raises(StuckError, match="nothing will ever happen"):
        loop.run_until_complete(loop.create_future())


def test_time_that_stands_still_is_an_error(loop: VirtualLoop) -> None:
    def again() -> None:
        loop.call_soon(again)

    again()
    with pytest.raises(StuckError, match="time stands still"):
        loop.run_until_complete(loop.create_future())


def test_there_is_no_network(loop: VirtualLoop) -> None:
    with pytest.raises(NotImplementedError, match=r"world\.invalid:443"):
        loop.run_until_complete(loop.create_connection(asyncio.Protocol, "world.invalid", 443))


@pytest.mark.parametrize("late", [False, True])
def test_threads_are_simulated(late: bool) -> None:
    loop = VirtualLoop(lambda: 0.0, executor_delay=2.0, executor_late=late)
    began: list[float] = []

    async def main() -> float:
        await asyncio.to_thread(lambda: began.append(loop.time()))
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        return loop.time()

    try:
        assert loop.run_until_complete(main()) == 1004.0
    finally:
        loop.close()
    assert began == [1002.0 if late else 1000.0]


def test_what_is_looked_at_after_an_event_ends_the_run(loop: VirtualLoop) -> None:
    def look() -> None:
        raise Violation("Sky", "it is falling")

    loop.after_event = look
    task = loop.create_task(asyncio.sleep(1))
    with pytest.raises(Violation, match="Sky: it is falling"):
        loop.run_until_complete(task)
    loop.after_event = None
    loop.run_until_complete(task)
