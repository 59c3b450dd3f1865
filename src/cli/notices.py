"""What the library logs, as the command's own warnings."""

from __future__ import annotations

import collections
import contextlib
import logging
from collections.abc import Iterator

from .output import warn

__all__ = ["Notices", "noticed"]

CONFIGURATION = "switchgear.config"
# What happens to a call is told by its error and its trace.
_TOLD_OTHERWISE = frozenset({CONFIGURATION, "switchgear.routing"})


class Notices(logging.Handler):
    """Warnings of the library's other parts: books, budgets, cache, shared state. Shown on demand.

    They come in the middle of an answer, and from threads of their own: shown at once, they would
    stand within its line.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: collections.deque[str] = collections.deque()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if record.name not in _TOLD_OTHERWISE:
            self._kept.append(record.getMessage())

    def show(self) -> None:
        """Write what has come since the last time, a line each, on the standard error."""
        while self._kept:
            warn(self._kept.popleft())


class _AtOnce(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.name == CONFIGURATION:
            warn(record.getMessage())


@contextlib.contextmanager
def noticed(handler: logging.Handler | None = None) -> Iterator[None]:
    """The library's log goes to the handler meanwhile.

    Args:
        handler: ``None`` shows at once what is doubtful about a configuration, and nothing else.
    """
    log = logging.getLogger("switchgear")
    handler = handler if handler is not None else _AtOnce(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
