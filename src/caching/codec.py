"""An entry as bytes and back: versioned, checked, bounded, and never code.

``SGC1``, a byte of flags, 16 bytes of checksum, then the entry as MessagePack, compressed or not.
The checksum is keyed with the entry's own cache key: one that stands under another key does not
hold. It finds what was damaged or misplaced; it does not stop whoever may write to the store from
writing answers of their own.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import Final

import msgspec

from .entry import Entry

__all__ = ["OVERHEAD", "DamagedEntryError", "decode", "encode"]

OVERHEAD: Final = 1024
"""Bytes by which a stored entry may be larger than the entry itself."""

_MAGIC: Final = b"SGC1"
_PLAIN, _ZLIB = 0, 1
_CHECKSUM: Final = 16
_HEAD: Final = len(_MAGIC) + 1 + _CHECKSUM
_SMALL: Final = 512
"""Bytes. What is smaller hardly shrinks."""
_LEVEL: Final = 1

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


class DamagedEntryError(Exception):
    """What stands under a key is not an entry that this version wrote under it."""


def encode(key: bytes, entry: Entry, *, compress: bool, limit: int) -> bytes | None:
    """An entry as bytes; ``None`` where it can't be stored: too large, or not plain data.

    Args:
        key: Under which it will stand.
        entry: The answer.
        compress: Make it smaller, where that helps.
        limit: The largest, in bytes before compression.
    """
    try:
        body = _encoder.encode(entry)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None  # a vendor's own block may hold anything
    if len(body) > limit:
        return None
    flags = _PLAIN
    if compress and len(body) >= _SMALL:
        smaller = zlib.compress(body, _LEVEL)
        if len(smaller) < len(body):
            body, flags = smaller, _ZLIB
    rest = bytes([flags]) + body
    return _MAGIC + rest[:1] + _checksum(key, rest) + body


def decode(key: bytes, data: bytes, *, limit: int) -> Entry:
    """An entry from bytes, whatever they are.

    Args:
        key: Under which they stood.
        data: They.
        limit: The largest entry that is read, in bytes before compression.

    Raises:
        DamagedEntryError: They are no entry, or not this one.
    """
    if len(data) < _HEAD or not data.startswith(_MAGIC):
        raise DamagedEntryError("not an entry of this version")
    flags, checksum, body = data[4], data[5:_HEAD], data[_HEAD:]
    if not hmac.compare_digest(checksum, _checksum(key, bytes([flags]) + body)):
        raise DamagedEntryError("damaged, or stored under another key")
    if flags == _ZLIB:
        body = _inflated(body, limit)
    elif flags != _PLAIN:
        raise DamagedEntryError(f"unknown flags {flags}")
    if len(body) > limit:
        raise DamagedEntryError("larger than entries may be")
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError) as exc:
        raise DamagedEntryError(f"not an entry: {exc}") from exc


def _inflated(body: bytes, limit: int) -> bytes:
    # Bounded, since a few kilobytes may unfold to gigabytes.
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as exc:
        raise DamagedEntryError(f"damaged: {exc}") from exc
    if not unpacker.eof or unpacker.unused_data:
        raise DamagedEntryError("larger than entries may be, or cut")
    return plain


def _checksum(key: bytes, rest: bytes) -> bytes:
    return hashlib.blake2b(rest, digest_size=_CHECKSUM, key=key[:64]).digest()
