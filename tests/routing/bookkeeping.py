"""Routers whose attempts cost something, and looks into their books."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from switchgear import Router
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.money import usd
from switchgear.decision import Step
from switchgear.testing.scripted import ScriptedProvider

from .helpers import virtual

__all__ = [
    "CLAUDE",
    "GPT",
    "LLAMA",
    "assert_bounded_by_its_reservation",
    "assert_guessed",
    "assert_nothing_is_left",
    "assert_trace_is_the_books",
    "hard",
    "only_row",
    "priced",
    "rows_of",
    "soft",
]

CLAUDE, GPT, LLAMA = "anthropic/claude-haiku-4-5", "openai/gpt-4o-mini", "ollama/llama3"
"""One that costs 1 and 5 USD for a million tokens, one that costs 0.15 and 0.60, one that is free.
"""

_MODELS = {"anthropic": CLAUDE, "openai": GPT, "ollama": LLAMA}
_PICO_IN_NANO = 1000


def hard(usd: Any = 10, scope: str = "global", period: str = "ever", **more: Any) -> dict[str, Any]:
    """The table of a hard budget."""
    return {"scope": scope, "usd": usd, "period": period, **more}


def soft(usd: Any = 10, scope: str = "global", period: str = "ever", **more: Any) -> dict[str, Any]:
    """The table of a soft budget."""
    return hard(usd, scope, period, enforcement="soft", **more)


def priced(*providers: ScriptedProvider, budgets: Sequence[Any] = (), **settings: Any) -> Router:
    """A router under virtual time, whose group ``g`` is the chain of these providers' models."""
    group = {"chain": [_MODELS[each.name] for each in providers], **settings.pop("group", {})}
    config = {"budgets": list(budgets), **settings.pop("config", {})}
    return virtual(*providers, group=group, config=config, **settings)


async def rows_of(router: Router) -> list[Row]:
    """Everything that is in the books, in the order in which it began."""
    ledger = router._ledger
    await ledger.ready()
    await ledger.flush()
    return await ledger.do(lambda store: store.rows(0, 1 << 62))


async def only_row(router: Router) -> Row:
    """The one attempt that is in the books, nothing of it left under way."""
    [row] = await rows_of(router)
    assert_nothing_is_left(router)
    return row


def assert_nothing_is_left(router: Router) -> None:
    """No attempt is open, nothing is set aside for one, and nobody waits for room."""
    assert router._books._open == 0
    assert router._ledger._intake.empty
    budgets = router._budgets
    assert {
        key: held.reserved for key, held in budgets._slices._slices.items() if held.reserved
    } == {}
    assert not budgets._pump._waiters


def assert_bounded_by_its_reservation(row: Row) -> None:
    """No final count came, so all that was set aside for it counts as spent."""
    assert row.bound is not None
    assert row.bound > 0
    assert row.reserved == -(-row.bound // _PICO_IN_NANO)
    assert row.usage is not None
    assert row.usage.estimated
    assert row.cost is not None
    assert row.cost <= row.bound


def assert_guessed(row: Row) -> None:
    """What it cost is more than nothing, and less than the most that it can have cost."""
    assert row.cost is not None
    assert row.bound is not None
    assert 0 < row.cost < row.bound


def assert_trace_is_the_books(steps: Sequence[Step], rows: Sequence[Row]) -> None:
    """The trace tells of the same attempts as the ledger, with the same amounts."""
    told = sorted(
        (s.candidate, s.outcome, s.repeat, s.cost or Decimal(0), s.bound or Decimal(0))
        for s in steps
        if s.outcome != "skipped"
    )
    booked = sorted(
        (f"{r.provider}/{r.model}", r.outcome, r.repeat, usd(r.cost or 0), usd(r.bound or 0))
        for r in rows
    )
    assert told == booked
