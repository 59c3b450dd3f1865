"""Slices against a model that writes down every single amount."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from switchgear.accounting.budgets.slices import Holding, Slices

KEYS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True).map(tuple)
AMOUNTS = st.integers(1, 100)


class SlicesMachine(RuleBasedStateMachine):
    holdings: Bundle[Any] = Bundle("holdings")
    spent: Bundle[Any] = Bundle("spent")

    def __init__(self) -> None:
        super().__init__()
        self.slices = Slices()
        self.granted: dict[str, int] = dict.fromkeys("abc", 0)
        self.reserved: list[Holding] = []
        # Position (none yet: not journalled), keys, amount.
        self.unbooked: list[tuple[int | None, Holding]] = []
        self.position = 0

    def expected_free(self, key: str) -> int:
        taken = sum(h.amount for h in self.reserved if key in h.keys)
        return self.granted[key] - taken - sum(h.amount for _, h in self.unbooked if key in h.keys)

    @rule(key=st.sampled_from("abc"), amount=st.integers(0, 300))
    def grant(self, key: str, amount: int) -> None:
        self.slices.grant(key, amount)
        self.granted[key] += amount

    @rule(target=holdings, keys=KEYS, amount=AMOUNTS)
    def hold(self, keys: tuple[str, ...], amount: int) -> Any:
        fits = all(self.expected_free(key) >= amount for key in keys)
        holding = self.slices.hold(keys, amount)
        assert (holding is not None) == fits
        if holding is not None:
            assert (holding.keys, holding.amount) == (keys, amount)
            self.reserved.append(holding)
        return holding

    @rule(holding=consumes(holdings))
    def release(self, holding: Holding | None) -> None:
        if holding is not None:
            self.reserved.remove(holding)
            self.slices.release(holding)

    @rule(holding=consumes(holdings), bound=st.integers(0, 150), journalled=st.booleans())
    def spend(self, holding: Holding | None, bound: int, journalled: bool) -> None:
        if holding is None:
            return
        spare = min(self.expected_free(key) for key in holding.keys)
        used = self.slices.spend(holding, bound)
        assert used <= bound
        assert used == min(bound, holding.amount + spare)
        self.reserved.remove(holding)
        self.position += 1
        self.slices.journalled(holding, used, self.position)
        self.unbooked.append((self.position, Holding(holding.keys, used)))

    @rule(back=st.integers(0, 3))
    def booked(self, back: int) -> None:
        upto = self.position - back
        self.slices.booked(upto)
        for position, holding in [each for each in self.unbooked if (each[0] or 0) <= upto]:
            self.unbooked.remove((position, holding))
            for key in holding.keys:
                self.granted[key] -= holding.amount

    @rule(keys=KEYS, idle=st.booleans())
    def take_back(self, keys: tuple[str, ...], idle: bool) -> None:
        free = {key: self.expected_free(key) for key in keys}
        back = self.slices.take_back(keys, idle=idle)
        for key, amount in back.items():
            assert amount == free[key] > 0
            self.granted[key] -= amount
        if not idle:
            assert set(back) == {key for key, amount in free.items() if amount}

    @invariant()
    def granted_is_reserved_and_unbooked_and_free(self) -> None:
        for key in "abc":
            assert self.slices.free(key) == self.expected_free(key)
            assert self.slices.free(key) >= 0
            unbooked = sum(h.amount for _, h in self.unbooked if key in h.keys)
            assert self.slices.unbooked([key]) == unbooked
            assert (key in self.slices.keys) or not self.granted[key]


TestSlices = SlicesMachine.TestCase
TestSlices.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def taken(slices: Slices, keys: Iterable[str]) -> dict[str, int]:
    return slices.take_back(keys, idle=True)


def test_only_a_slice_that_nobody_reserved_from_lately_is_idle() -> None:
    slices = Slices()
    slices.grant("k", 10)
    assert taken(slices, "k") == {}
    assert slices.hold(("k",), 1) is not None
    assert taken(slices, "k") == {}
    assert taken(slices, "k") == {"k": 9}


def test_nothing_is_left_of_a_slice_that_is_used_up() -> None:
    slices = Slices()
    slices.grant("k", 10)
    holding = slices.hold(("k",), 10)
    assert holding is not None
    slices.journalled(holding, slices.spend(holding, 4), 1)
    slices.booked(1)
    assert slices.take_back("k") == {"k": 6}
    assert slices.idle


def test_a_usage_above_its_reservation_takes_what_is_free_and_no_more() -> None:
    slices = Slices()
    slices.grant("a", 10)
    slices.grant("b", 7)
    holding = slices.hold(("a", "b"), 5)
    assert holding is not None
    assert slices.spend(holding, 100) == 7
    assert slices.free("a") == 3
    assert slices.free("b") == 0
