"""Keeps a store that is slow, away or broken from holding up or failing a call."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from ..clock import Clock
from ..credentials import hide
from .store import CacheStore, StoreRefusedError, StoreStats

__all__ = ["Guard"]

_T = TypeVar("_T")
_log = logging.getLogger("switchgear.caching")

_SLOW_IN_A_ROW: Final = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0

_OPENING: Final = 2.0
"""Seconds. To import the client of a Redis takes 0.3 s, and far more on a busy machine."""


class _Gate:
    """Open, or shut for a while; then one probe decides."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pause = 0.0
        self._until = 0.0
        self._probing = False

    @property
    def shut(self) -> bool:
        """It has not been used with success since it was last shut."""
        return self._pause > 0

    def enter(self) -> bool:
        """Whether somebody may pass; after a pause, one at a time."""
        if not self._pause:
            return True
        if self._probing or self._clock.monotonic() < self._until:
            return False
        self._probing = True
        return True

    def close(self) -> bool:
        """Let nobody pass for a while, each time longer. Whether that is new."""
        new = not self._pause
        if not new and not self._probing:
            return False  # a late failure of the same outage
        self._pause = min(_LONGEST_PAUSE, self._pause * 2) or _FIRST_PAUSE
        self._until = self._clock.monotonic() + self._pause
        self._probing = False
        return new

    def reopen(self) -> bool:
        """Let everybody pass again. Whether that is new."""
        was, self._pause, self._probing = self._pause, 0.0, False
        return was > 0

    def left(self) -> None:
        """A probe ended without telling anything."""
        self._probing = False


class _Watch:
    """One exchange with the store: whether anybody still waits for it."""

    __slots__ = ("late",)

    def __init__(self) -> None:
        self.late = False


class Guard:
    """A store whose failures are misses.

    Nobody waits for it longer than ``seconds``. What is slower than that goes on by itself, so that
    no connection is broken off in the middle of an answer; meanwhile nobody else waits. After a
    failure, or three slow answers in a row, the store is left alone for a second, then for two, up
    to half a minute; one warning is logged for each such time.

    The very first contact is another matter: to import a client and to connect takes longer than
    any look, of a store that is well. Whoever comes meanwhile waits for it, until it has taken two
    seconds; one that has not succeeded by then counts as away.

    Args:
        store: The store.
        clock: Time.
        seconds: The longest wait.

    Attributes:
        slow: How often it took longer.
        failed: How often it failed.
        passed_over: How often it was not asked, for one of these reasons.
    """

    def __init__(self, store: CacheStore, clock: Clock, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._gate = _Gate(clock)
        self._writing = _Gate(clock)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._hanging = 0
        self._slow_in_a_row = 0
        self._opening: asyncio.Task[None] | None = None
        self._opened_until = 0.0
        self.slow = 0
        self.failed = 0
        self.passed_over = 0

    @property
    def instant(self) -> bool:
        """The store never waits for anything."""
        return self._store.instant

    def start(self) -> None:
        """Open the store, on the running loop. Safe to call twice; all else does it too."""
        if self._opening is None and not self._store.instant:
            loop = asyncio.get_running_loop()
            self._opened_until = loop.time() + max(_OPENING, self._seconds)
            self._opening = loop.create_task(self._open())

    async def get(self, key: bytes, patience: float = math.inf) -> bytes | None:
        """What stands under a key; ``None`` also where the store can't tell, or not in time.

        Args:
            key: The key.
            patience: Seconds to wait, at most, for a store that is being opened.
        """
        return await self._bounded(lambda: self._store.get(key), None, patience)

    async def put(self, key: bytes, value: bytes, ttl: float, patience: float = math.inf) -> bool:
        """Keep something. Whether the store has said that it did.

        Args:
            key: The key.
            value: What to keep.
            ttl: Seconds for which to keep it.
            patience: As for :meth:`get`.
        """

        async def put() -> bool:
            try:
                await self._store.put(key, value, ttl)
            except StoreRefusedError as exc:
                self._refused(exc)
                return False
            if self._writing.reopen():
                _log.info("the response cache %s takes answers again", self._store.place)
            return True

        if not self._writing.enter():
            self.passed_over += 1
            return False
        try:
            return await self._bounded(put, otherwise=False, patience=patience)
        finally:
            self._writing.left()

    async def delete(self, key: bytes) -> None:
        """Forget what stands under a key, if the store can be reached."""
        await self._bounded(lambda: self._store.delete(key), None)

    def stats(self) -> StoreStats:
        """How full the store is, as far as it knows."""
        try:
            found: object = self._store.stats()
        except Exception as exc:  # noqa: BLE001 - nothing that a caller could mend
            _log.debug("the response cache can't tell how full it is: %s", hide(repr(exc)))
            return StoreStats()
        return found if isinstance(found, StoreStats) else StoreStats()

    async def aclose(self) -> None:
        """End what is under way and close the store."""
        under_way = set(self._under_way)
        if self._opening is not None:
            under_way.add(self._opening)
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)
        try:
            await self._store.aclose()
        except Exception as exc:  # noqa: BLE001 - nothing that a caller could mend
            _log.warning("the response cache was not closed cleanly: %s", hide(repr(exc)))

    async def _open(self) -> None:
        try:
            await self._store.open()
        except Exception as exc:  # noqa: BLE001 - whatever it is, calls go on without it
            self.failed += 1
            self._away(f"{type(exc).__name__}: {exc}")
        else:
            self._well()

    async def _is_open(self, patience: float) -> bool:
        """Whether the first contact is over, as far as one may wait for it."""
        self.start()
        opening = self._opening
        if opening is None or opening.done():
            return True
        left = self._opened_until - asyncio.get_running_loop().time()
        if left > 0:
            done, _ = await asyncio.wait({opening}, timeout=min(left, patience))
            if done:
                return True
        if left <= patience:
            self._away(f"it could not be reached within {max(_OPENING, self._seconds):g} s")
        return False

    async def _bounded(
        self,
        work: Callable[[], Coroutine[Any, Any, _T]],
        otherwise: _T,
        patience: float = math.inf,
    ) -> _T:
        if not await self._is_open(patience) or self._hanging or not self._gate.enter():
            self.passed_over += 1
            return otherwise
        watch = _Watch()
        if self._store.instant:
            return await self._watched(work, otherwise, watch)
        # A task of its own: whoever waits may be cancelled, an exchange with a server may not.
        task = asyncio.ensure_future(self._watched(work, otherwise, watch))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        done, _ = await asyncio.wait({task}, timeout=self._seconds)
        if done:
            return task.result()
        self._late(watch)
        return otherwise

    async def _watched(
        self, work: Callable[[], Coroutine[Any, Any, _T]], otherwise: _T, watch: _Watch
    ) -> _T:
        try:
            found = await work()
        except Exception as exc:  # noqa: BLE001 - whatever it is, the call goes on without it
            self.failed += 1
            self._away(f"{type(exc).__name__}: {exc}")
            return otherwise
        except asyncio.CancelledError:
            self._gate.left()
            raise
        finally:
            self._hanging -= watch.late
        if watch.late:
            return otherwise  # it answers, but not in time: that is no recovery
        self._slow_in_a_row = 0
        self._well()
        return found

    def _late(self, watch: _Watch) -> None:
        watch.late = True
        self._hanging += 1
        self.slow += 1
        if self._hanging == 1:
            self._slow_in_a_row += 1
        if self._gate.shut or self._slow_in_a_row >= _SLOW_IN_A_ROW:
            self._away(f"it took longer than {self._seconds:g} s")

    def _well(self) -> None:
        if self._gate.reopen():
            _log.info("the response cache %s is back", self._store.place)

    def _away(self, why: str) -> None:
        if self._gate.close():
            _log.warning(
                "the response cache %s is left alone for now, and calls are made without it: %s",
                self._store.place,
                hide(why),
            )

    def _refused(self, exc: StoreRefusedError) -> None:
        self.failed += 1
        if self._writing.close():
            _log.warning(
                "the response cache %s takes no answers for now: %s",
                self._store.place,
                hide(str(exc)),
            )
