"""Each fault does on the socket what it says, seen through a bare socket where an SDK hides it."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import time
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from switchgear.testing import Answer, Fault, SimulatedProviders
from tests.testing.support import CLAUDE, HELLO, claude, gpt

BODY = b'{"model":"gpt-4o","stream":%s,"messages":[{"role":"user","content":"hello"}]}'


def raw_exchange(simulated: SimulatedProviders, *, stream: bool) -> tuple[bytes, str]:
    """Everything that came back, and how it ended: `closed`, `reset` or `silent` (for 3 s)."""
    body = BODY % (b"true" if stream else b"false")
    host, port = simulated.root_url.removeprefix("http://").split(":")
    head = (
        f"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    received = b""
    with socket.create_connection((host, int(port))) as connection:
        connection.settimeout(3)
        connection.sendall(head.encode() + body)
        while True:
            try:
                chunk = connection.recv(65536)
            except ConnectionResetError:
                return received, "reset"
            except TimeoutError:
                return received, "silent"
            if not chunk:
                return received, "closed"
            received += chunk


@pytest.mark.parametrize(
    ("fault", "stream", "ending", "something"),
    [
        (Fault.reset(), False, "reset", False),
        (Fault.reset(after_headers=True), True, "reset", True),
        (Fault.reset(after_bytes=40), True, "reset", True),
        (Fault.cut(), False, "closed", False),
        (Fault.cut(after_bytes=40), True, "closed", True),
        (Fault.cut(after_events=2), True, "closed", True),
        (Fault.cut(after_bytes=40), False, "closed", True),
        (Fault.stall(), False, "silent", False),
        (Fault.stall(after_headers=True), False, "silent", True),
        (Fault.stall(after_chunks=1), True, "silent", True),
        (Fault.garbage(), False, "closed", True),
    ],
)
def test_broken_connections(
    simulated_providers: SimulatedProviders,
    fault: Any,
    stream: bool,
    ending: str,
    something: bool,
) -> None:
    simulated_providers.openai.script(fault)
    received, ended = raw_exchange(simulated_providers, stream=stream)
    assert ended == ending
    assert bool(received) is something
    assert not received.endswith(b"0\r\n\r\n")


def test_cut_body_is_short_of_its_content_length(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(Fault.cut(after_bytes=40))
    received, _ = raw_exchange(simulated_providers, stream=False)
    head, _, body = received.partition(b"\r\n\r\n")
    assert len(body) == 40
    declared = next(
        line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    assert int(declared.split(b":")[1]) > 40


def test_cut_after_n_content_chunks(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(
        Fault.cut(after_chunks=2, answer=Answer(chunks=("one", "two", "three")))
    )
    received, _ = raw_exchange(simulated_providers, stream=True)
    assert b"two" in received
    assert b"three" not in received


def test_stall_for_a_while_and_go_on(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(Fault.stall(0.1, after_chunks=1))
    started = time.monotonic()
    received, _ = raw_exchange(simulated_providers, stream=True)
    assert time.monotonic() - started >= 0.1
    assert b"[DONE]" in received


def test_stream_without_its_last_event(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(Fault.no_terminal())
    received, _ = raw_exchange(simulated_providers, stream=True)
    assert b"[DONE]" not in received
    assert received.endswith(b"0\r\n\r\n")


def test_drip_splits_everything(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(Fault.drip(0.0001, answer=Answer(text="né")))
    received, _ = raw_exchange(simulated_providers, stream=True)
    assert received.count(b"\r\n1\r\n") > 100


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault", [Fault.empty_body(), Fault.wrong_content_type(), Fault.broken_json()]
)
async def test_bodies_that_are_no_answers(
    simulated_providers: SimulatedProviders, fault: Any, stream: bool
) -> None:
    simulated_providers.openai.script(fault)
    body = {"model": "gpt-4o", "stream": stream, "messages": HELLO}
    url = f"{simulated_providers.openai.base_url}/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        assert response.status == 200
        text = await response.text()
    expected = {"empty_body": "", "wrong_content_type": "<html>"}.get(fault.kind)
    if expected is not None:
        assert text.startswith(expected)
        assert bool(text) is bool(expected)
    elif stream:
        first, second = text.split("\n\n")[:2]
        assert not first.endswith("}")
        assert second.startswith("data: {")
        assert second.endswith("}")
    else:
        assert text.startswith("{")
        assert not text.rstrip().endswith("}")


async def test_endless_body_ends_when_the_client_leaves(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.openai.script(Fault.endless())
    async with gpt(simulated_providers) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        count = 0
        async for _ in stream:
            count += 1
            if count == 50:
                break
        await stream.close()
        left = await simulated_providers.disconnect()
    assert left is simulated_providers.openai.last_request
    assert left.events_sent >= 40


async def test_redirect_loop(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(Fault.redirect_loop())
    async with gpt(simulated_providers) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert len(simulated_providers.openai.requests) > 10


async def test_refused_connection(simulated_providers: SimulatedProviders) -> None:
    async with anthropic.AsyncAnthropic(
        base_url=simulated_providers.anthropic.refused_base_url, api_key="x", max_retries=0
    ) as client:
        with pytest.raises(anthropic.APIConnectionError):
            await client.messages.create(model=CLAUDE, max_tokens=5, messages=HELLO)
    assert simulated_providers.requests == []


async def test_stall_before_headers_times_out(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.anthropic.script(Fault.stall())
    async with claude(simulated_providers, timeout=3) as client:
        with pytest.raises(anthropic.APITimeoutError):
            await client.messages.create(model=CLAUDE, max_tokens=5, messages=HELLO)
        assert (await simulated_providers.disconnect()).vendor == "anthropic"


@pytest.mark.parametrize(
    ("form", "header", "low", "high"),
    [
        ("seconds", "retry-after", 2, 2),
        ("ms", "retry-after-ms", 2000, 2000),
        ("http-date", "retry-after", 1, 3),
    ],
)
async def test_retry_after_forms(
    simulated_providers: SimulatedProviders, form: Any, header: str, low: float, high: float
) -> None:
    simulated_providers.openai.script(Fault.rate_limit(2, form=form))
    began = time.time()
    async with gpt(simulated_providers) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    value = caught.value.response.headers[header]
    if form == "http-date":
        moment = email.utils.parsedate_to_datetime(value).timestamp()
        assert began + low <= moment <= time.time() + high
    else:
        assert low <= float(value) <= high


async def test_pace_of_an_answer(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(
        Answer(chunks=("a", "b", "c"), latency=0.05, first_token_delay=0.1, chunk_delay=0.05)
    )
    async with gpt(simulated_providers) as client:
        started = time.monotonic()
        stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        times = [
            time.monotonic() - started async for chunk in stream if chunk.choices[0].delta.content
        ]
    # From the start: a client that stands still for a moment sees what comes meanwhile at once.
    assert times[0] >= 0.15
    assert times[2] >= 0.25
    await asyncio.sleep(0)
