from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from switchgear.accounting.cost import bound_of, cost_of
from switchgear.accounting.rates import Price, Rates, Step
from switchgear.completion import Usage

# Primes: every way to count a token at a wrong rate gives a different sum.
RATES = Rates(
    input=1009,
    output=5003,
    cache_read=101,
    cache_write_5m=1259,
    cache_write_1h=2017,
    audio_input=3001,
    audio_output=7001,
)
FLAT = Price(provider="p", model="m", rates=RATES)
DOUBLE = Rates(**{field: 2 * getattr(RATES, field) for field in RATES.__struct_fields__})
STEPPED = Price(provider="p", model="m", rates=RATES, steps=(Step(1000, DOUBLE),))

tokens = st.integers(0, 10**7)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """What a vendor can send: parts apart from each other, within their totals."""
    fresh, read, written, spoken, rest, said, thought = (draw(tokens) for _ in range(7))
    return Usage(
        input_tokens=fresh + read + written + spoken,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)),
        audio_input_tokens=spoken,
        output_tokens=rest + said + thought,
        audio_output_tokens=said,
        reasoning_tokens=thought,
    )


def added(one: Usage, other: Usage) -> Usage:
    fields = [name for name in Usage.__struct_fields__ if name != "estimated"]
    return Usage(**{name: getattr(one, name) + getattr(other, name) for name in fields})


def test_each_token_is_paid_once_at_the_rate_of_its_kind() -> None:
    usage = Usage(
        input_tokens=100,
        cache_read_tokens=10,
        cache_write_tokens=20,
        cache_write_1h_tokens=5,
        audio_input_tokens=7,
        output_tokens=50,
        reasoning_tokens=30,
        audio_output_tokens=3,
    )
    assert cost_of(usage, FLAT) == (
        63 * 1009 + 10 * 101 + 15 * 1259 + 5 * 2017 + 7 * 3001 + 47 * 5003 + 3 * 7001
    )


def test_a_real_call_costs_what_the_vendors_page_says() -> None:
    """Sonnet at 3 and 15 USD: a thousand tokens in, half of them cached, and two hundred out."""
    rates = msgspec.structs.replace(RATES, input=3_000_000, output=15_000_000, cache_read=300_000)
    usage = Usage(input_tokens=1000, cache_read_tokens=500, output_tokens=200)
    cost = cost_of(usage, Price(provider="p", model="m", rates=rates))
    assert cost == 4_650_000_000  # 0.00465 USD


def test_nothing_costs_nothing() -> None:
    assert cost_of(Usage(), FLAT) == 0


@given(usages(), usages())
def test_two_usages_together_cost_as_much_as_one_by_one(one: Usage, other: Usage) -> None:
    assert cost_of(added(one, other), FLAT) == cost_of(one, FLAT) + cost_of(other, FLAT)


@given(usages(), usages())
def test_more_tokens_never_cost_less_even_across_a_step(one: Usage, more: Usage) -> None:
    for price in (FLAT, STEPPED):
        assert cost_of(added(one, more), price) >= cost_of(one, price) >= 0


@given(st.lists(usages(), max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_calls_makes_no_difference(calls: list[Usage], random: Any) -> None:
    shuffled = list(calls)
    random.shuffle(shuffled)
    assert sum(cost_of(u, STEPPED) for u in calls) == sum(cost_of(u, STEPPED) for u in shuffled)


@given(st.builds(Usage, *([st.integers(-1000, 10**6)] * 8)))
def test_a_usage_that_contradicts_itself_is_never_cheaper_than_its_total(usage: Usage) -> None:
    cost = cost_of(usage, FLAT)
    assert cost >= max(usage.input_tokens, 0) * RATES.cache_read
    assert cost >= max(usage.output_tokens, 0) * RATES.output
    assert cost >= max(usage.audio_input_tokens, 0) * RATES.audio_input
    assert cost >= 0


def test_totals_that_leave_out_their_cached_part_are_still_paid_in_full() -> None:
    exclusive = Usage(input_tokens=10, cache_read_tokens=90, cache_write_tokens=20)
    assert cost_of(exclusive, FLAT) == 90 * 101 + 20 * 1259


def test_a_long_prompt_re_rates_the_whole_request() -> None:
    short = Usage(input_tokens=1000, output_tokens=100)
    long = Usage(input_tokens=1001, output_tokens=100)
    assert cost_of(short, STEPPED) == 1000 * 1009 + 100 * 5003
    assert cost_of(long, STEPPED) == 2 * (1001 * 1009 + 100 * 5003)


def test_cached_tokens_count_towards_the_step() -> None:
    usage = Usage(input_tokens=1001, cache_read_tokens=1000)
    assert cost_of(usage, STEPPED) == 2 * (1009 + 1000 * 101)


@given(usages(), tokens, tokens)
def test_a_bound_is_never_below_the_cost_of_what_it_bounds(
    usage: Usage, more_in: int, more_out: int
) -> None:
    for price in (FLAT, STEPPED):
        bound = bound_of(usage.input_tokens + more_in, usage.output_tokens + more_out, price)
        assert bound >= cost_of(usage, price)


def test_a_bound_looks_at_the_lower_steps_too() -> None:
    """No vendor does so today, but nothing says that a longer prompt may not be cheaper."""
    cheaper = Rates(**dict.fromkeys(RATES.__struct_fields__, 1))
    price = Price(provider="p", model="m", rates=RATES, steps=(Step(10, cheaper),))
    assert bound_of(11, 1, price) >= cost_of(Usage(input_tokens=10, output_tokens=1), price)


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({}, 3001),
        ({"audio": False}, 2017),
        ({"audio": False, "long_cache": False}, 1259),
    ],
)
def test_a_bound_is_as_tight_as_what_the_request_rules_out(
    options: dict[str, bool], rate: int
) -> None:
    assert bound_of(10, 0, FLAT, **options) == 10 * rate
