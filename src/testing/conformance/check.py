"""One check: its number, what it guarantees, and the ways in which it can end."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from .trial import Trial  # noqa: TC004 - the trial knows how checks end, and not the reverse

__all__ = ["Cannot", "Check", "Failed", "Needs", "NotTried", "Result", "Verdict", "check"]

Needs: TypeAlias = Literal["nothing", "server", "script"]
"""What a check needs to be tried: nothing, an address that requests go to, or an endpoint whose
answers can be scripted and whose requests can be read (a simulated one).
"""

Verdict: TypeAlias = Literal["yes", "no", "can't", "not tried"]
"""How a check ended: the provider does what it must; it does not; it says that it can't, which is
as good; or nothing could be found out here.
"""


class Failed(AssertionError):  # noqa: N818 - a verdict
    """The provider does not do what it must: what was expected, what came, why it matters."""


class Cannot(Exception):  # noqa: N818 - no error, an answer
    """The provider says itself that it can't do what would be checked."""


class NotTried(Exception):  # noqa: N818 - no error, an answer
    """The check can't be made here; the reason says what it would take."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One promise that every provider makes, and the code that holds it to its word.

    Attributes:
        number: Never changes and is never used again.
        name: A word for it, unique; also in the name of its test.
        title: What it is about, in a few words.
        guarantee: What a provider that passes it does.
        needs: What it takes to try it.
        capability: The field of ``Capabilities`` without which there is nothing to check.
        run: Raises :class:`Failed` or any error where the promise is not kept.
    """

    number: int
    name: str
    title: str
    guarantee: str
    run: Callable[[Trial], Awaitable[None]]
    needs: Needs = "script"
    capability: str | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a check ended for a provider.

    Attributes:
        number: The check's.
        name: The check's.
        title: The check's.
        verdict: How it ended.
        detail: Why, where the verdict is not ``yes``.
        error: What was raised, where the verdict is ``no``.
    """

    number: int
    name: str
    title: str
    verdict: Verdict
    detail: str = ""
    error: BaseException | None = None


def check(
    number: int, *, needs: Needs = "script", capability: str | None = None
) -> Callable[[Callable[[Trial], Awaitable[None]]], Check]:
    """Make a check of a function: its name becomes the check's.

    The first line of its docstring becomes the title, the rest the guarantee.
    """

    def make(run: Callable[[Trial], Awaitable[None]]) -> Check:
        title, _, guarantee = inspect.cleandoc(run.__doc__ or "").partition("\n\n")
        return Check(
            number=number,
            name=run.__name__,
            title=title.rstrip("."),
            guarantee=guarantee,
            run=run,
            needs=needs,
            capability=capability,
        )

    return make
