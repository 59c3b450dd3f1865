"""What hard budgets cost a fleet: decided by the ledger's database, and by a Redis.

`python -m benchmarks.budgets` starts a PostgreSQL and a Redis from their wheels, and processes
whose agents reserve, write down and settle attempts under one budget for all and one for each of
100 projects. Nothing is sent anywhere: all that is measured is the books.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear.accounting.budgets.applied import Rules
from switchgear.accounting.budgets.authority import Authority
from switchgear.accounting.budgets.budgets import Budgets
from switchgear.accounting.budgets.keys import Party
from switchgear.accounting.ledger.ledger import Ledger
from switchgear.accounting.ledger.row import Row, attempt_ids
from switchgear.clock import SystemClock
from switchgear.config.budgets import BudgetRule
from switchgear.config.ledger import LedgerConfig
from switchgear.config.state import StateConfig
from switchgear.state.redis_link import RedisLink

if TYPE_CHECKING:
    from threading import Barrier

RULES = (
    BudgetRule(scope="global", usd=Decimal(10**6), period="month", enforcement="hard"),
    BudgetRule(scope="project:*", usd=Decimal(10**5), period="day", enforcement="hard"),
)
AGENTS = 16
RESERVED = 20_000_000
"""Of each attempt, 10⁻⁹ USD; a fifth of it is spent."""


class Reserving(msgspec.Struct, frozen=True):
    """What it came to, all processes together.

    Attributes:
        decides: Who.
        processes: How many at once.
        attempts_a_second: Reserved, written down, settled.
        cpu_us: Of a process, for each attempt: reserving, journal and booking.
        claims_a_second: How often somebody had to be asked.
        claim_ms: The median of what that took.
        claim_p99_ms: What one in a hundred of them took longer than.
    """

    decides: str
    processes: int
    attempts_a_second: float
    cpu_us: float
    claims_a_second: float
    claim_ms: float
    claim_p99_ms: float


def work(given: tuple[str, str, str, float], ready: Barrier, results: Any) -> None:
    """One process."""
    results.put(asyncio.run(agents(*given, ready)))


async def agent_once(budgets: Budgets, rules: Rules, clock: SystemClock) -> None:
    """Load and connect whatever that takes."""
    applied = rules.applying(Party(project_id="nobody's"), clock.now(), hard=True)
    budgets.release(await budgets.reserve(applied, 1, timeout=30, patient=True))


async def agents(
    url: str, folder: str, state: str, seconds: float, ready: Barrier
) -> tuple[int, float, list[float]]:
    """Agents of one process; how many attempts, how much CPU, how long the claims took."""
    clock, rules = SystemClock(), Rules(RULES)
    ledger = Ledger(
        LedgerConfig(url=url, journal=folder),
        clock=clock,
        ask=lambda: rules.counted,
        rules=tuple(rules.counted),
    )
    link = RedisLink(StateConfig(url=state, timeout=2.0), clock) if state else None
    budgets = Budgets(rules, ledger, clock, on_event=lambda _: None, link=link)
    claims = timed(budgets._authority)  # noqa: SLF001 - measured where nothing else is
    await ledger.ready()
    next_id, chance = attempt_ids(clock.now), random.Random(os.getpid())  # noqa: S311
    attempts, end = 0, 0.0

    async def agent() -> None:
        nonlocal attempts
        while time.monotonic() < end:
            at, project = clock.now(), f"project-{chance.randrange(100)}"
            applied = rules.applying(Party(project_id=project), at, hard=True)
            holding = await budgets.reserve(applied, RESERVED, timeout=30, patient=True)
            identifier = next_id()
            row = Row(
                id=identifier,
                call_id=identifier,
                at=int(at * 1e6),
                project_id=project,
                provider="anthropic",
                model="claude-opus-5",
                bound=RESERVED * 1000,
                reserved=RESERVED,
                budgets=holding.keys,
            )
            begun = ledger.begin(row)
            if begun is not None:
                await begun
            used = budgets.spend(holding, RESERVED // 5)
            bound = RESERVED * 200
            row = msgspec.structs.replace(row, outcome="answered", bound=bound, reserved=used)
            ended = ledger.end(row)
            if ended is not None:
                await ended
            budgets.journalled(holding, used, ledger.position)
            attempts += 1
            await asyncio.sleep(0)

    await agent_once(budgets, rules, clock)
    ready.wait()  # until all have loaded what they need
    claims.clear()
    end = time.monotonic() + seconds
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.gather(*(agent() for _ in range(AGENTS)))
    await ledger.flush()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    await budgets.aclose()
    await ledger.aclose()
    if link is not None:
        await link.aclose()
    return attempts, cpu, claims


def timed(authority: Authority) -> list[float]:
    """Note how long its claims take."""
    seconds: list[float] = []
    claim = authority.claim

    async def measured(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return await claim(*arguments)
        finally:
            seconds.append(time.perf_counter() - began)

    authority.claim = measured  # type: ignore[method-assign, assignment]
    return seconds


def reserving(url: str, folder: Path, state: str, processes: int, seconds: float) -> Reserving:
    """So many processes at once."""
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    given = (url, str(folder / "journal"), state, seconds)
    arguments = (given, spawn.Barrier(processes), results)
    running = [spawn.Process(target=work, args=arguments) for _ in range(processes)]
    for process in running:
        process.start()
    found = [results.get() for _ in running]
    for process in running:
        process.join()
    attempts = sum(each[0] for each in found)
    claims = sorted(second for each in found for second in each[2])
    return Reserving(
        decides="Redis" if state else "PostgreSQL",
        processes=processes,
        attempts_a_second=attempts / seconds,
        cpu_us=sum(each[1] for each in found) / attempts * 1e6,
        claims_a_second=len(claims) / seconds,
        claim_ms=claims[len(claims) // 2] * 1e3,
        claim_p99_ms=claims[len(claims) * 99 // 100] * 1e3,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table, and all of it as JSON where a file is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budgets", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--processes", default="1,4", help="how many at once")
    parser.add_argument("--json", type=Path, help="write all results there")
    given = parser.parse_args(arguments)
    # The tests' own starters: they make no users and open nothing to others.
    from tests.accounting.ledger.conftest import PostgresServer
    from tests.state.server import RedisServer

    results: list[Reserving] = []
    postgres = PostgresServer(fsync=True)
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder))
        try:
            postgres.start()
            for processes in map(int, given.processes.split(",")):
                for state in ("", redis.url):
                    place = Path(folder) / f"{processes}{bool(state)}"
                    found = reserving(postgres.new(), place, state, processes, given.seconds)
                    results.append(found)
                    print(found, flush=True)
        finally:
            postgres.remove()
            redis.kill()
    show(results)
    if given.json is not None:
        given.json.write_text(json.dumps(msgspec.to_builtins(results), indent=1))


def show(results: Sequence[Reserving]) -> None:
    """Print a table."""
    print("| decides | processes | attempts/s | CPU, µs | claims/s | claim, ms | p99 |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for each in results:
        print(
            f"| {each.decides} | {each.processes} | {each.attempts_a_second:,.0f} |"
            f" {each.cpu_us:.1f} | {each.claims_a_second:.0f} | {each.claim_ms:.1f} |"
            f" {each.claim_p99_ms:.1f} |"
        )


if __name__ == "__main__":
    main()
