from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import anthropic
import httpx
import openai
import pytest

import switchgear.testing
from switchgear.testing import (
    Answer,
    Fault,
    Outcome,
    RateLimits,
    RecordedRequest,
    SimulatedProviders,
    TypeCheckError,
    validate_request,
)
from tests.testing.support import CLAUDE, HELLO, claude, gpt


def test_context_manager_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with SimulatedProviders() as simulated:
        url = simulated.ollama.base_url
        assert httpx.get(f"{url}/api/version").json()["version"]
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    simulated.stop()


async def test_asynchronous_context_manager_with_a_request_still_open() -> None:
    async with SimulatedProviders() as simulated:
        simulated.openai.script(Fault.stall())
        async with gpt(simulated) as client:
            call = asyncio.create_task(
                client.chat.completions.create(model="gpt-4o", messages=HELLO)
            )
            await simulated.arrivals(1)
            await asyncio.to_thread(simulated.stop)
            with pytest.raises(openai.APIConnectionError):
                await call
    # The server went away, the client did not.
    assert not simulated.openai.last_request.disconnected


def test_synchronous_clients(simulated_providers: SimulatedProviders) -> None:
    url = simulated_providers.anthropic.base_url
    with anthropic.Anthropic(base_url=url, api_key="x", max_retries=0) as client:
        made = client.messages.create(model=CLAUDE, max_tokens=50, messages=HELLO)
    assert made.content[0].to_dict()["text"] == "You said: hello"


async def test_script_then_handler_then_default(simulated_providers: SimulatedProviders) -> None:
    provider = simulated_providers.openai

    def handler(request: RecordedRequest) -> Outcome | None:
        return Answer(text="handled") if request.number == 2 else None

    provider.script(Answer(text="scripted"))
    provider.handler = handler
    async with gpt(simulated_providers) as client:
        texts = [
            (await client.chat.completions.create(model="gpt-4o", messages=HELLO))
            .choices[0]
            .message.content
            for _ in range(3)
        ]
    assert texts == ["scripted", "handled", "You said: hello"]
    assert provider.unused == 0


async def test_asynchronous_handler(simulated_providers: SimulatedProviders) -> None:
    async def handler(request: RecordedRequest) -> Outcome | None:
        await asyncio.sleep(0)
        return None if request.stream else Answer(text=f"for {request.model}")

    simulated_providers.openai.handler = handler
    async with gpt(simulated_providers) as client:
        made = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert made.choices[0].message.content == "for gpt-4o"


async def test_scripts_for_a_model_or_an_endpoint(simulated_providers: SimulatedProviders) -> None:
    provider = simulated_providers.openai
    provider.script(Fault.overloaded(), model="gpt-4o")
    provider.script(Fault.permission(), endpoint="models")
    async with gpt(simulated_providers) as client:
        await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        with pytest.raises(openai.PermissionDeniedError):
            await client.models.list()


async def test_records(simulated_providers: SimulatedProviders) -> None:
    async with claude(simulated_providers) as client:
        await client.messages.create(model=CLAUDE, max_tokens=50, messages=HELLO)
    # The client may have its answer before the server has noted that it is out.
    await simulated_providers.idle()
    (request,) = simulated_providers.requests
    assert request.body == {"model": CLAUDE, "max_tokens": 50, "messages": HELLO}
    assert request.header("Anthropic-Version")
    assert (request.vendor, request.endpoint, request.status) == ("anthropic", "messages", 200)
    assert request.finished
    assert not request.disconnected
    assert "sk-test" not in repr(request)


async def test_disconnect_is_seen_at_once(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(Answer(text="one two three", chunk_delay=1000.0))
    async with gpt(simulated_providers) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        assert simulated_providers.active_requests == 1
        await stream.close()
        left = await simulated_providers.disconnect()
        await simulated_providers.idle()
    assert left.disconnected
    assert left.status == 200


async def test_connections_are_kept_alive_and_counted(
    simulated_providers: SimulatedProviders,
) -> None:
    async with gpt(simulated_providers) as client:
        for _ in range(3):
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert simulated_providers.open_connections == 1
    simulated_providers.reset()
    assert simulated_providers.open_connections == 0


async def test_reset_forgets_everything(simulated_providers: SimulatedProviders) -> None:
    provider = simulated_providers.openai
    provider.configure(require_key="other")
    provider.script(Fault.overloaded())
    provider.always(Fault.overloaded())
    provider.handler = lambda _: Fault.overloaded()
    simulated_providers.add("openai", name="backup")
    simulated_providers.reset()
    async with gpt(simulated_providers) as client:
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert len(simulated_providers.requests) == 1
    assert "backup" not in simulated_providers.providers


async def test_two_providers_of_one_kind(simulated_providers: SimulatedProviders) -> None:
    backup = simulated_providers.add("openai", name="backup")
    backup.always(Answer(text="from the backup"))
    async with openai.AsyncOpenAI(base_url=backup.base_url, api_key="x") as client:
        made = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert made.choices[0].message.content == "from the backup"
    assert simulated_providers.openai.requests == []
    assert simulated_providers["backup"] is backup
    with pytest.raises(ValueError, match="no simulated provider of kind"):
        simulated_providers.add("nobody", name="x")


async def test_stated_rate_limits(simulated_providers: SimulatedProviders) -> None:
    limits = RateLimits(requests_remaining=0, input_tokens_limit=40_000, reset_after=90.0)
    for provider in (simulated_providers.anthropic, simulated_providers.openai):
        provider.configure(limits=limits)
    async with claude(simulated_providers) as client:
        raw = await client.messages.with_raw_response.create(
            model=CLAUDE, max_tokens=50, messages=HELLO
        )
    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert raw.headers["anthropic-ratelimit-input-tokens-limit"] == "40000"
    async with gpt(simulated_providers) as other:
        chat = await other.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert chat.headers["x-ratelimit-reset-requests"] == "1m30s"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/anthropic/v1/nothing", 404, "not_found_error"),
        ("/openai/v1/nothing", 404, "Invalid URL (POST /v1/nothing)"),
        ("/ollama/api/nothing", 404, "404 page not found"),
        ("/azure/openai/deployments/x/chat/completions", 404, "Resource not found"),
        ("/nobody/v1", 404, "no simulated provider"),
        ("/openai/v1/chat/completions", 400, "parse the JSON body"),
        ("/anthropic/v1/messages", 400, "anthropic-version: header is required"),
    ],
)
async def test_wrong_paths_and_bodies(
    simulated_providers: SimulatedProviders, path: str, status: int, body: str
) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.post(simulated_providers.root_url + path, content=b"{not json")
    assert response.status_code == status
    assert body in response.text


@pytest.mark.parametrize(
    ("vendor", "endpoint", "body", "wrong"),
    [
        ("anthropic", None, {"model": "x", "max_tokens": 5, "messages": HELLO}, {"max_token": 5}),
        ("anthropic", None, {"model": "x", "max_tokens": 5, "messages": HELLO}, {"messages": [{}]}),
        ("openai", "chat", {"model": "x", "messages": HELLO}, {"top_k": 5}),
        ("openai", "responses", {"model": "x", "input": "hello"}, {"inputs": "hello"}),
        ("openai", "embeddings", {"model": "x", "input": ["a"]}, {"input": [1.5]}),
        ("ollama", "chat", {"model": "x", "messages": HELLO}, {"options": 5}),
    ],
)
def test_bodies_against_the_sdks_own_types(
    vendor: str, endpoint: str | None, body: dict[str, Any], wrong: dict[str, Any]
) -> None:
    validate_request(vendor, body, endpoint=endpoint)
    with pytest.raises(TypeCheckError):
        validate_request(vendor, {**body, **wrong}, endpoint=endpoint)


async def test_strict_types_on_every_request(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.configure(strict_types=True)
    async with gpt(simulated_providers) as client:
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(
                model="gpt-4o", messages=HELLO, extra_body={"metadata": {"a": 1}}
            )


def test_everything_public_can_be_imported() -> None:
    for name in switchgear.testing.__all__:
        assert getattr(switchgear.testing, name) is not None
    assert dir(switchgear.testing) == sorted(switchgear.testing.__all__)


def test_the_plugin_is_light() -> None:
    code = (
        "import sys, switchgear.testing.pytest_plugin;"
        "heavy = {'aiohttp', 'anthropic', 'openai', 'ollama', 'pydantic'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
