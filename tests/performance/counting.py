"""Counts the bytecode instructions that our own code executes: no machine is too noisy for that.

Only frames of the package count, so a new release of an SDK changes nothing, and only the thread
that asks, so the ledger's own does not either.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import switchgear

__all__ = ["Counter", "counted"]

_ROOT = str(Path(switchgear.__file__).parent)


class Counter:
    """What has been counted so far.

    Attributes:
        instructions: That were executed.
        calls: Of Python functions; a coroutine that goes on counts once more.
    """

    def __init__(self) -> None:
        self.instructions = 0
        self.calls = 0

    def called(self, frame: FrameType, event: str, arg: object) -> Any:
        """A frame begins, or goes on: it is followed where it is ours."""
        del event, arg
        if not frame.f_code.co_filename.startswith(_ROOT):
            return None
        self.calls += 1
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._within

    def _within(self, frame: FrameType, event: str, arg: object) -> Any:
        del frame, arg
        if event == "opcode":
            self.instructions += 1
        return self._within


@contextlib.contextmanager
def counted() -> Iterator[Counter]:
    """What is called inside is counted; frames that were running already are not."""
    counter, before = Counter(), sys.gettrace()
    sys.settrace(counter.called)
    try:
        yield counter
    finally:
        sys.settrace(before)
