from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from benchmarks.suite.statistics import Figure, figure, percentile, ratios

values = st.lists(st.floats(0.001, 1e9), min_size=1, max_size=50)


def test_a_figure_is_the_median_and_the_quartiles() -> None:
    assert figure([5, 1, 3, 2, 4]) == Figure(3, 2, 4, (5, 1, 3, 2, 4))


def test_a_single_round_has_no_spread() -> None:
    assert figure([7.5]) == Figure(7.5, 7.5, 7.5, (7.5,))


@given(values)
def test_a_figure_lies_within_its_rounds(rounds: list[float]) -> None:
    found = figure(rounds)
    # Interpolation may be off by the last bit.
    assert min(rounds) * (1 - 1e-12) <= found.low <= found.median * (1 + 1e-12)
    assert found.median <= found.high * (1 + 1e-12) <= max(rounds) * (1 + 1e-9)


def test_a_ratio_is_of_the_same_round() -> None:
    # The machine was ten times slower in the second round, for both.
    found = ratios([1, 10, 1], [4, 40, 4])
    assert found == Figure(0.25, 0.25, 0.25, (0.25, 0.25, 0.25))


def test_ratios_of_unlike_numbers_of_rounds_are_none() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1, 2], [1])


@given(values, st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_the_share_does_not_exceed(
    found: list[float], share: float
) -> None:
    value = percentile(found, share)
    assert value in found
    assert sum(each <= value for each in found) >= math.floor(share * len(found))
    assert sum(each < value for each in found) <= share * len(found)


def test_percentiles_by_nearest_rank() -> None:
    hundred = [float(each) for each in range(100, 0, -1)]
    assert [percentile(hundred, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([3.0], 0.99) == 3
