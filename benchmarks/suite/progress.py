"""Where a run is, on standard error."""

from __future__ import annotations

import sys
import time
from typing import TextIO

__all__ = ["Progress"]


class Progress:
    """One line that is written over on a terminal, and elsewhere one a scenario.

    Args:
        stream: Where it goes.
        quiet: Say nothing.
    """

    def __init__(self, stream: TextIO = sys.stderr, *, quiet: bool = False) -> None:
        self._stream, self._quiet = stream, quiet
        self._live = stream.isatty()
        self._title = ""
        self._began = self._said = time.monotonic()

    def start(self, title: str) -> None:
        """A scenario begins."""
        self._title = title
        self._write(f"{self._elapsed()} {title}")

    def step(self, done: int, of: int, what: str) -> None:
        """So much of it is done. Where lines can't be written over, that is said twice a minute."""
        now = time.monotonic()
        if self._live or now > self._said + 30:
            self._said = now
            self._write(f"{self._elapsed()} {self._title}: {done}/{of} {what}")

    def end(self) -> None:
        """Leave the terminal's line empty."""
        if self._live and not self._quiet:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"[{minutes}:{seconds:02}]"

    def _write(self, text: str) -> None:
        if self._quiet:
            return
        self._stream.write(f"\r\x1b[K{text[:110]}" if self._live else f"{text}\n")
        self._stream.flush()
