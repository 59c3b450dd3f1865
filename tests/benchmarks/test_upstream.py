from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from benchmarks.suite.answers import CHUNKS, STREAMED, WHOLE
from benchmarks.suite.upstream import Upstream, plan


@pytest.fixture
async def url() -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    yield "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
    server.close()
    await server.wait_closed()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def events(answer: aiohttp.ClientResponse) -> list[dict[str, object]]:
    lines = (await answer.text()).splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


async def test_whole_answers_are_the_vendors(url: str, client: aiohttp.ClientSession) -> None:
    async with client.post(f"{url}/v1/chat/completions", json={}) as answer:
        chat = await answer.json()
    assert len(chat["choices"][0]["message"]["content"]) == WHOLE
    assert "x-ratelimit-remaining-requests" in answer.headers
    async with client.post(f"{url}/v1/messages", json={}) as answer:
        message = await answer.json()
    assert len(message["content"][0]["text"]) == WHOLE
    assert "anthropic-ratelimit-requests-remaining" in answer.headers


@pytest.mark.parametrize("prefix", ["", "/burst"])
async def test_streams_have_all_their_chunks(
    url: str, client: aiohttp.ClientSession, prefix: str
) -> None:
    asked = {"stream": True}
    async with client.post(f"{url}{prefix}/v1/chat/completions", json=asked) as answer:
        chunks = await events(answer)
    assert len(chunks) == CHUNKS + 3
    async with client.post(f"{url}{prefix}/v1/messages", json=asked) as answer:
        kinds = [each["type"] for each in await events(answer)]
    assert kinds.count("content_block_delta") == CHUNKS
    assert kinds[-1] == "message_stop"
    assert len(" word") * CHUNKS == STREAMED


async def test_a_broken_stream_has_a_beginning_and_no_end(
    url: str, client: aiohttp.ClientSession
) -> None:
    async with client.post(f"{url}/broken/v1/messages", json={"stream": True}) as answer:
        assert await answer.content.readline() == b"event: message_start\n"
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_connection_is_good_for_one_request_after_the_other(url: str) -> None:
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = b"POST /wait1/v1/messages HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    writer.write(request + request[:20])
    await reader.readuntil(b"}}")
    writer.write(request[20:])
    assert (await reader.readuntil(b"}}")).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    await writer.wait_closed()


async def test_other_paths_are_not_found(url: str, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{url}/v1/models") as answer:
        assert answer.status == 404


def test_what_a_path_asks_for() -> None:
    waiting = plan(b"/wait10/v1/chat/completions")
    assert waiting is not None
    assert (waiting.wait, waiting.burst, waiting.broken) == (0.01, False, False)
    assert plan(b"/v1/messages?beta=true") is not None
    assert plan(b"/v2/messages") is None
