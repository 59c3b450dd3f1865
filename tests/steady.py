"""Figures that hold on a machine that lets everybody run, measured again on one that did not.

What must hold in any case is asserted; what only holds of processes that get their turn at a
processor is asked for with `steady`, and a test `measured_again` has three tries at that.
"""
# ruff: noqa: T201

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

__all__ = ["measured_again", "steady"]

P = ParamSpec("P")
TRIES = 3


class UnsteadyError(AssertionError):
    """A figure is not what it is on a machine that lets everybody run."""


def steady(holds: bool, what: object) -> None:
    """As an assertion, and worth another measurement. The figures are for people to see."""
    if not holds:
        raise UnsteadyError(what)


def measured_again(test: Callable[P, None]) -> Callable[P, None]:
    """Up to three tries. Every fixture is the same in all of them."""

    @functools.wraps(test)
    def trying(*args: P.args, **kwargs: P.kwargs) -> None:
        for left in reversed(range(TRIES)):
            try:
                test(*args, **kwargs)
            except UnsteadyError as exc:
                if not left:
                    raise
                print(f"measured again, because of {exc}")
            else:
                return

    return trying
