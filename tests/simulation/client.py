"""The raw road of an official SDK's client, ending in the world instead of a socket.

What the adapters ask of a client is little: ``post`` and ``close``. Failures look as the SDKs make
them: an exception with the ``response`` of a status, or one whose cause is the transport's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec

from .records import Exchange
from .vendors import Script, Vendor

if TYPE_CHECKING:
    from .world import World

__all__ = ["VendorClient", "call_number"]

_NUMBER = re.compile(rb"call-(\d+)\.")


def call_number(text: str | bytes) -> int:
    """The number of the call that wrote this prompt."""
    found = _NUMBER.search(text.encode() if isinstance(text, str) else text)
    assert found is not None, f"a request of no call: {text!r}"
    return int(found[1])


class StatusError(Exception):
    """As ``APIStatusError``: the answer had a status of 4xx or 5xx."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"Error code: {response.status_code}")
        self.response = response


class TransportError(Exception):
    """As ``APIConnectionError``: the transport's own exception is the cause."""


class VendorClient:
    """An SDK client. ``close`` drops every connection, and whoever reads one finds out."""

    def __init__(self, vendor: Vendor, world: World) -> None:
        self._vendor = vendor
        self._world = world
        self._open: dict[_Connection, None] = {}
        self._closed = False

    async def post(
        self,
        path: str,
        *,
        cast_to: type,
        options: Mapping[str, Any],
        content: bytes,
        stream: bool = False,
        stream_cls: object = None,
    ) -> httpx2.Response:
        """Send a request; what comes back is the answer, or for a stream its beginning."""
        assert not self._closed, "a closed client was used"
        assert cast_to is httpx2.Response
        assert options["max_retries"] == 0, "the SDK's own retries are off"
        world, body = self._world, msgspec.json.decode(content)
        number = call_number(content)
        script = self._vendor.script(path, body, number, world.now())
        connection = _Connection(script, self, world, options["timeout"])
        self._open[connection] = None
        world.sent(script.exchange)
        try:
            await connection.wait(script.latency)
            if script.transport is not None:
                await connection.fail(script.transport)
            if stream and script.status < 400:
                return httpx2.Response(script.status, headers=script.headers, stream=connection)
            data = b"".join([piece async for piece in connection])
            response = httpx2.Response(script.status, headers=script.headers, content=data)
        except httpx2.TransportError as exc:
            await connection.aclose()
            raise TransportError("Connection error.") from exc
        except BaseException:
            await connection.aclose()
            raise
        await connection.aclose()
        if script.status >= 400:
            raise StatusError(response)
        return response

    async def close(self) -> None:
        """Drop every connection."""
        self._closed = True
        for connection in list(self._open):
            connection.drop()
        await asyncio.sleep(self._vendor.plan.close_delay)

    def forget(self, connection: _Connection) -> None:
        """It is closed."""
        self._open.pop(connection, None)


class _Connection(httpx2.AsyncByteStream):
    """One connection: the body of one answer, as it arrives."""

    def __init__(self, script: Script, client: VendorClient, world: World, timeout: Any) -> None:
        self._script = script
        self._client = client
        self._world = world
        self._timeout: httpx2.Timeout = timeout
        self._waiting: asyncio.Future[None] | None = None
        self.exchange: Exchange = script.exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self.exchange
        for delay, piece in self._script.pieces:
            await self.wait(delay)
            exchange.sent += len(piece)
            yield piece
        if self._script.ending == "hang":
            await self.fail("ReadTimeout")
        if self._script.ending == "reset":
            raise httpx2.ReadError("Connection reset by peer")
        exchange.whole = not exchange.errors

    async def wait(self, seconds: float) -> None:
        """Until the next bytes; the socket's timeout and a closed client end it."""
        timeout = self._timeout.read
        if timeout is not None and seconds > timeout:
            await self._sleep(timeout)
            self.exchange.timed_out = True
            raise httpx2.ReadTimeout("")
        await self._sleep(seconds)

    async def fail(self, error: str) -> None:
        """Fail as a transport does, when it does."""
        timeout = {"ReadTimeout": self._timeout.read, "ConnectTimeout": self._timeout.connect}
        await self._sleep(timeout.get(error) or 0.0)
        raise getattr(httpx2, error)("[Errno 111] Connection refused" if "Connect" in error else "")

    def drop(self) -> None:
        """The client was closed under the reader."""
        self.exchange.dropped = True
        self._shut()
        self._wake_reader()

    async def aclose(self) -> None:
        """Let go at once; that it is gone is known a little later, as with a real socket."""
        if not self.exchange.closed:
            self._shut()
            self._wake_reader()
            await asyncio.sleep(self._client._vendor.plan.close_delay)

    def _shut(self) -> None:
        if not self.exchange.closed:
            self.exchange.closed = True
            self._client.forget(self)
            self._world.closed(self.exchange)

    def _wake_reader(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self.exchange.dropped = True
            self._waiting.set_exception(httpx2.ReadError("Connection closed"))

    async def _sleep(self, seconds: float) -> None:
        if self.exchange.closed:
            self.exchange.dropped = True
            raise httpx2.ReadError("Connection closed")
        if seconds <= 0:
            return
        loop = asyncio.get_running_loop()
        self._waiting = waiting = loop.create_future()
        timer = loop.call_later(seconds, _wake, waiting)
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting = None


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
