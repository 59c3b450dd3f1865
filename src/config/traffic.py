"""The sections that say how traffic is kept in order: ``[limits]`` and ``[breaker]``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from ..errors import ConfigError
from .breaker import BreakerSettings
from .limits import LimitRule
from .lines import Path
from .table import Table, as_float

__all__ = ["read_breaker", "read_limits"]

T = TypeVar("T", bound=msgspec.Struct)


def read_breaker(top: Table) -> BreakerSettings:
    """The ``[breaker]`` table; the usual settings where there is none."""
    table = top.table("breaker")
    if table is None:
        return BreakerSettings()
    return _made(table, BreakerSettings, table.path) or BreakerSettings()


def read_limits(top: Table) -> tuple[LimitRule, ...]:
    """One rule for each table ``[limits."PATTERN"]``."""
    rules = [
        _made(table, LimitRule, table.path, pattern=pattern)
        for pattern, table in top.tables("limits").items()
    ]
    return tuple(rule for rule in rules if rule is not None)


def _made(table: Table, struct: type[T], path: Path, **fixed: Any) -> T | None:
    """A table as the struct that describes it, which checks its own bounds."""
    known = [name for name in struct.__struct_fields__ if name not in fixed]
    table.only(known)
    values = {name: _plain(table.data[name]) for name in known if name in table.data}
    try:
        return msgspec.convert({**fixed, **values}, struct)
    except ConfigError as exc:
        _, _, message = exc.message.partition(": ")
        key = (exc.param or "").rpartition(".")[2]
        place = (*path, key) if key in known else path
        table.problems.add(place, message or exc.message)
    except msgspec.ValidationError as exc:
        message, _, key = str(exc).partition(" - at `$.")
        table.problems.add((*path, key.rstrip("`")) if key else path, message)
    return None


def _plain(value: object) -> object:
    if not isinstance(value, Decimal):
        return value
    number = as_float(value)
    return int(value) if number is not None and value == value.to_integral_value() else number
