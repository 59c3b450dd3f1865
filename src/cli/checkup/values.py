"""What a check says, and what a check is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from .case import Case

__all__ = ["LEVELS", "Check", "Level", "Look", "Result", "error", "note", "ok", "warning"]

Level: TypeAlias = Literal["ok", "note", "warning", "error"]
"""``ok``: it is right. ``note``: it may well be meant. ``warning``: it will do harm some day, or in
some calls. ``error``: something that is configured does not work."""

LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "note", "ok")
"""The worst first."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a check found.

    Attributes:
        level: How bad it is.
        what: What it is, in a line.
        why: What makes it so, or what comes of it; empty where ``what`` says it.
        remedy: What to do; empty where there is nothing to do.
    """

    level: Level
    what: str
    why: str = ""
    remedy: str = ""


Look: TypeAlias = Callable[["Case"], "Iterable[Result] | Awaitable[Iterable[Result]]"]
"""Looks at one thing. A plain function runs in a thread and may block; a coroutine function runs on
the event loop and may not. Either may raise: whoever runs it makes a result of that."""


class Check(msgspec.Struct, frozen=True):
    """One check of the report.

    Attributes:
        section: The heading that its results stand under.
        name: What it looks at, for its own failure and for scripts.
        look: Does it.
    """

    section: str
    name: str
    look: Look


def ok(what: str, why: str = "") -> Result:
    """It is right."""
    return Result(level="ok", what=what, why=why)


def note(what: str, why: str = "", remedy: str = "") -> Result:
    """It may well be meant."""
    return Result(level="note", what=what, why=why, remedy=remedy)


def warning(what: str, why: str = "", remedy: str = "") -> Result:
    """It will do harm some day, or in some calls."""
    return Result(level="warning", what=what, why=why, remedy=remedy)


def error(what: str, why: str = "", remedy: str = "") -> Result:
    """Something that is configured does not work."""
    return Result(level="error", what=what, why=why, remedy=remedy)
