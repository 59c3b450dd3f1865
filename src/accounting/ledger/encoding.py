"""Rows as a journal holds them: MessagePack, by position.

A row may get new fields at its end, with defaults; journals of either version are then read by the
other.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .journal import Journal
from .row import Row

__all__ = ["UNFIT", "decode", "encode", "write_end"]

_CLIPPED: Final = 80
"""Characters of a provider's word, where there is no room for more."""

UNFIT: Final = (TypeError, ValueError, OverflowError, NotImplementedError)
"""What ``encode`` says to a row that it can't encode."""

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Row).decode


def write_end(journal: Journal, row: Row, payload: bytes, number: int) -> bool:
    """Write down how an attempt ended, its provider's words cut short where there is no room.

    Raises:
        OSError: It can't be written.
    """
    return journal.end(row.id, payload, number) or journal.end(
        row.id, encode(_clipped(row)), number
    )


def _clipped(row: Row) -> Row:
    return msgspec.structs.replace(
        row,
        answered_model=row.answered_model[:_CLIPPED],
        error=row.error and row.error[:_CLIPPED],
        code=row.code and row.code[:_CLIPPED],
        request_id=row.request_id and row.request_id[:_CLIPPED],
        tier=row.tier[:_CLIPPED],
        region=row.region[:_CLIPPED],
    )
