"""What of a price has to be there before a call may begin."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from switchgear.routing.limits import Need
from switchgear.routing.limits.measures import (
    DEFERRED,
    INPUT,
    INPUT_ALL,
    OUTPUT,
    OUTPUT_MAX,
    PLACES,
    REQUESTS,
    SLOTS,
    STARTS,
    TOKENS,
    TOKENS_ALL,
    TOKENS_MAX,
    price_of,
)

TOKEN_COUNTS = st.integers(0, 10**7)
AMOUNTS = st.floats(0, 1e7)


@given(TOKEN_COUNTS, TOKEN_COUNTS, st.none() | TOKEN_COUNTS, AMOUNTS, AMOUNTS)
def test_of_output_that_is_counted_as_it_comes_one_token_is_enough_to_begin(
    inputs: int, outputs: int, most: int | None, fresh: float, output: float
) -> None:
    price = price_of(Need(inputs, outputs, most), fresh, output)
    assert len(price) == PLACES
    for measure, start in enumerate(STARTS):
        later = max(0.0, output - 1.0) if measure in DEFERRED else 0.0
        assert price[start] == pytest.approx(price[measure] - later, abs=1e-6)


def test_each_measure_counts_what_it_says() -> None:
    price = price_of(Need(1000, 50, 200), 900.0, 40.0)
    assert (price[REQUESTS], price[SLOTS]) == (1, 1)
    assert (price[INPUT], price[INPUT_ALL]) == (900, 1000)
    assert (price[OUTPUT], price[OUTPUT_MAX]) == (40, 200)
    assert (price[TOKENS], price[TOKENS_ALL], price[TOKENS_MAX]) == (940, 1040, 1000)


@pytest.mark.parametrize(("most", "asked"), [(None, 100), (30, 100), (5000, 5000)])
def test_openai_takes_the_larger_of_the_prompt_and_max_tokens(most: int | None, asked: int) -> None:
    assert price_of(Need(100, 50, most), 100.0, 50.0)[TOKENS_MAX] == asked
