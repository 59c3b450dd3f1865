"""Plays a reply onto a client's socket, whole or spoiled.

aiohttp frames everything it can frame honestly; where a fault needs the connection to die in a
particular way, the transport is closed or reset underneath it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from .faults import BrokenReply
from .records import RecordedRequest
from .rendering import Frame, Reply

__all__ = ["deliver", "redirect_reply"]

_REDIRECT_PARAMETER = "simulated_redirect"
_HTML = (
    b"<html><head><title>Sign in</title></head><body><h1>Sign in to the "
    b"network</h1></body></html>\n"
)
# Long enough for the kernel to hand the bytes before a reset to the client, which may otherwise
# lose them.
_SETTLE = 0.02


class _Abandonable(web.StreamResponse):
    """A response that can be left unfinished, without aiohttp ending it properly."""

    abandoned = False

    async def prepare(self, request: web.BaseRequest) -> Any:
        return None if self.abandoned else await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        if not self.abandoned:
            await super().write_eof(data)


class _Player:
    """One response on its way out."""

    def __init__(
        self, request: web.Request, record: RecordedRequest, reply: Reply, *, chunked: bool
    ) -> None:
        self.request = request
        self.record = record
        self.reply = reply
        self.response = _Abandonable(status=reply.status, headers=reply.headers)
        self.response.content_type, _, parameters = reply.content_type.partition(";")
        if "charset=" in parameters:
            self.response.charset = parameters.partition("charset=")[2].strip()
        self.total = sum(len(frame.data) for frame in reply.frames)
        if chunked:
            self.response.enable_chunked_encoding()
        else:
            self.response.content_length = self.total

    async def headers(self, *, at_once: bool = False) -> None:
        """Send the status line and headers; `at_once` does not wait for the first byte of body."""
        writer = await self.response.prepare(self.request)
        self.record.status = self.reply.status
        if at_once and writer is not None:
            # aiohttp keeps the head back to send it together with the beginning of the body.
            writer.send_headers()

    async def write(self, data: bytes) -> None:
        await self.response.write(data)
        self.record.bytes_sent += len(data)

    def leave(self, *, reset: bool) -> web.StreamResponse:
        """Drop the connection: RST, or FIN after what was written."""
        self.response.abandoned = True
        transport = self.request.transport
        if transport is not None:
            if reset:
                # A zero linger time turns close() into a reset.
                raw = transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                transport.abort()
            else:
                transport.close()
        return self.response


async def deliver(
    request: web.Request, record: RecordedRequest, reply: Reply, fault: BrokenReply | None
) -> web.StreamResponse:
    """Send `reply`; with a fault, only what the fault lets through, and how."""
    if fault is not None and fault.kind == "garbage":
        return await _garbage(request, record, reply)
    player = _Player(request, record, reply, chunked=_is_chunked(reply, fault))
    if fault is None:
        return await _whole(player)
    return await _HANDLERS[fault.kind](player, fault)


def redirect_reply(record: RecordedRequest) -> Reply | None:
    """The next round of a redirect loop that this request is part of."""
    rounds = record.query.get(_REDIRECT_PARAMETER)
    if rounds is None:
        return None
    return _redirect(record, int(rounds) + 1)


def _redirect(record: RecordedRequest, rounds: int) -> Reply:
    return Reply(
        status=307,
        headers={"location": f"{record.full_path}?{_REDIRECT_PARAMETER}={rounds}"},
        frames=[Frame(b"")],
    )


def _is_chunked(reply: Reply, fault: BrokenReply | None) -> bool:
    if fault is not None and fault.kind == "endless":
        return True
    if fault is not None and fault.framing is not None:
        return fault.framing == "chunked"
    return reply.stream


async def _paced(reply: Reply) -> AsyncIterator[Frame]:
    """The frames, each after its delay."""
    first = True
    for frame in reply.frames:
        if frame.content:
            delay = reply.first_token_delay if first else reply.chunk_delay
            first = False
            if delay:
                await asyncio.sleep(delay)
        yield frame


async def _whole(player: _Player) -> web.StreamResponse:
    await player.headers()
    async for frame in _paced(player.reply):
        if frame.data:
            await player.write(frame.data)
            player.record.events_sent += 1
    await player.response.write_eof()
    return player.response


def _offset(reply: Reply, fault: BrokenReply) -> int:
    """How many bytes of the body the fault lets through first."""
    total = sum(len(frame.data) for frame in reply.frames)
    if fault.after_bytes is not None:
        return min(fault.after_bytes, total)
    wanted = fault.after_events if fault.after_events is not None else fault.after_chunks
    if wanted is None:
        return 0
    if not reply.stream:
        return total // 2
    passed = seen = 0
    for frame in reply.frames:
        if seen == wanted and (fault.after_chunks is None or frame.content):
            # With a count of content events, the events before the next content still go out.
            return passed
        if fault.after_chunks is None or frame.content:
            seen += 1
        passed += len(frame.data)
    return passed


async def _until(player: _Player, offset: int) -> list[Frame]:
    """Send the body up to `offset` and return the frames, or the part of one, that remain."""
    rest: list[Frame] = []
    left = offset
    async for frame in _paced_until(player.reply, offset):
        if left > 0:
            await player.write(frame.data[:left])
            if left >= len(frame.data):
                player.record.events_sent += 1
            elif left < len(frame.data):
                rest.append(
                    Frame(frame.data[left:], content=frame.content, terminal=frame.terminal)
                )
            left -= min(left, len(frame.data))
        else:
            rest.append(frame)
    return rest


async def _paced_until(reply: Reply, offset: int) -> AsyncIterator[Frame]:
    """Like `_paced`, without delays for what is not going out yet."""
    passed = 0
    first = True
    for frame in reply.frames:
        if passed < offset and frame.content:
            delay = reply.first_token_delay if first else reply.chunk_delay
            first = False
            if delay:
                await asyncio.sleep(delay)
        passed += len(frame.data)
        yield frame


async def _break(player: _Player, fault: BrokenReply) -> web.StreamResponse:
    """`reset` and `cut`."""
    reset = fault.kind == "reset"
    if fault.before_headers:
        return player.leave(reset=reset)
    await player.headers(at_once=True)
    await _until(player, _offset(player.reply, fault))
    if reset:
        await asyncio.sleep(_SETTLE)
    return player.leave(reset=reset)


async def _stall(player: _Player, fault: BrokenReply) -> web.StreamResponse:
    rest = player.reply.frames
    if not fault.before_headers:
        await player.headers(at_once=True)
        rest = await _until(player, _offset(player.reply, fault))
    if fault.seconds is None:
        # The handler is cancelled when the client leaves, and when the simulator is reset.
        await asyncio.Event().wait()
    await asyncio.sleep(fault.seconds or 0.0)
    if fault.before_headers:
        await player.headers()
    for frame in rest:
        await player.write(frame.data)
        player.record.events_sent += 1
    await player.response.write_eof()
    return player.response


async def _no_terminal(player: _Player, fault: BrokenReply) -> web.StreamResponse:
    if not fault.before_headers and player.reply.stream:
        await player.headers()
        await _until(player, _offset(player.reply, fault))
        await player.response.write_eof()
        return player.response
    player.reply.frames = [
        frame for frame in player.reply.frames if not (frame.terminal and player.reply.stream)
    ]
    return await _whole(player)


async def _stream_error(player: _Player, fault: BrokenReply) -> web.StreamResponse:
    await player.headers()
    await _until(player, _offset(player.reply, fault))
    if player.reply.last_word is not None:
        await player.write(player.reply.last_word(player.record.events_sent).data)
    await player.response.write_eof()
    return player.response


async def _broken_json(player: _Player, fault: BrokenReply) -> web.StreamResponse:
    frames = player.reply.frames
    if not player.reply.stream:
        body = frames[0].data
        player.reply.frames = [Frame(body[: len(body) // 2])]
        player.response.content_length = len(body) // 2
        return await _whole(player)
    place = min(fault.after_events or 0, len(frames) - 1)
    broken = frames[place].data
    # The event stays an event: only the JSON inside it loses its second half.
    end = b"\n\n" if broken.endswith(b"\n\n") else b"\n"
    body = broken.removesuffix(end)
    start = body.find(b"{")
    frames[place] = Frame(body[: start + max(1, (len(body) - start) // 2)] + end, content=True)
    return await _whole(player)


async def _empty_body(player: _Player, _fault: BrokenReply) -> web.StreamResponse:
    player.reply.frames = []
    if not player.response.chunked:
        player.response.content_length = 0
    return await _whole(player)


async def _wrong_content_type(player: _Player, fault: BrokenReply) -> web.StreamResponse:
    page = Reply(
        content_type=fault.content_type, frames=[Frame(_HTML)], headers=player.reply.headers
    )
    return await _whole(_Player(player.request, player.record, page, chunked=False))


async def _drip(player: _Player, fault: BrokenReply) -> web.StreamResponse:
    await player.headers()
    body = b"".join(frame.data for frame in player.reply.frames)
    for start in range(0, len(body), fault.size):
        await player.write(body[start : start + fault.size])
        await asyncio.sleep(fault.seconds or 0.0)
    player.record.events_sent = len(player.reply.frames)
    await player.response.write_eof()
    return player.response


async def _endless(player: _Player, fault: BrokenReply) -> web.StreamResponse:
    await player.headers()
    reply = player.reply
    if not reply.stream:
        # An opening brace and then whitespace: no JSON parser can ever give up on it.
        await player.write(b"{")
        endless = Frame(b" " * 1024)
    else:
        upto = next((number for number, frame in enumerate(reply.frames) if frame.content), 0)
        for frame in reply.frames[: upto + 1]:
            await player.write(frame.data)
        endless = reply.frames[upto]
    while True:
        await player.write(endless.data)
        player.record.events_sent += 1
        # At least one turn of the loop, or a client in the same process would never be seen
        # leaving.
        await asyncio.sleep(fault.seconds or 0.0)


async def _redirect_loop(player: _Player, _fault: BrokenReply) -> web.StreamResponse:
    return await _whole(
        _Player(player.request, player.record, _redirect(player.record, 1), chunked=False)
    )


async def _garbage(
    request: web.Request, record: RecordedRequest, reply: Reply
) -> web.StreamResponse:
    player = _Player(request, record, reply, chunked=False)
    if request.transport is not None:
        request.transport.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    return player.leave(reset=False)


_HANDLERS = {
    "broken_json": _broken_json,
    "cut": _break,
    "drip": _drip,
    "empty_body": _empty_body,
    "endless": _endless,
    "no_terminal": _no_terminal,
    "redirect_loop": _redirect_loop,
    "reset": _break,
    "stall": _stall,
    "stream_error": _stream_error,
    "wrong_content_type": _wrong_content_type,
}
