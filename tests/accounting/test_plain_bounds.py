"""What is remembered of bounds is what would be found out anew."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, strategies as st

from switchgear.accounting import PriceTable, default_prices
from switchgear.accounting.bounds import Unbounded, Worst, plain, worst_case
from switchgear.accounting.tokens.counter import TokenCounter
from switchgear.messages import Message
from switchgear.request import ChatRequest

TOKENS = TokenCounter()
DAY = dt.date(2026, 11, 23)
TABLE = default_prices()
MODELS = [(kind, model) for kind in sorted(TABLE.kinds) for model in TABLE.models(kind)]
LIMITS = st.none() | st.sampled_from([1, 15, 16, 17, 4096, 8192, 10**7])
CHANGES = PriceTable.from_toml("""
[openai.models."m"]
context_window = 1000
max_output_tokens = 100
[[openai.models."m".prices]]
until = 2026-11-24
input = 1
output = 2
[[openai.models."m".prices]]
from = 2026-11-24
input = 3
output = 4
""")


def by_bytes(
    kind: str,
    model: str,
    prompt: str,
    max_tokens: int | None,
    limits: tuple[int | None, int | None] = (None, None),
    *,
    prices: PriceTable = TABLE,
    day: dt.date = DAY,
) -> Worst | Unbounded:
    return worst_case(
        ChatRequest(messages=(Message("user", prompt),)),
        kind=kind,
        model=model,
        max_tokens=max_tokens,
        extra={},
        headers={},
        context_window=limits[0],
        max_output_tokens=limits[1],
        prices=prices,
        day=day,
        tokens=TOKENS,
    )


@given(
    st.sampled_from(MODELS),
    st.lists(st.tuples(st.text(max_size=30), st.sampled_from([1, 10**4, 10**6]), LIMITS)),
    st.tuples(LIMITS, LIMITS),
    st.dates(dt.date(2025, 1, 1), dt.date(2027, 12, 31)),
)
def test_attempts_of_any_length_have_the_bound_that_each_has_by_itself(
    at: tuple[str, str],
    calls: list[tuple[str, int, int | None]],
    limits: tuple[int | None, int | None],
    day: dt.date,
) -> None:
    kind, model = at
    bounds = plain(TABLE, kind, model, day, context_window=limits[0], max_output_tokens=limits[1])
    for piece, times, max_tokens in calls:
        prompt = piece * times if len(piece) * times < 10**6 else piece
        alone = by_bytes(kind, model, prompt, max_tokens, limits, day=day)
        if bounds is None:  # then only worst_case knows what to say
            assert isinstance(alone, Unbounded) or alone.amount == 0
            continue
        request = ChatRequest(messages=(Message("user", prompt),))
        tokens = TOKENS.bound(request, model).tokens
        assert tokens is not None
        assert bounds.worst(tokens, max_tokens) == alone


def test_a_price_holds_for_its_own_days_only() -> None:
    days = [dt.date(2026, 11, 23), dt.date(2026, 11, 24)]
    amounts = []
    for day in days:
        bounds = plain(CHANGES, "openai", "m", day, context_window=None, max_output_tokens=None)
        assert bounds is not None
        found = bounds.worst(10, 100)
        assert isinstance(found, Worst)
        amounts.append(found.amount)
    assert amounts == [10 * 1_000_000 + 100 * 2_000_000, 10 * 3_000_000 + 100 * 4_000_000]


@pytest.mark.parametrize(
    ("kind", "model"),
    [("ollama", "llama3"), ("openai", "no-such-model"), ("openai", "gpt-4o-search-preview")],
)
def test_what_is_free_unpriced_or_acts_by_itself_is_no_plain_case(kind: str, model: str) -> None:
    assert plain(TABLE, kind, model, DAY, context_window=None, max_output_tokens=None) is None
