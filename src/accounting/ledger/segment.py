"""One file of a journal: records one after the other in room that was set aside for them.

The file begins with eight bytes that name the format. A record is framed as its length (u32), the
CRC-32 of its body (u32), and the body: kind (u8), number (u64), payload; all little-endian. A
length of zero is the end, and so is the first frame that is not whole: a process that is killed
while it writes leaves a torn tail behind, and nothing after it counts.

A segment is written once and never used again, so no old record can follow a torn one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from .files import Files

__all__ = [
    "BEGIN",
    "DROP",
    "END",
    "HEADER",
    "OVERHEAD",
    "Record",
    "Segment",
    "UnknownFormatError",
    "frame",
    "read_segment",
    "scan",
]

BEGIN: Final = 1
"""An attempt is about to be sent; the payload is the row to book if nothing else follows."""
END: Final = 2
"""An attempt ended; the payload is its final row."""
DROP: Final = 3
"""An attempt was never sent; the payload is its id."""

HEADER: Final = b"SWGRJNL\x01"
_HEAD: Final = struct.Struct("<II")
_TAG: Final = struct.Struct("<BQ")
OVERHEAD: Final = _HEAD.size + _TAG.size
"""Bytes of a record besides its payload."""


class UnknownFormatError(Exception):
    """A file that this version can't read: another version's, or not a journal."""


class Record(NamedTuple):
    """A record as it was read; ``end`` is the offset behind it."""

    kind: int
    number: int
    payload: memoryview
    end: int


def frame(kind: int, number: int, payload: bytes) -> bytes:
    """A record as its file holds it."""
    body = _TAG.pack(kind, number) + payload
    return _HEAD.pack(len(body), crc32(body)) + body


def scan(data: bytes, offset: int = 0) -> Iterator[Record]:
    """The whole records from an offset on, up to the end or the first one that is not whole."""
    view, whole, before = memoryview(data), len(data), _HEAD.size
    while offset + OVERHEAD <= whole:
        length, checksum = _HEAD.unpack_from(view, offset)
        start, end = offset + before, offset + before + length
        if length < _TAG.size or end > whole or crc32(view[start:end]) != checksum:
            return
        kind, number = _TAG.unpack_from(view, start)
        yield Record(kind, number, view[start + _TAG.size : end], end)
        offset = end


def read_segment(path: Path) -> Iterator[Record]:
    """The whole records of a file.

    Raises:
        OSError: It can't be read.
        UnknownFormatError: It has another format.
    """
    data = path.read_bytes()
    begin = data[: len(HEADER)]
    if begin == HEADER:
        return scan(data, len(HEADER))
    if not any(begin):
        return iter(())  # its maker died before the first record
    raise UnknownFormatError(f"{path} is not a journal that this version can read")


class Segment:
    """A segment that is being written, by one thread at a time.

    Args:
        files: The file system.
        path: A file that does not exist yet.
        index: Its place among its writer's segments.
        size: Bytes to set aside.

    Attributes:
        offset: Where the next record goes.
        open: How many attempts under way have their last ``BEGIN`` here.

    Raises:
        OSError: There is no room for it, or it can't be made.
    """

    __slots__ = ("_fd", "_files", "index", "offset", "open", "path", "size")

    def __init__(self, files: Files, path: Path, index: int, size: int) -> None:
        self._fd = -1
        self._files = files
        self.path = path
        self.index = index
        self.size = size
        self.offset = 0
        self.open = 0
        self._fd = files.create(path, size)
        try:
            self.append(HEADER)
        except BaseException:
            self.close()
            with contextlib.suppress(OSError):
                files.remove(path)
            raise

    @property
    def free(self) -> int:
        """Bytes that are left."""
        return self.size - self.offset

    def append(self, data: bytes) -> None:
        """Write at the end; where that fails, the next write goes to the same place.

        Raises:
            OSError: It is not, or not wholly, written.
        """
        written = self._files.write(self._fd, data, self.offset)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self.offset += written

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from one offset to another.

        Raises:
            OSError: They can't be read.
        """
        return self._files.read(self._fd, stop - start, start)

    def close(self) -> None:
        """Let go of the file, which stays. Safe to call twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._files.close(fd)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()
