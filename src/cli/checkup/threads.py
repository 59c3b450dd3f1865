"""Threads that nobody waits for."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["Daemons"]

P = ParamSpec("P")
T = TypeVar("T")


class Daemons(ThreadPoolExecutor):
    """An event loop's default executor whose threads never keep the process from ending.

    A name server that does not answer, a dead network disk or a database behind a firewall holds a
    thread for minutes, and neither ``asyncio`` nor the interpreter ends before a pool's threads do.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it in a thread of its own."""
        future: Future[T] = Future()
        context = contextvars.copy_context()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(context.run(fn, *args, **kwargs))
            except BaseException as exc:  # noqa: BLE001 - it is the waiter's
                future.set_exception(exc)

        threading.Thread(target=work, name="checkup", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the base's signature
        """Nothing to wait for."""
        del wait
        super().shutdown(wait=False, cancel_futures=cancel_futures)
