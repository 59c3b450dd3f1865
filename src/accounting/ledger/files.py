"""What a journal asks of the file system: little, so that a test can put a slow one there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final, Protocol

__all__ = ["Files", "RealFiles"]

_ZEROS: Final = bytes(64 * 1024)
_CANNOT_SET_ASIDE: Final = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS})


class Files(Protocol):
    """A file system. Every method may block, and raises ``OSError``."""

    def create(self, path: Path, size: int) -> int:
        """Make a new file of zeros whose room on the disk is set aside; answers its descriptor."""

    def write(self, fd: int, data: bytes, offset: int) -> int:
        """Write at an offset; answers how many bytes were written."""

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """Read from an offset; shorter at the end of the file."""

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is fine."""

    def close(self, fd: int) -> None:
        """Let go of a descriptor."""


class RealFiles:
    """The machine's own file system."""

    __slots__ = ()

    write = staticmethod(os.pwrite)
    read = staticmethod(os.pread)
    close = staticmethod(os.close)

    def create(self, path: Path, size: int) -> int:
        """Make a file that only its owner can read, and set its room aside."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _set_aside(fd, size)
        except BaseException:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return fd

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is fine."""
        path.unlink(missing_ok=True)


def _set_aside(fd: int, size: int) -> None:
    # A write into room that is set aside can't fail for a full disk, except where a file system
    # copies on write; zeros do as well, only slower.
    reserve = getattr(os, "posix_fallocate", None)
    if reserve is not None:
        try:
            reserve(fd, 0, size)
        except OSError as error:
            if error.errno not in _CANNOT_SET_ASIDE:
                raise
        else:
            return
    offset = 0
    while offset < size:
        offset += os.pwrite(fd, _ZEROS[: size - offset], offset)
