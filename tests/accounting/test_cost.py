from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from switchgear.accounting.cost import cost_of
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.prices.rates import Fees, Price, Rates, Step
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
FEES = Fees(web_search=10_007, file_search=2_503, code_session=30_011)
FLAT = Price(provider="p", model="m", rates=RATES, fees=FEES)
DOUBLE = Rates(**{field: 2 * getattr(RATES, field) for field in RATES.__struct_fields__})
STEPPED = Price(provider="p", model="m", rates=RATES, steps=(Step(1000, DOUBLE),), fees=FEES)
THIRDS = Price(provider="p", model="m", rates=RATES, per=3, fees=FEES)

tokens = st.integers(0, 10**7)
uses = st.integers(0, 100)
anything = st.integers(-1000, 10**6)


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
        web_searches=draw(uses),
        file_searches=draw(uses),
        code_sessions=draw(uses),
    )


def paid(usage: Usage, price: Price) -> int:
    """The cost, which must be known."""
    cost = cost_of(usage, price)
    assert type(cost) is int
    return cost


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
    assert paid(usage, FLAT) == (
        63 * 1009 + 10 * 101 + 15 * 1259 + 5 * 2017 + 7 * 3001 + 47 * 5003 + 3 * 7001
    )


def test_a_real_call_costs_what_the_vendors_page_says() -> None:
    """Sonnet at 3 and 15 USD: a thousand tokens in, half of them cached, and two hundred out."""
    rates = msgspec.structs.replace(RATES, input=3_000_000, output=15_000_000, cache_read=300_000)
    usage = Usage(input_tokens=1000, cache_read_tokens=500, output_tokens=200)
    cost = paid(usage, Price(provider="p", model="m", rates=rates, fees=FEES))
    assert cost == 4_650_000_000  # 0.00465 USD


def test_nothing_costs_nothing() -> None:
    assert paid(Usage(), FLAT) == 0


@given(usages(), usages())
def test_two_usages_together_cost_as_much_as_one_by_one(one: Usage, other: Usage) -> None:
    assert paid(added(one, other), FLAT) == paid(one, FLAT) + paid(other, FLAT)


@given(usages(), usages())
def test_more_tokens_never_cost_less_even_across_a_step(one: Usage, more: Usage) -> None:
    for price in (FLAT, STEPPED):
        assert paid(added(one, more), price) >= paid(one, price) >= 0


@given(st.lists(usages(), max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_calls_makes_no_difference(calls: list[Usage], random: Any) -> None:
    shuffled = list(calls)
    random.shuffle(shuffled)
    assert sum(paid(u, STEPPED) for u in calls) == sum(paid(u, STEPPED) for u in shuffled)


@given(st.builds(Usage, *([anything] * 8), st.booleans(), *([anything] * 3)))
def test_a_usage_that_contradicts_itself_is_never_cheaper_than_its_total(usage: Usage) -> None:
    cost = paid(usage, FLAT)
    assert cost >= max(usage.input_tokens, 0) * RATES.cache_read
    assert cost >= max(usage.output_tokens, 0) * RATES.output
    assert cost >= max(usage.audio_input_tokens, 0) * RATES.audio_input
    assert cost >= 0


def test_totals_that_leave_out_their_cached_part_are_still_paid_in_full() -> None:
    exclusive = Usage(input_tokens=10, cache_read_tokens=90, cache_write_tokens=20)
    assert paid(exclusive, FLAT) == 90 * 101 + 20 * 1259


def test_a_long_prompt_re_rates_the_whole_request() -> None:
    short = Usage(input_tokens=1000, output_tokens=100)
    long = Usage(input_tokens=1001, output_tokens=100)
    assert paid(short, STEPPED) == 1000 * 1009 + 100 * 5003
    assert paid(long, STEPPED) == 2 * (1001 * 1009 + 100 * 5003)


def test_cached_tokens_count_towards_the_step() -> None:
    usage = Usage(input_tokens=1001, cache_read_tokens=1000)
    assert paid(usage, STEPPED) == 2 * (1009 + 1000 * 101)


@given(usages(), usages())
def test_a_fraction_of_a_pico_dollar_is_rounded_up_once_and_never_down(
    one: Usage, other: Usage
) -> None:
    together = paid(added(one, other), THIRDS)
    fees = paid(added(one, other), FLAT) - paid(bare(added(one, other)), FLAT)
    exact = paid(bare(added(one, other)), FLAT)
    assert 0 <= 3 * (together - fees) - exact < 3
    assert 0 <= paid(one, THIRDS) + paid(other, THIRDS) - together <= 1


def bare(usage: Usage) -> Usage:
    return msgspec.structs.replace(usage, web_searches=0, file_searches=0, code_sessions=0)


@given(usages())
def test_a_cost_is_the_same_after_a_round_trip(usage: Usage) -> None:
    row = Row(id=b"0" * 16, call_id=b"0" * 16, at=0, usage=usage, cost=paid(usage, STEPPED))
    back = msgspec.msgpack.decode(msgspec.msgpack.encode(usage), type=Usage)
    booked = msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=Row)
    assert paid(back, STEPPED) == row.cost
    assert booked == row
    assert booked.usage is not None
    assert paid(booked.usage, STEPPED) == booked.cost


@given(usages(), st.sampled_from([name for name in Usage.__struct_fields__ if name != "estimated"]))
def test_one_more_of_anything_never_costs_less_where_no_kind_is_cheaper(
    usage: Usage, field: str
) -> None:
    """At one rate for all, whatever the usage says of its parts."""
    price = Price(
        provider="p",
        model="m",
        rates=Rates(**dict.fromkeys(RATES.__struct_fields__, 11)),
        fees=FEES,
    )
    more = msgspec.structs.replace(usage, **{field: getattr(usage, field) + 1})
    assert paid(more, price) >= paid(usage, price)


def test_fees_come_on_top_and_no_step_changes_them() -> None:
    usage = Usage(input_tokens=1001, web_searches=2, file_searches=3, code_sessions=1)
    assert paid(usage, STEPPED) == 2 * 1001 * 1009 + 2 * 10_007 + 3 * 2_503 + 30_011


@pytest.mark.parametrize("use", ["web_searches", "file_searches", "code_sessions"])
def test_a_use_without_a_known_fee_makes_the_cost_unknown_rather_than_lower(use: str) -> None:
    known = Price(provider="p", model="m", rates=RATES)
    usage = Usage(input_tokens=1)
    assert cost_of(msgspec.structs.replace(usage, **{use: 1}), known) is None
    assert cost_of(usage, known) == 1009


def test_a_fee_of_nothing_is_known() -> None:
    free = Price(provider="p", model="m", rates=RATES, fees=Fees(web_search=0))
    assert cost_of(Usage(input_tokens=1, web_searches=9), free) == 1009


@given(usages())
def test_being_estimated_changes_no_cost(usage: Usage) -> None:
    assert paid(msgspec.structs.replace(usage, estimated=True), FLAT) == paid(usage, FLAT)
