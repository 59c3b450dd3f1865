"""What takes part in the exchange between a replica and the state that its fleet shares."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Part"]


class Part(Protocol):
    """One subject of the exchange: it says what happened here, and hears what holds for all.

    The exchange asks each of its parts about ten times a second, runs the script that it names and
    hands back what that answered. At most one report of a part is on its way at a time, and every
    report has exactly one ending: ``absorb``, or ``link_changed(False)`` where it failed or nobody
    knows whether it arrived. All methods are called on the event loop; none waits, none raises.
    """

    def report(self) -> tuple[str, list[str], list[Any]] | None:
        """The script, its keys (all of one tag) and its arguments; ``None``: nothing to say."""

    def absorb(self, reply: Any) -> None:
        """What the script answered to the last report."""

    def link_changed(self, up: bool) -> None:  # noqa: FBT001 - as Link.on_change calls it
        """The link went down, or is back. From down on everything is decided here alone."""
