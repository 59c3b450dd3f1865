"""A server on the loopback interface that answers as OpenAI and Anthropic do, for next to nothing.

`python -m benchmarks.suite.upstream` prints its address in a line and serves until its standard
input ends, which it does when whoever started it dies. What stands before a vendor's own path says
how to answer: nothing, at once, and streams in a write a chunk with pauses between; `/wait10`, ten
milliseconds later; `/burst`, streams in a single write; `/broken`, streams that break off in the
middle, without an end.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import sys
from functools import lru_cache
from typing import NamedTuple, cast

from .answers import ANSWERS, CHUNKS, Answer, http_chunk

__all__ = ["Upstream", "main", "plan"]

PAUSE = 0.001
"""Seconds between two chunks of a stream, so that each is read by itself, as from a vendor."""

_END = http_chunk(b"")
_PATH = re.compile(
    rb"(?:/(?:wait(?P<wait>\d+)|(?P<burst>burst)|(?P<broken>broken)))?"
    rb"(?:/v1/chat/completions|(?P<anthropic>/v1/messages))(?:\?.*)?"
)
_LENGTH = b"\r\ncontent-length:"
_STREAM = (b'"stream":true', b'"stream": true')
_BODY = b'{"error":{"type":"not_found_error","message":"no such path in this benchmark"}}'
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: "
_NOT_FOUND += b"%d\r\n\r\n%b" % (len(_BODY), _BODY)


class Plan(NamedTuple):
    """How a path is answered: what with, after how many seconds, and how streams go."""

    answer: Answer
    wait: float = 0.0
    burst: bool = False
    broken: bool = False


@lru_cache(maxsize=64)
def plan(path: bytes) -> Plan | None:
    """How to answer a path; None: not at all."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    answer = ANSWERS["anthropic" if found["anthropic"] else "openai"]
    wait = int(found["wait"] or 0) / 1000
    return Plan(answer, wait, found["burst"] is not None, found["broken"] is not None)


class Upstream(asyncio.Protocol):
    """One connection. Requests on it are answered one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_lost(self, _: Exception | None) -> None:
        """Stop writing: the client went away."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a request is whole."""
        self._received += data
        if not self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = False
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end].lower()
        at = head.find(_LENGTH)
        length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._received) < (whole := end + 4 + length):
            return
        body, self._received = self._received[end + 4 : whole], self._received[whole:]
        planned = plan(head.split(b" ", 2)[1])
        self._busy = True
        if planned is None:
            self._write(_NOT_FOUND)
        elif planned.wait:
            self._timer = self._loop.call_later(planned.wait, self._answer, planned, body)
        else:
            self._answer(planned, body)

    def _answer(self, planned: Plan, body: bytes) -> None:
        answer = planned.answer
        if not any(mark in body for mark in _STREAM):
            self._write(answer.whole)
        elif planned.broken:
            self._transport.write(answer.head + b"".join(answer.chunks[: CHUNKS // 2]))
            # Not at once: an abort may overtake what was written.
            self._timer = self._loop.call_later(PAUSE, self._transport.close)
        elif planned.burst:
            self._write(answer.head + b"".join(answer.chunks) + _END)
        else:
            self._transport.write(answer.head)
            self._chunk(answer.chunks, 0)

    def _chunk(self, chunks: tuple[bytes, ...], number: int) -> None:
        if number == len(chunks):
            self._write(_END)
            return
        self._transport.write(chunks[number])
        self._timer = self._loop.call_later(PAUSE, self._chunk, chunks, number + 1)

    def _write(self, last: bytes) -> None:
        self._transport.write(last)
        self._next()


async def serve() -> None:
    """Listen on a free port, print the address, and serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=1024)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"http://{host}:{port}", flush=True)
    over = asyncio.Event()

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            over.set()

    loop.add_reader(sys.stdin.fileno(), readable)
    await over.wait()
    server.close()


def main() -> None:
    """Serve, with uvloop where it is installed: this is not what is measured."""
    try:
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
