"""One attempt as the ledger keeps it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from ...completion import Usage
from ..money import Pico

__all__ = ["BookedOutcome", "Row", "attempt_ids"]

BookedOutcome: TypeAlias = Literal[
    "answered", "failed", "cancelled", "interrupted", "cached", "lost"
]
"""What became of an attempt. ``lost``: its process died before it ended."""


class Row(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One attempt that may have reached a provider, or an answer out of the cache.

    Money is in whole pico-dollars (10⁻¹² USD), time in microseconds. ``None`` is "not known",
    never zero.

    Attributes:
        id: Of the attempt: 16 bytes, ascending with time.
        call_id: Of the call that it belongs to: the id of the call's first attempt.
        at: When it began, microseconds since 1970 (UTC).
        agent_id: Whom it was for.
        project_id: Likewise.
        agent_type: Likewise.
        run_id: Likewise.
        session_id: Likewise.
        api_key_id: The virtual key that it came with.
        tags: Further labels.
        group: The group that was asked for; ``None`` where a model was named.
        provider: The provider's name in the configuration.
        plugin: The provider's kind, by which it is priced.
        model: The model that was asked.
        answered_model: The model that answered, as the provider says.
        own_key: The call brought its own credential.
        stream: It was to be a stream.
        hedge: It ran beside a slower one.
        repeat: 0 for the call's first attempt at this candidate, then 1, 2, ...
        outcome: What became of it.
        status: The HTTP status of its failure.
        error: The class of its failure.
        code: The provider's own word for its failure.
        request_id: The provider's id of the request.
        usage: Tokens; ``None`` where nothing is known of them.
        tier: The service tier that answered, in our words.
        region: Where it was answered, where that has a price of its own.
        cost: What it cost.
        bound: The most that it can have cost: what hard budgets count.
        saved: What an answer out of the cache would have cost.
        price: Which price was applied: ``anthropic/claude-opus-5@2026-11-23``.
        latency: From its start to its end.
        first_token: From its start to its first token.
        waited: Waited before it.
        reserved: The most that was set aside for it, in 10⁻⁹ USD; 0 where no budget asked for it.
        budgets: The keys of the budget counters that it was set aside from.
    """

    id: bytes
    call_id: bytes
    at: int
    agent_id: str | None = None
    project_id: str | None = None
    agent_type: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    api_key_id: str | None = None
    tags: Mapping[str, str] = {}
    group: str | None = None
    provider: str = ""
    plugin: str = ""
    model: str = ""
    answered_model: str = ""
    own_key: bool = False
    stream: bool = False
    hedge: bool = False
    repeat: int = 0
    outcome: BookedOutcome = "lost"
    status: int | None = None
    error: str | None = None
    code: str | None = None
    request_id: str | None = None
    usage: Usage | None = None
    tier: str = ""
    region: str = ""
    cost: Pico | None = None
    bound: Pico | None = None
    saved: Pico | None = None
    price: str = ""
    latency: int = 0
    first_token: int | None = None
    waited: int = 0
    reserved: int = 0
    budgets: tuple[str, ...] = ()


def attempt_ids(now: Callable[[], float]) -> Callable[[], bytes]:
    """What makes the ids of one process's attempts: time, then who, then a count.

    Six bytes of milliseconds, so that ids ascend with time and a range of them is a range of time;
    six random bytes for the maker; four that count.

    Args:
        now: Seconds since 1970.
    """
    maker = int.from_bytes(os.urandom(6), "big") << 32
    numbers = itertools.count()

    def next_id() -> bytes:
        stamp, count = max(0, int(now() * 1000)), next(numbers) & 0xFFFF_FFFF
        return (stamp << 80 | maker | count).to_bytes(16, "big")

    return next_id
