"""Hard budgets in the router: what can't be paid for is not sent, and whatever is sent fits.

What one attempt sets aside is found out by asking a router for it (``price_of_one``), so that these
tests do not depend on how tight the bounds are.
"""

import asyncio
import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from switchgear import (
    AllProvidersFailedError,
    BudgetBusyError,
    BudgetExceededError,
    LedgerError,
    LifecycleError,
    ProviderTimeoutError,
    RateLimitError,
    Router,
    ServerError,
    UnboundedCostError,
)
from switchgear.accounting.budgets.watch import BudgetEvent
from switchgear.accounting.money import usd
from switchgear.providers.base import Reply
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply

from .bookkeeping import (
    CLAUDE,
    GPT,
    assert_nothing_is_left,
    assert_trace_is_the_books,
    hard,
    only_row,
    priced,
    rows_of,
    soft,
)
from .cancelling import at_every_wait

pytestmark = pytest.mark.looptime

NO_REPEATS = {"retry": {"num_retries": 0}}
SHORT: dict[str, Any] = {"max_tokens": 1000}
SLOW = Scripted(delay=5)
DROP = Decimal("0.000000001")


async def price_of_one(model: str = CLAUDE, **options: Any) -> Decimal:
    """What an attempt at the prompt "hi" sets aside, in USD."""
    name = model.partition("/")[0]
    provider = ScriptedProvider(name, [ProviderTimeoutError("no answer")])
    async with priced(provider, budgets=[hard()], config=NO_REPEATS) as router:
        with pytest.raises(AllProvidersFailedError):
            await router.complete(model, "hi", **{**SHORT, **options})
        return Decimal((await only_row(router)).reserved).scaleb(-9)


async def standing(router: Router, scope: str = "global") -> Any:
    """How a budget stands, as a user sees it."""
    return next(each for each in await router.budgets() if each.scope == scope)


# -- too little left -------------------------------------------------------------------------


async def test_a_single_model_that_can_not_be_paid_for_is_refused_at_once() -> None:
    cost = await price_of_one()
    provider = ScriptedProvider("anthropic")
    began = asyncio.get_running_loop().time()
    async with priced(provider, budgets=[hard(cost - DROP)]) as router:
        with pytest.raises(BudgetExceededError) as refused:
            await router.complete(CLAUDE, "hi", **SHORT)
        assert asyncio.get_running_loop().time() == began
        assert await rows_of(router) == []
        assert_nothing_is_left(router)
    error = refused.value
    assert provider.calls == []
    assert (error.budget, error.limit) == ("global for ever", cost - DROP)
    assert (error.left, error.needed) == (cost - DROP, cost)
    assert error.resets_at is None
    assert error.trace is not None
    assert [step.outcome for step in error.trace.steps] == ["skipped"]
    assert "does not reset" in error.message


async def test_exactly_enough_is_enough() -> None:
    cost = await price_of_one()
    async with priced(ScriptedProvider("anthropic"), budgets=[hard(cost)]) as router:
        assert (await router.complete(CLAUDE, "hi", **SHORT)).text == "ok"


async def test_a_budget_that_resets_says_when() -> None:
    now = dt.datetime.fromtimestamp(1_790_000_000, dt.UTC)
    budgets = [hard(0, "project:*", "day")]
    async with priced(ScriptedProvider("anthropic"), budgets=budgets) as router:
        with pytest.raises(BudgetExceededError, match="project:p1 per day") as refused:
            await router.complete("g", "hi", project_id="p1")
    midnight = (now + dt.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert refused.value.resets_at == midnight
    assert refused.value.retry_after == pytest.approx((midnight - now).total_seconds())


async def test_a_new_period_has_new_money() -> None:
    cost = await price_of_one()
    provider = ScriptedProvider("anthropic", [ProviderTimeoutError("no answer"), "ok"])
    budgets = [hard(cost, "global", "hour")]
    async with priced(provider, budgets=budgets, config=NO_REPEATS) as router:
        with pytest.raises(AllProvidersFailedError):
            await router.complete("g", "hi", **SHORT)
        with pytest.raises(BudgetExceededError):
            await router.complete("g", "hi", **SHORT)
        await asyncio.sleep(3600)
        assert (await router.complete("g", "hi", **SHORT)).text == "ok"


async def test_the_next_candidate_answers_where_it_is_cheaper_and_the_trace_says_why() -> None:
    cost = await price_of_one(GPT)
    dear, cheap = ScriptedProvider("anthropic"), ScriptedProvider("openai")
    async with priced(dear, cheap, budgets=[hard(cost)]) as router:
        reply = await router.complete("g", "hi", **SHORT)
        row = await only_row(router)
    assert reply.provider == row.provider == "openai"
    assert dear.calls == []
    skipped, answered = reply.trace.steps
    assert (skipped.outcome, skipped.candidate) == ("skipped", CLAUDE)
    assert "budget global" in skipped.reason
    assert "are left" in skipped.reason
    assert answered.outcome == "answered"


async def test_where_money_alone_stands_in_the_way_of_those_who_could_that_is_the_error() -> None:
    first, second = ScriptedProvider("anthropic"), ScriptedProvider("openai")
    async with priced(first, second, budgets=[hard(0)]) as router:
        with pytest.raises(BudgetExceededError):
            await router.complete("g", "hi", fallback=False)
    assert first.calls == second.calls == []


async def test_an_unpaid_candidate_beside_one_that_failed_is_in_the_trace() -> None:
    first, second = ScriptedProvider("ollama", [ServerError("down")]), ScriptedProvider("anthropic")
    async with priced(first, second, budgets=[hard(0)], config=NO_REPEATS) as router:
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("g", "hi")
    assert [type(error) for error in failed.value.exceptions] == [ServerError]
    assert failed.value.trace is not None
    assert "budget global" in failed.value.trace.steps[-1].reason


async def test_a_free_model_answers_when_every_budget_is_spent() -> None:
    dear, free = ScriptedProvider("anthropic"), ScriptedProvider("ollama")
    async with priced(dear, free, budgets=[hard(0)]) as router:
        reply = await router.complete("g", "hi")
        async with router.stream("g", "hi") as stream:
            async for _ in stream:
                pass
        rows = await rows_of(router)
    assert (reply.provider, stream.completion.provider) == ("ollama", "ollama")
    assert reply.cost == 0
    assert [(row.provider, row.cost, row.bound) for row in rows] == [("ollama", 0, 0)] * 2


async def test_a_budget_stands_in_the_way_of_streams_and_embeddings_too() -> None:
    async with priced(ScriptedProvider("anthropic"), budgets=[hard(0)]) as router:
        with pytest.raises(BudgetExceededError):
            async with router.stream("g", "hi"):
                pass
        assert_nothing_is_left(router)


async def test_a_failed_attempt_closes_the_budget_for_its_repeat() -> None:
    """A repeat sets aside anew: what the failed one may have cost is spent."""
    cost = await price_of_one()
    provider = ScriptedProvider("anthropic", [ServerError("oops", status=500), "ok"])
    async with priced(provider, budgets=[hard(cost)]) as router:
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("g", "hi", **SHORT)
        row = await only_row(router)
    assert len(provider.calls) == 1
    assert (row.outcome, usd(row.bound or 0)) == ("failed", cost)
    assert isinstance(failed.value.exceptions[0], ServerError)
    assert failed.value.trace is not None
    assert [step.outcome for step in failed.value.trace.steps] == ["failed", "skipped"]
    assert "budget" in failed.value.trace.steps[1].reason


async def test_an_attempt_that_was_never_run_leaves_room_for_its_repeat() -> None:
    cost = await price_of_one()
    limited = RateLimitError("slow down", status=429, retry_after=1)
    provider = ScriptedProvider("anthropic", [limited, "ok"])
    async with priced(provider, budgets=[hard(cost)]) as router:
        assert (await router.complete("g", "hi", **SHORT)).text == "ok"
        rows = await rows_of(router)
    assert [(row.outcome, row.repeat) for row in rows] == [("failed", 0), ("answered", 1)]


# -- what is sent ----------------------------------------------------------------------------


async def test_the_longest_answer_is_always_sent_where_a_hard_budget_counts_on_it() -> None:
    for budgets, sent in (([hard()], True), ([], False), ([soft()], False)):
        provider = ScriptedProvider("anthropic")
        async with priced(provider, budgets=budgets) as router:
            await router.complete("g", "hi")
            await router.complete("g", "hi", max_tokens=77)
        assert (provider.calls[0].request.max_tokens is not None) is sent
        assert provider.calls[1].request.max_tokens == 77


async def test_the_longest_answer_is_the_calls_else_the_entrys_else_the_groups() -> None:
    provider = ScriptedProvider("anthropic")
    entry = {"model": CLAUDE, "max_tokens": 50}
    group = {"chain": [entry], "max_tokens": 60}
    async with priced(provider, budgets=[hard()], group=group) as router:
        await router.complete("g", "hi")
        await router.complete("g", "hi", max_tokens=40)
        rows = await rows_of(router)
    assert [call.request.max_tokens for call in provider.calls] == [50, 40]
    assert len(rows) == 2
    other = ScriptedProvider("anthropic")
    async with priced(other, budgets=[hard()], group={"max_tokens": 60}) as router:
        await router.complete("g", "hi")
    assert [call.request.max_tokens for call in other.calls] == [60]


async def test_a_free_model_is_not_told_how_long_it_may_answer() -> None:
    provider = ScriptedProvider("ollama")
    async with priced(provider, budgets=[hard()]) as router:
        await router.complete("g", "hi")
    assert provider.calls[0].request.max_tokens is None


async def test_a_usage_above_its_reservation_is_booked_and_told_and_closes_the_budget() -> None:
    cost = await price_of_one()
    events: list[BudgetEvent] = []
    provider = ScriptedProvider("anthropic", [scripted_reply(output_tokens=100_000)])
    async with priced(provider, budgets=[hard(cost * 2)]) as router:
        router.on_budget(events.append)
        reply = await router.complete("g", "hi", **SHORT)
        row = await only_row(router)
        with pytest.raises(BudgetExceededError):
            await router.complete("g", "hi", **SHORT)
        now = await standing(router)
    assert row.bound == row.cost == 10 * 1_000_000 + 100_000 * 5_000_000
    assert reply.cost == usd(row.cost or 0)
    assert "overrun" in [event.kind for event in events]
    assert now.spent == usd(row.bound or 0)


# -- what has no bound -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"extra": {"anthropic": {"surprise": 1}}}, "extra.surprise"),
        ({"extra": {"anthropic": {"mcp_servers": []}}}, "extra.mcp_servers"),
        ({"extra_headers": {"anthropic": {"anthropic-beta": "unheard-of-1"}}}, None),
    ],
)
async def test_what_has_no_bound_is_not_sent_under_a_hard_budget(
    options: dict[str, Any], param: str | None
) -> None:
    provider = ScriptedProvider("anthropic")
    async with priced(provider, budgets=[hard()]) as router:
        with pytest.raises(UnboundedCostError) as refused:
            await router.complete("g", "hi", **options)
        assert_nothing_is_left(router)
    assert provider.calls == []
    assert refused.value.budget == "global for ever"
    if param is not None:
        assert refused.value.param == param
    async with priced(provider, budgets=[soft()]) as router:
        assert (await router.complete("g", "hi", **options)).text == "ok"


SEARCH = {"type": "web_search_20260209", "name": "web_search"}


@pytest.mark.parametrize(
    ("options", "fault", "way"),
    [
        (
            {"extra": {"anthropic": {"foo": 1}}},
            "extra.foo is not known to leave the cost of a call alone",
            "leave it out",
        ),
        (
            {"extra": {"anthropic": {"tools": [SEARCH]}}},
            "extra.tools may have the vendor run tools and bill what they read",
            "leave it out, and give tools that run on your side as tools=[…]",
        ),
        (
            {"tools": [SEARCH]},
            "tools have web_search, which runs at the vendor, who bills what it reads",
            "leave it out, and give tools that run on your side",
        ),
        (
            {"extra": {"anthropic": {"conversation": "conv_1"}}},
            "extra.conversation has the vendor add what it keeps, of any length",
            "leave it out, and send the messages themselves",
        ),
        (
            {"extra_headers": {"anthropic": {"anthropic-beta": "unheard-of-1"}}},
            (
                "extra_headers.anthropic-beta asks for unheard-of-1, which is not known to leave "
                "the cost of a call alone"
            ),
            "leave it out",
        ),
    ],
    ids=["unknown field", "tools in extra", "vendor's tool", "conversation", "header"],
)
async def test_an_error_about_a_missing_bound_names_what_is_at_fault_and_the_way_out(
    options: dict[str, Any], fault: str, way: str
) -> None:
    async with priced(ScriptedProvider("anthropic"), budgets=[hard()]) as router:
        with pytest.raises(UnboundedCostError) as refused:
            await router.complete("g", "hi", **options)
    assert refused.value.message == (
        "budget global for ever is hard, and nothing bounds what an attempt at "
        f"{CLAUDE} could cost: {fault}; {way}, or make the budget soft"
    )


async def test_an_error_about_a_missing_price_says_where_prices_are_set() -> None:
    group = {"chain": ["anthropic/claude-of-next-year"]}
    async with priced(ScriptedProvider("anthropic"), budgets=[hard()], group=group) as router:
        with pytest.raises(UnboundedCostError, match=r"has no price; add its price in \[pricing\]"):
            await router.complete("g", "hi")


async def test_a_server_side_tool_has_no_bound() -> None:
    search = {"type": "web_search_20260209", "name": "web_search"}
    provider, free = ScriptedProvider("anthropic"), ScriptedProvider("ollama")
    async with priced(provider, budgets=[hard()]) as router:
        with pytest.raises(UnboundedCostError):
            await router.complete("g", "hi", extra={"anthropic": {"tools": [search]}})
    async with priced(provider, free, budgets=[hard()]) as router:
        reply = await router.complete("g", "hi", extra={"anthropic": {"tools": [search]}})
    assert reply.provider == "ollama"
    assert provider.calls == []


async def test_a_model_without_a_price_is_refused_under_a_hard_budget_only() -> None:
    group = {"chain": ["anthropic/claude-of-next-year"]}
    provider = ScriptedProvider("anthropic")
    async with priced(provider, budgets=[hard()], group=group) as router:
        with pytest.raises(UnboundedCostError, match="price") as refused:
            await router.complete("g", "hi")
    assert refused.value.param == "model"
    assert provider.calls == []
    async with priced(provider, budgets=[hard(scope="project:other")], group=group) as router:
        assert (await router.complete("g", "hi", project_id="p1")).cost is None


# -- a ledger that can't be asked ------------------------------------------------------------


async def test_without_a_ledger_hard_budgets_fail_closed_and_a_free_model_answers(
    tmp_path: Path,
) -> None:
    (tmp_path / "not-a-folder").write_text("")
    ledger = {"url": f"sqlite:{tmp_path}/not-a-folder/ledger.sqlite3", "on_error": "serve"}
    dear, free = ScriptedProvider("anthropic"), ScriptedProvider("ollama")
    async with priced(dear, free, budgets=[hard()], config={"ledger": ledger}) as router:
        reply = await router.complete("g", "hi")
        with pytest.raises(LedgerError):
            await router.complete(CLAUDE, "hi")
    assert reply.provider == "ollama"
    assert reply.trace.steps[0].outcome == "skipped"
    assert "ledger" in reply.trace.steps[0].reason
    assert dear.calls == []


async def test_a_ledger_that_must_take_every_row_refuses_even_free_calls(tmp_path: Path) -> None:
    (tmp_path / "not-a-folder").write_text("")
    ledger = {"url": f"sqlite:{tmp_path}/not-a-folder/ledger.sqlite3"}
    free = ScriptedProvider("ollama")
    async with priced(free, config={"ledger": ledger}) as router:
        with pytest.raises(LedgerError) as refused:
            await router.complete("g", "hi")
    assert free.calls == []
    assert refused.value.trace is not None


# -- when only reservations stand in the way -------------------------------------------------


@pytest.mark.parametrize("num_retries", [0, 3])
async def test_a_call_waits_for_the_reservations_of_others(num_retries: int) -> None:
    cost = await price_of_one()
    provider = ScriptedProvider("anthropic", [SLOW])
    config = {"retry": {"num_retries": num_retries}}
    async with priced(provider, budgets=[hard(cost)], config=config) as router:
        first = asyncio.ensure_future(router.complete("g", "hi", **SHORT))
        await asyncio.sleep(1)
        with pytest.raises(BudgetExceededError):
            # What the first has really cost is little, and more than nothing.
            await router.complete("g", "hi", **SHORT)
        assert (await first).text == "ok"
    async with priced(provider, budgets=[hard(cost * 3 / 2)], config=config) as router:
        first = asyncio.ensure_future(router.complete("g", "hi", **SHORT))
        await asyncio.sleep(1)
        second = await router.complete("g", "hi", **SHORT)
        await first
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert second.text == "ok"
    assert second.latency == pytest.approx(4 + 5, abs=0.2)
    assert [(row.outcome, row.repeat) for row in rows] == [("answered", 0)] * 2
    assert rows[1].waited == pytest.approx(4_000_000, abs=200_000)
    assert second.trace.steps[-1].waited == pytest.approx(4, abs=0.2)


async def test_a_call_waits_no_longer_than_its_deadline() -> None:
    cost = await price_of_one()
    provider = ScriptedProvider("anthropic", [Scripted(delay=100)])
    async with priced(provider, budgets=[hard(cost * 3 / 2)]) as router:
        first = asyncio.ensure_future(router.complete("g", "hi", **SHORT))
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        with pytest.raises(BudgetBusyError) as refused:
            await router.complete("g", "hi", timeout=3, **SHORT)
        waited = asyncio.get_running_loop().time() - began
        assert waited == pytest.approx(3, abs=0.1)
        assert waited <= 3
        assert len(provider.calls) == 1
        first.cancel()
        await asyncio.wait([first])
        await only_row(router)
    assert refused.value.budget == "global for ever"
    assert refused.value.trace is not None


async def test_others_are_asked_before_a_call_waits() -> None:
    cost = await price_of_one()
    dear, free = ScriptedProvider("anthropic", [SLOW]), ScriptedProvider("ollama")
    async with priced(dear, free, budgets=[hard(cost * 3 / 2)]) as router:
        first = asyncio.ensure_future(router.complete("g", "hi", **SHORT))
        await asyncio.sleep(1)
        second = await router.complete("g", "hi", **SHORT)
        await first
    assert second.provider == "ollama"
    assert second.latency == 0


async def test_a_call_that_is_cancelled_while_it_waits_leaves_nothing() -> None:
    cost = await price_of_one()
    provider = ScriptedProvider("anthropic", [SLOW])
    async with priced(provider, budgets=[hard(cost * 3 / 2)]) as router:
        first = asyncio.ensure_future(router.complete("g", "hi", **SHORT))
        await asyncio.sleep(1)
        second = asyncio.ensure_future(router.complete("g", "hi", **SHORT))
        await asyncio.sleep(1)
        second.cancel()
        await asyncio.wait([second])
        assert second.cancelled()
        await first
        await only_row(router)
        assert all(gate.stats.in_flight == 0 for gate in router._gates.known().values())
        assert (await router.complete("g", "hi", **SHORT)).text == "ok"


async def test_cancelled_at_any_wait_nothing_stays_reserved() -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=0.1)])
    async with priced(provider, budgets=[hard(), hard(5, "project:*", "day")]) as router:

        async def begin() -> object:
            return await router.complete("g", "hi", project_id="p1")

        async def between() -> None:
            await asyncio.sleep(2)  # slices that nobody uses go back, so that each claims anew
            assert len(await rows_of(router)) == len(provider.calls)
            assert_nothing_is_left(router)
            now = await standing(router)
            assert now.reserved == 0

        assert await at_every_wait(begin, between) >= 2


async def test_many_at_once_never_overspend_and_spend_most_of_it() -> None:
    cost = await price_of_one()
    limit = cost * 20
    provider = ScriptedProvider("anthropic", [Scripted(delay=1)])
    async with priced(provider, budgets=[hard(limit)]) as router:
        calls = (router.complete("g", "hi", **SHORT) for _ in range(100))
        replies = await asyncio.gather(*calls, return_exceptions=True)
        now = await standing(router)
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert all(not isinstance(reply, BaseException) for reply in replies)
    assert sum(row.bound or 0 for row in rows) == sum(row.cost or 0 for row in rows)
    assert now.spent <= limit


async def test_at_no_instant_is_more_reserved_than_the_limit() -> None:
    cost = await price_of_one()
    limit = cost * 5
    flight: list[int] = []
    most = 0

    class Counting(ScriptedProvider):
        async def complete(self, call: Any) -> Reply:
            nonlocal most
            self.calls.append(call)
            flight.append(1)
            most = max(most, len(flight))
            await asyncio.sleep(1)
            flight.pop()
            return scripted_reply()

    async with priced(Counting("anthropic"), budgets=[hard(limit)]) as router:
        await asyncio.gather(*(router.complete("g", "hi", **SHORT) for _ in range(30)))
    assert most == 5


# -- hedges ----------------------------------------------------------------------------------

HEDGED = {"hedging": 2}


async def test_a_hedge_has_a_reservation_of_its_own() -> None:
    first, second = ScriptedProvider("anthropic", [SLOW]), ScriptedProvider("openai")
    one, other = await price_of_one(), await price_of_one(GPT)
    async with priced(first, second, budgets=[hard(one + other)], group=HEDGED) as router:
        reply = await router.complete("g", "hi", **SHORT)
        rows = {row.provider: row for row in await rows_of(router)}
        assert_nothing_is_left(router)
    assert reply.provider == "openai"
    assert Decimal(rows["anthropic"].reserved).scaleb(-9) == one
    assert rows["openai"].cost == rows["openai"].bound


async def test_a_hedge_that_can_not_be_paid_for_is_not_made() -> None:
    first, second = ScriptedProvider("openai", [SLOW]), ScriptedProvider("anthropic")
    cost = await price_of_one(GPT)
    async with priced(first, second, budgets=[hard(cost)], group=HEDGED) as router:
        reply = await router.complete("g", "hi", **SHORT)
        row = await only_row(router)
        assert all(gate.stats.in_flight == 0 for gate in router._gates.known().values())
    assert reply.provider == row.provider == "openai"
    assert reply.latency == pytest.approx(5)
    assert second.calls == []
    assert [step.outcome for step in reply.trace.steps if step.candidate == CLAUDE] == ["skipped"]


async def test_a_candidate_whose_hedge_was_not_made_still_gets_its_turn() -> None:
    """While the first holds its reservation there is no room for a hedge; after it, there is."""
    limited = Scripted(delay=4, error=RateLimitError("slow down", status=429))
    first, second = ScriptedProvider("openai", [limited]), ScriptedProvider("anthropic")
    cost = await price_of_one()
    async with priced(first, second, budgets=[hard(cost)], group=HEDGED) as router:
        reply = await router.complete("g", "hi", **SHORT)
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert reply.provider == "anthropic"
    assert [(row.provider, row.hedge) for row in rows] == [("openai", False), ("anthropic", False)]
    assert_trace_is_the_books(reply.trace.steps, rows)


# -- the end of the router -------------------------------------------------------------------


async def test_a_router_that_is_closed_books_what_is_under_way_and_sends_away_who_waits() -> None:
    cost = await price_of_one()
    provider = ScriptedProvider("anthropic", [Scripted(delay=100)])
    router = priced(provider, budgets=[hard(cost * 3 / 2)])
    booked: list[int] = []
    router._ledger.on_booked.append(lambda upto, done: booked.append(done.rows))
    first = asyncio.ensure_future(router.complete("g", "hi", **SHORT))
    await asyncio.sleep(1)
    second = asyncio.ensure_future(router.complete("g", "hi", **SHORT))
    await asyncio.sleep(1)
    await router.aclose()
    await asyncio.wait([first, second])
    for task in (first, second):
        error = task.exception()
        assert isinstance(error, LifecycleError)
        assert error.trace is not None
    assert sum(booked) == 1
    assert_nothing_is_left(router)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_ledger_on_disk_is_left_in_order(tmp_path: Path) -> None:
    ledger = {"url": f"sqlite:{tmp_path}/ledger.sqlite3"}
    provider = ScriptedProvider("anthropic", ["ok", ProviderTimeoutError("no answer"), "one two"])
    config = {"ledger": ledger, **NO_REPEATS}
    budgets = [hard(1, "project:*", "day"), soft(1)]
    async with priced(provider, budgets=budgets, config=config) as router:
        await router.complete("g", "hi", project_id="p1")
        with pytest.raises(AllProvidersFailedError):
            await router.complete("g", "hi", project_id="p1")
        async with router.stream("g", "hi", project_id="p1") as stream:
            await anext(stream)
        spent = (await standing(router, "project:p1")).spent
        rows = await rows_of(router)
    assert spent == usd(sum(row.bound or 0 for row in rows))
    async with priced(provider, budgets=budgets, config=config) as router:
        now = await standing(router, "project:p1")
        again = await rows_of(router)
    assert again == rows
    assert (now.spent, now.reserved) == (spent, 0)
    assert list((tmp_path / "ledger.sqlite3.journal").glob("*")) == []


# -- several budgets, and whose spending they are about --------------------------------------


async def test_every_budget_that_matches_has_to_agree() -> None:
    cost = await price_of_one()
    provider = ScriptedProvider("anthropic")
    budgets = [hard(100), hard(cost, "project:*", "day"), hard(0, "agent:intern", "month")]
    async with priced(provider, budgets=budgets) as router:
        await router.complete("g", "hi", project_id="p1", **SHORT)
        with pytest.raises(BudgetExceededError, match="project:p1 per day"):
            await router.complete("g", "hi", project_id="p1", **SHORT)
        await router.complete("g", "hi", project_id="p2", **SHORT)
        with pytest.raises(BudgetExceededError, match="agent:intern per month"):
            await router.complete("g", "hi", project_id="p3", agent_id="intern", **SHORT)
        await router.complete("g", "hi", project_id="p3", agent_id="other", **SHORT)
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert [row.project_id for row in rows] == ["p1", "p2", "p3"]
    assert {len(row.budgets) for row in rows} == {2}


async def test_a_call_without_the_label_counts_as_one_whose_label_is_empty() -> None:
    cost = await price_of_one()
    for scope in ("project:*", "agent:*", "agent-type:*", "run:*", "api-key:*", "tag:team=*"):
        async with priced(ScriptedProvider("anthropic"), budgets=[hard(cost, scope)]) as router:
            await router.complete("g", "hi", **SHORT)
            with pytest.raises(BudgetExceededError):
                await router.complete("g", "hi", **SHORT)


@pytest.mark.parametrize(
    ("scope", "label"),
    [
        ("project:p", {"project_id": "p"}),
        ("agent:a", {"agent_id": "a"}),
        ("agent-type:QA Engineer", {"agent_type": "QA Engineer"}),
        ("run:r", {"run_id": "r"}),
        ("api-key:k", {"api_key_id": "k"}),
        ("tag:team=red", {"tags": {"team": "red"}}),
    ],
)
async def test_a_budget_is_about_those_it_names(scope: str, label: dict[str, Any]) -> None:
    async with priced(ScriptedProvider("anthropic"), budgets=[hard(0, scope)]) as router:
        with pytest.raises(BudgetExceededError):
            await router.complete("g", "hi", **label)
        assert (await router.complete("g", "hi")).text == "ok"


@pytest.mark.parametrize("scope", ["provider:anthropic", f"model:{CLAUDE}", "key:anthropic"])
async def test_a_budget_of_a_provider_sends_the_call_on_to_another_one(scope: str) -> None:
    first, second = ScriptedProvider("anthropic"), ScriptedProvider("openai")
    async with priced(first, second, budgets=[hard(0, scope)]) as router:
        reply = await router.complete("g", "hi")
        row = await only_row(router)
    assert reply.provider == "openai"
    assert row.budgets == ()
    assert first.calls == []


async def test_a_budget_of_a_key_is_not_about_calls_that_bring_their_own() -> None:
    budgets = [hard(0, "key:anthropic"), hard(1, "provider:anthropic")]
    async with priced(ScriptedProvider("anthropic"), budgets=budgets) as router:
        with pytest.raises(BudgetExceededError, match="key:anthropic"):
            await router.complete("g", "hi")
        await router.complete("g", "hi", credentials={"anthropic": "sk-own"})
        row = await only_row(router)
        now = {each.scope: each.spent for each in await router.budgets()}
    assert row.own_key
    assert len(row.budgets) == 1
    assert now["provider:anthropic"] == usd(row.bound or 0)
    assert now["key:anthropic"] == 0


async def test_each_run_has_its_budget() -> None:
    cost = await price_of_one()
    budgets = [hard(cost, "project:*", "run")]
    async with priced(ScriptedProvider("anthropic"), budgets=budgets) as router:
        await router.complete("g", "hi", run_id="r1", **SHORT)
        with pytest.raises(BudgetExceededError, match="r1"):
            await router.complete("g", "hi", run_id="r1", **SHORT)
        assert (await router.complete("g", "hi", run_id="r2", **SHORT)).text == "ok"


# -- what listeners are told -----------------------------------------------------------------


@pytest.mark.parametrize("rule", [hard, soft])
async def test_listeners_hear_of_each_threshold_once(rule: Any) -> None:
    events: list[BudgetEvent] = []
    cost = Decimal("0.000035")
    budgets = [rule(cost * 400, "project:*", "day", thresholds=[0.5, 0.9])]
    async with priced(ScriptedProvider("anthropic"), budgets=budgets) as router:
        router.on_budget(events.append)
        for _ in range(380):
            await router.complete("g", "hi", project_id="p1", max_tokens=10)
        await router.complete("g", "hi", project_id="p2", max_tokens=10)
        await rows_of(router)
        await asyncio.sleep(1)
    assert [(event.kind, event.threshold) for event in events] == [
        ("threshold", 0.5),
        ("threshold", 0.9),
    ]
    assert {event.budget for event in events} == {"project:p1 per day"}
    assert events[0].limit == cost * 400
    assert events[0].spent >= cost * 200
    assert events[0].hard is (rule is hard)


async def test_a_listener_that_raises_disturbs_nobody() -> None:
    heard: list[BudgetEvent] = []

    def broken(event: BudgetEvent) -> None:
        raise RuntimeError("somebody else's code")

    budgets = [soft(Decimal("0.000001"))]
    async with priced(ScriptedProvider("anthropic"), budgets=budgets) as router:
        router.on_budget(broken)
        router.on_budget(heard.append)
        assert (await router.complete("g", "hi")).text == "ok"
        await rows_of(router)
        await asyncio.sleep(1)
        assert (await router.complete("g", "hi")).text == "ok"
    assert {event.threshold for event in heard} == {0.8, 1.0}


async def test_a_soft_budget_never_stands_in_the_way() -> None:
    async with priced(ScriptedProvider("anthropic"), budgets=[soft(0)]) as router:
        for _ in range(3):
            assert (await router.complete("g", "hi")).text == "ok"
        now = await standing(router)
    assert not now.hard
    assert now.spent == 3 * Decimal("0.000035")


async def test_how_a_budget_stands_is_what_the_rows_add_up_to() -> None:
    provider = ScriptedProvider("anthropic", ["ok", ProviderTimeoutError("no answer"), "ok"])
    budgets = [hard(5, "project:*", "day"), soft(3)]
    async with priced(provider, budgets=budgets, config=NO_REPEATS) as router:
        for project in ("p1", "p1", "p2"):
            call = router.complete("g", "hi", project_id=project)
            await asyncio.gather(call, return_exceptions=True)
        rows = await rows_of(router)
        project, everything = await standing(router, "project:p1"), await standing(router)
    assert project.spent == usd(sum(row.bound or 0 for row in rows[:2]))
    assert everything.spent == usd(sum(row.cost or 0 for row in rows))


@pytest.mark.parametrize("calls_in_budget", [60, 300])
async def test_fifty_agents_at_once_spend_nearly_all_of_a_budget(calls_in_budget: int) -> None:
    """Each goes on until it is refused; every third attempt fails or is given up."""
    options: dict[str, Any] = {"max_tokens": 200, "timeout": 120}
    limit = await price_of_one(max_tokens=200) * calls_in_budget
    answer = scripted_reply(input_tokens=60, output_tokens=120)
    script = [
        Scripted(delay=1, reply=answer),
        Scripted(delay=2, reply=answer),
        Scripted(delay=0.5, error=ServerError("oops", status=500)),
    ]
    provider = ScriptedProvider("anthropic", script * 1000)

    async def agent(router: Router, number: int) -> None:
        while True:
            try:
                await router.complete("g", "hi", agent_id=f"agent-{number}", **options)
            except AllProvidersFailedError:
                continue
            except BudgetExceededError:
                return

    breaker = {"consecutive_failures": 10_000, "failure_rate": 1.0, "minimum_calls": 10_000}
    config = {**NO_REPEATS, "breaker": breaker}
    async with priced(provider, budgets=[hard(limit)], config=config) as router:
        await asyncio.gather(*(agent(router, number) for number in range(50)))
        rows = await rows_of(router)
        now = await standing(router)
        assert_nothing_is_left(router)
    spent = usd(sum(row.bound or 0 for row in rows))
    assert spent <= limit
    assert now.spent <= limit
    assert spent >= limit * Decimal("0.95")
    assert len(rows) == len(provider.calls)
