"""An SDK's client, made late and closed for good."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from ..errors import LifecycleError
from .closing import to_the_end

__all__ = ["LazyClient"]


class LazyClient:
    """Makes an SDK's client once, on first use.

    Args:
        provider: The provider's name in the configuration, for errors.
        make: Makes the client; it imports the SDK, which takes up to a second.
    """

    def __init__(self, provider: str, make: Callable[[], Any]) -> None:
        self._provider = provider
        self._make = make
        self._made: Any = None
        self._making: asyncio.Future[Any] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def get(self) -> Any:
        """The client, made here and now if need be. May be called from any thread.

        Raises:
            LifecycleError: It has been closed.
        """
        with self._lock:
            if self._closed:
                raise self._gone()
            if self._made is None:
                self._made = self._make()
            return self._made

    async def ready(self) -> Any:
        """The client, made in a thread if need be.

        Raises:
            LifecycleError: It has been closed.
        """
        if self._made is None and not self._closed:
            # Callers that arrive meanwhile wait for the same one; a caller that is cancelled does
            # not take it away from the others.
            if self._making is None or self._making.done():
                self._making = asyncio.get_running_loop().run_in_executor(None, self.get)
            await asyncio.shield(self._making)
        if self._closed:
            raise self._gone()
        return self._made

    async def aclose(self) -> None:
        """Close the client, also one that is being made. Safe to call twice."""
        self._closed = True
        if self._lock.locked():
            # A thread is making it and can't be stopped; what it makes must be closed.
            await asyncio.to_thread(self._until_made)
        client = self._made
        if client is not None:
            await to_the_end(client.close())
            self._made = None

    def _until_made(self) -> None:
        with self._lock:
            pass

    def _gone(self) -> LifecycleError:
        return LifecycleError(f"{self._provider}: closed", provider=self._provider)
