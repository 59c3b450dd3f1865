"""How many attempts a second a ledger books, how long a report takes, and what keeping sums costs.

`python -m benchmarks.ledger` measures SQLite and, where the wheel with a server is installed,
PostgreSQL, both with data that survives a power cut (fsync). Writers are processes. What is timed
is one transaction a batch: rows, the counter of one budget per project, the journal's watermark.

Reports are asked twice of the same rows: before sums are kept, and after. While the sums are made,
another process books. `--fleet-hours` adds, for PostgreSQL, an hour of a fleet with 1,000 calls a
second, and then so many hours of the same sums.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import multiprocessing
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
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


class Rollup(msgspec.Struct, frozen=True):
    """How quick sums were made, and how long booking took another process before and meanwhile.

    It books 20 batches of 50 rows a second; median and 99th percentile of a batch, milliseconds.
    """

    database: str
    rows: int
    sums: int
    seconds: float
    longest_step: float
    alone_ms: tuple[float, float]
    meanwhile_ms: tuple[float, float]


class Report(msgspec.Struct, frozen=True):
    """How long a report took, out of how many rows, with sums or without."""

    database: str
    sums: bool
    rows: int
    report: str
    seconds: float
    groups: int


def rows_at(
    count: int, chance: random.Random, times: Iterator[int], agents: int = 10_000
) -> list[Row]:
    """Attempts like those of a fleet: each agent in one of 100 projects, one in 20 a second try."""
    rows: list[Row] = []
    for at in times:
        identifier = (at // 1000).to_bytes(6, "big") + chance.randbytes(10)
        later = bool(rows) and chance.random() < 0.05
        model = chance.choice(["claude-opus-5", "claude-haiku-5", "gpt-6-mini"])
        tokens = chance.randrange(200, 8000)
        # As after a failover: for the same agent, at another model.
        agent = int(str(rows[-1].agent_id)[6:]) if later else chance.randrange(agents)
        rows.append(
            Row(
                id=identifier,
                call_id=rows[-1].call_id if later else identifier,
                at=at,
                agent_id=f"agent-{agent}",
                project_id=f"project-{agent % 100}",
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


def write_steadily(url: str, rolling: Any, stop: Any, results: Any) -> None:
    """Book 20 batches of 50 rows a second until told to stop: one process."""
    store, chance = open_store(url), random.Random(os.getpid())  # noqa: S311 - not for secrets
    walls: dict[bool, list[float]] = {False: [], True: []}
    number = 0
    while not stop.is_set():
        now = time.time_ns() // 1000
        rows = rows_at(50, chance, iter(range(now, now + 50)))
        number += 1
        meanwhile, start = rolling.is_set(), time.perf_counter()
        store.book("beside", number, rows, frozenset())
        walls[meanwhile].append(time.perf_counter() - start)
        time.sleep(max(0.0, 0.05 - (time.perf_counter() - start)))
    store.close()
    results.put((walls[False], walls[True]))


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


def fill(url: str, times: Sequence[int], agents: int) -> None:
    """Put rows into a ledger, one for each of these times."""
    store, chance = open_store(url), random.Random(1)  # noqa: S311 - not for secrets
    each = iter(times)
    for number in range(1, -(-len(times) // 1000) + 1):
        store.book("fill", number, rows_at(1000, chance, each, agents), frozenset())
    store.close()


def months(count: int) -> Sequence[int]:
    """So many times, spread over three months until now."""
    end = int(time.time() * 1e6)
    step = dt.timedelta(days=30 * MONTHS) / dt.timedelta(microseconds=1) / count
    return [int(end - (count - n) * step) for n in range(count)]


def rollup(database: str, url: str, seconds: float) -> Rollup:
    """Make the sums of everything that is over, while another process books."""
    store = open_store(url)
    (whole,) = store.spend(SpendQuery())
    spawn = multiprocessing.get_context("spawn")
    results, rolling, stop = spawn.Queue(), spawn.Event(), spawn.Event()
    began = int(time.time() * 1000).to_bytes(6, "big")
    writer = spawn.Process(target=write_steadily, args=(url, rolling, stop, results))
    writer.start()
    time.sleep(2 + seconds)
    rolling.set()
    now, steps = int(time.time() * 1e6), []
    while True:
        start = time.perf_counter()
        if store.roll_up(now) > now:
            break
        steps.append(time.perf_counter() - start)
    stop.set()
    alone, meanwhile = ([each * 1e3 for each in walls] for walls in results.get())
    writer.join()
    store.close()
    # Not part of what the reports are about.
    change(url, "DELETE FROM attempt WHERE id >= ?", began)
    return Rollup(
        database=database,
        rows=whole.attempts,
        sums=number_of_sums(url),
        seconds=sum(steps),
        longest_step=max(steps),
        alone_ms=(statistics.median(alone), statistics.quantiles(alone, n=100)[-1]),
        meanwhile_ms=(statistics.median(meanwhile), statistics.quantiles(meanwhile, n=100)[-1]),
    )


def change(url: str, statement: str, value: bytes) -> None:
    """Change a ledger behind its back."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:"))) as connection, connection:
            connection.execute(statement, (value,))
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as server:
        server.execute("SET search_path = switchgear")
        server.execute(statement.replace("?", "%s").encode(), (value,))
        server.execute("VACUUM ANALYZE")


def number_of_sums(url: str) -> int:
    """How many rows of sums there are."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:"))) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM hourly").fetchone()[0])
    import psycopg

    with psycopg.connect(url) as server:
        return int((server.execute("SELECT COUNT(*) FROM switchgear.hourly").fetchone() or (0,))[0])


def repeat_sums(url: str, hours: int) -> None:
    """In PostgreSQL: the sums of the fullest hour also for so many hours before it."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as server:
        server.execute("SET search_path = switchgear")
        found = server.execute(
            "SELECT at FROM hourly GROUP BY at ORDER BY SUM(attempts) DESC LIMIT 1"
        ).fetchone()
        fullest = found[0] if found else 0
        for table in ("hourly", "further"):
            these = server.execute(f"SELECT * FROM {table} LIMIT 0".encode()).description or ()  # noqa: S608
            columns = {f'"{column.name}"': f'"{column.name}"' for column in these}
            columns['"at"'] = "at - hour * 3600000000"
            for name in {'"id"', '"call_id"'} & columns.keys():
                columns[name] = f"decode(md5({name}::text || hour::text), 'hex')"
            for first in range(1, hours, 24):
                statement = (
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT"  # noqa: S608
                    f" {', '.join(columns.values())} FROM {table},"
                    f" generate_series({first}, {min(first + 23, hours - 1)}) AS hour"
                    f" WHERE at = {fullest}"
                )
                server.execute(statement.encode())
        server.execute("VACUUM ANALYZE")


def reports(database: str, url: str, *, sums: bool) -> Iterator[Report]:
    """Questions that people ask."""
    store = open_store(url)
    now = int(time.time() * 1e6)
    day = 86_400 * 10**6
    midnight = now // day * day
    month = midnight - 29 * day
    (whole,) = store.spend(SpendQuery())
    questions = {
        "by project, everything": SpendQuery(by=("project",)),
        "by project and day, everything": SpendQuery(by=("project", "day")),
        "by project and day, 30 days": SpendQuery(by=("project", "day"), since=month),
        "the same, of Berlin": SpendQuery(
            by=("project", "day"), since=month, timezone="Europe/Berlin"
        ),
        "the same, of Kolkata": SpendQuery(
            by=("project", "day"), since=month, timezone="Asia/Kolkata"
        ),
        "by model, 30 days": SpendQuery(by=("model",), since=month),
        "by model, the last 24 hours": SpendQuery(by=("model",), since=now - day),
        "one project by day, 30 days": SpendQuery(
            by=("day",), where={"project": "project-7"}, since=month
        ),
    }
    for name, question in questions.items():
        times = []
        for _ in range(3):
            start = time.perf_counter()
            groups = len(store.spend(question))
            times.append(time.perf_counter() - start)
        yield Report(database, sums, whole.attempts, name, statistics.median(times), groups)
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
    parser.add_argument("--writers", default="1,4", help="processes that book at once; or none")
    parser.add_argument("--rows", type=int, default=100_000, help="in the reports' ledger")
    parser.add_argument("--agents", type=int, default=100, help="in the reports' ledger")
    parser.add_argument("--fleet-hours", type=int, default=0, help="of 3.6 million rows each")
    parser.add_argument("--databases", default="sqlite,postgres")
    parser.add_argument("--json", type=Path, help="write all results there")
    options = parser.parse_args(arguments)
    names = options.databases.split(",")
    found: dict[str, list[Any]] = {"booking": [], "rollup": [], "reports": []}
    writers = [int(each) for each in options.writers.split(",") if each]
    if writers:
        with temporary(names) as urls:
            measure_booking(urls, writers, options.seconds, found)
    if options.rows:
        with temporary(names) as urls:
            for database, url in urls.items():
                fill(url, months(options.rows), options.agents)
                measure_reports(database, url, options.seconds, found)
    if options.fleet_hours:
        with temporary(["postgres"]) as urls:
            measure_fleet(urls["PostgreSQL"], options.fleet_hours, options.seconds, found)
    if options.json:
        options.json.write_text(json.dumps(msgspec.to_builtins(found), indent=2) + "\n", "utf-8")


@contextmanager
def temporary(names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Empty databases in a folder that goes away."""
    with (
        tempfile.TemporaryDirectory(prefix="switchgear-bench-") as folder,
        databases(Path(folder), names) as urls,
    ):
        yield urls


def measure_booking(
    urls: dict[str, str], writers: Sequence[int], seconds: float, found: dict[str, list[Any]]
) -> None:
    """Print how quick rows are booked."""
    print(
        f"{'booking':<12}{'writers':>8}{'batch':>7}{'rows/s':>10}{'CPU us/row':>12}{'ms/batch':>10}"
    )
    for database, url in urls.items():
        store = open_store(url)
        store.register([RULE], int(time.time() * 1e6))
        store.close()
        for count in writers:
            for batch in BATCHES:
                it = booking(database, url, count, batch, seconds)
                found["booking"].append(it)
                print(
                    f"{database:<12}{count:>8}{batch:>7}{it.rows_a_second:>10,.0f}"
                    f"{it.client_cpu_us_a_row:>12.1f}{it.batch_ms:>10.2f}",
                    flush=True,
                )


def measure_reports(database: str, url: str, seconds: float, found: dict[str, list[Any]]) -> None:
    """Print how quick reports are, before and after sums are kept."""
    for sums in (False, True):
        if sums:
            measure_rollup(database, url, seconds, found)
        show_reports(database, url, found, sums=sums)


def measure_rollup(database: str, url: str, seconds: float, found: dict[str, list[Any]]) -> None:
    """Print what it takes to make the sums of what is there."""
    it = rollup(database, url, seconds)
    found["rollup"].append(it)
    alone, meanwhile = ("{:.1f}/{:.1f} ms".format(*each) for each in (it.alone_ms, it.meanwhile_ms))
    print(
        f"{database}: {it.sums:,} sums of {it.rows:,} rows in {it.seconds:.1f} s, the longest step"
        f" {it.longest_step:.1f} s; a batch of another process (median/p99) {alone} before,"
        f" {meanwhile} meanwhile",
        flush=True,
    )


def show_reports(database: str, url: str, found: dict[str, list[Any]], *, sums: bool) -> None:
    """Print how quick reports are."""
    print(f"{'reports':<12}{'sums':>5}{'rows':>15}  {'':<34}{'groups':>8}{'seconds':>9}")
    for it in reports(database, url, sums=sums):
        found["reports"].append(it)
        print(
            f"{database:<12}{'yes' if sums else 'no':>5}{it.rows:>15,}  {it.report:<34}"
            f"{it.groups:>8}{it.seconds:>9.2f}",
            flush=True,
        )


def measure_fleet(url: str, hours: int, seconds: float, found: dict[str, list[Any]]) -> None:
    """Print what an hour of 1,000 calls a second takes, and reports over very many of them."""
    hour = 3600 * 10**6
    first = (int(time.time() * 1e6) // hour - 2) * hour
    fill(url, range(first, first + hour, 1000), 10_000)
    measure_rollup("PostgreSQL", url, seconds, found)
    repeat_sums(url, hours)
    show_reports("PostgreSQL", url, found, sums=True)


if __name__ == "__main__":
    main()
