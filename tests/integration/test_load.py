"""Two thousand calls in flight against a slow upstream, over real sockets, by both roads.

Nothing here looks at a clock: what is asserted is that none fails, that they are served in the
order in which they came, that memory does not grow, and that half of them can be cancelled without
anything being left.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from switchgear import Router

from ..performance.everything_on import MESSAGES, everything_on, options

CROWD = 2_000
AT_ONCE = 250
SOCKETS = 3 * CROWD
LOOKS = 6

pytestmark = pytest.mark.xdist_group("load")


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The address of a server in a process of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < SOCKETS:
        pytest.skip(f"this machine lets a process have {hard} sockets, and {SOCKETS} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, SOCKETS), hard))
    root = Path(__file__).parents[2]
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.suite.upstream"],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.stdout.close()
        assert server.wait() == 0
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(params=["sdk", "direct"])
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def slow(folder: Path, upstream: str, wire: str, *, milliseconds: int, **more: int) -> Router:
    """A router whose provider takes so long for each answer."""
    table = {"base_url": f"{upstream}/wait{milliseconds}/v1", "wire": wire}
    return everything_on(folder, chain=["openai/gpt-4o"], table=table, **more)


def in_flight(router: Router) -> int:
    """Calls that have a place at OpenAI, as the limit on them counts."""
    (places,) = (limit for limit in router.health().limits if "concurrency" in limit.limit)
    assert places.capacity is not None
    assert places.remaining is not None
    return round(places.capacity - places.remaining)


def open_files() -> int:
    """Of this process, sockets among them."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def ask(router: Router) -> None:
    reply = await router.complete("g", MESSAGES, **options())
    assert reply.provider == "openai"
    assert reply.cost is not None


async def test_nobody_fails_and_nobody_overtakes(tmp_path: Path, upstream: str, wire: str) -> None:
    finished: list[int] = []

    async def numbered(number: int) -> None:
        await ask(router)
        finished.append(number)

    async with slow(tmp_path, upstream, wire, milliseconds=50, concurrency=AT_ONCE) as router:
        await asyncio.gather(*(numbered(number) for number in range(CROWD)))
    # Those who are served at once may end in any order; nobody else's turn comes before theirs.
    assert max(abs(number - place) for place, number in enumerate(finished)) <= 2 * AT_ONCE


async def test_memory_is_flat(tmp_path: Path, upstream: str, wire: str) -> None:
    async def crowd() -> int:
        await asyncio.gather(*(ask(router) for _ in range(CROWD)))
        await router.spend()  # it has everything in the ledger first
        gc.collect()
        return sys.getallocatedblocks()

    async with slow(tmp_path, upstream, wire, milliseconds=200) as router:
        before = await crowd()
        for _ in range(LOOKS):
            after = await crowd()
            # A single block that is kept for each call would be CROWD of them, at every look. A
            # crowd that needed more connections at once than those before it grows only once.
            if after - before < CROWD / 2:
                return
            before = after
    pytest.fail(f"memory grew with each of {LOOKS} crowds")


async def test_half_of_them_are_cancelled(tmp_path: Path, upstream: str, wire: str) -> None:
    tasks, files = asyncio.all_tasks(), open_files()
    async with slow(tmp_path, upstream, wire, milliseconds=1_500) as router:
        await ask(router)  # what is made once is there from now on
        idle = asyncio.all_tasks()
        calls = [asyncio.create_task(ask(router)) for _ in range(CROWD)]
        while in_flight(router) < CROWD:  # noqa: ASYNC110 - nobody else can say so
            await asyncio.sleep(0.01)
        for call in calls[::4]:
            call.cancel()  # most of these are still about to connect
        await asyncio.wait(calls[1::2], return_when=asyncio.FIRST_COMPLETED)
        for call in calls[2::4]:
            call.cancel()  # and these wait for their answers
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert outcomes[1::2] == [None] * (CROWD // 2)
        cancelled = sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])
        assert cancelled >= CROWD // 4
        assert in_flight(router) == 0
        async with asyncio.timeout(30):
            while asyncio.all_tasks() != idle:  # noqa: ASYNC110 - nobody else can say so
                await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == tasks
    assert open_files() == files
    async with slow(tmp_path, upstream, wire, milliseconds=0) as router:
        spend = await router.spend(by="outcome")
        (budget,) = await router.budgets()
    ended = {row.keys["outcome"]: row.attempts for row in spend.rows}
    # Of those who were cancelled some had their answer already, and some had not been sent.
    assert ended["answered"] >= 1 + CROWD - cancelled
    assert ended["cancelled"] > 0
    assert ended["answered"] + ended["cancelled"] <= 1 + CROWD
    # The others count with the most that they can have cost, and nothing is set aside any more.
    assert (budget.spent, budget.reserved) == (spend.bound, Decimal(0))
