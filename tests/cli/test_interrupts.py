"""Signals that come when a loop is about to wait."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from switchgear.cli.interrupts import waking


class LateSignal(selectors.SelectSelector):
    """A signal comes right before it waits for the first time; it waits for no more than that."""

    woken = False
    over: Callable[[], None] | None = None

    def select(self, timeout: float | None = None) -> Any:
        if timeout == 0 or self.over is None:
            return super().select(timeout)
        signal.raise_signal(signal.SIGUSR1)
        found = super().select(5)
        self.woken = bool(found)
        self.over()
        return found


@pytest.fixture
def noted() -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    yield
    signal.signal(signal.SIGUSR1, before)


@contextlib.contextmanager
def loop_with(selector: selectors.BaseSelector) -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.SelectorEventLoop(selector)
    try:
        yield loop
    finally:
        loop.close()


@pytest.mark.usefixtures("noted")
def test_a_signal_ends_the_wait_that_it_came_just_before() -> None:
    selector = LateSignal()
    with loop_with(selector) as loop, waking(loop):
        selector.over = loop.stop
        loop.run_forever()
    assert selector.woken


def test_nothing_is_left_behind() -> None:
    with loop_with(selectors.SelectSelector()) as loop:
        before = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(before)
        with waking(loop):
            assert signal.set_wakeup_fd(-1) != -1
        assert signal.set_wakeup_fd(before) == before


def test_in_another_thread_nothing_is_done() -> None:
    faults: list[BaseException] = []

    def run() -> None:
        try:
            with loop_with(selectors.SelectSelector()) as loop, waking(loop):
                pass
        except BaseException as exc:  # noqa: BLE001
            faults.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not faults
