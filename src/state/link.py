"""The link to the state that a fleet shares, as its users see it.

Decisions that many replicas take together are Lua scripts, which stand as files in ``scripts/``.
Each is one round trip. Nobody waits for the link on the way of a call that meets no trouble: what
is shared is leased in small batches and exchanged in the background.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..errors import SwitchgearError

__all__ = ["Link", "StateUnavailableError"]


class StateUnavailableError(SwitchgearError):
    """The shared state can't be reached, or did not answer in time. It is never a call's error."""


class Link(Protocol):
    """A connection to shared state. Belongs to one event loop."""

    @property
    def replica(self) -> str:
        """This replica's name: unique among all that ever were."""

    @property
    def up(self) -> bool:
        """The last word was that it can be reached. Known without asking."""

    @property
    def replicas(self) -> int:
        """How many replicas were alive when it could last be reached; at least 1."""

    @property
    def epoch(self) -> str:
        """Names the memory of the other side: another one means that it was lost."""

    on_change: list[Callable[[bool], None]]
    """Told when the link goes down (``False``) and when it is back (``True``)."""

    def key(self, tag: str, name: str) -> str:
        """A key of the fleet's own: ``sg:{tag}:name``; keys of one tag live on one cluster node."""

    async def run(
        self, script: str, keys: Sequence[str], arguments: Sequence[str | int | float | bytes]
    ) -> Any:
        """Run a script by its file's name, in one round trip and within the link's time limit.

        Raises:
            StateUnavailableError: It could not be run, or nobody knows whether it was.
        """

    async def aclose(self) -> None:
        """Let go of the connections. Safe to call twice."""
