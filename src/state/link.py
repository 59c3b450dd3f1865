"""The link to the state that a fleet shares, as its users see it.

Decisions that many replicas take together are Lua scripts, which stand as files in ``scripts/``.
Each is one round trip. Nobody waits for the link on the way of a call that meets no trouble: what
is shared is leased in small batches and exchanged in the background.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from ..errors import SwitchgearError

__all__ = ["Link", "LinkStatus", "StateUnavailableError"]


class StateUnavailableError(SwitchgearError):
    """The shared state can't be reached, or did not answer in time. It is never a call's error."""


class LinkStatus(msgspec.Struct, frozen=True):
    """How the way to the shared state stands.

    Attributes:
        url: Where it is, without a password.
        up: It can be reached, as far as is known. If not, limits are shares and circuits local.
        replicas: How many were alive when it could last be reached.
        outages: How often it was lost, or could not be reached at first.
        away: Seconds for which it was away, the present outage included.
    """

    url: str
    up: bool
    replicas: int
    outages: int
    away: float

    def __str__(self) -> str:
        """A line for a person."""
        if self.up:
            several = "" if self.replicas == 1 else "s"
            return f"shared state at {self.url}: {self.replicas} replica{several}"
        if self.replicas == 1:
            return f"shared state at {self.url} is away: limits as for one replica alone"
        return f"shared state at {self.url} is away: limits divided by {self.replicas} replicas"


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

    def status(self) -> LinkStatus:
        """How it stands, for people and for metrics. No I/O."""

    async def aclose(self) -> None:
        """Let go of the connections. Safe to call twice."""
