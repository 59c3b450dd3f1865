"""A router for a command: on an event loop that runs only while something is asked of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ..routing.router import Router
from .interrupts import waking
from .notices import Notices, noticed
from .output import warn

if TYPE_CHECKING:
    from ..config import Config

__all__ = ["Session"]

T = TypeVar("T")

# An end that the other side made arrives in one turn of the loop, is acted upon in the next, and
# has reached the connection pool in the third.
_TURNS_TO_NOTICE = 3


class Session:
    """A router in a ``with`` block, for code that waits in other places than the event loop.

    Typing at a prompt blocks, and belongs into the main thread, where Ctrl-C reaches it and
    readline can put the terminal in order; so the loop rests meanwhile. Ctrl-C during ``run``
    cancels what runs, lets it clean up and becomes ``KeyboardInterrupt``.

    What the library warns of meanwhile (a ledger that can't be written, a cache that is away) is
    shown when a piece of work is over.

    Args:
        config: What the router serves.

    Raises:
        ConfigError: A provider is not rightly configured.
    """

    def __init__(self, config: Config) -> None:
        self.router = Router(config)
        self._runner = asyncio.Runner()
        self._notices = Notices()
        self._resources = contextlib.ExitStack()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and wait for its end."""
        try:
            return self._runner.run(_after_a_rest(work))
        finally:
            self._notices.show()

    def check(self, model: str) -> None:
        """Make sure, before anybody types a word, that there is such a group or model.

        Raises:
            InvalidRequestError: There is not.
            SwitchgearError: Its provider can't be used as it is configured.
        """
        if model not in self.router.config.groups:
            self.router.capabilities(model)

    def __enter__(self) -> Self:
        self._resources.enter_context(noticed(self._notices))
        # After the loop's own end too, which waits for its threads.
        self._resources.callback(self._notices.show)
        self._resources.enter_context(self._runner)
        self._resources.enter_context(waking(self._runner.get_loop()))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._runner.run(_close(self.router))
        finally:
            self._resources.__exit__(exc_type, exc, traceback)


async def _after_a_rest(work: Coroutine[Any, Any, T]) -> T:
    try:
        # Connections that were closed while the loop rested must be seen before one is used.
        for _ in range(_TURNS_TO_NOTICE):
            await asyncio.sleep(0)
    except BaseException:
        work.close()
        raise
    return await work


async def _close(router: Router) -> None:
    try:
        await router.aclose()
    except ExceptionGroup as exc:
        # The answer is there; a plugin that can't say goodbye does not undo it.
        warn(f"{exc.message}: {'; '.join(str(each) for each in exc.exceptions)}")
