"""Recorded real traffic, served again from the loopback interface.

The recordings live outside this repository (``../shared/wire`` beside it); where they are absent
the tests that need them are skipped. The rules of replaying are in the README there: answers are
chosen by method, path and order, never by the request's body, and bodies arrive cut at places that
mean nothing.

::

    @pytest.mark.parametrize("recording", replay.recordings("openai", endpoint="responses"))
    async def test_x(recording: Recording) -> None:
        async with Replay([recording]) as server:
            ...  # base_url = server.url + whatever the SDK expects under it
            server.received[0].json()["model"]

Every cut comes from a seeded generator. The seed is printed, which pytest shows when a test fails;
``WIRE_SEED=n`` in the environment brings the same cuts back.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import os
import random
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import pytest
from aiohttp import web

__all__ = [
    "WIRE",
    "Received",
    "Recording",
    "Replay",
    "cut_in_two",
    "on_both_roads",
    "pieces",
    "recordings",
    "seed",
]

WIRE = Path(__file__).resolve().parents[2] / ".." / "shared" / "wire"

Cut = Literal["random", "bytes", "whole"]

_ONE_BYTE_UP_TO = 4_000
_SAMPLE = 8


@dataclass(frozen=True)
class Recording:
    """One recorded interaction; ``line`` is its line in the file, from 1, as the README counts."""

    vendor: str
    line: int
    endpoint: str
    stream: bool
    method: str
    path: str
    request_headers: dict[str, str]
    request_body: Any
    status: int
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"{self.vendor}.jsonl:{self.line}"


@dataclass(frozen=True)
class Received:
    """A request that the replay server got."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@functools.cache
def _load(vendor: str) -> tuple[Recording, ...]:
    file = WIRE / f"{vendor}.jsonl"
    if not file.exists():
        return ()
    with file.open(encoding="utf-8") as lines:
        return tuple(
            _recording(vendor, number, json.loads(text)) for number, text in enumerate(lines, 1)
        )


def _recording(vendor: str, number: int, data: dict[str, Any]) -> Recording:
    request, response = data["request"], data["response"]
    return Recording(
        vendor=vendor,
        line=number,
        endpoint=data["endpoint"],
        stream=data["stream"],
        method=request["method"],
        path=request["path"],
        request_headers=request["headers"],
        request_body=request["body"],
        status=response["status"],
        headers=response["headers"],
        body=base64.b64decode(response["body_b64"]),
    )


def recordings(
    vendor: str,
    *,
    endpoint: str | None = None,
    stream: bool | None = None,
    status: int | None = None,
    lines: Collection[int] | None = None,
) -> list[Any]:
    """The recordings that fit, as parameters for ``parametrize``; a skipped one if none exist."""
    found = [
        pytest.param(recording, id=f"line-{recording.line}")
        for recording in _load(vendor)
        if (endpoint is None or recording.endpoint == endpoint)
        and (stream is None or recording.stream == stream)
        and (status is None or recording.status == status)
        and (lines is None or recording.line in lines)
    ]
    if found or _load(vendor):
        assert found, f"{vendor}.jsonl has no such recording"
        return found
    reason = (
        f"recorded traffic is absent: no {vendor}.jsonl in ../shared/wire beside the repository"
    )
    return [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=reason))]


def on_both_roads(found: list[Any]) -> list[Any]:
    """Parameters of recording and road: all of them through the SDK, some past it.

    What the two do is the same but for the sending; ``SWITCHGEAR_FULL=1`` takes all of them.
    """
    every = 1 if os.environ.get("SWITCHGEAR_FULL") else _SAMPLE
    params = [
        pytest.param(*param.values, "sdk", id=str(param.id), marks=param.marks) for param in found
    ]
    return params + [
        pytest.param(*param.values, "direct", id=f"{param.id}-direct", marks=param.marks)
        for param in found[::every]
    ]


def seed() -> int:
    """The seed of a test's cuts, printed so that a failure can be brought back."""
    value = int(os.environ.get("WIRE_SEED") or random.SystemRandom().randrange(2**32))
    print(f"WIRE_SEED={value}")  # noqa: T201
    return value


def pieces(body: bytes, rng: random.Random, cut: Cut = "random") -> list[bytes]:
    """The body in pieces: whole, one byte each, or cut at up to 40 random places."""
    if cut == "whole" or not body:
        return [body]
    if cut == "bytes":
        return [body[i : i + 1] for i in range(len(body))]
    places = sorted({rng.randrange(len(body) + 1) for _ in range(rng.randint(1, 40))})
    return [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True) if a < b]


def cut_in_two(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every way of cutting a body in two."""
    return ((body[:place], body[place:]) for place in range(len(body) + 1))


class Replay:
    """A loopback server that answers with recordings, in order for each method and path.

    Args:
        answers: The recordings to serve.
        cut: How to cut the bodies; by default at random, and now and then one byte at a time.
        seed: Of the cuts; :func:`seed` by default.

    Attributes:
        received: The requests, in order.
        seed: Of the cuts.
    """

    def __init__(
        self, answers: Iterable[Recording], *, cut: Cut | None = None, seed: int | None = None
    ) -> None:
        self.received: list[Received] = []
        self.seed = _fresh_seed() if seed is None else seed
        self._rng = random.Random(self.seed)
        self._cut = cut
        self._queues: dict[tuple[str, str], deque[Recording]] = defaultdict(deque)
        for answer in answers:
            self._queues[answer.method, answer.path].append(answer)
        self._server: asyncio.Server | None = None
        self._web = web.Server(self._answer, access_log=None)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``, without a path."""
        assert self._server is not None, "use it with `async with`"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._web, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._web.shutdown(1.0)
        await self._server.wait_closed()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        received = Received(
            request.method,
            request.path,
            request.query_string,
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
        )
        self.received.append(received)
        queue = self._queues[request.method, request.path]
        if not queue:
            text = f"replay: no answer left for {request.method} {request.path}"
            return web.Response(status=418, text=text)
        answer = queue.popleft()
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the client may have had enough
            for piece in pieces(answer.body, self._rng, self._choose(answer.body)):
                await response.write(piece)
                # Lets the reader run, so that pieces are not glued together in the socket's buffer.
                await asyncio.sleep(0)
            await response.write_eof()
        return response

    def _choose(self, body: bytes) -> Cut:
        if self._cut is not None:
            return self._cut
        small = len(body) <= _ONE_BYTE_UP_TO
        return "bytes" if small and self._rng.random() < 0.25 else "random"


_fresh_seed = seed
