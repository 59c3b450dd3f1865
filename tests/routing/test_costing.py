"""What calls remember of prices, days and budgets, and that it is never an old one."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from msgspec.structs import replace

from switchgear import BudgetExceededError, Config, Image, Message, Router, Text
from switchgear.accounting import PriceTable, default_prices
from switchgear.accounting.bounds import Worst
from switchgear.accounting.prices.vendors import Priced
from switchgear.accounting.tokens.counter import TokenCounter
from switchgear.config import Candidate as Entry
from switchgear.config.values import FrozenDict
from switchgear.providers.base import Capabilities
from switchgear.request import ChatRequest
from switchgear.routing.costing import Chat, Costing
from switchgear.routing.plan import Candidate
from switchgear.testing.scripted import ScriptedProvider, scripted_reply

from .bookkeeping import CLAUDE, hard, priced, rows_of
from .helpers import FakeClock

DAY = 86_400
RISES = """
[anthropic.models."claude-haiku-4-5"]
context_window = 200_000
max_output_tokens = 64_000
[[anthropic.models."claude-haiku-4-5".prices]]
until = 2026-09-22
input = 1
output = 5
[[anthropic.models."claude-haiku-4-5".prices]]
from = 2026-09-22
input = 10
output = 50
"""
MIDNIGHT = 1_790_035_200.0  # 2026-09-22T00:00:00Z
HELLO = ChatRequest(messages=(Message("user", "hi"),))


def candidate(model: str = "claude-haiku-4-5", **fields: Any) -> Candidate:
    provider = ScriptedProvider("anthropic")
    whole: dict[str, Any] = {
        "name": f"anthropic/{model}",
        "entry": Entry(provider="anthropic", model=model),
        "provider": provider,
        "priced": Priced("anthropic", model),
        "unsupported": None,
        "capabilities": Capabilities(context_window=200_000, max_output_tokens=64_000),
        "max_tokens": 100,
    }
    return Candidate(**whole | fields)


def costing(prices: PriceTable | None = None) -> Costing:
    return Costing(prices or default_prices(), TokenCounter(), FakeClock())


def most(costing: Costing, request: ChatRequest = HELLO, at: float = MIDNIGHT, **more: Any) -> int:
    found = Chat(costing, request).worst(candidate(**more), costing.day(at))
    assert isinstance(found, Worst)
    return found.amount


def test_prices_that_take_the_place_of_others_hold_at_once() -> None:
    table = default_prices()
    dearer = table.merged(
        {"anthropic": {"models": {"claude-haiku-4-5": {"prices": {"input": 2, "output": 10}}}}}
    )
    books, one, day = costing(table), candidate(), costing().day(MIDNIGHT)
    before, price = most(books), books.price(one, day)
    usage = scripted_reply("hi").usage
    assert usage is not None
    paid = books.charge(one, day, usage, None).cost
    books.prices = dearer
    assert most(books) == 2 * before
    assert books.price(one, day) != price
    assert paid is not None
    assert books.charge(one, day, usage, None).cost == 2 * paid
    assert books.prices is dearer


@pytest.mark.parametrize("order", [(-1, 0, 1, -1), (1, 0, -1, 1)])
def test_a_price_that_changes_at_midnight_does_so_in_both_directions(order: Any) -> None:
    books, one = costing(PriceTable.from_toml(RISES)), candidate()
    usage = scripted_reply("hi").usage
    assert usage is not None
    for seconds in order:
        at = MIDNIGHT + seconds
        factor = 10 if seconds >= 0 else 1
        cost = books.charge(one, books.day(at), usage, None).cost
        assert cost == factor * (usage.input_tokens * 1_000_000 + usage.output_tokens * 5_000_000)
        assert most(books, at=at) % (factor * 1_000_000) == 0
        assert most(books, at=at) == factor * most(books, at=MIDNIGHT - 1)


def test_a_models_own_limits_count_where_two_providers_declare_different_ones() -> None:
    books = costing()
    wide = Capabilities(context_window=200_000, max_output_tokens=64_000)
    narrow = Capabilities(context_window=100, max_output_tokens=50)
    assert most(books, capabilities=wide) > most(books, capabilities=narrow)
    assert most(books, capabilities=wide) > most(books, capabilities=narrow)


def test_a_prompt_with_an_image_is_bounded_for_each_model_apart() -> None:
    books = costing()
    image = Image(data="aGk=", media_type="image/png")
    request = ChatRequest(messages=(Message("user", (Text("look"), image)),))
    chat, day = Chat(books, request), books.day(MIDNIGHT)
    first, second = candidate("claude-haiku-4-5"), candidate("claude-opus-4-7")
    mixed = [chat.worst(each, day) for each in (first, second, first)]
    alone = [Chat(books, request).worst(each, day) for each in (first, second, first)]
    assert mixed == alone


def test_what_goes_along_with_one_call_only_counts_in_that_one() -> None:
    books = costing()
    longer = ChatRequest(messages=HELLO.messages, extra={"anthropic": {"max_tokens": 5000}})
    pinned = Entry(provider="anthropic", model="m", extra=FrozenDict({"max_tokens": 5000}))
    plain = most(books)
    assert most(books, longer) > plain
    assert most(books) == plain
    assert most(books, usual_fields={"max_tokens": 5000}) > plain
    assert most(books, entry=pinned) > plain
    assert most(books, usual_headers={"x-of-the-company": "1"}) == plain


def test_names_that_providers_make_up_are_not_all_remembered() -> None:
    books, one, day = costing(), candidate(), costing().day(MIDNIGHT)
    usage = scripted_reply("hi").usage
    assert usage is not None
    for number in range(6000):
        reply = replace(scripted_reply("hi"), model=f"claude-{number}")
        assert books.charge(one, day, usage, reply).answered_model == f"claude-{number}"
    assert len(books._known) <= 2048
    for number in range(6000):
        books.plain(candidate(f"m{number}"), day)
    assert len(books._plain) <= 2048


@pytest.mark.looptime
async def test_a_days_budget_is_free_again_at_midnight_and_not_before() -> None:
    budget = hard(0.0005, "project:*", "day")
    async with priced(ScriptedProvider("anthropic"), budgets=[budget]) as router:
        clock = router._clock

        async def until_refused() -> int:
            for number in range(100):
                try:
                    await router.complete("g", "hi", max_tokens=5, project_id="p")
                except BudgetExceededError:
                    return number
            raise AssertionError

        first = await until_refused()
        assert first > 0
        left = DAY - clock.now() % DAY
        await clock.sleep(left - 10)
        assert await until_refused() == 0
        await clock.sleep(10)
        assert await until_refused() == first
        rows = await rows_of(router)
        assert len({row.budgets for row in rows}) == 2


async def test_a_thousand_calls_leave_nothing_behind(tmp_path: Any) -> None:
    config = {
        "providers": {"anthropic": {"plugin": "anthropic"}},
        "groups": {"g": {"chain": [CLAUDE]}},
        "ledger": {"url": f"sqlite:{tmp_path / 'ledger.db'}"},
        "budgets": [hard(1000, "project:*", "day"), hard(1000, "run:*", "run")],
    }
    provider = ScriptedProvider("anthropic")
    async with Router(Config.from_dict(config), providers={"anthropic": provider}) as router:

        async def calls(first: int, count: int) -> int:
            for number in range(first, first + count):
                await router.complete("g", "hi", project_id=f"p{number % 7}", run_id="r")
                provider.calls.clear()
            await router._ledger.flush()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        await calls(0, 500)
        tracemalloc.start()
        try:
            before = await calls(500, 100)
            after = await calls(600, 1000)
        finally:
            tracemalloc.stop()
    assert after - before < 32 * 1024
