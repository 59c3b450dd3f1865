"""All checks, by number."""

from __future__ import annotations

from . import (
    abilities,
    answers,
    conversations,
    errors,
    histories,
    making,
    optional,
    requests,
    resources,
    spoiled,
    streams,
    tools,
)
from .check import Check

__all__ = ["CHECKS"]

_MODULES = (
    making,
    conversations,
    tools,
    histories,
    streams,
    spoiled,
    answers,
    abilities,
    errors,
    requests,
    resources,
    optional,
)

CHECKS: tuple[Check, ...] = tuple(
    sorted(
        (each for module in _MODULES for each in vars(module).values() if isinstance(each, Check)),
        key=lambda each: each.number,
    )
)
"""The published list. A number is never changed, and never used for another check."""
