"""The HTTP client under the SDKs: the short way is short, and all others are httpx2's."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest

from switchgear.providers.lean_client import LeanClient, LeanResponse, LeanStream
from tests.providers.loopback import answer, serving

OK = answer(b'{"object": "list", "data": []}')
PLAIN: dict[str, Any] = {"timeout": httpx2.Timeout(5.0), "content": b"{}"}


@pytest.fixture
async def client() -> AsyncIterator[LeanClient]:
    async with LeanClient() as made:
        yield made


def sdk(http: httpx2.AsyncClient, url: str, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0, http_client=http, **options)


# -- the short way ------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [[("x-a", "1")], {"X-A": "1"}, httpx2.Headers({"X-A": "1"})])
async def test_a_short_request_says_what_a_long_one_would(client: LeanClient, headers: Any) -> None:
    url = "http://127.0.0.1:9/v1/x?y=%2F"
    short = client.build_request("POST", url, headers=headers, **PLAIN)
    async with httpx2.AsyncClient(headers=client.headers) as theirs:
        usual = theirs.build_request("POST", url, headers=headers, **PLAIN)
    assert sorted(short.headers.multi_items()) == sorted(usual.headers.multi_items())
    assert (short.method, str(short.url)) == (usual.method, str(usual.url))
    assert short.content == usual.content == b"{}"
    assert short.extensions == usual.extensions


async def test_what_is_sent_is_the_request_as_it_was_when_it_was_sent(client: LeanClient) -> None:
    # As an SDK does that signs the request which it has built.
    async with serving(OK) as server:
        request = client.build_request("POST", f"{server.url}/x", **PLAIN)
        request.headers["x-signature"] = "abc"
        response = await client.send(request, follow_redirects=False)
        await client.send(client.build_request("POST", f"{server.url}/x", **PLAIN))
    assert isinstance(response, LeanResponse)
    assert server.seen[0].headers.pop("x-signature") == "abc"
    assert server.seen[0] == server.seen[1]


async def test_a_short_answer_is_an_answer_of_httpx2(client: LeanClient) -> None:
    body = gzip.compress(b'{"a": 1}')
    packed = answer(body, headers=[(b"content-encoding", b"gzip"), (b"X-A", b"1")])
    async with serving(packed) as server:
        request = client.build_request("POST", f"{server.url}/x", **PLAIN)
        whole = await client.send(request, follow_redirects=False)
        stream = await client.send(request, follow_redirects=False, stream=True)
        assert isinstance(stream, LeanStream)
        assert await stream.aread() == whole.content == whole.read() == b'{"a": 1}'
        assert stream.is_closed
    for response in (whole, stream):
        assert response.json() == {"a": 1}
        assert (response.status_code, response.reason_phrase) == (200, "OK")
        assert response.headers["x-a"] == "1"
        assert response.is_success
        assert response.request is request
        assert response.text == '{"a": 1}'
        assert [part async for part in response.aiter_bytes()] == [b'{"a": 1}']


async def test_the_line_that_httpx2_logs(
    client: LeanClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="httpx2")
    async with serving(OK) as server:
        request = client.build_request("POST", f"{server.url}/x", **PLAIN)
        await client.send(request, follow_redirects=False)
        await client.send(request)
    short, usual = (record.getMessage() for record in caplog.records)
    assert short == usual == f'HTTP Request: POST {server.url}/x "HTTP/1.1 200 OK"'


async def test_cookies_are_kept_as_httpx2_keeps_them(client: LeanClient) -> None:
    first = answer(headers=[(b"set-cookie", b"node=7; Path=/")])
    async with serving(first, OK) as server:
        for _ in range(2):
            request = client.build_request("POST", f"{server.url}/x", **PLAIN)
            await client.send(request, follow_redirects=False)
    assert "cookie" not in server.seen[0].headers
    assert server.seen[1].headers["cookie"] == "node=7"


async def test_a_placeholder_for_a_key_is_not_sent() -> None:
    async with LeanClient(placeholder="Bearer none") as http, serving(OK) as server:
        client = sdk(http, server.url).with_options(api_key="none")
        await client.models.list()
        options: Any = {"timeout": httpx2.Timeout(5.0), "follow_redirects": False}
        await client.post("/x", cast_to=httpx2.Response, content=b"{}", options=options)
        await client.with_options(api_key="real").models.list()
    used = [seen.headers.get("authorization") for seen in server.seen]
    assert used == [None, None, "Bearer real"]


# -- every other way ----------------------------------------------------------------------------


async def test_hooks_and_authentication_are_heeded() -> None:
    told: list[str] = []

    async def asked(request: httpx2.Request) -> None:
        told.append(request.method)

    async def answered(response: httpx2.Response) -> None:
        told.append(str(response.status_code))

    hooks: Any = {"request": [asked], "response": [answered]}
    async with serving(OK) as server:
        async with LeanClient(event_hooks=hooks) as client:
            request = client.build_request("POST", f"{server.url}/x", **PLAIN)
            await client.send(request, follow_redirects=False)
        async with LeanClient(auth=("me", "pw")) as client:
            request = client.build_request("POST", f"{server.url}/x", **PLAIN)
            await client.send(request, follow_redirects=False)
        async with LeanClient() as client:
            request = client.build_request("POST", f"{server.url}/x", **PLAIN)
            await client.send(request, follow_redirects=False, auth=("me", "pw"))
            address = server.url.replace("http://", "http://me:pw@")
            request = client.build_request("POST", f"{address}/x", **PLAIN)
            await client.send(request, follow_redirects=False)
    assert told == ["POST", "200"]
    used = [seen.headers.get("authorization") for seen in server.seen]
    assert used == [None, *["Basic bWU6cHc="] * 3]


async def test_redirects_are_followed_for_whoever_wants_them(client: LeanClient) -> None:
    async with serving(OK) as last:
        moved = answer(status="307 Moved", headers=[(b"location", last.url.encode())])
        async with serving(moved) as first:
            request = client.build_request("POST", f"{first.url}/x", **PLAIN)
            assert (await client.send(request)).status_code == 200
            assert (await client.send(request, follow_redirects=False)).status_code == 307
        assert len(last.seen) == 1


async def test_parameters_files_and_bodies_that_come_bit_by_bit(client: LeanClient) -> None:
    async def bits() -> AsyncIterator[bytes]:
        yield b"12"
        yield b"345"

    async with serving(OK) as server:
        await client.post(f"{server.url}/files", files={"file": ("a.txt", b"text")})
        await client.post(f"{server.url}/x", content=b"{}", params={"a": "b c"})
        await client.get(f"{server.url}/x", params={"a": "1"})
        await client.post(f"{server.url}/bits", content=bits())
    first, second, third, last = server.seen
    assert b'filename="a.txt"' in first.body
    assert (second.target, third.target) == ("/x?a=b+c", "/x?a=1")
    assert last.body == b"12345"


async def test_an_address_below_the_clients_own() -> None:
    async with serving(OK) as server, LeanClient(base_url=f"{server.url}/v1") as client:
        request = client.build_request("POST", "/x", **PLAIN)
        assert str(request.url) == f"{server.url}/v1/x"
        await client.send(request, follow_redirects=False)


async def test_the_sdk_over_it_as_its_users_use_it() -> None:
    chunk = '{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}'
    stream = answer(
        f"data: {chunk}\n\ndata: [DONE]\n\n".encode(),
        headers=[(b"content-type", b"text/event-stream")],
    )
    refusal = answer(b'{"error": {"message": "no"}}', status="400 Bad Request")
    async with serving(stream, refusal, OK) as server, LeanClient() as http:
        client = sdk(http, server.url)
        chunks = await client.chat.completions.create(model="m", messages=[], stream=True)
        assert [each.model async for each in chunks] == ["m"]
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="m", messages=[])
        raw = await client.models.with_raw_response.list()
        assert raw.elapsed.total_seconds() > 0
        assert not http.is_closed
    assert http.is_closed


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ([b"-"], openai.APIConnectionError),
        ([b"no HTTP\r\n\r\n", b"-"], openai.APIConnectionError),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", b"-"], openai.APIConnectionError),
        ([b""], openai.APITimeoutError),
    ],
    ids=["no answer", "no HTTP", "cut", "silence"],
)
@pytest.mark.parametrize("short", [True, False])
async def test_failures_in_the_words_of_the_sdk(
    client: LeanClient, given: list[bytes], error: type[Exception], short: bool
) -> None:
    options: Any = {"timeout": httpx2.Timeout(0.2)} | ({"follow_redirects": False} if short else {})
    async with serving(given) as server:
        with pytest.raises(error) as failed:
            await sdk(client, server.url).post(
                "/x", cast_to=httpx2.Response, content=b"{}", options=options
            )
    assert isinstance(failed.value.__cause__, httpx2.RequestError)
    assert failed.value.__cause__.request.url.path == "/x"


@pytest.mark.parametrize("short", [True, False])
async def test_a_body_that_falls_silent(client: LeanClient, short: bool) -> None:
    begun = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab"
    async with serving([begun, b"cd", b""], pause=0.02) as server:
        request = client.build_request(
            "POST", f"{server.url}/x", timeout=httpx2.Timeout(0.1), content=b"{}"
        )
        response = await client.send(request, stream=True, follow_redirects=not short)
        arrived = b""
        with pytest.raises(httpx2.ReadTimeout):
            async for piece in response.aiter_bytes():
                arrived += piece
        await response.aclose()
        await server.until_gone(1)
    assert arrived == b"abcd"


async def test_a_closed_client_is_closed(client: LeanClient) -> None:
    async with serving(OK) as server:
        request = client.build_request("POST", f"{server.url}/x", **PLAIN)
        await client.send(request, follow_redirects=False)
        await client.aclose()
        with pytest.raises(RuntimeError):
            await client.send(request, follow_redirects=False)
        await server.until_gone(1)


async def test_many_at_once_share_the_connections(client: LeanClient) -> None:
    async with serving(OK) as server:
        request = client.build_request("POST", f"{server.url}/x", **PLAIN)
        for _ in range(3):
            await asyncio.gather(*(client.send(request, follow_redirects=False) for _ in range(20)))
        assert server.connections == 20
