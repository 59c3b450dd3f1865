"""What was spent here and is not in the database yet."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from switchgear.accounting.budgets import unbooked as unbooked_module
from switchgear.accounting.budgets.unbooked import Unbooked

ROWS = st.lists(
    st.tuples(st.sets(st.sampled_from("abc")), st.integers(0, 100), st.integers(0, 100))
)


@given(rows=ROWS, upto=st.integers(0, 30))
def test_it_is_the_sum_of_what_came_after_the_last_booking(
    rows: list[tuple[set[str], int, int]], upto: int
) -> None:
    unbooked = Unbooked()
    for position, (keys, bound, cost) in enumerate(rows, start=1):
        unbooked.add(position, sorted(keys), bound, cost)
    unbooked.booked(upto)
    later = rows[upto:]
    for key in "abc":
        assert unbooked.bound(key) == sum(bound for keys, bound, _ in later if key in keys)
        assert unbooked.cost(key) == sum(cost for keys, _, cost in later if key in keys)


@given(rows=ROWS)
def test_nothing_is_kept_of_what_is_booked(rows: list[tuple[set[str], int, int]]) -> None:
    unbooked = Unbooked()
    for position, (keys, bound, cost) in enumerate(rows, start=1):
        unbooked.add(position, sorted(keys), bound, cost)
    unbooked.booked(len(rows))
    assert not unbooked._runs
    assert not unbooked._sums


@given(rows=ROWS, most=st.integers(1, 12), upto=st.integers(0, 30))
def test_where_too_much_is_remembered_sums_stay_exact_but_for_a_run_that_is_half_booked(
    rows: list[tuple[set[str], int, int]], most: int, upto: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unbooked_module, "_MOST", most)
        unbooked = Unbooked()
        for position, (keys, bound, cost) in enumerate(rows, start=1):
            unbooked.add(position, sorted(keys), bound, cost)
        for key in "abc":
            assert unbooked.cost(key) == sum(cost for keys, _, cost in rows if key in keys)
        ends = [0, *(position for position, _ in unbooked._runs if position <= upto)]
        unbooked.booked(upto)
        later = rows[ends[-1] :]
        for key in "abc":
            assert unbooked.bound(key) == sum(bound for keys, bound, _ in later if key in keys)
            assert unbooked.cost(key) == sum(cost for keys, _, cost in later if key in keys)
        unbooked.booked(len(rows))
        assert not unbooked._runs
        assert not unbooked._sums
        assert not unbooked._amounts


@pytest.mark.parametrize("counters", [1, 50, 10_000])
def test_what_is_remembered_grows_with_the_counters_and_not_with_the_attempts(
    counters: int,
) -> None:
    unbooked = Unbooked()
    for number in range(60_000):
        unbooked.add(number, [str(number % counters), "all"], 2, 1)
        most = max(4096, 4 * (counters + 1))
        assert unbooked._amounts <= most
    assert sum(len(amounts) for _, amounts in unbooked._runs) == unbooked._amounts
    assert (unbooked.bound("all"), unbooked.cost("0")) == (120_000, 60_000 // counters)
