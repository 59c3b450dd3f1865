"""A store of another package: whatever it raises, the ledger can go on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from ...credentials import hide
from ...errors import LedgerError
from ...plugins import short
from .store import Store

__all__ = ["guarded"]


def guarded(store: Store, place: str) -> Store:
    """The store, its every fault a :class:`~switchgear.LedgerError` with the fault as its cause.

    The ledger tries again after one of those and keeps attempts in its journal meanwhile; another
    kind would end the thread's work.

    Args:
        store: It.
        place: Where it is, to be shown.
    """
    return cast("Store", _Guarded(store, place))


class _Guarded:
    def __init__(self, store: Store, place: str) -> None:
        self._store = store
        self._place = place

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if callable(found):
            found = self._wrapped(found)
            # Found here from now on: rows are booked twenty times a second.
            setattr(self, name, found)
        return found

    def _wrapped(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except (LedgerError, KeyboardInterrupt):
                raise
            except BaseException as exc:
                what = hide(short(exc))
                raise LedgerError(f"the ledger {self._place} failed: {what}") from exc

        return call
