"""The FastAPI example, behind a real server: answers, errors, and clients that leave."""

import asyncio
import contextlib
import importlib.util
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest

from switchgear import Router
from switchgear.testing import Answer, Fault, SimulatedProviders
from switchgear.testing.answers import TokenUsage
from switchgear.testing.faults import Outcome

uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("fastapi", reason="fastapi is not installed")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLAUDE, GPT = "anthropic/claude-haiku-4-5", "openai/gpt-4o-mini"
HI = [{"role": "user", "content": "hi"}]
WHO = {"agent_id": "a1", "project_id": "p1"}
COUNTED = TokenUsage(input_tokens=1000, output_tokens=200, reasoning_tokens=0)
COST = Decimal("0.002")  # 1000 at 1 USD and 200 at 5 USD for a million

HARD = {"scope": "project:*", "usd": 1, "period": "day", "enforcement": "hard"}


def toml(value: Any) -> str:
    """A value as TOML, in one line."""
    if isinstance(value, dict):
        pairs = ", ".join(f'"{name}" = {toml(inner)}' for name, inner in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return msgspec.json.encode(value).decode()


class Service:
    """A client of the service."""

    def __init__(self, client: aiohttp.ClientSession, server: Any) -> None:
        self.client = client
        self.server = server

    async def ask(self, path: str = "/v1/complete", **question: Any) -> tuple[int, Any, Any]:
        """Status, headers and JSON body of the answer."""
        headers = question.pop("headers", {})
        body = {"messages": HI, **WHO, **question}
        async with self.client.post(path, json=body, headers=headers) as response:
            return response.status, response.headers, msgspec.json.decode(await response.read())

    async def rows(self, project: str = "p1") -> dict[str, Any]:
        """What is booked, by outcome, as the service itself tells."""
        async with self.client.get(f"/v1/spend/{project}") as response:
            found = await response.json()
        return {row["keys"]["outcome"]: row for row in found["rows"]}

    async def booked(self, outcome: str) -> dict[str, Any]:
        """The row of that outcome, as soon as it is there."""
        async with asyncio.timeout(30):
            while outcome not in (rows := await self.rows()):
                pass
        row: dict[str, Any] = rows[outcome]
        return row


class Stage:
    """What a test needs: the vendors, a folder, and the service between."""

    def __init__(self, app: Any, vendors: SimulatedProviders, folder: Path) -> None:
        self._app = app
        self.vendors = vendors
        self.claude = vendors.anthropic
        self.config = folder / "switchgear.toml"

    def configure(self, **sections: Any) -> None:
        """Both vendors, and a ledger that other processes can read."""
        data = {
            "providers": {
                name: {"api_key": "env:ANY_KEY", "base_url": self.vendors[name].base_url}
                for name in ("anthropic", "openai")
            },
            "groups": {"high-reasoning": {"chain": [CLAUDE]}, "fast-response": {"chain": [GPT]}},
            "retry": {"num_retries": 0},
            "ledger": {"url": "sqlite:ledger.db"},
            **sections,
        }
        lines = [f"{name} = {toml(value)}\n" for name, value in data.items()]
        self.config.write_text("".join(lines))

    @contextlib.asynccontextmanager
    async def service(self, *, patience: int = 20, **sections: Any) -> AsyncIterator[Service]:
        """The example under uvicorn on this very loop, with a client.

        ``patience`` is how many seconds its end waits for answers.
        """
        self.configure(**sections)
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = uvicorn.Config(
            self._app, log_config=None, lifespan="on", timeout_graceful_shutdown=patience
        )
        server = uvicorn.Server(settings)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            assert not running.done()
            await asyncio.sleep(0)
        try:
            async with aiohttp.ClientSession(url) as client:
                yield Service(client, server)
        finally:
            server.should_exit = True
            await running


@pytest.fixture
def stage(
    simulated_providers: SimulatedProviders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    spec = importlib.util.spec_from_file_location("fastapi_app", EXAMPLES / "fastapi_app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fastapi_app", module)
    spec.loader.exec_module(module)
    stage = Stage(module.app, simulated_providers, tmp_path)
    monkeypatch.setenv("SWITCHGEAR_CONFIG", str(stage.config))
    monkeypatch.setenv("ANY_KEY", "not-a-real-key")
    return stage


def events_of(text: str) -> list[tuple[str, Any]]:
    """Server-sent events, read in the plainest way."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [
        (name.removeprefix("event: "), msgspec.json.decode(data.removeprefix("data: ")))
        for name, data in blocks
    ]


# Answers ------------------------------------------------------------------------------------------


async def test_an_answer_in_openais_shape_booked_under_agent_and_project(
    stage: Stage,
) -> None:
    stage.claude.always(Answer(text="Hello.", usage=COUNTED))
    async with stage.service() as service:
        status, _, reply = await service.ask(max_tokens=50)
        assert status == 200
        assert reply["choices"][0]["message"]["content"] == "Hello."
        assert reply["usage"]["total_tokens"] == 1200
        row = (await service.rows())["answered"]
        assert row["keys"] == {"agent": "a1", "group": "high-reasoning", "outcome": "answered"}
        assert Decimal(row["cost"]) == COST


async def test_a_header_names_the_agent_before_the_body_does(
    stage: Stage,
) -> None:
    async with stage.service() as service:
        headers = {"X-Agent-Id": "proxy-says", "X-Project-Id": "p9"}
        status, _, _ = await service.ask(headers=headers)
        assert status == 200
        (row,) = (await service.rows("p9")).values()
        assert row["keys"]["agent"] == "proxy-says"
        assert await service.rows("p1") == {}


async def test_an_agent_type_chooses_the_group(
    stage: Stage,
) -> None:
    async with stage.service() as service:
        _, _, reply = await service.ask(agent_type="QA Engineer")
        assert reply["switchgear"]["provider"] == "openai"


async def test_a_stream_is_deltas_and_then_the_whole(
    stage: Stage,
) -> None:
    stage.claude.always(Answer(text="Hello there you.", usage=COUNTED))
    async with stage.service() as service:
        body = {"messages": HI, **WHO}
        async with service.client.post("/v1/stream", json=body) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            *deltas, (last, whole) = events_of(await response.text())
        assert {name for name, _ in deltas} == {"delta"}
        assert "".join(delta["text"] for _, delta in deltas) == "Hello there you."
        assert last == "done"
        assert whole["choices"][0]["message"]["content"] == "Hello there you."
        assert Decimal(whole["switchgear"]["cost"]) == COST
        assert Decimal((await service.rows())["answered"]["cost"]) == COST


async def test_a_stream_that_breaks_says_so_as_its_last_event(
    stage: Stage,
) -> None:
    stage.claude.always(Fault.cut(after_chunks=2))
    async with stage.service() as service:
        body = {"messages": HI, **WHO}
        async with service.client.post("/v1/stream", json=body) as response:
            (*_, (last, error)) = events_of(await response.text())
        assert last == "error"
        assert error["type"] == "StreamInterruptedError"
        assert Decimal((await service.booked("interrupted"))["bound"]) > 0


# Clients that leave -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/complete", "/v1/stream"])
@pytest.mark.parametrize("budgets", [[], [HARD]], ids=["no budget", "hard budget"])
async def test_who_leaves_before_the_answer_ends_the_call_and_pays_for_it(
    stage: Stage,
    path: str,
    budgets: list[Any],
) -> None:
    stage.claude.always(Fault.stall())
    async with stage.service(budgets=budgets) as service:
        asking = asyncio.create_task(service.ask(path))
        await stage.vendors.arrivals(1)
        asking.cancel()
        left = await stage.vendors.disconnect()
        assert left.vendor == "anthropic"
        row = await service.booked("cancelled")
    assert row["attempts"] == row["failed"] == row["estimated"] == 1
    assert row["keys"]["agent"] == "a1"
    assert Decimal(row["cost"]) > 0, "the prompt was read"
    assert Decimal(row["bound"]) > Decimal(row["cost"]), "and so may an answer have been written"
    assert len(stage.vendors.requests) == 1


@pytest.mark.parametrize("budgets", [[], [HARD]], ids=["no budget", "hard budget"])
async def test_who_leaves_in_mid_stream_ends_it_and_pays_for_what_came(
    stage: Stage,
    budgets: list[Any],
) -> None:
    answer = Answer(text="one two three four five six seven eight", usage=COUNTED)
    stage.claude.always(Fault.stall(answer=answer, after_chunks=4))
    async with stage.service(budgets=budgets) as service:
        response = await service.client.post("/v1/stream", json={"messages": HI, **WHO})
        for _ in range(3):
            assert (await response.content.readuntil(b"\n\n")).startswith(b"event: delta\n")
        response.close()
        left = await stage.vendors.disconnect()
        assert left.stream
        row = await service.booked("cancelled")
        assert list(await service.rows()) == ["cancelled"]
    assert row["usage"]["output_tokens"] > 0
    assert row["estimated"] == 1
    assert 0 < Decimal(row["cost"]) < Decimal(row["bound"])


async def test_leaving_returns_what_was_set_aside_but_for_what_it_can_have_cost(
    stage: Stage,
) -> None:
    stage.claude.script(Fault.stall(), Answer(text="ok", usage=COUNTED))
    budget = {**HARD, "usd": 0.05}
    async with stage.service(budgets=[budget]) as service:
        leaving = asyncio.create_task(service.ask(max_tokens=5000))
        await stage.vendors.arrivals(1)
        leaving.cancel()
        row = await service.booked("cancelled")
        left = Decimal("0.05") - Decimal(row["bound"])
        assert left < Decimal("0.0251")
        assert (await service.ask(max_tokens=5000))[0] == 402
        assert (await service.ask(max_tokens=2000))[0] == 200


async def test_a_server_that_ends_waits_for_its_answers(stage: Stage) -> None:
    stage.claude.always(Answer(text="late", latency=0.2, usage=COUNTED))
    async with stage.service() as service:
        asking = asyncio.create_task(service.ask())
        await stage.vendors.arrivals(1)
        service.server.should_exit = True
        status, _, _ = await asking
    assert status == 200
    async with Router.from_file(stage.config) as router:
        assert (await router.spend(project_id="p1")).cost == COST


@pytest.mark.parametrize("path", ["/v1/complete", "/v1/stream"])
async def test_a_server_that_no_longer_waits_books_what_it_breaks_off(
    stage: Stage, path: str
) -> None:
    stage.claude.always(Fault.stall(after_chunks=1))
    async with stage.service(patience=0) as service:
        asking = asyncio.create_task(service.ask(path))
        await stage.vendors.arrivals(1)
        service.server.should_exit = True
        # uvicorn's plain 500, or a stream that is cut.
        with pytest.raises((msgspec.DecodeError, aiohttp.ClientError)):
            await asking
        await stage.vendors.disconnect()
    async with Router.from_file(stage.config) as router:
        (row,) = (await router.spend(project_id="p1", by="outcome")).rows
    assert row.keys == {"outcome": "cancelled"}
    assert row.bound > 0


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/complete", "/v1/stream"])
@pytest.mark.parametrize(
    ("question", "param"),
    [
        ({"model_preference": "smartest"}, "model"),
        ({"agent_type": "Plumber"}, "agent_type"),
        ({"agent_id": ""}, "agent_id"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
        ({"temperature": 9}, "temperature"),
    ],
)
async def test_a_wrong_request_is_400_and_named(
    stage: Stage,
    path: str,
    question: Any,
    param: str,
) -> None:
    async with stage.service() as service:
        status, _, body = await service.ask(path, **question)
    assert status == 400
    assert body["error"]["param"] == param
    assert stage.vendors.requests == []


@pytest.mark.parametrize("path", ["/v1/complete", "/v1/stream"])
@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        (Fault.server_error(), 502, None),
        (Fault.rate_limit(retry_after=30), 503, range(25, 31)),
        (Fault.stall(), 504, None),
        (Fault.invalid_request("no"), 400, None),
    ],
    ids=["down", "busy", "too late", "refused"],
)
async def test_a_providers_failure_has_its_status_also_before_a_stream(
    stage: Stage,
    path: str,
    fault: Outcome,
    status: int,
    retry_after: range | None,
) -> None:
    stage.claude.always(fault)
    async with stage.service() as service:
        timeout = 0.2 if status == 504 else 20
        found, headers, body = await service.ask(path, timeout=timeout)
        assert (found, set(body["error"])) == (status, {"type", "message", "param"})
        if retry_after is None:
            assert "Retry-After" not in headers
        else:
            assert int(headers["Retry-After"]) in retry_after
        assert sum(row["attempts"] for row in (await service.rows()).values()) == 1


async def test_a_spent_budget_is_402_and_a_busy_one_429(
    stage: Stage,
) -> None:
    stage.claude.always(Fault.stall())
    async with stage.service(budgets=[{**HARD, "usd": 0.03}]) as service:
        first = asyncio.create_task(service.ask(max_tokens=5000))
        await stage.vendors.arrivals(1)
        status = 504
        async with asyncio.timeout(30):
            while status == 504:  # a machine that stands still lets the deadline come first
                status, headers, body = await service.ask(max_tokens=5000, timeout=1)
        assert (status, body["error"]["type"]) == (429, "BudgetBusyError")
        assert int(headers["Retry-After"]) >= 1
        first.cancel()
        await service.booked("cancelled")
        status, headers, body = await service.ask(max_tokens=5000)
        assert (status, body["error"]["type"]) == (402, "BudgetExceededError")
        assert 1 <= int(headers["Retry-After"]) <= 86_400


# Processes ----------------------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    uvicorn = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_app:app"]
    return [*uvicorn, "--port", "0", *arguments]


def environment(config: Path | None) -> Mapping[str, str]:
    known = {"PATH", "HOME", "TMPDIR", "SYSTEMROOT"}
    kept = {name: value for name, value in os.environ.items() if name in known}
    return {**kept, "ANY_KEY": "none", **({"SWITCHGEAR_CONFIG": str(config)} if config else {})}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[groups.high-reasoning]\nchain = ['nobody/x']\nspeed = 1\n",
            [
                "2 errors in",
                "switchgear.toml:3: groups.high-reasoning.speed: unknown key",
                "there is no provider 'nobody'",
            ],
        ),
        (None, ["no provider is configured", "export ANTHROPIC_API_KEY="]),
        (
            "groups.a.chain = ['ollama/m']\ngroups.b.chain=['a']\nagents = { QA = 'a', qa = 'b' }",
            ["agents: 'QA' and 'qa' are one agent type, with two groups"],
        ),
    ],
    ids=["faults in the file", "nothing configured", "one type twice"],
)
def test_a_configuration_that_is_wrong_ends_the_server_and_is_named(
    tmp_path: Path, text: str | None, said: list[str]
) -> None:
    path = tmp_path / "switchgear.toml"
    path.write_text(text or "")
    result = subprocess.run(
        command(),
        env=environment(path if text is not None else None),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert result.returncode != 0
    for line in said:
        assert line in result.stderr
    assert len(result.stderr.splitlines()) < 25, "the message is not buried"


@contextlib.contextmanager
def workers(config: Path, count: int) -> Iterator[str]:
    """The service in processes of its own; the address."""
    process = subprocess.Popen(
        command("--workers", str(count)),
        env=environment(config),
        cwd=config.parent,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    log: list[str] = []
    try:
        ready = 0
        url = ""
        while ready < count or not url:
            line = process.stderr.readline()
            assert line, "".join(log)
            log.append(line)
            if found := re.search(r"running on (http://\S+)", line):
                url = found[1]
            ready += "Application startup complete" in line
        _listening(url)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=30)
    assert "Traceback" not in rest


def _listening(url: str) -> None:
    """Wait until it accepts: a worker says that it is ready before its socket listens."""
    address = urlsplit(url)
    for _ in range(600):
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((address.hostname, address.port), timeout=5).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens at {url}")


async def ask_all(urls: list[str], questions: list[dict[str, Any]]) -> list[int]:
    """All at once, by turns at these addresses, each over a connection of its own."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as client:

        async def ask(url: str, question: dict[str, Any]) -> int:
            body = {"messages": HI, **question}
            async with client.post(f"{url}/v1/complete", json=body) as response:
                await response.read()
                return response.status

        return await asyncio.gather(*map(ask, itertools.cycle(urls), questions))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("processes", [[2], [1, 1]], ids=["two workers", "two services"])
async def test_two_processes_share_one_ledger_and_one_budget(
    stage: Stage, processes: list[int]
) -> None:
    stage.claude.always(Answer(text="ok", latency=0.05, usage=COUNTED))
    limit = Decimal("0.02")  # for ten of COST
    stage.configure(budgets=[{**HARD, "scope": "project:capped", "usd": 0.02}])
    free = [{"agent_id": f"a{n % 8}", "project_id": "free"} for n in range(48)]
    capped = [
        {"agent_id": f"a{n % 8}", "project_id": "capped", "max_tokens": 400} for n in range(40)
    ]
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(workers(stage.config, count)) for count in processes]
        statuses = await ask_all(urls, free)
        assert statuses == [200] * len(free)
        statuses = await ask_all(urls, capped)
        assert set(statuses) <= {200, 402, 429}
        answered = statuses.count(200)
    async with Router.from_file(stage.config) as router:
        everything = await router.spend(project_id="free", by="agent")
        assert everything.calls == len(free)
        assert everything.cost == len(free) * COST
        assert {row.keys["agent"]: row.calls for row in everything.rows} == {
            f"a{n}": 6 for n in range(8)
        }
        of_capped = await router.spend(project_id="capped")
        assert of_capped.cost == answered * COST
        assert of_capped.bound <= limit
        assert answered >= 7
