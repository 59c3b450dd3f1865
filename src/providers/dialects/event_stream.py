"""AWS's event stream: the binary frames in which Bedrock wraps what others send as text.

A frame is a prelude (length of the frame, length of its headers, checksum), headers, a payload and
a checksum of the whole. Botocore has a parser for it, but only behind its service models, which
take half a second to load, and the SDK's own is private; these are a hundred lines, kept by the
format's published description.
"""

from __future__ import annotations

import struct
import zlib

import msgspec

from ...errors import MalformedResponseError

__all__ = ["EventStreamParser"]

_PRELUDE = struct.Struct("!III")
_CHECKSUM = struct.Struct("!I")
_OVERHEAD = _PRELUDE.size + _CHECKSUM.size
_LARGEST = 24 * 1024 * 1024
"""Bytes; what AWS promises never to exceed is 16 MiB of payload and 128 KiB of headers."""

_STRING = 7
# Sizes of the other header types: true, false, byte, short, int, long, bytes, timestamp, uuid.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class _Chunk(msgspec.Struct):
    data: bytes = msgspec.field(name="bytes", default=b"")  # msgspec undoes the JSON's base64


class _Exception(msgspec.Struct):
    message: str = ""
    Message: str = ""


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_exception = msgspec.json.Decoder(_Exception).decode


class EventStreamParser:
    """Gives each frame's event as ``SseParser`` gives its own: pairs of name and JSON.

    The name is empty for an event, whose JSON says its type, and ``error`` for an exception.
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The events that these bytes complete.

        Raises:
            MalformedResponseError: These are no event-stream frames, or damaged ones.
        """
        buffer = self._buffer
        buffer += data
        events: list[tuple[bytes, bytes]] = []
        while len(buffer) >= _PRELUDE.size:
            total, header_length, checksum = _PRELUDE.unpack_from(buffer)
            if zlib.crc32(buffer[:8]) != checksum:
                raise MalformedResponseError("event stream: a frame's prelude is damaged")
            if not _OVERHEAD + header_length <= total <= _LARGEST:
                raise MalformedResponseError(f"event stream: a frame of {total} bytes")
            if len(buffer) < total:
                break
            whole = bytes(buffer[:total])
            del buffer[:total]
            if zlib.crc32(whole[:-4]) != _CHECKSUM.unpack_from(whole, total - 4)[0]:
                raise MalformedResponseError("event stream: a frame is damaged")
            payload = _PRELUDE.size + header_length
            event = _event(_headers(whole[_PRELUDE.size : payload]), whole[payload:-4])
            if event is not None:
                events.append(event)
        return events


def _headers(data: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    position = 0
    try:
        while position < len(data):
            name_end = position + 1 + data[position]
            name = data[position + 1 : name_end].decode()
            kind = data[name_end]
            position = name_end + 1
            size = _SIZES.get(kind)
            if size is None:
                size = int.from_bytes(data[position : position + 2], "big")
                position += 2
                if kind == _STRING:
                    headers[name] = data[position : position + size].decode()
            position += size
    except (IndexError, UnicodeDecodeError) as exc:
        raise MalformedResponseError("event stream: a frame's headers are damaged") from exc
    return headers


def _event(headers: dict[str, str], payload: bytes) -> tuple[bytes, bytes] | None:
    kind = headers.get(":message-type", "event")
    try:
        if kind == "event":
            if headers.get(":event-type", "chunk") != "chunk":
                return None
            return b"", _decode_chunk(payload).data
        word = headers.get(":exception-type") or headers.get(":error-code") or kind
        known = _decode_exception(payload) if payload else _Exception()
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedResponseError(f"event stream: an event that is not JSON: {exc}") from exc
    message = known.message or known.Message or headers.get(":error-message", "")
    return b"error", msgspec.json.encode({"error": {"type": word, "message": message}})
