"""What both roads to a provider promise, through the real SDK and past it."""

from __future__ import annotations

import asyncio
import gzip
import logging
import pickle
import socket
import ssl
import traceback
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from switchgear.credentials import Secret
from switchgear.errors import (
    AuthenticationError,
    InvalidRequestError,
    LifecycleError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitError,
    SwitchgearError,
)
from switchgear.providers.openai_family import bearer, http_client
from switchgear.providers.roads import Road, wire_for
from switchgear.providers.wire import Wire, WireRequest
from tests.providers.loopback import answer, serving
from tests.state.test_tls import certify

KEY = Secret("sk-the-configured-key-0123")
OTHER = Secret("sk-the-callers-own-key-4567")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

Open = Callable[[str], Wire]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=["sdk", "direct"])
def road(request: pytest.FixtureRequest) -> Road:
    chosen: Road = request.param
    return chosen


@pytest.fixture
async def wire_to(road: Road) -> AsyncIterator[Open]:
    made: list[Wire] = []

    def open_wire(url: str) -> Wire:
        made.append(new_wire(road, url))
        return made[-1]

    yield open_wire
    for wire in made:
        await wire.aclose()


def new_wire(road: Road, url: str, *, headers: dict[str, str] | None = None) -> Wire:
    def make_client(http: Any) -> Any:
        import openai

        return openai.AsyncOpenAI(
            api_key=KEY.reveal(),
            base_url=f"{url}/v1",
            default_headers=headers,
            max_retries=0,
            http_client=http or http_client("aiohttp"),
        )

    return wire_for(
        road,
        provider="mine",
        transport="aiohttp",
        make_client=make_client,
        auth_headers=bearer,
        secret=KEY,
    )


def asking(text: str = "hi", **fields: Any) -> WireRequest:
    body = {"model": "m", "text": text}
    return WireRequest(path="/chat/completions", body=body, model="m", **fields)


async def read_all(wire: Wire, request: WireRequest) -> list[bytes]:
    stream = await wire.open(request)
    async with aclosing(stream):
        pieces = []
        while piece := await stream.read():
            pieces.append(piece)
    return pieces


# -- requests -----------------------------------------------------------------------------------


async def test_a_request_says_what_the_client_says(wire_to: Open) -> None:
    async with serving(answer()) as server:
        await wire_to(server.url).send(asking(headers={"x-run": "7"}))
        (seen,) = server.seen
    assert (seen.method, seen.target) == ("POST", "/v1/chat/completions")
    assert seen.body == b'{"model":"m","text":"hi"}'
    assert seen.headers["authorization"] == f"Bearer {KEY.reveal()}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept"] == "application/json"
    assert seen.headers["user-agent"].startswith("AsyncOpenAI/Python")
    assert seen.headers["x-stainless-async"] == "async:asyncio"
    assert seen.headers["x-run"] == "7"


async def test_without_a_body_it_is_a_get(wire_to: Open) -> None:
    async with serving(answer(b"[]")) as server:
        response = await wire_to(server.url).send(WireRequest(path="/models?after=a%2Fb"))
        (seen,) = server.seen
    assert response.body == b"[]"
    assert (seen.method, seen.target) == ("GET", "/v1/models?after=a%2Fb")
    assert "content-type" not in seen.headers


async def test_the_headers_of_the_client_and_those_of_the_request(road: Road) -> None:
    async with serving(answer()) as server:
        wire = new_wire(road, server.url, headers={"X-Team": "blue", "X-Run": "0"})
        await wire.send(asking(headers={"x-run": "7"}))
        await wire.send(asking())
        await wire.aclose()
    assert [seen.headers["x-team"] for seen in server.seen] == ["blue", "blue"]
    assert [seen.headers["x-run"] for seen in server.seen] == ["7", "0"]


async def test_a_key_for_one_request_only(wire_to: Open) -> None:
    async with serving(answer()) as server:
        wire = wire_to(server.url)
        await wire.send(asking(credential=OTHER))
        await wire.send(asking())
    used = [seen.headers["authorization"] for seen in server.seen]
    assert used == [f"Bearer {OTHER.reveal()}", f"Bearer {KEY.reveal()}"]


async def test_a_key_that_is_exchanged_is_used_from_then_on(wire_to: Open) -> None:
    async with serving(answer()) as server:
        wire = wire_to(server.url)
        await wire.send(asking())
        wire.client.api_key = OTHER.reveal()
        await wire.send(asking())
    assert server.seen[1].headers["authorization"] == f"Bearer {OTHER.reveal()}"


async def test_an_address_that_is_exchanged_is_used_from_then_on(wire_to: Open) -> None:
    async with serving(answer()) as before, serving(answer()) as after:
        wire = wire_to(before.url)
        await wire.send(asking())
        wire.client.base_url = f"{after.url}/elsewhere"
        await wire.send(asking())
    assert [seen.target for seen in after.seen] == ["/elsewhere/chat/completions"]


async def test_a_large_body_arrives_whole(wire_to: Open) -> None:
    text = "x" * 3_000_000
    async with serving(answer()) as server:
        await wire_to(server.url).send(asking(text))
        (seen,) = server.seen
    assert len(seen.body) > len(text)
    assert "transfer-encoding" not in seen.headers


async def test_connections_are_used_again_and_there_is_no_limit_of_them(wire_to: Open) -> None:
    held = [answer()[:-2], b""]
    async with serving(answer(), answer(), held) as server:
        wire = wire_to(server.url)
        await wire.send(asking())
        await wire.send(asking())
        assert server.connections == 1
        many = [asyncio.create_task(wire.send(asking())) for _ in range(110)]
        await server.until_seen(112)
        for each in many:
            each.cancel()
        await asyncio.gather(*many, return_exceptions=True)
        await server.until_gone(110)


async def test_no_cookie_of_one_answer_goes_out_past_the_sdk() -> None:
    async with serving(answer(headers=[(b"set-cookie", b"tenant=one; Path=/")])) as server:
        wire = new_wire("direct", server.url)
        await wire.send(asking(credential=KEY))
        await wire.send(asking(credential=OTHER))
        await wire.aclose()
    assert not any("cookie" in seen.headers for seen in server.seen)


# -- answers ------------------------------------------------------------------------------------


async def test_the_headers_of_an_answer(wire_to: Open) -> None:
    headers = [
        (b"X-Request-Id", b"req_1"),
        (b"X-Twice", b"a"),
        (b"x-twice", b"b"),
        (b"X-Odd", b"caf\xe9"),
    ]
    async with serving(answer(headers=headers)) as server:
        wire = wire_to(server.url)
        whole = (await wire.send(asking())).meta
        stream = await wire.open(asking())
        await stream.aclose()
    for meta in (whole, stream.meta):
        assert meta.request_id == "req_1"
        assert meta.headers["x-twice"] == "a, b"
        assert set(meta.headers) == {"content-length", "x-request-id", "x-twice", "x-odd"}
        # Whatever it is taken for, it can be written down.
        assert "".join(meta.headers.values()).encode()


async def test_what_was_compressed_is_read_as_it_was(wire_to: Open) -> None:
    body = b'{"text": "' + b"word " * 100 + b'"}'
    packed = answer(gzip.compress(body), headers=[(b"content-encoding", b"gzip")])
    async with serving(packed) as server:
        wire = wire_to(server.url)
        assert (await wire.send(asking())).body == body
        assert b"".join(await read_all(wire, asking())) == body
        assert "gzip" in server.seen[0].headers["accept-encoding"]


async def test_what_only_claims_to_be_compressed_is_an_error(wire_to: Open) -> None:
    async with serving(answer(b"plain", headers=[(b"content-encoding", b"gzip")])) as server:
        wire = wire_to(server.url)
        with pytest.raises(ProviderConnectionError) as broken:
            await wire.send(asking())
        assert not broken.value.unsent
        with pytest.raises(ProviderConnectionError):
            await read_all(wire, asking())


async def test_a_piece_is_handed_on_when_it_has_come(wire_to: Open) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with serving([head, b"5\r\nfirst\r\n", b""]) as server:
        stream = await wire_to(server.url).open(asking())
        async with asyncio.timeout(10):
            assert await stream.read() == b"first"
        await stream.aclose()
        await server.until_gone(1)


async def test_a_body_read_to_its_end_leaves_the_connection_for_the_next(wire_to: Open) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with serving([head, b"5\r\nfirst\r\n", b"6\r\nsecond\r\n", b"0\r\n\r\n"]) as server:
        wire = wire_to(server.url)
        assert b"".join(await read_all(wire, asking())) == b"firstsecond"
        stream = await wire.open(asking())
        while await stream.read():
            pass
        assert await stream.read() == b""
        await stream.aclose()
        await stream.aclose()
        await wire.send(asking())
        assert server.connections == 1


async def test_a_reader_that_does_not_read_holds_the_sender_up(wire_to: Open) -> None:
    size = 64 << 20
    sent = 0
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        try:
            while sent < size:
                writer.write(bytes(1 << 16))
                await writer.drain()
                sent += 1 << 16
        except ConnectionError:
            pass
        finally:
            done.set()
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = wire_to(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    stream = await wire.open(asking())
    assert await stream.read()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await done.wait()
    assert sent < size
    await stream.aclose()
    async with asyncio.timeout(10):
        await done.wait()
    listening.close()


# -- failures -----------------------------------------------------------------------------------


async def test_a_refusal(wire_to: Open) -> None:
    refusal = answer(
        b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}',
        status="429 Too Many Requests",
        headers=[(b"Retry-After", b"3"), (b"X-Request-Id", b"req_9")],
    )
    async with serving(refusal) as server:
        wire = wire_to(server.url)
        for attempt in (wire.send, wire.open):
            with pytest.raises(RateLimitError) as refused:
                await attempt(asking())
            error = refused.value
            assert (error.status, error.retry_after, error.request_id) == (429, 3.0, "req_9")
            assert (error.provider, error.model) == ("mine", "m")
            assert error.__cause__ is not None
            assert not error.unsent
            assert pickle.loads(pickle.dumps(error)).headers["retry-after"] == "3"
        assert (len(server.seen), server.connections) == (2, 1)


async def test_a_redirect_is_not_followed(wire_to: Open) -> None:
    async with serving(answer()) as elsewhere:
        moved = answer(
            status="307 Temporary Redirect", headers=[(b"location", elsewhere.url.encode())]
        )
        async with serving(moved) as server:
            with pytest.raises(ProviderError, match="set base_url"):
                await wire_to(server.url).send(asking())
        assert elsewhere.seen == []


async def test_a_connection_that_never_was_has_sent_nothing(wire_to: Open) -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        wire = wire_to(f"http://127.0.0.1:{taken.getsockname()[1]}")
        for attempt in (wire.send, wire.open):
            with pytest.raises(ProviderConnectionError) as refused:
                await attempt(asking())
            assert refused.value.unsent


async def test_a_name_that_nobody_has(wire_to: Open) -> None:
    with pytest.raises(ProviderConnectionError) as unknown:
        await wire_to("http://nobody.invalid").send(asking())
    assert unknown.value.unsent


@pytest.mark.parametrize(
    "given",
    [
        [b"-"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", b"-"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfi", b"-"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nfi\r\n", b"-"],
        [b"HTTP/1.1 500 Oh\r\ncontent-length: 9\r\n\r\n{}", b"-"],
        [b"nothing of the kind\r\n\r\n", b"-"],
        [b"HTTP/1.1 abc\r\n\r\n", b"-"],
    ],
    ids=["no answer", "cut", "cut chunk", "bad chunk", "cut refusal", "no HTTP", "no status"],
)
async def test_an_answer_that_breaks_off_or_is_none(wire_to: Open, given: list[bytes]) -> None:
    async with serving(given) as server:
        wire = wire_to(server.url)
        with pytest.raises(ProviderConnectionError) as broken:
            await wire.send(asking())
        assert not broken.value.unsent
        with pytest.raises(ProviderConnectionError):
            await read_all(wire, asking())
        await server.until_gone(2)


@pytest.mark.parametrize(
    "given",
    [[b""], [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", b""]],
    ids=["no answer", "no end"],
)
async def test_silence_is_a_time_out(wire_to: Open, given: list[bytes]) -> None:
    async with serving(given) as server:
        wire = wire_to(server.url)
        with pytest.raises(ProviderTimeoutError) as late:
            await wire.send(asking(timeout=0.05))
        assert not late.value.unsent
        with pytest.raises(ProviderTimeoutError):
            await read_all(wire, asking(timeout=0.05))
        await server.until_gone(2)


BEGUN = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b"2\r\nab\r\n"


async def test_a_body_may_last_longer_than_a_silence(wire_to: Open) -> None:
    async with serving([BEGUN, *[PIECE] * 12, b"0\r\n\r\n"], pause=0.05) as server:
        pieces = await read_all(wire_to(server.url), asking(timeout=0.4))
    assert b"".join(pieces) == b"ab" * 12


async def test_a_body_that_falls_silent_is_a_time_out(wire_to: Open) -> None:
    async with serving([BEGUN, PIECE, PIECE, b""], pause=0.02) as server:
        stream = await wire_to(server.url).open(asking(timeout=0.1))
        arrived = b""
        async with aclosing(stream):
            with pytest.raises(ProviderTimeoutError):
                while True:
                    arrived += await stream.read()
        await server.until_gone(1)
    assert arrived == b"abab"


async def test_who_reads_slowly_is_not_timed_out(wire_to: Open) -> None:
    async with serving([BEGUN, PIECE, PIECE, PIECE, b"0\r\n\r\n"]) as server:
        stream = await wire_to(server.url).open(asking(timeout=0.05))
        async with aclosing(stream):
            arrived = [await stream.read()]
            while arrived[-1]:
                await asyncio.sleep(0.12)
                arrived.append(await stream.read())
    assert b"".join(arrived) == b"ab" * 3


@pytest.mark.parametrize("how", ["to its end", "closed", "cancelled"])
async def test_no_timer_outlives_a_body(
    wire_to: Open, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    timers = weakref.WeakSet[asyncio.TimerHandle]()
    set_timer = loop.call_at

    def noted(*args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        handle = set_timer(*args, **kwargs)
        if "silence" in repr(args[1]).lower():
            timers.add(handle)
        return handle

    monkeypatch.setattr(loop, "call_at", noted)
    pieces = [BEGUN, PIECE, *([b"0\r\n\r\n"] if how == "to its end" else [b""])]
    async with serving(pieces, pause=0.01) as server:
        stream = await wire_to(server.url).open(asking(timeout=30.0))
        assert await stream.read() == b"ab"
        assert timers
        if how == "to its end":
            assert await stream.read() == b""
        elif how == "cancelled":
            waiting = asyncio.ensure_future(stream.read())
            await asyncio.sleep(0.02)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await stream.aclose()
        assert all(timer.cancelled() for timer in timers)


async def test_a_cancelled_request_leaves_nothing(wire_to: Open) -> None:
    async with serving(answer(), [b""]) as server:
        wire = wire_to(server.url)
        await wire.send(asking())
        for attempt in (wire.send, wire.open):
            before = len(server.seen)
            asked = asyncio.ensure_future(attempt(asking()))
            await server.until_seen(before + 1)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        await server.until_gone(2)


async def test_what_has_no_json_form_is_named_before_anything_is_sent(wire_to: Open) -> None:
    async with serving(answer()) as server:
        body = {"x": object()}
        with pytest.raises(InvalidRequestError, match="JSON"):
            await wire_to(server.url).send(WireRequest(path="/x", body=body))
        assert server.connections == 0


async def test_a_header_of_two_lines_is_never_sent(wire_to: Open) -> None:
    async with serving(answer()) as server:
        with pytest.raises(SwitchgearError) as refused:
            await wire_to(server.url).send(asking(headers={"x-run": "7\r\nx-evil: 1"}))
        assert "evil" not in str(refused.value)
        assert server.seen == []


async def test_a_wire_that_was_closed_says_so(wire_to: Open) -> None:
    async with serving(answer()) as server:
        wire = wire_to(server.url)
        await wire.send(asking())
        await wire.aclose()
        await wire.aclose()
        with pytest.raises(LifecycleError):
            await wire.send(asking())
        await server.until_gone(1)


async def test_the_sdks_own_client_works_beside_it(wire_to: Open) -> None:
    async with serving(answer(b'{"object": "list", "data": []}')) as server:
        wire = wire_to(server.url)
        await wire.send(asking())
        listed = await wire.client.models.list()
        assert listed.data == []
        assert [seen.target for seen in server.seen] == ["/v1/chat/completions", "/v1/models"]
        assert server.connections == 1


# -- secrets ------------------------------------------------------------------------------------


async def test_no_key_is_shown_by_an_error_and_its_frames(
    wire_to: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refusal = f'{{"error": {{"message": "wrong key {OTHER.reveal()}"}}}}'.encode()
    async with serving(answer(refusal, status="401 No"), [b"-"]) as server:
        wire = wire_to(server.url)
        shown = [repr(wire)]
        for error in (AuthenticationError, ProviderConnectionError):
            with pytest.raises(error) as caught:
                await wire.send(asking(credential=OTHER))
            shown += [str(caught.value), repr(caught.value)]
            shown += ours(caught.value)
    assert [text for text in [*shown, caplog.text] if OTHER.reveal() in text] == []


def ours(error: BaseException) -> list[str]:
    """The local variables of our frames on an error's way, as a crash report shows them."""
    lines = []
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    while told is not None:
        for frame in told.stack:
            if "providers" in Path(frame.filename).parts and "tests" not in frame.filename:
                lines += [f"{name}={value}" for name, value in (frame.locals or {}).items()]
        told = told.__cause__  # type: ignore[assignment]
    assert lines
    return lines


# -- the way there ------------------------------------------------------------------------------


async def test_the_environments_proxy(wire_to: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(b"proxied")) as proxy, serving(answer(b"direct")) as server:
        with_login = proxy.url.replace("http://", "http://me:secret@")
        monkeypatch.setenv("HTTP_PROXY", with_login)
        wire = wire_to("http://vendor.invalid")
        assert (await wire.send(asking())).body == b"proxied"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert (await wire_to(server.url).send(asking())).body == b"direct"
    (seen,) = proxy.seen
    assert seen.target == "http://vendor.invalid/v1/chat/completions"
    assert seen.headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"
    assert "proxy-authorization" not in server.seen[0].headers


async def test_a_proxy_that_is_away_has_been_sent_nothing(
    wire_to: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ProviderConnectionError) as refused:
            await wire_to("http://vendor.invalid").send(asking())
    assert refused.value.unsent


async def test_a_proxy_of_another_kind_is_named(
    wire_to: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(SwitchgearError, match="socks5"):
        await wire_to("http://vendor.invalid").send(asking())


async def test_certificates(wire_to: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = certify(tmp_path, "server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown.certificate, shown.key)
    async with serving(answer(b"safe"), tls=context) as server:
        with pytest.raises(ProviderConnectionError) as unknown:
            await wire_to(server.url).send(asking())
        assert unknown.value.unsent
        monkeypatch.setenv("SSL_CERT_FILE", str(shown.certificate))
        assert (await wire_to(server.url).send(asking())).body == b"safe"
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY.reveal()}"


async def test_one_that_does_not_speak_tls(wire_to: Open) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer(status="400 Bad Request"))
        writer.close()

    listening = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    with pytest.raises(ProviderConnectionError) as refused:
        await wire_to(f"https://127.0.0.1:{port}").send(asking())
    assert refused.value.unsent
    listening.close()
