"""How many attempts a second a ledger books, and how long a report takes.

`python -m benchmarks.ledger` measures SQLite and, where the wheel with a server is installed,
PostgreSQL, both with data that survives a power cut (fsync). Writers are processes. What is timed
is one transaction a batch: rows, the counter of one budget per project, the journal's watermark.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.store import Counted, SpendQuery
from switchgear.accounting.ledger.stores import open_store
from switchgear.completion import Usage

BATCHES = (50, 500)
RULE = Counted("project", "*", "day", "UTC")
MONTHS = 3


class Booking(msgspec.Struct, frozen=True):
    """What booking came to: all writers together, and one batch of one of them.

    The time that a writer needs to make up its rows does not count.
    """

    database: str
    writers: int
    batch: int
    rows_a_second: float
    client_cpu_us_a_row: float
    batch_ms: float


class Report(msgspec.Struct, frozen=True):
    """How long a report took, out of how many rows."""

    database: str
    rows: int
    report: str
    seconds: float
    groups: int


def rows_at(count: int, chance: random.Random, times: Iterator[int]) -> list[Row]:
    """Attempts like those of a fleet: 10,000 agents, 100 projects, one in twenty a second try."""
    rows: list[Row] = []
    for at in times:
        identifier = (at // 1000).to_bytes(6, "big") + chance.randbytes(10)
        later = bool(rows) and chance.random() < 0.05
        model = chance.choice(["claude-opus-5", "claude-haiku-5", "gpt-6-mini"])
        tokens = chance.randrange(200, 8000)
        rows.append(
            Row(
                id=identifier,
                call_id=rows[-1].call_id if later else identifier,
                at=at,
                agent_id=f"agent-{chance.randrange(10_000)}",
                project_id=f"project-{chance.randrange(100)}",
                agent_type="Software Engineer",
                run_id=f"run-{chance.randrange(10**6)}",
                group="high-reasoning",
                provider="anthropic",
                plugin="anthropic",
                model=model,
                answered_model=f"{model}-20261101",
                outcome="answered",
                request_id="req_011CSHoEeqs5C35K2UUqR7Fy",
                usage=Usage(input_tokens=tokens, output_tokens=300),
                cost=tokens * 5_000_000,
                bound=tokens * 5_000_000,
                price=f"anthropic/{model}@2026-11-23",
                latency=1_200_000,
                first_token=300_000,
            )
        )
        if len(rows) == count:
            return rows
    return rows


def write(url: str, name: str, batch: int, seconds: float, results: Any) -> None:
    """Book batches for some seconds: one process."""
    store, chance = open_store(url), random.Random(os.getpid())  # noqa: S311 - not for secrets
    spent, walls = 0.0, []
    number, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        now = time.time_ns() // 1000
        rows = rows_at(batch, chance, iter(range(now, now + batch)))
        number += 1
        cpu, wall = time.thread_time(), time.perf_counter()
        store.book(name, number, rows, frozenset())
        spent += time.thread_time() - cpu
        walls.append(time.perf_counter() - wall)
    store.close()
    results.put((len(walls) * batch, spent, walls))


def booking(database: str, url: str, writers: int, batch: int, seconds: float) -> Booking:
    """So many processes that book at once."""
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    processes = [
        spawn.Process(target=write, args=(url, f"{writers}-{batch}-{n}", batch, seconds, results))
        for n in range(writers)
    ]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join()
    rows = sum(each[0] for each in found)
    walls = [wall for each in found for wall in each[2]]
    return Booking(
        database=database,
        writers=writers,
        batch=batch,
        rows_a_second=sum(each[0] / sum(each[2]) for each in found),
        client_cpu_us_a_row=sum(each[1] for each in found) / rows * 1e6,
        batch_ms=statistics.median(walls) * 1e3,
    )


def fill(url: str, count: int) -> None:
    """Put rows of three months into a ledger."""
    store, chance = open_store(url), random.Random(1)  # noqa: S311 - not for secrets
    end = int(time.time() * 1e6)
    step = dt.timedelta(days=30 * MONTHS) / dt.timedelta(microseconds=1) / count
    times = iter([int(end - (count - n) * step) for n in range(count)])
    for number in range(1, -(-count // 1000) + 1):
        store.book("fill", number, rows_at(1000, chance, times), frozenset())
    store.close()


def reports(database: str, url: str) -> Iterator[Report]:
    """Questions that people ask."""
    store = open_store(url)
    now = int(time.time() * 1e6)
    day = 86_400 * 10**6
    (whole,) = store.spend(SpendQuery())
    questions = {
        "by project, everything": SpendQuery(by=("project",)),
        "by project and day, everything": SpendQuery(by=("project", "day")),
        "by project and day, 30 days": SpendQuery(by=("project", "day"), since=now - 30 * day),
        "by model, one day": SpendQuery(by=("model",), since=now - day),
        "one project by day, 30 days": SpendQuery(
            by=("day",), where={"project": "project-7"}, since=now - 30 * day
        ),
    }
    for name, question in questions.items():
        times = []
        for _ in range(3):
            start = time.perf_counter()
            groups = len(store.spend(question))
            times.append(time.perf_counter() - start)
        yield Report(database, whole.attempts, name, statistics.median(times), groups)
    store.close()


@contextmanager
def databases(folder: Path, names: Sequence[str]) -> Iterator[dict[str, str]]:
    """The URLs of empty databases, by what they are."""
    urls = {"SQLite": f"sqlite:{folder / 'ledger.db'}"} if "sqlite" in names else {}
    if "postgres" not in names:
        yield urls
        return
    # The tests' own starter: it makes no users and opens nothing to others.
    from tests.accounting.ledger.conftest import PostgresServer

    server = PostgresServer(fsync=True)
    try:
        server.start()
        yield urls | {"PostgreSQL": server.new()}
    finally:
        server.remove()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of each, and all of it as JSON where a file is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--writers", default="1,4", help="processes that book at once")
    parser.add_argument("--rows", type=int, default=100_000, help="in the reports' ledger")
    parser.add_argument("--databases", default="sqlite,postgres")
    parser.add_argument("--json", type=Path, help="write all results there")
    options = parser.parse_args(arguments)
    bookings: list[Booking] = []
    answers: list[Report] = []
    with (
        tempfile.TemporaryDirectory(prefix="switchgear-bench-") as folder,
        databases(Path(folder), options.databases.split(",")) as urls,
    ):
        print(
            f"{'booking':<12}{'writers':>8}{'batch':>7}{'rows/s':>10}"
            f"{'CPU us/row':>12}{'ms/batch':>10}"
        )
        for database, url in urls.items():
            store = open_store(url)
            store.register([RULE], int(time.time() * 1e6))
            store.close()
            for writers in map(int, options.writers.split(",")):
                for batch in BATCHES:
                    it = booking(database, url, writers, batch, options.seconds)
                    bookings.append(it)
                    print(
                        f"{database:<12}{writers:>8}{batch:>7}{it.rows_a_second:>10,.0f}"
                        f"{it.client_cpu_us_a_row:>12.1f}{it.batch_ms:>10.2f}",
                        flush=True,
                    )
    with (
        tempfile.TemporaryDirectory(prefix="switchgear-bench-") as folder,
        databases(Path(folder), options.databases.split(",")) as urls,
    ):
        print(f"{'reports':<12}{'rows':>10}  {'':<34}{'groups':>8}{'seconds':>9}")
        for database, url in urls.items():
            fill(url, options.rows)
            for answer in reports(database, url):
                answers.append(answer)
                print(
                    f"{database:<12}{answer.rows:>10,}  {answer.report:<34}{answer.groups:>8}"
                    f"{answer.seconds:>9.2f}",
                    flush=True,
                )
    if options.json:
        found = {"booking": bookings, "reports": answers}
        options.json.write_text(json.dumps(msgspec.to_builtins(found), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
