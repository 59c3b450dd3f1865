"""Why nothing bounds what an attempt can cost, and what whoever asks for it can do about that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["LEAVE_OUT", "UNKNOWN", "Unbounded", "unbounded_field", "unbounded_header"]

LEAVE_OUT: Final = "leave it out"
UNKNOWN: Final = "is not known to leave the cost of a call alone"


class Unbounded(msgspec.Struct, frozen=True):
    """Why nothing bounds what an attempt can cost.

    Attributes:
        param: What has no bound, as an error would name it: ``tools``, ``extra.background``.
        reason: Why, in words that go on from it.
        way: What bounds it, as a command.
    """

    param: str
    reason: str
    way: str

    @property
    def fault(self) -> str:
        """What has no bound, and why: a clause."""
        subject = "the model" if self.param == "model" else self.param
        return f"{subject} {self.reason}"


_STORED: Final = "has the vendor add what it keeps, of any length"
_RUNS: Final = "may have the vendor run tools and bill what they read"
_OWN_TOOLS: Final = "leave it out, and give tools that run on your side as tools=[…]"

_KNOWN: Final[Mapping[str, tuple[str, str]]] = {
    "conversation": (_STORED, "leave it out, and send the messages themselves"),
    "previous_response_id": (_STORED, "leave it out, and send the messages themselves"),
    "prompt": (_STORED, "leave it out, and send its text as a message"),
    "tools": (_RUNS, _OWN_TOOLS),
    "mcp_servers": (_RUNS, _OWN_TOOLS),
    "container": (_RUNS, LEAVE_OUT),
    "plugins": (_RUNS, LEAVE_OUT),
    "search_parameters": (_RUNS, LEAVE_OUT),
    "web_search_options": (_RUNS, LEAVE_OUT),
    "service_tier": ("", "add its price in [pricing], or name a tier that has one"),
    "speed": ("", "leave it out, or add its price in [pricing]"),
    "background": ("", "leave it out, or set it to false"),
}


def unbounded_field(name: str, reason: str = "") -> Unbounded:
    """A field of ``extra`` that has no bound.

    Args:
        name: The field.
        reason: Why not with this value; empty where it has none with any, or nobody knows it.
    """
    usual, way = _KNOWN.get(name, (UNKNOWN, LEAVE_OUT))
    return Unbounded(f"extra.{name}", reason or usual, way)


def unbounded_header(name: str, reason: str) -> Unbounded:
    """One of ``extra_headers`` that has no bound."""
    return Unbounded(f"extra_headers.{name}", reason, LEAVE_OUT)
