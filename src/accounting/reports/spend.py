"""What was spent: a question to the ledger in a user's words, and its answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...completion import Usage
from ...errors import InvalidRequestError
from ..ledger.store import SpendQuery, SpendSum
from ..money import usd
from .moments import When, instant, microseconds, moment, zone_of

if TYPE_CHECKING:
    from ..ledger.store import Store

__all__ = ["COLUMNS", "TIMES", "Spend", "SpendRow", "report", "spend_query"]

TIMES: Final = ("hour", "day", "month")
COLUMNS: Final = (
    "agent",
    "project",
    "agent_type",
    "run",
    "session",
    "api_key",
    "group",
    "provider",
    "model",
    "outcome",
    *TIMES,
)
"""What rows can be by, beside ``tag:NAME``."""

_COUNTERS: Final = frozenset(Usage.__struct_fields__) - {"estimated"}


class _Sums(msgspec.Struct, frozen=True, kw_only=True):
    cost: Decimal = Decimal(0)
    bound: Decimal = Decimal(0)
    saved: Decimal = Decimal(0)
    calls: int = 0
    attempts: int = 0
    failed: int = 0
    unpriced: int = 0
    estimated: int = 0
    usage: Usage = Usage()
    latency: float = 0.0


class SpendRow(_Sums, frozen=True, kw_only=True):
    """What one agent, project, day, … spent. Amounts in USD, exact.

    Attributes:
        keys: What the row is of, by column: ``{"project": "p1", "day": "2026-11-23"}``. ``None``
            where attempts do not have that label.
        cost: What it cost, as far as is known: ``unpriced`` attempts are not in it.
        bound: The most that it can have cost: what hard budgets count.
        saved: What answers out of the cache would have cost.
        calls: Calls. One that was answered after a failover counts in the row of each candidate.
        attempts: Attempts, failed ones and answers out of the cache included.
        failed: Attempts that gave no answer.
        unpriced: Attempts that used something and have no price: the true cost is higher.
        estimated: Attempts whose tokens were counted by us, since the provider sent no final count.
        usage: Tokens.
        latency: Seconds, all attempts together.
    """

    keys: Mapping[str, str | None]


class Spend(_Sums, frozen=True, kw_only=True):
    """What was spent in a time: everything together, and row by row.

    The fields are those of :class:`SpendRow`; here a call counts once, however many candidates it
    needed.

    Attributes:
        by: What the rows are by.
        rows: The dearest first; where a column is a time, in the order of the columns up to it.
        since: From when on; ``None`` for the ledger's beginning.
        until: Until when, exclusive; ``None`` for no end.
        timezone: Where its hours, days and months begin.
    """

    by: tuple[str, ...] = ()
    rows: tuple[SpendRow, ...] = ()
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    timezone: str = "UTC"


def spend_query(
    *,
    by: str | Iterable[str] = (),
    since: When | None = None,
    until: When | None = None,
    timezone: str = "UTC",
    agent_id: str | None = None,
    project_id: str | None = None,
    agent_type: str | None = None,
    run_id: str | None = None,
    session_id: str | None = None,
    api_key_id: str | None = None,
    group: str | None = None,
    provider: str | None = None,
    model: str | None = None,
    tags: Mapping[str, str] | None = None,
    now: dt.datetime | None = None,
) -> SpendQuery:
    """A question to the ledger, checked.

    Args:
        by: One or several of ``COLUMNS`` or ``tag:NAME``.
        since: The first instant that counts; see :func:`~.moments.moment` for what may be written.
        until: The end, exclusive, in the same words; a day or month that it names is counted whole.
        timezone: Where hours, days and months begin.
        agent_id: Only this agent's; the following likewise.
        project_id: Only this project's.
        agent_type: Only agents of this type.
        run_id: Only this run.
        session_id: Only this session.
        api_key_id: Only this virtual key.
        group: Only what was asked of this group.
        provider: Only this provider, by its name in the configuration.
        model: Only this model, as it was asked for, without its provider.
        tags: Only what has all of these tags.
        now: In place of the present.

    Raises:
        InvalidRequestError: Something of it makes no sense; ``param`` names it.
    """
    zone = zone_of(timezone)
    present = now or dt.datetime.now(dt.UTC)
    first = last = None
    if since is not None:
        first = microseconds(moment(since, param="since", zone=zone, now=present, end=False))
    if until is not None:
        last = microseconds(moment(until, param="until", zone=zone, now=present, end=True))
    if first is not None and last is not None and last <= first:
        message = f"until: {until} is not after since: {since}"
        raise InvalidRequestError(message, param="until")
    labels = {
        "agent_id": agent_id,
        "project_id": project_id,
        "agent_type": agent_type,
        "run_id": run_id,
        "session_id": session_id,
        "api_key_id": api_key_id,
        "group": group,
        "provider": provider,
        "model": model,
    }
    return SpendQuery(
        by=_columns(by),
        where=_where(labels, tags),
        since=first,
        until=last,
        timezone=timezone,
    )


def report(store: Store, query: SpendQuery) -> Spend:
    """Ask the ledger's database; blocks.

    Raises:
        LedgerError: It can't be read.
    """
    sums = store.spend(query)
    rows = [
        SpendRow(keys=dict(zip(query.by, each.keys, strict=True)), **_sums(each)) for each in sums
    ]
    rows.sort(key=_in_order(query.by) if set(query.by) & set(TIMES) else _dearest_first)
    total = _sums(_together(sums))
    if query.by and len(sums) > 1:
        # A call that failed over stands in two rows, and is one call.
        whole = store.spend(msgspec.structs.replace(query, by=()))
        total["calls"] = sum(each.calls for each in whole)
    return Spend(
        by=query.by,
        rows=tuple(rows) if query.by else (),
        since=None if query.since is None else instant(query.since),
        until=None if query.until is None else instant(query.until),
        timezone=query.timezone,
        **total,
    )


def _columns(by: str | Iterable[str]) -> tuple[str, ...]:
    names: tuple[Any, ...] = (by,) if isinstance(by, str) else tuple(by)
    for place, name in enumerate(names):
        if not isinstance(name, str) or (name not in COLUMNS and not _is_tag(name)):
            known = ", ".join(COLUMNS)
            message = f"by: {name!r} is not a column: give one of {known} or tag:NAME"
            raise InvalidRequestError(message, param="by")
        if name in names[:place]:
            raise InvalidRequestError(f"by: {name} is given twice", param="by")
    return names


def _is_tag(name: str) -> bool:
    return name.startswith("tag:") and len(name) > len("tag:")


def _where(labels: Mapping[str, str | None], tags: Mapping[str, str] | None) -> dict[str, str]:
    where = {}
    for param, value in labels.items():
        if value is None:
            continue
        if not isinstance(value, str):
            raise InvalidRequestError(f"{param}: {value!r} is not a text", param=param)
        where[param.removesuffix("_id")] = value
    given: Mapping[Any, Any] = tags or {}
    for name, value in given.items():
        if not (isinstance(name, str) and name and isinstance(value, str)):
            raise InvalidRequestError("tags: names and values must be texts", param="tags")
        where[f"tag:{name}"] = value
    return where


def _together(sums: Sequence[SpendSum]) -> SpendSum:
    usage: dict[str, int] = {}
    for each in sums:
        for name, count in each.usage.items():
            usage[name] = usage.get(name, 0) + count
    return SpendSum(
        attempts=sum(each.attempts for each in sums),
        calls=sum(each.calls for each in sums),
        failed=sum(each.failed for each in sums),
        unpriced=sum(each.unpriced for each in sums),
        estimated=sum(each.estimated for each in sums),
        cost=sum(each.cost for each in sums),
        bound=sum(each.bound for each in sums),
        saved=sum(each.saved for each in sums),
        latency=sum(each.latency for each in sums),
        usage=usage,
    )


def _sums(each: SpendSum) -> dict[str, Any]:
    counters = {name: count for name, count in each.usage.items() if name in _COUNTERS}
    return {
        "cost": usd(each.cost),
        "bound": usd(each.bound),
        "saved": usd(each.saved),
        "calls": each.calls,
        "attempts": each.attempts,
        "failed": each.failed,
        "unpriced": each.unpriced,
        "estimated": each.estimated,
        "usage": Usage(**counters, estimated=each.estimated > 0),
        "latency": each.latency / 1_000_000,
    }


def _in_order(by: tuple[str, ...]) -> Any:
    """As the columns were named, up to the last time among them; from there the dearest first."""
    named = by[: max(place for place, name in enumerate(by) if name in TIMES) + 1]

    def key(row: SpendRow) -> tuple[Any, ...]:
        return (
            *((row.keys[name] is None, row.keys[name] or "") for name in named),
            *_dearest_first(row),
        )

    return key


def _dearest_first(row: SpendRow) -> Any:
    labels = ((value is None, value or "") for value in row.keys.values())
    return (-row.cost, -row.attempts, *labels)
