"""Which counters an attempt belongs to.

The same answer for a call that asks for room and for a row that is booked, so that both count at
the same place. A counter's key is readable text: ``["project","p1","day","UTC",1795392000]``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from .periods import Span, span_of

if TYPE_CHECKING:
    from ..ledger.row import Row

__all__ = [
    "LABELS",
    "TAG",
    "Party",
    "counter_key",
    "party_of",
    "party_of_labels",
    "value_of",
]

LABELS: Final[Mapping[str, str]] = {
    "project": "project_id",
    "agent": "agent_id",
    "agent-type": "agent_type",
    "run": "run_id",
    "api-key": "api_key_id",
}
"""By a scope's kind, the label of a call that it goes by."""

TAG: Final = "tag:"
"""What the names of a call's further labels begin with, and scopes that go by these."""


class Party(msgspec.Struct, frozen=True):
    """Whom an attempt is for and at whom it is aimed: all that budgets go by.

    ``provider`` and ``model`` are empty where no candidate is chosen yet.
    """

    agent_id: str = ""
    project_id: str = ""
    agent_type: str = ""
    run_id: str = ""
    api_key_id: str = ""
    tags: Mapping[str, str] = {}
    provider: str = ""
    model: str = ""
    own_key: bool = False


def party_of(row: Row) -> Party:
    """The party of a booked attempt."""
    return Party(
        agent_id=row.agent_id or "",
        project_id=row.project_id or "",
        agent_type=row.agent_type or "",
        run_id=row.run_id or "",
        api_key_id=row.api_key_id or "",
        tags=row.tags,
        provider=row.provider,
        model=row.model,
        own_key=row.own_key,
    )


def party_of_labels(
    labels: Mapping[str, str], provider: str = "", model: str = "", *, own_key: bool = False
) -> Party:
    """The party of an attempt, by its call's labels; tags are named ``tag:NAME`` there."""
    label = labels.get
    return Party(
        agent_id=label("agent_id", ""),
        project_id=label("project_id", ""),
        agent_type=label("agent_type", ""),
        run_id=label("run_id", ""),
        api_key_id=label("api_key_id", ""),
        tags={name[len(TAG) :]: value for name, value in labels.items() if name.startswith(TAG)},
        provider=provider,
        model=model,
        own_key=own_key,
    )


def value_of(kind: str, party: Party) -> str | None:
    """The party's value of a scope's kind; ``None`` where the kind is not about it at all."""
    if kind == "global":
        return ""
    if kind == "provider":
        return party.provider
    if kind == "model":
        return f"{party.provider}/{party.model}"
    if kind == "key":
        return None if party.own_key else party.provider
    if kind.startswith(TAG):
        return party.tags.get(kind[len(TAG) :], "")
    value: str = getattr(party, LABELS[kind])
    return value


def counter_key(
    kind: str, value: str, period: str, timezone: str, at: float, *, run_id: str = ""
) -> str:
    """The key of the counter in whose period an instant (seconds since 1970) falls."""
    if period == "run":
        return _encoded((kind, value, period, timezone, run_id))
    # Hours change on whole quarters in every zone there is, so a quarter decides about the span.
    span = _span(period, timezone, int(at // 900))
    return _encoded((kind, value, period, timezone, span.start))


@functools.lru_cache(maxsize=256)
def _span(period: str, timezone: str, quarter: int) -> Span:
    return span_of(period, timezone, quarter * 900.0)


def _encoded(parts: tuple[str | int, ...]) -> str:
    return msgspec.json.encode(parts).decode()
