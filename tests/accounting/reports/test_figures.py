"""Amounts and counts as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from switchgear.accounting.reports.figures import dollars, places_for, share, short_count


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "$0.00"),
        ("1234.565", "$1,234.56"),
        ("0.5", "$0.50"),
        ("0.000420", "$0.00042"),
        ("0.0000004", "<$0.000001"),
        ("-0.59", "-$0.59"),
        ("-0.0000004", "-<$0.000001"),
        ("123456789012345678901234567890.125", "$123,456,789,012,345,678,901,234,567,890.12"),
    ],
)
def test_dollars(amount: str, shown: str) -> None:
    assert dollars(Decimal(amount)) == shown


def test_a_column_has_as_many_places_as_its_smallest_amount_needs() -> None:
    assert places_for([Decimal(5), Decimal("0.5")]) == 2
    assert places_for([Decimal(5), Decimal("0.0042")]) == 4
    assert places_for([Decimal(0)]) == 2
    assert dollars(Decimal(5), 4) == "$5.0000"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0"),
        (987, "987"),
        (1000, "1.00k"),
        (12_345, "12.3k"),
        (123_456, "123k"),
        (999_999, "1.00M"),
        (4_560_000, "4.56M"),
        (7 * 10**12, "7.00T"),
    ],
)
def test_short_counts_have_three_digits(count: int, shown: str) -> None:
    assert short_count(count) == shown


def test_a_share_is_neither_none_nor_all_where_it_is_only_close_to_it() -> None:
    assert share(1, 1000) == "<1 %"
    assert share(999, 1000) == ">99 %"
    assert share(0, 1000) == "0 %"
    assert share(1000, 1000) == "100 %"
    assert share(1, 0) == "-"
