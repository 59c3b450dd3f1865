"""What the checks of the ledger ask of the file system."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["can_make", "size_of", "this_user"]


def can_make(path: Path) -> str:
    """Why a file can't be made; empty where it can."""
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} can't be written"


def this_user() -> str:
    """Who runs this."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in many containers
        return f"uid {os.getuid()}"


def size_of(count: int) -> str:
    """Bytes, for people."""
    amount, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    places = 0 if units[0] == "bytes" or amount >= 10 else 1
    return f"{amount:.{places}f} {units[0]}"
