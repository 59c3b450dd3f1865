"""When much of a budget is spent, a cheaper group answers in the place of a dear one."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from switchgear import (
    AllProvidersFailedError,
    BudgetExceededError,
    InvalidRequestError,
    ProviderTimeoutError,
    Router,
    SwitchgearError,
    UnsupportedParameterError,
)
from switchgear.testing.scripted import ScriptedProvider

from .bookkeeping import CLAUDE, GPT, LLAMA, assert_nothing_is_left, hard, rows_of, soft
from .helpers import virtual

pytestmark = pytest.mark.looptime

COST = Decimal("0.000035")
"""Of one answer of the dear group."""

GROUPS = {
    "dear": {"chain": [CLAUDE]},
    "middle": {"chain": [GPT]},
    "cheap": {"chain": [LLAMA]},
}
HAIKU = "anthropic/claude-3-haiku"
"""A quarter as dear as the dear one."""

TO_CHEAP = {"at": 0.8, "groups": {"dear": "cheap"}}


def tiered(*budgets: Any, **config: Any) -> Router:
    """A router with a dear, a middling and a cheap group."""
    providers = [ScriptedProvider(name) for name in ("anthropic", "openai", "ollama")]
    return virtual(*providers, config={"groups": GROUPS, "budgets": [*budgets], **config})


async def ask(router: Router, times: int = 1, group: str = "dear", **options: Any) -> list[str]:
    """Who answered, call by call."""
    answered = []
    for _ in range(times):
        reply = await router.complete(group, "hi", max_tokens=10, **options)
        answered.append(reply.provider)
        await rows_of(router)  # booked, so that the next call knows of it
    return answered


@pytest.mark.parametrize("rule", [hard, soft])
async def test_the_cheap_group_answers_once_so_much_is_spent(rule: Any) -> None:
    async with tiered(rule(COST * 50, downgrade=TO_CHEAP)) as router:
        assert await ask(router, 40) == ["anthropic"] * 40
        reply = await router.complete("dear", "hi", max_tokens=10)
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert (reply.provider, reply.group) == ("ollama", "cheap")
    assert reply.trace.target == "dear"
    exchanged, answered = reply.trace.steps
    assert (exchanged.candidate, exchanged.outcome) == ("dear", "skipped")
    assert exchanged.reason == "budget global for ever is 80% spent: cheap answers instead"
    assert answered.candidate == LLAMA
    assert [row.group for row in rows] == ["dear"] * 40 + ["cheap"]


@pytest.mark.parametrize("rule", [hard, soft])
async def test_what_this_process_has_settled_counts_at_once(rule: Any) -> None:
    """Calls one after another, the last of which the database has not booked yet."""
    async with tiered(rule(COST * 50, downgrade=TO_CHEAP)) as router:
        answered = [
            (await router.complete("dear", "hi", max_tokens=10)).provider for _ in range(42)
        ]
        assert router._ledger.booked < router._ledger.position
    assert answered == ["anthropic"] * 40 + ["ollama"] * 2


async def test_what_is_booked_counts_once() -> None:
    async with tiered(soft(COST * 10, downgrade=TO_CHEAP)) as router:
        for _ in range(4):
            assert await ask(router) == ["anthropic"]
            assert (await router.complete("dear", "hi", max_tokens=10)).provider == "anthropic"
        assert await ask(router) == ["ollama"]


async def test_a_stream_is_exchanged_too() -> None:
    async with tiered(soft(0, downgrade=TO_CHEAP)) as router:
        async with router.stream("dear", "hi") as stream:
            text = "".join([event.text async for event in stream])
        rows = await rows_of(router)
    assert text == "ok"
    assert (stream.completion.provider, stream.completion.group) == ("ollama", "cheap")
    assert stream.completion.trace.steps[0].candidate == "dear"
    assert [(row.group, row.stream) for row in rows] == [("cheap", True)]


async def test_other_groups_and_named_models_stay_what_they_are() -> None:
    async with tiered(soft(0, downgrade=TO_CHEAP)) as router:
        assert await ask(router, group="middle") == ["openai"]
        assert await ask(router, group=CLAUDE) == ["anthropic"]
        assert await ask(router, group="cheap") == ["ollama"]


async def test_only_those_are_exchanged_whose_budget_it_is() -> None:
    async with tiered(soft(COST, "project:*", "day", downgrade=TO_CHEAP)) as router:
        assert await ask(router, 2, project_id="p1") == ["anthropic", "ollama"]
        assert await ask(router, 2, project_id="p2") == ["anthropic", "ollama"]
        assert await ask(router, 2) == ["anthropic", "ollama"]


async def test_a_new_period_brings_the_dear_group_back() -> None:
    async with tiered(soft(COST, "global", "hour", downgrade=TO_CHEAP)) as router:
        assert await ask(router, 2) == ["anthropic", "ollama"]
        await asyncio.sleep(3600)
        assert await ask(router, 2) == ["anthropic", "ollama"]


async def test_two_budgets_may_exchange_one_after_the_other() -> None:
    first = soft(COST, "project:*", "day", downgrade={"at": 0.5, "groups": {"dear": "middle"}})
    second = soft(COST, downgrade={"at": 0.9, "groups": {"middle": "cheap"}})
    async with tiered(first, second) as router:
        assert await ask(router, project_id="p1") == ["anthropic"]
        reply = await router.complete("dear", "hi", project_id="p1", max_tokens=10)
    assert reply.provider == "ollama"
    [step] = [step for step in reply.trace.steps if step.outcome == "skipped"]
    assert "middle answers instead; budget global" in step.reason


async def test_of_two_steps_the_later_one_counts_once_it_is_reached() -> None:
    half = soft(COST * 10, downgrade={"at": 0.5, "groups": {"dear": "middle"}})
    most = soft(COST * 10, downgrade={"at": 0.9, "groups": {"dear": "cheap"}})
    for budgets in ((half, most), (most, half)):
        async with tiered(*budgets) as router:
            assert await ask(router, 6) == ["anthropic"] * 5 + ["openai"]
            assert await ask(router, 4, group=CLAUDE) == ["anthropic"] * 4
            assert await ask(router, 1) == ["ollama"]


async def test_groups_that_are_exchanged_for_each_other_make_no_circle() -> None:
    there = soft(0, "project:*", "day", downgrade={"at": 0.5, "groups": {"dear": "cheap"}})
    back = soft(0, downgrade={"at": 0.9, "groups": {"cheap": "dear"}})
    async with tiered(there, back) as router:
        assert await ask(router) == ["ollama"]


async def test_what_may_have_been_spent_counts_for_a_hard_budget() -> None:
    """A time-out has no usage: its whole reservation is spent, as far as anybody knows."""
    lost = ScriptedProvider("anthropic", [ProviderTimeoutError("no answer"), "ok"])
    others = [ScriptedProvider("openai"), ScriptedProvider("ollama")]
    budget = hard(Decimal("0.001"), downgrade={"at": 0.1, "groups": {"dear": "cheap"}})
    config = {"groups": GROUPS, "budgets": [budget], "retry": {"num_retries": 0}}
    async with virtual(lost, *others, config=config) as router:
        with pytest.raises(AllProvidersFailedError):
            await router.complete("dear", "hi", max_tokens=10)
        await rows_of(router)
        assert await ask(router) == ["ollama"]


def nearly_spent(*budgets: Any, **config: Any) -> Router:
    """A router whose hard budget has too little left for any call of the dear group."""
    rule = hard(COST, downgrade={"at": 0.99, "groups": {"dear": "cheap"}})
    return tiered(*(budgets or (rule,)), **config)


async def test_where_too_little_is_left_for_a_group_the_cheap_one_answers() -> None:
    async with nearly_spent() as router:
        reply = await router.complete("dear", "hi", max_tokens=1000)
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert (reply.provider, reply.group) == ("ollama", "cheap")
    refused, exchanged, answered = reply.trace.steps
    assert (refused.candidate, refused.outcome) == (CLAUDE, "skipped")
    assert "are left, and this attempt could cost up to" in refused.reason
    assert (exchanged.candidate, exchanged.outcome) == ("dear", "skipped")
    assert exchanged.reason == ("budget global for ever has too little left: cheap answers instead")
    assert (answered.candidate, answered.outcome) == (LLAMA, "answered")
    assert [row.group for row in rows] == ["cheap"]


async def test_where_too_little_is_left_for_a_stream_the_cheap_group_answers() -> None:
    async with nearly_spent() as router:
        async with router.stream("dear", "hi", max_tokens=1000) as stream:
            text = "".join([event.text async for event in stream])
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert (text, stream.completion.group) == ("ok", "cheap")
    assert [step.candidate for step in stream.completion.trace.steps] == [CLAUDE, "dear", LLAMA]
    assert [(row.group, row.stream) for row in rows] == [("cheap", True)]


async def test_a_cached_call_is_exchanged_and_not_kept_where_too_little_is_left() -> None:
    async with nearly_spent(cache={}) as router:
        for _ in range(2):
            reply = await router.complete("dear", "hi", max_tokens=1000)
            assert (reply.provider, reply.group) == ("ollama", "cheap")
        rows = await rows_of(router)
    assert [(row.group, row.outcome) for row in rows] == [("cheap", "answered")] * 2


async def test_a_short_call_stays_in_its_group_as_long_as_it_fits() -> None:
    budget = hard(COST * 40, downgrade={"at": 0.99, "groups": {"dear": "cheap"}})
    async with tiered(budget) as router:
        long = await router.complete("dear", "hi", max_tokens=1000)
        short = await router.complete("dear", "hi", max_tokens=10)
    assert (long.provider, short.provider) == ("ollama", "anthropic")


async def test_only_the_budget_that_refuses_exchanges_for_that() -> None:
    elsewhere = soft(1, downgrade=TO_CHEAP)
    for budgets in (
        (hard(COST, "project:*"), hard(1, downgrade=TO_CHEAP)),
        (hard(COST, "project:*"), elsewhere),
        (hard(COST, downgrade={"at": 0.5, "groups": {"middle": "cheap"}}), elsewhere),
    ):
        async with nearly_spent(*budgets) as router:
            with pytest.raises(BudgetExceededError):
                await router.complete("dear", "hi", max_tokens=1000)


@pytest.mark.parametrize(
    ("groups", "tried", "answers"),
    [
        ({"middle": "cheap"}, [CLAUDE, "dear", HAIKU, "middle", LLAMA], "cheap"),
        ({"middle": "dear"}, [CLAUDE, "dear", HAIKU], None),
        ({"cheap": "dear"}, [CLAUDE, "dear", HAIKU], None),
    ],
    ids=["further", "circle", "another's"],
)
async def test_a_refused_group_is_exchanged_again_and_never_in_a_circle(
    groups: dict[str, str], tried: list[str], answers: str | None
) -> None:
    to_middle = {"at": 0.5, "groups": {"dear": "middle"}}
    first = hard(Decimal("0.003"), "project:*", downgrade=to_middle)
    second = hard(Decimal("0.001"), downgrade={"at": 0.5, "groups": groups})
    chains = {**GROUPS, "middle": {"chain": [HAIKU]}}
    async with tiered(first, second, groups=chains) as router:
        try:
            reply = await router.complete("dear", "hi", max_tokens=1000)
        except BudgetExceededError as refused:
            group, trace = None, refused.trace
        else:
            group, trace = reply.group, reply.trace
        await rows_of(router)
        assert_nothing_is_left(router)
    assert trace is not None
    assert ([step.candidate for step in trace.steps], group) == (tried, answers)


STEPS = {"dear": "middle", "middle": "cheap"}


@pytest.mark.parametrize(
    ("limit", "steps"),
    [
        ("0.003", ["dear", "middle"]),  # a long answer takes 0.0053 of the dear, 0.0013 of the next
        ("0.001", ["dear", "middle", "cheap"]),
    ],
)
async def test_a_refusal_goes_down_one_step_at_a_time(limit: str, steps: list[str]) -> None:
    rule = hard(Decimal(limit), downgrade={"at": 0.99, "groups": STEPS})
    chains = {**GROUPS, "middle": {"chain": [HAIKU]}}
    models = {"dear": CLAUDE, "middle": HAIKU, "cheap": LLAMA}
    async with tiered(rule, groups=chains) as router:
        reply = await router.complete("dear", "hi", max_tokens=1000)
    assert reply.group == steps[-1]
    refused = [name for step in steps[:-1] for name in (models[step], step)]
    assert [step.candidate for step in reply.trace.steps] == [*refused, models[steps[-1]]]


async def test_after_a_refusal_further_steps_are_for_budgets_of_which_enough_is_spent() -> None:
    refuses = hard(COST * 20, downgrade={"at": 0.99, "groups": {"dear": "middle"}})
    for at, answers in ((0.5, "middle"), (0.05, "cheap")):
        other = hard(COST * 20, "project:*", downgrade={"at": at, "groups": {"middle": "cheap"}})
        chains = {**GROUPS, "middle": {"chain": [HAIKU]}}
        async with tiered(refuses, other, groups=chains) as router:
            assert await ask(router, 2, group=CLAUDE) == ["anthropic"] * 2
            reply = await router.complete("dear", "hi", max_tokens=120)
        assert reply.group == answers


async def test_one_budget_moves_a_call_one_step() -> None:
    """Its table says what becomes of each group; a call in the middle one goes one down as well."""
    async with tiered(soft(COST, downgrade={"at": 0.8, "groups": STEPS})) as router:
        assert await ask(router, group=CLAUDE) == ["anthropic"]
        for asked, answers in STEPS.items():
            reply = await router.complete(asked, "hi", max_tokens=10)
            assert reply.group == answers


@pytest.mark.parametrize("last", [False, True])
async def test_of_two_budgets_that_refuse_either_one_exchanges(*, last: bool) -> None:
    budgets = [hard(COST), hard(COST, "project:*", downgrade=TO_CHEAP)]
    if last:
        budgets.reverse()
    async with tiered(*budgets) as router:
        reply = await router.complete("dear", "hi", max_tokens=1000)
    assert reply.group == "cheap"


@pytest.mark.parametrize("first", [0, 1])
async def test_of_budgets_that_refuse_different_candidates_either_one_exchanges(first: int) -> None:
    chain = [CLAUDE, HAIKU]
    chain = [chain[first], chain[1 - first]]
    budgets = [
        hard(Decimal("0.002"), downgrade=TO_CHEAP),
        hard(COST, f"model:{HAIKU}"),
    ]
    async with tiered(*budgets, groups={**GROUPS, "dear": {"chain": chain}}) as router:
        reply = await router.complete("dear", "hi", max_tokens=1000)
    assert reply.group == "cheap"


async def test_a_candidate_that_nothing_bounds_does_not_keep_the_group_from_its_exchange() -> None:
    chain = ["openai/no-such-model", CLAUDE]
    async with nearly_spent(groups={**GROUPS, "dear": {"chain": chain}}) as router:
        reply = await router.complete("dear", "hi", max_tokens=1000)
    assert reply.group == "cheap"


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"chain": [LLAMA]}, "region"),
    ({"chain": ["openai/no-such-model"]}, "price"),
    ({"chain": [LLAMA, "openai/no-such-model"]}, "both"),
]


@pytest.mark.parametrize("how", ["complete", "stream"])
@pytest.mark.parametrize(("cheap", "why"), UNFIT, ids=[why for _, why in UNFIT])
async def test_a_refusal_stands_where_the_cheap_group_can_not_serve_the_request(
    how: str, cheap: dict[str, Any], why: str
) -> None:
    def there(model: str) -> dict[str, Any]:
        return {"model": model, "region": "eu"}

    chain = [model if model == LLAMA else there(model) for model in cheap["chain"]]
    groups = {"dear": {"chain": [there(CLAUDE)]}, "cheap": {"chain": chain}}
    budget = hard(COST, period="day", downgrade=TO_CHEAP)
    async with tiered(budget, groups=groups) as router:
        with pytest.raises(BudgetExceededError) as refused:
            if how == "complete":
                await router.complete("dear", "hi", max_tokens=1000, region="eu")
            else:
                async with router.stream("dear", "hi", max_tokens=1000, region="eu"):
                    pass
        assert_nothing_is_left(router)
    error = refused.value
    assert (error.budget, error.left) == ("global per day", COST)
    assert error.resets_at is not None
    assert error.trace is not None
    assert [step.candidate for step in error.trace.steps] == [CLAUDE, "dear", *cheap["chain"]]
    assert isinstance(error.__cause__, SwitchgearError), why


async def test_an_error_names_the_candidates_of_its_own_group_alone() -> None:
    async with tiered(soft(0, downgrade=TO_CHEAP)) as router:
        with pytest.raises(InvalidRequestError) as unfit:
            await router.complete("dear", "hi", region="eu")
    assert unfit.value.message == (
        f"no candidate can serve this: {LLAMA}: it is in no region of its own, not in eu"
    )
    lost = ScriptedProvider("ollama", [ProviderTimeoutError("no answer")])
    config = {
        "groups": GROUPS,
        "budgets": [soft(0, downgrade=TO_CHEAP)],
        "retry": {"num_retries": 0},
    }
    async with virtual(lost, ScriptedProvider("anthropic"), config=config) as router:
        with pytest.raises(AllProvidersFailedError, match="all candidates of 'cheap' failed"):
            await router.complete("dear", "hi")


async def test_a_call_that_failed_otherwise_is_not_exchanged() -> None:
    lost = ScriptedProvider("anthropic", [ProviderTimeoutError("no answer")])
    config = {
        "groups": {**GROUPS, "dear": {"chain": [CLAUDE, HAIKU]}},
        "budgets": [hard(Decimal("0.0014"), downgrade=TO_CHEAP)],
        "retry": {"num_retries": 0},
    }
    async with virtual(lost, ScriptedProvider("ollama"), config=config) as router:
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("dear", "hi", max_tokens=200)
    assert failed.value.trace is not None
    first, second = failed.value.trace.steps
    assert (first.outcome, second.outcome) == ("failed", "skipped")
    assert "are left, and this attempt could cost up to" in second.reason


async def test_a_group_that_is_nearly_as_dear_does_not_stretch_the_budget() -> None:
    budget = hard(0, downgrade={"at": 0.5, "groups": {"dear": "other"}})
    groups = {"dear": {"chain": [CLAUDE]}, "other": {"chain": [HAIKU]}}
    async with tiered(budget, groups=groups) as router:
        with pytest.raises(BudgetExceededError) as refused:
            await router.complete("dear", "hi")
        assert refused.value.trace is not None
    assert [step.candidate for step in refused.value.trace.steps] == ["dear", HAIKU]


async def test_a_ledger_that_can_not_be_asked_exchanges_nothing(tmp_path: Path) -> None:
    """A soft budget only warns: with ``serve`` the call is made as if there were none."""
    (tmp_path / "not-a-folder").write_text("")
    ledger = {"url": f"sqlite:{tmp_path}/not-a-folder/ledger.sqlite3", "on_error": "serve"}
    async with tiered(soft(1, downgrade=TO_CHEAP), ledger=ledger) as router:
        reply = await router.complete("dear", "hi")
    assert reply.provider == "anthropic"


async def test_embeddings_are_never_exchanged() -> None:
    """Vectors of different models do not compare."""
    async with tiered(soft(0, downgrade=TO_CHEAP)) as router:
        with pytest.raises(UnsupportedParameterError) as refused:
            await router.embed("dear", "hi")
    assert refused.value.trace is not None
    assert [step.candidate for step in refused.value.trace.steps] == [CLAUDE]
