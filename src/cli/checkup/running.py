"""Runs checks side by side, each within its time; one that breaks hides no other."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final, cast

import msgspec

from ...errors import SwitchgearError
from .values import Check, Result, error

if TYPE_CHECKING:
    from .case import Case

__all__ = ["Examined", "examine"]

_TIMES_THE_TIMEOUT: Final = 3
"""A check may ask more than one thing, and import an SDK before."""


class Examined(msgspec.Struct, frozen=True):
    """A check and what it found, without a credential in it."""

    check: Check
    results: tuple[Result, ...]


async def examine(case: Case, checks: Sequence[Check]) -> AsyncIterator[tuple[str, list[Examined]]]:
    """Run all checks at once, and yield each section as soon as it and those before it are done."""
    running = [(check, asyncio.create_task(_run(check, case))) for check in checks]
    try:
        for section, tasks in groupby(running, key=lambda pair: pair[0].section):
            yield section, [await task for _, task in tasks]
    finally:
        for _, task in running:
            task.cancel()
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)


async def _run(check: Check, case: Case) -> Examined:
    limit = case.timeout * _TIMES_THE_TIMEOUT
    try:
        async with asyncio.timeout(limit):
            results = await _looked(check, case)
    except TimeoutError:
        what = f"{check.name}: not done within {limit:g} s"
        remedy = "look for a disk, a database or a network that hangs; --timeout waits longer"
        results = (error(what, remedy=remedy),)
    except SwitchgearError as exc:
        notes = getattr(exc, "__notes__", ())
        results = (error(exc.message, remedy=str(notes[-1]) if notes else ""),)
    except Exception as exc:  # noqa: BLE001 - the report goes on
        why = f"{type(exc).__name__}: {exc}"
        remedy = "the other checks are not touched by it; please report it"
        results = (error(f"{check.name}: this check itself failed", why, remedy),)
    return Examined(check, tuple(_redacted(case, each) for each in results))


async def _looked(check: Check, case: Case) -> tuple[Result, ...]:
    if inspect.iscoroutinefunction(check.look):
        return tuple(await check.look(case))

    plain = cast("Callable[[Case], Iterable[Result]]", check.look)
    return await asyncio.to_thread(lambda: tuple(plain(case)))


def _redacted(case: Case, result: Result) -> Result:
    return Result(
        level=result.level,
        what=case.redacted(result.what),
        why=case.redacted(result.why),
        remedy=case.redacted(result.remedy),
    )
