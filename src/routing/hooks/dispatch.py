"""Calls hooks, and keeps their faults from calls."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ...credentials import hide
from ...errors import ConfigError, HookVetoError
from ...plugins import short
from ...providers.scrub import scrub
from ..lifecycle import is_cancelled
from .details import attempt_result, settlement
from .values import Hook, HookHealth

if TYPE_CHECKING:
    from ...accounting.ledger.row import Row
    from ...errors import SwitchgearError
    from ...providers.base import Reply
    from .values import AttemptDetails, StateChange

__all__ = ["KINDS", "Hooked", "Hooks"]

KINDS: Final = ("before_attempt", "after_attempt", "on_settle", "on_state_change")

_MOST_BEHIND: Final = 1000
"""What a hook has not come round to yet; what comes on top of it is not told."""
_LAST_SECONDS: Final = 1.0

_log = logging.getLogger("switchgear.hooks")

# Which hooks are at work here: one may ask a model, through the same router.
_asking: ContextVar[tuple[Hooked, ...]] = ContextVar("switchgear_hooks_asking", default=())


class Hooked:
    """One hook: what it wants to hear, how long it may take, and how it did.

    Args:
        name: Its name.
        hook: It.
        timeout: Seconds; ``None``: as it says itself.
        fail_closed: Whether its failing refuses a call; ``None``: as it says itself.

    Raises:
        ConfigError: It has none of the methods, or a timeout that is none.
    """

    def __init__(
        self,
        name: str,
        hook: object,
        *,
        timeout: float | None = None,
        fail_closed: bool | None = None,
    ) -> None:
        self.name = name
        self.methods = {kind: method for kind in KINDS if (method := _method(hook, kind))}
        if not self.methods:
            message = f"hook {name!r}: {type(hook).__name__} has none of {', '.join(KINDS)}"
            raise ConfigError(message, param=f"hooks.{name}")
        seconds = getattr(hook, "timeout", Hook.timeout) if timeout is None else timeout
        if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
            message = f"hook {name!r}: its timeout must be a number of seconds above 0"
            raise ConfigError(message, param=f"hooks.{name}.timeout")
        self.timeout = float(seconds)
        closed = getattr(hook, "fail_closed", False) if fail_closed is None else fail_closed
        self.fail_closed = bool(closed)
        self.close = getattr(hook, "aclose", None)
        self.pending: set[asyncio.Future[Any]] = set()
        self._failures = 0
        self._vetoes = 0
        self._last: str | None = None
        self._told: set[str] = set()

    def health(self) -> HookHealth:
        """How it does."""
        return HookHealth(self.name, self._failures, self._vetoes, self._last)

    def failed(self, kind: str, exc: BaseException) -> None:
        """Count a failure, and log the first of its kind."""
        self._failures += 1
        self._last = hide(f"{kind}: {short(exc)}")[:300]
        if kind not in self._told:
            self._told.add(kind)
            with contextlib.suppress(Exception):
                scrub(exc)
            then = "refuses calls" if self.refuses(kind) else "calls go on without it"
            _log.error("hook %r failed; %s; %s", self.name, self._last, then, exc_info=exc)

    def vetoed(self) -> None:
        """Count a veto."""
        self._vetoes += 1

    def refuses(self, kind: str) -> bool:
        """Whether its failing there ends a call."""
        return self.fail_closed and kind == "before_attempt"

    def watch(self, work: asyncio.Future[Any]) -> None:
        """Keep it until it has ended, whatever it ends with."""
        self.pending.add(work)
        work.add_done_callback(self._ended)

    def _ended(self, work: asyncio.Future[Any]) -> None:
        self.pending.discard(work)
        with contextlib.suppress(asyncio.CancelledError):
            work.exception()  # else asyncio complains where nobody has asked


class Hooks:
    """All hooks of a router, in order.

    Args:
        hooks: At least one.
    """

    def __init__(self, hooks: Sequence[Hooked]) -> None:
        self._hooks = tuple(hooks)
        self._of = {kind: [each for each in hooks if kind in each.methods] for kind in KINDS}
        self._open = list(self._hooks)

    @property
    def asks(self) -> bool:
        """Somebody wants to be asked before an attempt."""
        return bool(self._of["before_attempt"])

    @property
    def watches(self) -> bool:
        """Somebody wants to hear of changes of state."""
        return bool(self._of["on_state_change"])

    def health(self) -> tuple[HookHealth, ...]:
        """How each does."""
        return tuple(each.health() for each in self._hooks)

    async def before(self, details: AttemptDetails) -> None:
        """Ask whether an attempt may be sent, one hook after another.

        Raises:
            HookVetoError: It may not.
        """
        asking = _asking.get()
        for each in self._of["before_attempt"]:
            if each in asking:
                continue
            token = _asking.set((*asking, each))
            try:
                await _asked(each, details)
            except HookVetoError as veto:
                each.vetoed()
                veto.hook = veto.hook or each.name
                veto.provider = veto.provider or details.provider
                veto.model = veto.model or details.model
                raise
            finally:
                _asking.reset(token)

    def ended(self, row: Row, reply: Reply | None, error: SwitchgearError | None) -> None:
        """An attempt has ended, and its row is written down."""
        if self._of["after_attempt"]:
            self._tell("after_attempt", attempt_result(row, reply, error))
        self.settled(row)

    def settled(self, row: Row) -> None:
        """A row is written down."""
        if self._of["on_settle"]:
            self._tell("on_settle", settlement(row))

    def changed(self, change: StateChange) -> None:
        """The state of something has changed."""
        self._tell("on_state_change", change)

    async def aclose(self) -> None:
        """Let those that are behind catch up for a moment, then close them all. Safe twice."""
        under_way = {work for each in self._hooks for work in each.pending}
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=_LAST_SECONDS)
            for work in late:
                work.cancel()
            if late:
                await asyncio.wait(late, timeout=_LAST_SECONDS)
        while self._open:
            each = self._open[0]
            try:
                found = _called(each.close) if each.close is not None else None
                if inspect.isawaitable(found):
                    await _bounded(each, found)
            except asyncio.CancelledError as exc:
                if is_cancelled():
                    raise  # closing goes on where it is called again
                each.failed("aclose", exc)
            except Exception as exc:  # noqa: BLE001 - somebody else's code
                each.failed("aclose", exc)
            del self._open[0]

    def _tell(self, kind: str, details: object) -> None:
        asking = _asking.get()
        for each in self._of[kind]:
            if each in asking and kind != "on_state_change":
                continue
            try:
                found = _called(each.methods[kind], details)
                if inspect.isawaitable(found):
                    _in_background(each, kind, found)
            except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - somebody else's code
                # Nothing is awaited here, so a cancellation is the hook's own.
                each.failed(kind, exc)


def _method(hook: object, kind: str) -> Callable[[Any], Any] | None:
    """A method that a hook has of its own; ``None`` where it only has the protocol's."""
    if getattr(type(hook), kind, None) is getattr(Hook, kind):
        return None
    method = getattr(hook, kind, None)
    return method if callable(method) else None


def _called(method: Callable[..., Any], *details: object) -> Any:
    """What a hook's method answers; also what would end the program is only a failure of it."""
    try:
        return method(*details)
    except (Exception, asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as exc:
        raise RuntimeError(short(exc)) from exc


async def _asked(each: Hooked, details: AttemptDetails) -> None:
    try:
        found = _called(each.methods["before_attempt"], details)
        if inspect.isawaitable(found):
            await _bounded(each, found)
    except HookVetoError:
        raise
    except asyncio.CancelledError as exc:
        if is_cancelled():
            raise
        _not_asked(each, exc)
    except Exception as exc:  # noqa: BLE001 - somebody else's code
        _not_asked(each, exc)


def _not_asked(each: Hooked, exc: BaseException) -> None:
    each.failed("before_attempt", exc)
    if each.fail_closed:
        message = f"hook {each.name!r} failed, and no call goes out without it"
        raise HookVetoError(message) from exc


async def _bounded(each: Hooked, work: Awaitable[Any]) -> None:
    """Wait for a hook, no longer than it may take, even where it does not heed its cancellation."""
    task = asyncio.ensure_future(_finished(work))
    each.watch(task)
    try:
        done, _ = await asyncio.wait({task}, timeout=each.timeout)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise TimeoutError(f"it took longer than {each.timeout:g} s")
    try:
        task.result()
    except GeneratorExit as exc:
        raise RuntimeError(short(exc)) from exc


def _in_background(each: Hooked, kind: str, work: Awaitable[Any]) -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        why = "no event loop runs where it was told"
    else:
        if len(each.pending) < _MOST_BEHIND:
            context = copy_context()
            context.run(_asking.set, (*_asking.get(), each))
            task = loop.create_task(_finished(work), context=context)
            each.watch(task)
            timer = loop.call_later(each.timeout, _late, each, kind, task)
            task.add_done_callback(partial(_over, each, kind, timer))
            return
        why = f"it is {_MOST_BEHIND} behind, so it is not told of everything"
    if inspect.iscoroutine(work):
        work.close()
    raise RuntimeError(why)


async def _finished(work: Awaitable[Any]) -> None:
    try:
        await work
    except (Exception, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
        raise  # GeneratorExit also where this is collected unfinished
    except BaseException as exc:
        raise RuntimeError(short(exc)) from exc


def _late(each: Hooked, kind: str, task: asyncio.Task[None]) -> None:
    each.failed(kind, TimeoutError(f"it took longer than {each.timeout:g} s"))
    task.cancel()


def _over(each: Hooked, kind: str, timer: asyncio.TimerHandle, task: asyncio.Task[None]) -> None:
    timer.cancel()
    if not task.cancelled() and (exc := task.exception()) is not None:
        each.failed(kind, exc)
