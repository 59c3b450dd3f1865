"""The doctor's checks one by one, where the command itself can't get at what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from switchgear.accounting.ledger.stores import open_store
from switchgear.cli.checkup import Case, Check, Result, checks_for, examine
from switchgear.cli.checkup.books import file_system_of, journal
from switchgear.cli.checkup.database import look_at_ledger
from switchgear.cli.checkup.limits import shared
from switchgear.cli.checkup.replicas import replicas
from switchgear.cli.checkup.threads import Daemons
from switchgear.cli.checkup.values import ok
from switchgear.cli.checkup.vendors import clocks, neighbours
from switchgear.cli.checkup.visits import knock
from switchgear.clock import SystemClock
from switchgear.config import Config
from switchgear.state.opening import open_fleet
from switchgear.state.settings import shared_settings
from switchgear.testing import SimulatedProviders
from tests.accounting.ledger.conftest import PostgresServer, postgres_server
from tests.accounting.reports.rows import row
from tests.state.server import RedisServer

SECRET = "sk-not-to-be-seen-0123456789"


class Wrong(SystemClock):
    """A machine whose clock is ahead."""

    def __init__(self, seconds: float) -> None:
        self._ahead = seconds

    def now(self) -> float:
        return super().now() + self._ahead


def case_of(mapping: dict[str, Any], **circumstances: Any) -> Case:
    config = Config.from_dict(mapping, environ={})
    given: dict[str, Any] = {"environ": {}, "clock": SystemClock(), **circumstances}
    return Case(config, **given)


def openai_at(url: str) -> dict[str, Any]:
    provider = {"plugin": "openai-compatible", "base_url": url, "api_key": SECRET}
    return {"providers": {"near": provider}, "groups": {"g": {"chain": ["near/some-model"]}}}


# The clock


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [(0, "ok", "right"), (60, "warning", "60 s ahead"), (-400, "error", "400 s behind")],
)
async def test_a_clock_that_is_wrong(
    simulated_providers: SimulatedProviders, ahead: float, level: str, words: str
) -> None:
    case = case_of(openai_at(simulated_providers.compatible.base_url), clock=Wrong(ahead))
    try:
        (found,) = await clocks(case)
    finally:
        await case.aclose()
    assert found.level == level
    assert words in found.what


# What knocking finds


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    servers: list[asyncio.Server] = []

    async def start(answer: bytes) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if answer:
                writer.close()
            else:
                await reader.read()  # until the client has had enough
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\ndate: yesterday\r\ncontent-length: 5\r\n\r\nhello", ""),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak HTTP"),
        (b"", "no answer within 0.5 s"),
    ],
)
async def test_whatever_answers(
    serve: Callable[..., Awaitable[str]], answer: bytes, fault: str
) -> None:
    patience = 30 if answer else 0.5
    found = await knock(await serve(answer), timeout=patience, clock=SystemClock())
    assert fault in found.fault
    assert bool(found.fault) is bool(fault)
    assert (found.latency is None) is bool(fault)
    assert found.ahead is None


async def test_tls_where_there_is_none(serve: Callable[..., Awaitable[str]]) -> None:
    address = (await serve(b"HTTP/1.1 400 Bad Request\r\n\r\n")).replace("http:", "https:")
    found = await knock(address, timeout=3, clock=SystemClock())
    assert found.fault
    assert found.remedy


async def test_an_answer_out_of_a_cache_says_nothing_of_the_time(
    serve: Callable[..., Awaitable[str]],
) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nage: 900\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
        b"content-length: 0\r\n\r\n"
    )
    assert (await knock(await serve(answer), timeout=30, clock=SystemClock())).ahead is None


async def test_knocking_carries_no_credential(simulated_providers: SimulatedProviders) -> None:
    address = simulated_providers.compatible.base_url
    await knock(address, timeout=30, clock=SystemClock())
    headers = simulated_providers.compatible.last_request.headers
    assert "authorization" not in {name.lower() for name in headers}


async def test_an_ollama_that_nobody_uses(simulated_providers: SimulatedProviders) -> None:
    case = case_of({}, ollama=simulated_providers.ollama.base_url)
    (found,) = await neighbours(case)
    assert found.level == "note"
    assert "OLLAMA_HOST" in found.remedy
    nowhere = case_of({}, ollama=simulated_providers.ollama.refused_base_url)
    assert await neighbours(nowhere) == []


# One check and the others


async def test_a_broken_check_hides_no_other() -> None:
    def broken(case: Case) -> Iterator[Result]:
        raise ZeroDivisionError(f"with {SECRET}")

    async def hanging(case: Case) -> list[Result]:
        await asyncio.Event().wait()
        return []

    def fine(case: Case) -> list[Result]:
        return [ok(f"fine, {SECRET}")]

    case = case_of(openai_at("http://127.0.0.1:1/v1"), timeout=3)
    checks = [Check("a", "one", broken), Check("a", "two", hanging), Check("b", "three", fine)]
    found = {section: examined async for section, examined in examine(case, checks)}
    first, second = found["a"]
    assert first.results[0].level == second.results[0].level == "error"
    assert "this check itself failed" in first.results[0].what
    assert "not done within" in second.results[0].what
    assert found["b"][0].results[0].level == "ok"
    assert SECRET not in repr(found)


async def test_several_who_ask_one_provider_ask_it_once(
    simulated_providers: SimulatedProviders,
) -> None:
    mapping = openai_at(simulated_providers.compatible.base_url)
    mapping["groups"] = {f"g{n}": {"chain": [f"near/m{n}", "near/m0"]} for n in range(5)}
    case = case_of(mapping)
    try:
        async for _ in examine(case, checks_for(case)):
            pass
    finally:
        await case.aclose()
    asked = [request.endpoint for request in simulated_providers.compatible]
    assert asked.count("models") == 1
    assert len(asked) == 2


def test_nobody_waits_for_a_daemon() -> None:
    release, started = threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        release.wait()

    async def use() -> int:
        asyncio.get_running_loop().set_default_executor(Daemons())
        hanging = asyncio.get_running_loop().run_in_executor(None, hang)
        await asyncio.to_thread(started.wait)
        hanging.cancel()
        return await asyncio.to_thread(lambda: 42)

    try:
        assert asyncio.run(use()) == 42  # and comes to an end
    finally:
        release.set()


# Around the ledger


def test_the_file_system_of_a_folder() -> None:
    mounts = (
        "/dev/vda / ext4 rw 0 0\n"
        "tmpfs /srv tmpfs rw 0 0\n"
        "nas:/x /srv/led\\040ger nfs4 rw 0 0\n"
        "overlay /srvother overlay rw 0 0\n"
    )
    kinds = {
        path: file_system_of(Path(path), mounts)
        for path in ("/", "/home", "/srv/a", "/srv/led ger/deep", "/srvother/x", "/srvoth")
    }
    assert kinds == {
        "/": "ext4",
        "/home": "ext4",
        "/srv/a": "tmpfs",
        "/srv/led ger/deep": "nfs4",
        "/srvother/x": "overlay",
        "/srvoth": "ext4",
    }
    assert file_system_of(Path("/"), "") == ""


_DYING = """
import asyncio, json, os, sys
from switchgear.accounting.ledger.ledger import Ledger
from switchgear.accounting.ledger.row import Row
from switchgear.clock import SystemClock
from switchgear.config import LedgerConfig

async def main():
    ledger = Ledger(LedgerConfig(url=sys.argv[1]), clock=SystemClock())
    await ledger.ready()
    for number in range(3):
        ledger.begin(Row(id=bytes([number]) * 16, call_id=bytes(16), at=1, provider="p", model="m"))
    print("begun", flush=True)
    sys.stdin.read()
    os._exit(9)

asyncio.run(main())
"""


def test_a_journal_while_its_process_lives_and_after_it_died(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'ledger.db'}"
    case = case_of({"ledger": {"url": url}})
    with subprocess.Popen(
        [sys.executable, "-c", _DYING, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        (living,) = journal(case)
        assert living.what == "1 process has it open"
        process.communicate("")
    (dead,) = journal(case)
    assert dead.level == "note"
    assert dead.what == "3 attempts of a process that died wait in the journal"
    # Looking changes nothing: it can be looked at again.
    assert list(journal(case)) == [dead]


def test_a_journal_that_can_not_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "ledger.db.journal"
    folder.mkdir()
    (folder / "7-abc.1.journal").write_bytes(b"from another version")
    (found,) = journal(case_of({"ledger": {"url": f"sqlite:{tmp_path / 'ledger.db'}"}}))
    assert found.level == "warning"
    assert "7-abc" in found.what


# PostgreSQL


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.mark.xdist_group("pg")
def test_a_server_before_and_after_its_tables_are_made(postgres: PostgresServer) -> None:
    url = postgres.new()
    case = case_of({"ledger": {"url": url}})
    before = look_at_ledger(case)
    assert (before.there, before.readable) == (False, False)
    assert "the first router makes its tables" in before.results[0].what
    # Looking made nothing.
    assert look_at_ledger(case) == before or not look_at_ledger(case).there
    store = open_store(url)
    store.book("writer", 1, [row()], frozenset())
    store.close()
    after = look_at_ledger(case)
    assert after.readable
    assert [each.level for each in after.results] == ["ok"]
    assert "ms a question" in after.results[0].what


@pytest.mark.xdist_group("pg")
def test_a_user_who_may_not_make_tables(postgres: PostgresServer) -> None:
    import psycopg

    url = postgres.new()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
    poor = url.replace("postgres@", "reader@")
    (found,) = look_at_ledger(case_of({"ledger": {"url": poor}})).results
    assert found.level == "error"
    assert "GRANT CREATE" in found.remedy


@pytest.mark.xdist_group("pg")
def test_a_server_whose_clock_differs(postgres: PostgresServer) -> None:
    case = case_of({"ledger": {"url": postgres.new()}}, clock=Wrong(30))
    _, clock = look_at_ledger(case).results
    assert "30 s apart" in clock.what


@pytest.mark.xdist_group("pg")
def test_a_database_that_is_not_there(postgres: PostgresServer) -> None:
    (found,) = look_at_ledger(case_of({"ledger": {"url": postgres.url("nowhere")}})).results
    assert found.level == "error"
    assert '"nowhere" does not exist' in found.what


# What is shared through a Redis


@pytest.mark.xdist_group("redis")
def test_a_redis_that_answers_and_one_that_does_not(server: RedisServer) -> None:
    case = case_of({"state": {"url": server.url}, "cache": {"url": server.url}})
    assert [result.level for result in shared(case)][-2:] == ["ok", "ok"]
    server.kill()
    away = list(shared(case))[-1]
    assert away.level == "error"
    assert "each process keeps its own meanwhile" in str(away.why)


@pytest.mark.xdist_group("redis")
async def test_replicas_that_go_by_another_configuration(own_redis: RedisServer) -> None:
    def configured(seconds: float, rpm: int) -> dict[str, Any]:
        limits = {"openai/*": {"rpm": rpm}, "anthropic": {"rpm": 10, "share": 1 / rpm}}
        state = {"url": own_redis.url, "timeout": 30}
        return {"state": state, "breaker": {"open_seconds": seconds}, "limits": limits}

    def found(config: dict[str, Any]) -> list[tuple[str, str]]:
        return [(each.level, each.what) for each in replicas(case_of(config))]

    assert found(configured(20, 100)) == [("ok", "no replica runs at the moment")]
    async with contextlib.AsyncExitStack() as running:
        for seconds in (20, 20.0, 40):
            config = Config.from_dict(configured(seconds, 100))
            fleet = open_fleet(config.state, SystemClock(), shared_settings(config))
            assert fleet is not None
            running.push_async_callback(fleet.aclose)
            await fleet.link.run("slots", [fleet.link.key("t", "s")], ["r", 5, 10, 0, 1])
            if seconds == 20.0:
                [alike] = await asyncio.to_thread(found, configured(20, 100))
        [some] = await asyncio.to_thread(found, configured(20, 100))
        [all_of_them] = await asyncio.to_thread(found, configured(99, 200))
    assert alike == ("ok", "2 replicas run, set as this configuration says in what they share")
    assert some == ("warning", "3 replicas run, some of them set to something else in [breaker]")
    places = '[breaker], [limits."openai/*"]'
    assert all_of_them[1].endswith(f"all of them set to something else in {places}")


def test_replicas_are_not_asked_for_without_a_server_that_answers() -> None:
    assert list(replicas(case_of({}))) == []
    assert list(replicas(case_of({"state": {"url": "redis://127.0.0.1:1/0"}}))) == []


def test_the_password_of_a_redis_is_not_shown() -> None:
    for url in (
        "redis://:hunter2@127.0.0.1:1/0",
        "redis://127.0.0.1:1/0?passwor%64=hunter2",
        "redis://:hunter2/x@127.0.0.1:1/0",
    ):
        case = case_of({"state": {"url": url}, "cache": {"url": url}})
        assert "hunter2" not in repr(list(shared(case)))


def test_what_a_redis_repeats_of_its_password_is_not_shown() -> None:
    url = "redis://127.0.0.1:1/0?passwor%64=hunt%21er"
    for case in (case_of({"state": {"url": url}}), case_of({"cache": {"url": url}})):
        assert case.redacted("hunt%21er, or hunt!er, is wrong") == "***, or ***, is wrong"
