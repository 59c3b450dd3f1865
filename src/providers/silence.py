"""Ends the body of an answer that has fallen silent."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Silence"]


class Silence:
    """Bounds how long one may wait for the next piece of a body.

    aiohttp bounds it by itself, with a timer that it sets anew for each piece, which costs as much
    as reading the piece. This takes its place, with a timer that stays where it was set: when it
    fires while somebody waits for something newer, it is set anew to the end of that wait.

    Between two waits nothing runs out: whoever reads slowly is not kept waiting by the provider.

    Args:
        response: The answer, its headers read.
        seconds: The longest silence; ``None`` for none.
    """

    __slots__ = ("_content", "_loop", "_seconds", "_since", "_timer")

    def __init__(self, response: aiohttp.ClientResponse, seconds: float | None) -> None:
        self._content = response.content
        self._loop = asyncio.get_running_loop()
        self._seconds = math.inf if seconds is None else seconds
        self._since = math.inf
        self._timer: asyncio.TimerHandle | None = None
        connection = response.connection  # None where all of the body is here already
        if connection is not None and connection.protocol is not None:
            # Its timer from the headers still bounds the first piece, and is not set again.
            connection.protocol.read_timeout = None

    def begin(self) -> None:
        """A wait begins. Where it lasts too long, reading raises aiohttp's own time-out."""
        self._since = self._loop.time()
        if self._timer is None and self._seconds < math.inf:
            self._timer = self._loop.call_at(self._since + self._seconds, self._look)

    def end(self) -> None:
        """The wait is over."""
        self._since = math.inf

    def stop(self) -> None:
        """No wait will follow: leave no timer behind."""
        self._since = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        from aiohttp import SocketTimeoutError

        self._timer = None
        due = self._since + self._seconds
        if due <= self._loop.time():
            self._content.set_exception(SocketTimeoutError("no byte for too long"))
        elif due < math.inf:
            self._timer = self._loop.call_at(due, self._look)
        # Else nobody waits; whoever does next sets it.
