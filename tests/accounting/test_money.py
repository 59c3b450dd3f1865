from __future__ import annotations

from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given, strategies as st

from switchgear.accounting.money import PICO, ceil_pico, exact_decimal, pico, usd


def test_a_dollar_has_a_million_million_pico_dollars() -> None:
    assert pico(1) == PICO == 10**12


def test_a_float_counts_as_it_was_written() -> None:
    assert pico(0.1) == pico("0.1") == 10**11
    assert exact_decimal(0.1) == Decimal("0.1")


@given(st.integers(-(10**40), 10**40))
def test_dollars_and_pico_dollars_convert_without_loss(amount: int) -> None:
    assert pico(usd(amount)) == amount


@given(st.integers(-(10**40), 10**40))
def test_no_rounding_of_the_callers_decimal_context_reaches_money(amount: int) -> None:
    with localcontext(Context(prec=2)):
        dollars = usd(amount)
        assert pico(dollars) == amount
    assert dollars * PICO == amount or abs(amount) >= 10**28


def test_dollars_are_shown_without_trailing_zeros() -> None:
    assert str(usd(12_300_000_000)) == "0.0123"
    assert str(usd(20 * PICO)) == "20"
    assert str(usd(0)) == "0"
    assert str(usd(-PICO // 2)) == "-0.5"


def test_what_is_finer_than_a_pico_dollar_is_refused_or_rounded_up() -> None:
    with pytest.raises(ValueError, match="finer"):
        pico("0.0000000000001")
    assert ceil_pico("0.0000000000001") == 1
    assert ceil_pico("-0.0000000000001") == 0


@pytest.mark.parametrize("wrong", ["", "ten", "nan", "inf", float("nan"), float("-inf"), True])
def test_what_is_no_amount_is_refused(wrong: str | float) -> None:
    with pytest.raises(ValueError, match="amount"):
        pico(wrong)
