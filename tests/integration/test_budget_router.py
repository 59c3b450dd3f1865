"""Hard and soft budgets as a caller of the router meets them."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from switchgear import BudgetExceededError, Config, LifecycleError, Router, UnboundedCostError
from switchgear.accounting.budgets.watch import BudgetEvent
from switchgear.errors import BudgetBusyError, SwitchgearError
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply
from tests.integration.budget_checker import check, lines
from tests.integration.budget_child import MODELS, PROMPT, Biller, Lines, config_of


def budgeted(folder: Path, *budgets: dict[str, Any], **more: Any) -> Config:
    base = config_of(folder, f"sqlite:{folder / 'ledger.db'}", "1")
    return Config.from_dict(base | {"budgets": list(budgets)} | more)


def each_project(usd: str, **more: Any) -> dict[str, Any]:
    return {"scope": "project:*", "usd": Decimal(usd), "period": "day", **more}


def scripted(*replies: Any) -> dict[str, ScriptedProvider]:
    return {name: ScriptedProvider(name, replies or ["ok"]) for name in MODELS}


async def arrived(provider: ScriptedProvider, call: asyncio.Task[Any]) -> None:
    """Until the provider has got the call."""
    while not provider.calls:
        assert not call.done()
        await asyncio.sleep(0.001)


async def test_the_error_that_a_caller_gets_names_budget_rest_and_reset(tmp_path: Path) -> None:
    providers = scripted()
    async with Router(budgeted(tmp_path, each_project("0.00001")), providers=providers) as router:
        with pytest.raises(BudgetExceededError) as caught:
            await router.complete("g", PROMPT, project_id="p1", max_tokens=200)
    error = caught.value
    assert error.budget == "project:p1 per day"
    assert (error.limit, error.left) == (Decimal("0.00001"), Decimal("0.00001"))
    assert error.needed is not None
    assert error.needed > Decimal("0.00001")
    assert error.resets_at is not None
    assert error.resets_at.time() == dt.time(0)
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 86_400
    assert error.trace is not None
    assert not any(provider.calls for provider in providers.values())


async def test_a_call_without_the_label_is_held_by_the_budget_for_none(tmp_path: Path) -> None:
    async with Router(budgeted(tmp_path, each_project("0.00001")), providers=scripted()) as router:
        with pytest.raises(BudgetExceededError, match='project:"" per day'):
            await router.complete("g", PROMPT, max_tokens=200)


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"extra": {"openai": {"store": True, "background": True}}}, "extra"),
        ({"extra": {"openai": {"made_up": 1}}}, "extra"),
    ],
)
async def test_what_nothing_bounds_is_refused_under_a_hard_budget_alone(
    tmp_path: Path, options: dict[str, Any], param: str
) -> None:
    target = f"openai/{MODELS['openai']}"
    async with Router(budgeted(tmp_path, each_project("5")), providers=scripted()) as router:
        with pytest.raises(UnboundedCostError) as caught:
            await router.complete(target, PROMPT, project_id="p1", **options)
    assert (caught.value.param or "").startswith(param)
    assert caught.value.budget == "project:p1 per day"
    soft = each_project("5", enforcement="soft")
    async with Router(budgeted(tmp_path, soft), providers=scripted()) as router:
        assert (await router.complete(target, PROMPT, project_id="p1", **options)).text == "ok"


async def test_a_model_without_a_price_is_refused_under_a_hard_budget(tmp_path: Path) -> None:
    async with Router(budgeted(tmp_path, each_project("5")), providers=scripted()) as router:
        with pytest.raises(UnboundedCostError) as caught:
            await router.complete("openai/no-such-model", PROMPT, project_id="p1")
    assert caught.value.param == "model"


async def test_the_longest_answer_is_always_sent_under_a_hard_budget(tmp_path: Path) -> None:
    providers = scripted()
    async with Router(budgeted(tmp_path, each_project("5")), providers=providers) as router:
        await router.complete(f"openai/{MODELS['openai']}", PROMPT, project_id="p1")
    (call,) = providers["openai"].calls
    assert call.request.max_tokens is not None


async def test_at_80_percent_a_group_is_exchanged_for_a_cheaper_one(tmp_path: Path) -> None:
    groups = {
        "smart": {"chain": [f"anthropic/{MODELS['anthropic']}"]},
        "cheap": {"chain": [f"openai/{MODELS['openai']}"]},
    }
    rule = each_project(
        "0.002", downgrade={"at": 0.8, "groups": {"smart": "cheap"}}, enforcement="hard"
    )
    reply = scripted_reply(input_tokens=4, output_tokens=100)
    used: list[str] = []
    config = budgeted(tmp_path, rule, groups=groups)
    async with Router(config, providers=scripted(reply)) as router:
        while "openai" not in used:
            done = await router.complete("smart", PROMPT, project_id="p1", max_tokens=100)
            used.append(done.provider)
            await router.budgets()
        assert (await router.complete("smart", PROMPT, project_id="p2", max_tokens=100)).provider
    # Each answer costs 0.000126: the 13th call finds 75.6 % spent, the 14th 81.9 %.
    assert used == ["anthropic"] * 13 + ["openai"]


async def test_a_listener_that_raises_disturbs_neither_calls_nor_other_listeners(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[BudgetEvent] = []

    def broken(event: BudgetEvent) -> None:
        raise RuntimeError("a listener's own fault")

    reply = scripted_reply(input_tokens=4, output_tokens=150)
    rule = each_project("0.0002", enforcement="soft", thresholds=[0.5, 0.9])
    async with Router(budgeted(tmp_path, rule), providers=scripted(reply)) as router:
        router.on_budget(broken)
        router.on_budget(events.append)
        with caplog.at_level(logging.CRITICAL, logger="switchgear.budgets"):
            for _ in range(4):
                await router.complete(f"anthropic/{MODELS['anthropic']}", PROMPT, project_id="p1")
                await router.budgets()
    assert [event.threshold for event in events] == [0.5, 0.9]
    assert not any(event.hard for event in events)


async def test_closing_the_router_ends_a_wait_for_room(tmp_path: Path) -> None:
    slow = scripted(Scripted(delay=30))
    config = budgeted(tmp_path, each_project("0.0005"))
    target = f"anthropic/{MODELS['anthropic']}"
    router = Router(config, providers=slow)
    first = asyncio.ensure_future(
        router.complete(target, PROMPT, project_id="p1", max_tokens=200, timeout=60)
    )
    await arrived(slow["anthropic"], first)
    second = asyncio.ensure_future(
        router.complete(target, PROMPT, project_id="p1", max_tokens=200, timeout=60)
    )
    await asyncio.sleep(0.1)
    assert not second.done()
    await router.aclose()
    for outcome in await asyncio.gather(first, second, return_exceptions=True):
        assert isinstance(outcome, LifecycleError)


async def test_only_reservations_in_the_way_are_busy_once_the_deadline_is_over(
    tmp_path: Path,
) -> None:
    slow = scripted(Scripted(delay=30))
    config = budgeted(tmp_path, each_project("0.0005"))
    target = f"anthropic/{MODELS['anthropic']}"
    loop = asyncio.get_running_loop()
    async with Router(config, providers=slow) as router:
        first = asyncio.ensure_future(
            router.complete(target, PROMPT, project_id="p1", max_tokens=200, timeout=60)
        )
        await arrived(slow["anthropic"], first)
        began = loop.time()
        with pytest.raises(BudgetBusyError) as caught:
            await router.complete(target, PROMPT, project_id="p1", max_tokens=200, timeout=0.5)
        assert loop.time() - began > 0.3
        assert caught.value.budget == "project:p1 per day"
        first.cancel()


async def test_a_free_candidate_answers_once_the_money_is_spent(tmp_path: Path) -> None:
    group = {"chain": [f"openai/{MODELS['openai']}", "ollama/llama3"]}
    providers = scripted() | {"ollama": ScriptedProvider("ollama", ["for nothing"])}
    config = budgeted(
        tmp_path,
        each_project("0"),
        groups={"g": group},
        providers={"openai": {"api_key": "env:HOME"}, "ollama": {}},
    )
    async with Router(config, providers=providers) as router:
        reply = await router.complete("g", PROMPT, project_id="p1")
    assert (reply.text, reply.cost) == ("for nothing", Decimal(0))
    assert not providers["openai"].calls


async def test_fifty_agents_at_one_router_spend_95_percent_before_it_closes(
    tmp_path: Path,
) -> None:
    """Without trouble a call costs a fifth of what is set aside for it, which is 2 % of all."""
    limit = Decimal("0.0165")
    bills = Lines(tmp_path / "billed")
    providers = {name: Biller(name, bills, random.Random(3), trouble=0.0) for name in MODELS}
    closed: list[SwitchgearError] = []

    async def agent(router: Router) -> None:
        while True:
            try:
                await router.complete(
                    f"anthropic/{MODELS['anthropic']}",
                    PROMPT,
                    project_id="p1",
                    max_tokens=200,
                    timeout=20,
                )
            except SwitchgearError as error:
                closed.append(error)
                return

    async with Router(budgeted(tmp_path, each_project(str(limit))), providers=providers) as router:
        await asyncio.gather(*(agent(router) for _ in range(50)))
    assert {type(error) for error in closed} == {BudgetExceededError}
    assert len(closed) == 50
    replay = check(tmp_path, f"sqlite:{tmp_path / 'ledger.db'}", int(limit * 10**9))
    assert replay.spent >= 0.95 * float(limit) * 10**9
    assert replay.spent == -(-sum(line["pico"] for line in lines(tmp_path / "billed")) // 1000)
