"""A server that answers with bytes, for what no well-behaved one sends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["Loopback", "Seen", "answer", "serving"]


@dataclass(frozen=True)
class Seen:
    """A request as it was received; the names of its headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Loopback:
    """What the server was sent, and how many connections that took.

    Attributes:
        url: Its address, without a path.
        seen: The requests.
        connections: How many were opened.
        gone: How many of them the client has closed.
    """

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    gone: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until_seen(self, number: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: len(self.seen) >= number)

    async def until_gone(self, number: int) -> None:
        """Wait until the client has closed so many connections."""
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: self.gone >= number)


def answer(
    body: bytes = b"{}", *, status: str = "200 OK", headers: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    """A whole answer with its length."""
    lines = [b"HTTP/1.1 " + status.encode(), b"content-length: %d" % len(body)]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(
    *answers: bytes | Sequence[bytes], tls: ssl.SSLContext | None = None, pause: float = 0.0
) -> AsyncIterator[Loopback]:
    """Serve the answers in turn, the last one again and again.

    Args:
        answers: Bytes; several of them are sent one by one, ``b""`` among them meaning that the
            connection is kept open and silent, and ``b"-"`` that it is closed.
        tls: For https.
        pause: Seconds after each of these.
    """
    server = Loopback()
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while (seen := await _request(reader)) is not None:
                async with server.changed:
                    server.seen.append(seen)
                    server.changed.notify_all()
                given = left.pop(0) if len(left) > 1 else left[0]
                for piece in [given] if isinstance(given, bytes) else given:
                    if piece == b"-":
                        return
                    if not piece:
                        await reader.read()
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pause)
        except ConnectionError:
            pass
        finally:
            async with server.changed:
                server.gone += 1
                server.changed.notify_all()
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    server.url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()


async def _request(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    return Seen(method, target, headers, body)
