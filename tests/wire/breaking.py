"""A loopback server that sends part of a body and then breaks off, in every way a peer can.

Each request names its own :class:`Cut` by the header ``x-case``, so that many can be under way at
once. The bytes on the socket are written by hand: no HTTP library frames a body wrongly on purpose.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import Literal, Self

__all__ = ["DISORDERLY", "ENDINGS", "ORDERLY", "BreakingServer", "Cut", "Ending"]

Ending = Literal["no-last-chunk", "length-too-long", "last-chunk", "until-close", "reset", "stall"]
"""What follows the bytes that are sent.

- ``no-last-chunk``: chunked, and the connection is closed without the chunk of size 0.
- ``length-too-long``: ``content-length`` promises a byte that does not come before the close.
- ``last-chunk``: chunked and ended in order; that the body was cut, only the body itself tells.
- ``until-close``: no framing at all, the close is the end of the body.
- ``reset``: chunked, and the connection is reset.
- ``stall``: chunked, and then nothing, on an open connection.
"""

ORDERLY: tuple[Ending, ...] = ("last-chunk", "until-close")
DISORDERLY: tuple[Ending, ...] = ("no-last-chunk", "length-too-long")
ENDINGS: tuple[Ending, ...] = (*ORDERLY, *DISORDERLY, "reset", "stall")

_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class Cut:
    """An answer with a status of 200, and where and how it ends.

    ``pieces`` are written apart, each after the client had a turn.
    """

    pieces: tuple[bytes, ...]
    ending: Ending
    content_type: str = "text/event-stream"


class BreakingServer:
    """Use it with ``async with``; ``cases`` may be filled at any time.

    Attributes:
        cases: The answers, by the value of the request's ``x-case``.
        asked: The cases in the order in which they were asked for.
        open: Connections that the client has not let go of.
    """

    def __init__(self) -> None:
        self.cases: dict[str, Cut] = {}
        self.asked: list[str] = []
        self.open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``, without a path."""
        assert self._server is not None, "use it with `async with`"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_BYTES)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def let_go(self) -> None:
        """Return once the client holds no connection any more.

        Raises:
            TimeoutError: It still does after half a minute.
        """
        async with asyncio.timeout(30):
            await self._none_open.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open.add(writer)
        self._none_open.clear()
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer(reader, writer):
                    pass
                # The client lets go: it closes, whatever it may still have sent.
                while await reader.read(_HEAD_BYTES):
                    pass
        except asyncio.CancelledError:
            # The server's own end, in __aexit__. Python 3.11's streams log a cancelled task.
            return
        finally:
            self.open.discard(writer)
            if not self.open:
                self._none_open.set()
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection can serve another one."""
        cut = await self._request(reader)
        writer.write(_head(cut))
        for piece in cut.pieces:
            if piece:
                writer.write(_chunk(piece) if _is_chunked(cut.ending) else piece)
                await writer.drain()
                await asyncio.sleep(0)
        match cut.ending:
            case "last-chunk":
                writer.write(b"0\r\n\r\n")
                return True
            case "reset":
                # A zero linger time turns the close into a reset.
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case "no-last-chunk" | "length-too-long" | "until-close":
                writer.write_eof()
            case "stall":
                pass
        return False

    async def _request(self, reader: asyncio.StreamReader) -> Cut:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:]
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head if line)
        }
        await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked.append(headers["x-case"])
        return self.cases[headers["x-case"]]


def _is_chunked(ending: Ending) -> bool:
    return ending not in {"length-too-long", "until-close"}


def _head(cut: Cut) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"content-type: {cut.content_type}", "request-id: req_1"]
    if cut.ending == "length-too-long":
        lines.append(f"content-length: {sum(map(len, cut.pieces)) + 1}")
    elif cut.ending == "until-close":
        lines.append("connection: close")
    else:
        lines.append("transfer-encoding: chunked")
    return "\r\n".join([*lines, "", ""]).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
