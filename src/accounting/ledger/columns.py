"""A row as the columns of a table, and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from ...completion import Usage
from .row import Row

__all__ = ["COLUMNS", "COUNTS", "LARGEST", "from_columns", "to_columns"]

LARGEST: Final = 2**63 - 1
"""The largest number that a column holds."""

_FIELDS: Final = Row.__struct_fields__
_USAGE: Final = Usage.__struct_fields__
_AT_USAGE: Final = _FIELDS.index("usage")
_NO_USAGE: Final = (None,) * len(_USAGE)

COLUMNS: Final = (*_FIELDS[:_AT_USAGE], *_USAGE, *_FIELDS[_AT_USAGE + 1 :])
"""The table's columns, as :func:`to_columns` fills them."""

COUNTS: Final = tuple(name for name in _USAGE if name != "estimated")
"""The columns that count what was used."""

_TAGS: Final = COLUMNS.index("tags")
_BUDGETS: Final = COLUMNS.index("budgets")
_FLAGS: Final = tuple(COLUMNS.index(name) for name in ("own_key", "stream", "hedge"))
_ESTIMATED: Final = COLUMNS.index("estimated")


def to_columns(row: Row) -> list[Any]:
    """The row's values in the order of :data:`COLUMNS`; ``tags`` and ``budgets`` as JSON.

    A number that no column holds becomes the largest that one does: one absurd count out of a
    provider must not keep a whole batch from being booked for ever.
    """
    usage = row.usage
    counts = _NO_USAGE if usage is None else astuple(usage)
    values: list[Any] = list(astuple(row))
    values[_AT_USAGE : _AT_USAGE + 1] = counts
    values[_TAGS] = msgspec.json.encode(row.tags).decode() if row.tags else None
    values[_BUDGETS] = _as_json(row.budgets) if row.budgets else None
    largest = max(row.cost or 0, row.bound or 0, row.saved or 0, row.reserved)
    if largest > LARGEST or (usage is not None and max(counts) > LARGEST):
        return [min(v, LARGEST) if type(v) is int else v for v in values]
    return values


@lru_cache(maxsize=256)
def _as_json(keys: tuple[str, ...]) -> str:
    return msgspec.json.encode(keys).decode()


def from_columns(values: Sequence[Any]) -> Row:
    """The row that :func:`to_columns` made these of."""
    fields = list(values)
    for index in _FLAGS:
        fields[index] = bool(fields[index])
    for index, empty in ((_TAGS, {}), (_BUDGETS, ())):
        if fields[index] is None:
            fields[index] = empty
        elif isinstance(fields[index], str):
            fields[index] = msgspec.json.decode(fields[index])
    fields[_BUDGETS] = tuple(fields[_BUDGETS])
    counts = fields[_AT_USAGE : _AT_USAGE + len(_USAGE)]
    usage = None
    if fields[_ESTIMATED] is not None:
        usage = Usage(**dict(zip(_USAGE, counts, strict=True)))
        usage = msgspec.structs.replace(usage, estimated=bool(usage.estimated))
    fields[_AT_USAGE : _AT_USAGE + len(_USAGE)] = [usage]
    return Row(**dict(zip(_FIELDS, fields, strict=True)))
