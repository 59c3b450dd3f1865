"""Ctrl-C reaches a loop that is about to wait."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Iterator

__all__ = ["waking"]


@contextlib.contextmanager
def waking(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Every signal wakes the loop meanwhile.

    Python only notes a signal that comes between its last look and the system call in which the
    loop waits. Without this its handler runs after the next event, and an answer that stalls has
    none for minutes.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        # There the loop does so itself, or there are no signals.
        yield
        return
    woken, waker = socket.socketpair()
    with woken, waker:
        woken.settimeout(0)
        waker.settimeout(0)
        loop.add_reader(woken, woken.recv, 4096)
        before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(woken)
