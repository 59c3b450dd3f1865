"""The ``switchgear`` command."""

from __future__ import annotations

import gc
from typing import NoReturn

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command with the process's arguments, and end the process with its exit code."""
    try:
        from .app import run
        from .output import settle_streams

        settle_streams()
        code = run()
    except KeyboardInterrupt:
        # Ctrl-C while the command was still being imported: nothing is open yet.
        code = _INTERRUPTED
    # Looking through an SDK's thousands of classes once more takes the interpreter a third of a
    # second, and everything is about to go anyway.
    gc.freeze()
    raise SystemExit(code)
