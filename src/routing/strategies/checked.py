"""A strategy of another package, which may fail and must not fail a call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import islice
from typing import get_args

from ...errors import PluginError
from ...plugins import short
from .base import Hint, Member, PoolContext, Strategy

__all__ = ["Checked"]

_log = logging.getLogger("switchgear.routing")

_HINTS = frozenset(get_args(Hint))


class Checked:
    """A strategy whose faults leave a pool in the order in which it is written.

    Args:
        strategy: It.
        name: As the configuration calls it.
        pool: The group in which its pool stands.

    Raises:
        PluginError: It needs hints that there are not.
    """

    def __init__(self, strategy: Strategy, name: str, pool: str) -> None:
        self._order = strategy.order
        self._name = name
        self._pool = pool
        self._told = False
        try:
            self.needs = frozenset(strategy.needs)
        except TypeError:
            self.needs = frozenset()
            unknown = repr(strategy.needs)
        else:
            unknown = ", ".join(sorted(map(repr, self.needs - _HINTS)))
        if unknown:
            known = ", ".join(sorted(_HINTS))
            message = f"routing strategy plugin {name!r} needs {unknown}; hints are {known}"
            raise PluginError(message)

    def order(self, pool: Sequence[Member], context: PoolContext) -> Sequence[Member]:
        """What the strategy says, if that is every member exactly once; else as written."""
        try:
            # A list of its own, which it may change; and no more of an answer than can be right.
            ordered = list(islice(self._order([*pool], context), len(pool) + 1))
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 - a plugin may raise anything
            self._tell(f"it raised {short(exc)}", exc)
            return pool
        # By identity: members of one model twice are equal, and still two.
        if len(ordered) != len(pool) or {*map(id, ordered)} != {*map(id, pool)}:
            self._tell("it did not answer with every member exactly once", None)
            return pool
        return ordered

    def _tell(self, why: str, cause: BaseException | None) -> None:
        """Once: a pool is ordered with every call."""
        if self._told:
            return
        self._told = True
        _log.error(
            "strategy %r leaves the pool of group %r as it is written: %s",
            self._name,
            self._pool,
            why,
            exc_info=cause,
        )
