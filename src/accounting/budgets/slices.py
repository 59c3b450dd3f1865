"""What one process holds of a budget's counter, and what it has promised of that.

A process leases a slice of a counter durably and reserves inside it in memory. The slice of a key
is *granted*; of it some is *reserved* by attempts under way, some is *unbooked*, that is spent by
attempts whose rows are in the journal and not yet in the database, and the rest is free.

All amounts are whole numbers of 10⁻⁹ USD. Nothing here waits or does I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

__all__ = ["Holding", "Slice", "Slices"]


class Slice:
    """One counter's slice."""

    __slots__ = ("granted", "reserved", "touched", "unbooked")

    def __init__(self) -> None:
        self.granted = 0
        self.reserved = 0
        self.unbooked = 0
        self.touched = True

    @property
    def free(self) -> int:
        """What may still be reserved; below zero after a usage that nothing covered."""
        return self.granted - self.reserved - self.unbooked


class Holding(msgspec.Struct, frozen=True, gc=False):
    """An amount set aside for one attempt, in every counter that it belongs to."""

    keys: tuple[str, ...]
    amount: int


class Slices:
    """All slices of one process."""

    def __init__(self) -> None:
        self._slices: dict[str, Slice] = {}
        # Taken out, and not on its way back to the database yet.
        self._returning: dict[str, int] = {}
        # Bookings arrive in the order in which they were journalled.
        self._unbooked: deque[tuple[int, Holding]] = deque()

    def free(self, key: str) -> int:
        """What may still be reserved of a counter."""
        held = self._slices.get(key)
        return held.free if held is not None else 0

    def leased_of(self, key: str) -> int:
        """All that is leased of a counter; also what is about to be given back."""
        held = self._slices.get(key)
        return (held.granted if held is not None else 0) + self._returning.get(key, 0)

    def unbooked(self, keys: Iterable[str]) -> int:
        """What was spent of these counters and is not in the database yet."""
        return sum(held.unbooked for key in keys if (held := self._slices.get(key)) is not None)

    @property
    def idle(self) -> bool:
        """Nothing is held of anything."""
        return not self._slices

    @property
    def keys(self) -> tuple[str, ...]:
        """The counters of which something is held."""
        return tuple(self._slices)

    def leased(self) -> dict[str, int]:
        """All that is leased, by counter; also what is about to be given back."""
        leased = dict(self._returning)
        for key, held in self._slices.items():
            leased[key] = leased.get(key, 0) + held.granted
        return leased

    def returned(self, amounts: Mapping[str, int]) -> None:
        """What was taken back is on its way to the database."""
        for key, amount in amounts.items():
            left = self._returning.pop(key, 0) - amount
            if left > 0:
                self._returning[key] = left

    def hold(self, keys: tuple[str, ...], amount: int) -> Holding | None:
        """Reserve an amount in all of the counters; ``None`` where one of them has too little."""
        found = [self._slices.get(key) for key in keys]
        for held in found:
            if (held.granted - held.reserved - held.unbooked if held is not None else 0) < amount:
                return None
        for held in found:
            if held is not None:  # an amount of nothing needs no slice
                held.reserved += amount
                held.touched = True
        return Holding(keys, amount)

    def grant(self, key: str, amount: int) -> None:
        """More of a counter was leased."""
        if amount:
            self._slices.setdefault(key, Slice()).granted += amount

    def release(self, holding: Holding) -> None:
        """The attempt was never made."""
        for key in holding.keys:
            held = self._slices.get(key)
            if held is not None:
                held.reserved -= holding.amount

    def spend(self, holding: Holding, bound: int) -> int:
        """The attempt has ended. How much of what was leased it has used up.

        A usage above the reservation is covered by what is free, as far as that goes; the rest
        was never leased, and takes the counter past what it counted with.
        """
        used = bound
        if bound > holding.amount:
            spare = min((self.free(key) for key in holding.keys), default=0)
            used = min(bound, holding.amount + max(0, spare))
        for key in holding.keys:
            held = self._slices.get(key)
            if held is not None:
                held.reserved -= holding.amount
                held.unbooked += used
        return used

    def journalled(self, holding: Holding, used: int, position: int) -> None:
        """The attempt's row is in the journal, as its record of that number."""
        self._unbooked.append((position, Holding(holding.keys, used)))

    def booked(self, upto: int) -> None:
        """Rows up to that record are in the database: what they used is no longer leased."""
        while self._unbooked and self._unbooked[0][0] <= upto:
            _, used = self._unbooked.popleft()
            for key in used.keys:
                held = self._slices.get(key)
                if held is not None:
                    held.unbooked -= used.amount
                    held.granted -= used.amount
                    self._forget_if_empty(key, held)

    def take_back(self, keys: Iterable[str], *, idle: bool = False) -> dict[str, int]:
        """Take what is free out of the slices, to be given back to the database (`returned`).

        Args:
            keys: Of these counters.
            idle: Only where nothing was reserved since the last time this was asked.
        """
        back: dict[str, int] = {}
        for key in keys:
            held = self._slices.get(key)
            if held is None:
                continue
            untouched, held.touched = not held.touched, False
            if held.free > 0 and (untouched or not idle):
                back[key] = held.free
                self._returning[key] = self._returning.get(key, 0) + held.free
                held.granted -= held.free
            self._forget_if_empty(key, held)
        return back

    def _forget_if_empty(self, key: str, held: Slice) -> None:
        if not (held.granted or held.reserved or held.unbooked):
            del self._slices[key]
