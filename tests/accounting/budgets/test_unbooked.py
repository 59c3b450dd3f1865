"""What was spent here and is not in the database yet."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

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
    assert not unbooked._rows
    assert not unbooked._sums
