"""``[pricing]``: a user's own prices, and models that have none."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from switchgear import BudgetExceededError, Config, Router, UnboundedCostError
from switchgear.completion import Usage
from switchgear.testing.loop_clock import LoopClock
from switchgear.testing.scripted import ScriptedProvider, scripted_reply

from .bookkeeping import CLAUDE, GPT, hard, only_row, priced, rows_of

pytestmark = pytest.mark.looptime

DOUBLE = {"anthropic": {"models": {"claude-haiku-4-5": {"prices": {"input": 2, "output": 10}}}}}
NEXT_YEAR = {
    "anthropic": {"models": {"claude-of-next-year": {"prices": {"input": 3, "output": 7}}}}
}
OF_NEXT_YEAR = {"chain": ["anthropic/claude-of-next-year"]}


async def test_prices_in_place_are_what_a_call_costs() -> None:
    config = {"pricing": {"prices": DOUBLE}}
    async with priced(ScriptedProvider("anthropic"), config=config) as router:
        reply = await router.complete("g", "hi")
        row = await only_row(router)
    assert reply.cost == Decimal("0.00007")  # ten tokens at 2 USD a million, five at 10
    assert row.cost == 70_000_000
    assert ",own=" in row.price


async def test_prices_of_a_file_are_what_a_call_costs(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(
        '[anthropic.models."claude-haiku-4-5"]\nprices = { input = 0.1, output = 0.7 }\n'
    )
    file = tmp_path / "switchgear.toml"
    file.write_text(
        f'[groups.g]\nchain = ["{CLAUDE}"]\n[pricing]\nfile = "prices.toml"\n'
        '[ledger]\nurl = "memory:"\n'
    )
    provider = ScriptedProvider("anthropic")
    config = Config.from_file(file)
    async with Router(config, providers={"anthropic": provider}, clock=LoopClock()) as router:
        reply = await router.complete("g", "hi")
    assert reply.cost == Decimal("0.0000045")


async def test_other_prices_stay_what_they_are() -> None:
    config = {"pricing": {"prices": DOUBLE}}
    async with priced(ScriptedProvider("openai"), config=config) as router:
        assert (await router.complete("g", "hi")).cost == Decimal("0.0000045")


async def test_a_hard_budget_counts_at_the_users_prices() -> None:
    amounts = []
    for prices in ({}, DOUBLE):
        config = {"pricing": {"prices": prices}}
        router = priced(ScriptedProvider("anthropic"), budgets=[hard()], config=config)
        async with router:
            await router.complete("g", "hi", max_tokens=100)
            row = await only_row(router)
        amounts.append((row.reserved, row.cost))
    assert amounts[1][1] == 2 * (amounts[0][1] or 0)


SONNET = "anthropic/claude-sonnet-4-6"


def contract(folder: Path, prices: str, *budgets: Any) -> dict[str, Any]:
    """A configuration with a file of prices that names Sonnet's."""
    file = folder / "prices.toml"
    file.write_text(f'[anthropic.models."claude-sonnet-4-6"]\nprices = {prices}\n')
    return {
        "providers": {"anthropic": {"plugin": "anthropic"}},
        "groups": {"g": {"chain": [SONNET]}},
        "pricing": {"file": str(file)},
        "ledger": {"url": "memory:"},
        "budgets": list(budgets),
    }


async def needed(folder: Path, prices: str, ttl: str | None) -> Decimal:
    """What one call would have to set aside, as the error says that refuses it."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": ttl}} if ttl else {}
    messages = [{"role": "user", "content": [{"type": "text", "text": "a" * 9000, **mark}]}]
    provider = ScriptedProvider("anthropic")
    data = contract(folder, prices, hard(0))
    async with Router.from_dict(
        data, providers={"anthropic": provider}, clock=LoopClock()
    ) as router:
        with pytest.raises(BudgetExceededError) as refused:
            await router.complete("g", messages, max_tokens=10)
    assert provider.calls == []
    assert refused.value.needed is not None
    return refused.value.needed


@pytest.mark.parametrize(("ttl", "factor"), [(None, "1"), ("5m", "1.25"), ("1h", "2")])
async def test_a_price_of_input_and_output_leaves_the_bound_of_cache_marks(
    tmp_path: Path, ttl: str | None, factor: str
) -> None:
    usual = await needed(tmp_path, "{}", ttl)
    same = await needed(tmp_path, "{ input = 3, output = 15 }", ttl)
    assert same == usual > Decimal("0.0297") * Decimal(factor)  # 9000 tokens, and 10% for the US
    cheaper = await needed(tmp_path, "{ input = 2.7, output = 15 }", ttl)
    assert cheaper == usual if ttl else cheaper < usual
    dearer = await needed(tmp_path, "{ input = 6, output = 30 }", ttl)
    assert dearer == 2 * usual
    alone = await needed(tmp_path, "{ input = 3, output = 15, cache_write_1h = 9 }", ttl)
    assert (alone > usual) is (ttl == "1h")


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        ({}, "0.0025"),
        ({"cache_read_tokens": 1000}, "0.0003"),
        ({"cache_write_tokens": 1000}, "0.00375"),
        ({"cache_write_tokens": 1000, "cache_write_1h_tokens": 1000}, "0.006"),
    ],
)
async def test_cached_tokens_cost_what_they_did_where_a_file_does_not_name_them(
    tmp_path: Path, usage: dict[str, Any], dollars: str
) -> None:
    answer = scripted_reply()
    answer = msgspec.structs.replace(answer, usage=Usage(input_tokens=1000, **usage))
    provider = ScriptedProvider("anthropic", [answer])
    data = contract(tmp_path, "{ input = 2.5, output = 12 }", hard())
    async with Router.from_dict(
        data, providers={"anthropic": provider}, clock=LoopClock()
    ) as router:
        reply = await router.complete("g", "a" * 2000, max_tokens=10)
        row = await only_row(router)
    assert reply.cost == Decimal(dollars)
    assert ",own=" in row.price


async def test_a_users_price_makes_an_unknown_model_known() -> None:
    config: dict[str, Any] = {"pricing": {"prices": NEXT_YEAR, "unpriced": "refuse"}}
    provider = ScriptedProvider("anthropic")
    budgets = [hard()]
    async with priced(provider, budgets=budgets, group=OF_NEXT_YEAR, config=config) as router:
        reply = await router.complete("g", "hi", max_tokens=100)
    assert reply.cost == Decimal("0.000065")
    assert not any("price" in warning for warning in reply.warnings)


async def test_a_model_without_a_price_is_left_out_where_the_user_says_so() -> None:
    first, second = ScriptedProvider("anthropic"), ScriptedProvider("openai")
    group = {"chain": ["anthropic/claude-of-next-year", GPT]}
    config = {"pricing": {"unpriced": "refuse"}}
    async with priced(first, second, group=group, config=config) as router:
        reply = await router.complete("g", "hi")
        [row] = await rows_of(router)
    assert reply.provider == row.provider == "openai"
    assert first.calls == []
    skipped = reply.trace.steps[0]
    assert (skipped.candidate, skipped.outcome) == ("anthropic/claude-of-next-year", "skipped")
    assert "price table" in skipped.reason


async def test_a_model_without_a_price_that_stands_alone_is_refused_then() -> None:
    provider = ScriptedProvider("anthropic")
    config = {"pricing": {"unpriced": "refuse"}}
    async with priced(provider, group=OF_NEXT_YEAR, config=config) as router:
        with pytest.raises(UnboundedCostError, match="price") as refused:
            await router.complete("g", "hi")
        assert await rows_of(router) == []
    assert provider.calls == []
    assert refused.value.param == "model"


async def test_a_free_provider_has_a_price_of_nothing() -> None:
    config = {"pricing": {"unpriced": "refuse"}}
    async with priced(ScriptedProvider("ollama"), config=config) as router:
        reply = await router.complete("g", "hi")
    assert reply.cost == 0
    assert reply.warnings == ()
