"""Who decides what may be leased of a hard budget: the ledger's database, or shared state.

Either way a lease is in the database before anything is reserved inside it, so that *spent + leased
≤ limit* survives whatever dies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from ..ledger.store import Booked, Claim, Grant, Need, Refused, Standing, Store
from .slices import Slices

__all__ = ["Authority", "Books", "LedgerAuthority", "Wanted", "give", "granted_of"]

T = TypeVar("T")

Wanted = Callable[[list[str]], None]
"""Told of counters of which somebody else needs what this process holds free."""


class Books(Protocol):
    """What budgets need of the ledger."""

    @property
    def holder(self) -> str:
        """The name under which slices are leased."""

    @property
    def opened(self) -> bool:
        """The database is in use."""

    on_booked: list[Callable[[int, Booked], None]]

    async def do(self, operation: Callable[[Store], T]) -> T:
        """Have the database do something."""

    async def flush(self) -> None:
        """Put everything that has ended into the database."""

    async def adopt_now(self) -> int:
        """Close the books of processes that have died."""


class Authority(Protocol):
    """Decides what one process may lease. What it grants, it puts into that process's slices."""

    @property
    def owes(self) -> bool:
        """It has something to say that it could not say yet: `settle` tries again."""

    async def claim(
        self, claims: Sequence[Claim], ahead: Sequence[Need], back: Mapping[str, int], now: int
    ) -> list[Grant | Refused]:
        """Lease what is claimed, each claim all or nothing.

        Args:
            claims: In their order.
            ahead: What to lease beyond that where there is plenty, once anything was granted.
            back: What was taken out of the slices and is free for all again.
            now: Microseconds since 1970.

        Raises:
            LedgerError: It can't be asked. What was granted then, nobody knows.
        """

    async def give_back(self, amounts: Mapping[str, int]) -> None:
        """What was taken out of the slices is free for all again.

        Raises:
            LedgerError: It can't be told.
        """

    async def trim(self) -> None:
        """Make leases as long as the slices, where nobody knows how long they are.

        Raises:
            LedgerError: It can't be told.
        """

    async def settle(self) -> None:
        """Say what is owed, if that is possible now. Raises nothing."""

    def booked(self, standings: Iterable[Standing]) -> None:
        """Rows are in the database; how it counts now. The slices are shorter by them already."""

    async def aclose(self) -> None:
        """Say the last that there is to say. Raises nothing."""


class LedgerAuthority:
    """The ledger's database decides.

    Args:
        ledger: The ledger.
        slices: What this process holds.
        on_wanted: Told where others need what is free in them.
        see: Told how counters stood that refused something.
    """

    owes = False

    def __init__(
        self,
        ledger: Books,
        slices: Slices,
        on_wanted: Wanted,
        see: Callable[[Iterable[Standing]], None],
    ) -> None:
        self._ledger = ledger
        self._slices = slices
        self._on_wanted = on_wanted
        self._see = see

    async def claim(
        self, claims: Sequence[Claim], ahead: Sequence[Need], back: Mapping[str, int], now: int
    ) -> list[Grant | Refused]:
        """Lease what is claimed, each claim all or nothing."""
        holder = self._ledger.holder

        def ask(store: Store) -> tuple[list[Grant | Refused], dict[str, int]]:
            if back:
                store.give_back(holder, back)
            answers = store.claim(holder, claims, now)
            granted = any(isinstance(answer, Grant) for answer in answers)
            return answers, store.extend(holder, ahead) if granted else {}

        self._slices.returned(back)
        answers, extra = await self._ledger.do(ask)
        give(self._slices, claims, answers, extra)
        self._see(answer.standing for answer in answers if isinstance(answer, Refused))
        return answers

    async def give_back(self, amounts: Mapping[str, int]) -> None:
        """What was taken out of the slices is free for all again."""
        holder = self._ledger.holder
        self._slices.returned(amounts)
        await self._ledger.do(lambda store: store.give_back(holder, amounts))

    async def trim(self) -> None:
        """Make leases as long as the slices."""
        holder, held = self._ledger.holder, self._slices.leased()
        await self._ledger.do(lambda store: store.trim(holder, held))

    async def settle(self) -> None:
        """Nothing is ever owed."""

    def booked(self, standings: Iterable[Standing]) -> None:
        """Look what others want."""
        wanted = [standing.key for standing in standings if standing.wanted]
        if wanted:
            self._on_wanted(wanted)

    async def aclose(self) -> None:
        """Nothing: what is leased goes back as the ledger closes."""


def give(
    slices: Slices,
    claims: Sequence[Claim],
    answers: Sequence[Grant | Refused],
    extra: Mapping[str, int],
) -> dict[str, int]:
    """Put what was granted into the slices. How much that is, by counter."""
    granted = granted_of(claims, answers, extra)
    for key, amount in granted.items():
        slices.grant(key, amount)
    return granted


def granted_of(
    claims: Sequence[Claim], answers: Sequence[Grant | Refused], extra: Mapping[str, int]
) -> dict[str, int]:
    """How much was granted, by counter. Needs of one counter in a claim are one: the greatest."""
    granted = {key: amount for key, amount in extra.items() if amount}
    for claim, answer in zip(claims, answers, strict=True):
        if isinstance(answer, Grant):
            greatest: dict[str, int] = {}
            for need in claim.needs:
                greatest[need.key] = max(need.amount, greatest.get(need.key, 0))
            for key, amount in greatest.items():
                granted[key] = granted.get(key, 0) + amount
    return granted
