"""AWS's binary event stream, `application/vnd.amazon.eventstream`.

A frame is: total length, header length, CRC-32 of those eight bytes; the headers; the payload;
CRC-32 of all before. All numbers are big-endian.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Mapping

__all__ = ["encode_frame"]

_STRING = 7
_PRELUDE = 8
_CRC = 4


def _header(name: str, value: str) -> bytes:
    """A string header: name with a one-byte length, type, value with a two-byte length."""
    raw_name, raw_value = name.encode(), value.encode()
    return (
        bytes([len(raw_name)]) + raw_name + struct.pack(">BH", _STRING, len(raw_value)) + raw_value
    )


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame with string headers."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    total = _PRELUDE + _CRC + len(head) + len(payload) + _CRC
    prelude = struct.pack(">II", total, len(head))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + head + payload
    return message + struct.pack(">I", binascii.crc32(message))
