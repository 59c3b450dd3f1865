"""Every attempt has exactly one row in the ledger, and the row says what it cost and can have cost.

With a hard budget and without: where one is, what no final count covers is bound by all that was
set aside; where none is, by the worst case.
"""

import asyncio
from typing import Any

import msgspec
import pytest

from switchgear import (
    AllProvidersFailedError,
    AuthenticationError,
    ConfigError,
    ContentFilterError,
    ContextWindowExceededError,
    InvalidRequestError,
    LifecycleError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    PluginError,
    ProviderConnectionError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
    Router,
    ServerError,
    StreamInterruptedError,
    SwitchgearError,
    Text,
    UnsupportedParameterError,
    Usage,
)
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.money import usd
from switchgear.providers.base import Reply, ResponseMeta
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply

from .bookkeeping import (
    CLAUDE,
    assert_bounded_by_its_reservation,
    assert_guessed,
    assert_nothing_is_left,
    assert_trace_is_the_books,
    hard,
    only_row,
    priced,
    rows_of,
)
from .cancelling import at_every_wait

pytestmark = pytest.mark.looptime

MICRO = 1_000_000
NO_REPEATS = {"retry": {"num_retries": 0}}
ANSWER = 10 * 1 * MICRO + 5 * 5 * MICRO
"""Ten tokens in and five out of Claude Haiku 4.5, in 10⁻¹² USD."""

EACH_WAY = pytest.mark.parametrize("budgets", [[hard()], []], ids=["hard budget", "no budget"])

LABELS: dict[str, Any] = {
    "agent_id": "architect-1",
    "project_id": "syndarix",
    "agent_type": "Software Architect",
    "run_id": "run-7",
    "session_id": "session-9",
    "api_key_id": "vk-3",
    "tags": {"team": "red", "env": "test"},
}


async def failing(router: Router, **options: Any) -> SwitchgearError:
    with pytest.raises(SwitchgearError) as failed:
        await router.complete("g", "hi", **options)
    return failed.value


async def row_of_failure(error: Exception, budgets: list[Any]) -> Row:
    """What is booked of a call whose one attempt fails so; its trace tells the same."""
    provider = ScriptedProvider("anthropic", [error])
    async with priced(provider, budgets=budgets, config=NO_REPEATS) as router:
        failed = await failing(router)
        row = await only_row(router)
    assert failed.trace is not None
    assert_trace_is_the_books(failed.trace.steps, [row])
    return row


# -- one answered attempt --------------------------------------------------------------------


@EACH_WAY
async def test_an_answer_costs_what_its_usage_says_and_no_more(budgets: list[Any]) -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=1.5)])
    async with priced(provider, budgets=budgets) as router:
        reply = await router.complete("g", "hi")
        row = await only_row(router)
    assert (row.outcome, row.cost, row.bound) == ("answered", ANSWER, ANSWER)
    assert reply.cost == usd(ANSWER)
    assert row.usage == reply.usage == Usage(input_tokens=10, output_tokens=5)
    assert row.reserved == (ANSWER // 1000 if budgets else 0)
    assert len(row.budgets) == len(budgets)
    assert_trace_is_the_books(reply.trace.steps, [row])
    assert reply.trace.steps[0].cost == reply.trace.steps[0].bound == reply.cost


async def test_a_row_tells_whom_it_was_for() -> None:
    async with priced(ScriptedProvider("anthropic")) as router:
        await router.complete("g", "hi", **LABELS)
        row = await only_row(router)
    assert {name: getattr(row, name) for name in LABELS} == LABELS


async def test_a_row_without_labels_has_none() -> None:
    async with priced(ScriptedProvider("anthropic")) as router:
        await router.complete(CLAUDE, "hi")
        row = await only_row(router)
    assert [getattr(row, name) for name in LABELS if name != "tags"] == [None] * 6
    assert row.tags == {}
    assert row.group is None


async def test_a_row_tells_who_answered_and_at_which_price() -> None:
    reply = Reply(
        parts=(Text("ok"),),
        finish_reason="stop",
        usage=Usage(input_tokens=10, output_tokens=5),
        model="claude-haiku-4-5-20251001",
        meta=ResponseMeta("req-77"),
        tier="standard",
    )
    async with priced(ScriptedProvider("anthropic", [reply])) as router:
        await router.complete("g", "hi", credentials={"anthropic": "sk-of-this-call"})
        row = await only_row(router)
    assert (row.group, row.provider, row.plugin) == ("g", "anthropic", "anthropic")
    assert (row.model, row.answered_model) == ("claude-haiku-4-5", "claude-haiku-4-5-20251001")
    assert (row.request_id, row.tier) == ("req-77", "standard")
    assert row.price.startswith("anthropic/claude-haiku-4-5@2026-")
    assert row.own_key
    assert (row.stream, row.hedge) == (False, False)
    assert (row.status, row.error, row.code) == (None, None, None)


async def test_a_row_tells_how_long_it_took() -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=1.5, gap=0.25)])
    async with priced(provider) as router:
        await asyncio.sleep(3)
        await router.complete("g", "hi")
        async with router.stream("g", "hi") as stream:
            async for _ in stream:
                pass
        whole, streamed = await rows_of(router)
    assert (whole.latency, whole.first_token) == (1_500_000, None)
    assert whole.at == 1_790_000_003 * MICRO
    assert streamed.first_token == 1_750_000  # one word: opened after 1.5 s, said after 0.25
    assert streamed.latency == 2_000_000
    assert (whole.stream, streamed.stream) == (False, True)
    assert not whole.own_key


async def test_the_tier_that_answered_is_paid_for() -> None:
    reply = scripted_reply()
    dear = msgspec.structs.replace(reply, tier="priority")
    async with priced(ScriptedProvider("openai", [dear]), budgets=[hard()]) as router:
        completion = await router.complete("g", "hi")
        row = await only_row(router)
    assert row.tier == "priority"
    assert "tier=priority" in row.price
    assert row.cost == row.bound == (10 * 250_000 + 5 * 1_000_000)
    assert completion.cost == usd(row.cost or 0)


# -- failed attempts -------------------------------------------------------------------------

NOT_RUN: list[SwitchgearError] = [
    AuthenticationError("bad key", status=401, code="authentication_error", request_id="req-1"),
    PermissionDeniedError("no", status=403),
    ModelNotFoundError("gone", status=404),
    RateLimitError("slow down", status=429),
    QuotaExceededError("out of quota", status=429, code="insufficient_quota"),
    AuthenticationError("there is no key at all"),
    InvalidRequestError("refused before anything was sent"),
    UnsupportedParameterError("it has no tools", param="tools"),
    ContextWindowExceededError("too long, counted here"),
    ConfigError("a setting is wrong"),
]
RUN_OR_NOT: list[SwitchgearError] = [
    InvalidRequestError("no", status=400),
    InvalidRequestError("no", status=422),
    QuotaExceededError("credit balance is too low", status=400),
    ContextWindowExceededError("too long", status=400),
    ContentFilterError("filtered", status=400, code="content_filter"),
    ProviderTimeoutError("request timeout", status=408),
    ServerError("oops", status=500, code="api_error", request_id="req-9"),
    OverloadedError("busy", status=503),
    OverloadedError("busy", status=529),
]
UNHEARD: list[Exception] = [
    ProviderConnectionError("reset by peer"),
    ProviderTimeoutError("no answer"),
    MalformedResponseError("not JSON"),
    InvalidRequestError("an error inside an answer", code="image_parse_error"),
    KeyError("a plugin's own bug"),
]


def name_of(error: object) -> str:
    return f"{type(error).__name__} {getattr(error, 'status', '') or ''}".strip()


@EACH_WAY
@pytest.mark.parametrize("error", NOT_RUN, ids=name_of)
async def test_what_no_model_has_seen_costs_nothing(
    error: SwitchgearError, budgets: list[Any]
) -> None:
    row = await row_of_failure(error, budgets)
    assert (row.outcome, row.cost, row.bound, row.reserved) == ("failed", 0, 0, 0)
    assert row.error == type(error).__name__
    assert (row.status, row.code, row.request_id) == (error.status, error.code, error.request_id)


@EACH_WAY
@pytest.mark.parametrize("error", RUN_OR_NOT, ids=name_of)
async def test_an_error_of_the_vendor_costs_nothing_as_far_as_anybody_knows(
    error: SwitchgearError, budgets: list[Any]
) -> None:
    """Some vendors charge for some of them: a hard budget counts the worst case."""
    row = await row_of_failure(error, budgets)
    assert (row.outcome, row.cost) == ("failed", 0)
    assert (row.status, row.code, row.request_id) == (error.status, error.code, error.request_id)
    assert row.bound is not None
    assert row.bound > 0
    assert row.usage is not None
    assert row.usage.estimated
    if budgets:
        assert_bounded_by_its_reservation(row)


@EACH_WAY
@pytest.mark.parametrize("error", UNHEARD, ids=name_of)
async def test_an_attempt_of_which_nothing_was_heard_costs_its_prompt_at_least(
    error: Exception, budgets: list[Any]
) -> None:
    row = await row_of_failure(error, budgets)
    assert row.outcome == "failed"
    expected = type(error).__name__ if isinstance(error, SwitchgearError) else "PluginError"
    assert row.error == expected
    assert_guessed(row)
    if budgets:
        assert_bounded_by_its_reservation(row)


async def test_the_bound_is_the_same_with_a_hard_budget_and_without() -> None:
    bounds = []
    for budgets in ([hard()], []):
        provider = ScriptedProvider("anthropic", [ProviderTimeoutError("no answer")])
        async with priced(provider, budgets=budgets, config=NO_REPEATS) as router:
            await failing(router, max_tokens=100)
            bounds.append((await only_row(router)).bound)
    assert bounds[0] == bounds[1]


async def test_what_certainly_never_left_costs_nothing() -> None:
    refused = ProviderConnectionError("connection refused")
    refused.unsent = True
    provider = ScriptedProvider("anthropic", [refused])
    async with priced(provider, budgets=[hard()], config=NO_REPEATS) as router:
        await failing(router)
        row = await only_row(router)
    assert (row.cost, row.bound, row.reserved) == (0, 0, 0)


@EACH_WAY
async def test_an_attempt_that_takes_too_long_may_have_cost_everything(budgets: list[Any]) -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=60)])
    async with priced(provider, budgets=budgets, config=NO_REPEATS) as router:
        await failing(router, attempt_timeout=2)
        row = await only_row(router)
    assert (row.outcome, row.error, row.latency) == ("failed", "ProviderTimeoutError", 2_000_000)
    assert_guessed(row)


@EACH_WAY
async def test_the_calls_own_deadline_ends_its_attempt_in_the_books_too(
    budgets: list[Any],
) -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=60)])
    async with priced(provider, budgets=budgets) as router:
        await failing(router, timeout=2)
        row = await only_row(router)
    assert row.outcome == "failed"
    assert row.bound


async def test_a_model_without_a_price_has_an_unknown_cost_and_never_zero() -> None:
    group = {"chain": ["anthropic/claude-of-next-year"]}
    async with priced(ScriptedProvider("anthropic"), group=group) as router:
        reply = await router.complete("g", "hi")
        row = await only_row(router)
    assert reply.cost is None
    assert (row.cost, row.bound, row.price) == (None, None, "")
    assert row.usage == reply.usage
    assert any("no price" in warning for warning in reply.warnings)


# -- several attempts ------------------------------------------------------------------------


@EACH_WAY
async def test_repeats_and_failover_have_a_row_each_under_one_call(budgets: list[Any]) -> None:
    sick = ScriptedProvider("anthropic", [ServerError("down", status=500)])
    well = ScriptedProvider("openai")
    async with priced(sick, well, budgets=budgets) as router:
        reply = await router.complete("g", "hi", project_id="p1")
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    told = [(row.provider, row.outcome, row.repeat) for row in rows]
    assert told == [
        ("anthropic", "failed", 0),
        ("anthropic", "failed", 1),
        ("openai", "answered", 0),
    ]
    assert {row.call_id for row in rows} == {rows[0].id}
    assert len({row.id for row in rows}) == 3
    assert {row.project_id for row in rows} == {"p1"}
    assert rows[1].waited > 0
    assert_trace_is_the_books(reply.trace.steps, rows)


async def test_each_call_has_its_own_id() -> None:
    async with priced(ScriptedProvider("anthropic")) as router:
        await asyncio.gather(*(router.complete("g", "hi") for _ in range(20)))
        rows = await rows_of(router)
    assert len({row.call_id for row in rows}) == 20
    assert [row.id for row in rows] == sorted(row.id for row in rows)


@EACH_WAY
async def test_an_answer_that_was_declined_is_paid_although_the_next_one_answers(
    budgets: list[Any],
) -> None:
    declined = Reply(
        parts=(),
        finish_reason="refusal",
        native_finish_reason="refusal",
        usage=Usage(input_tokens=10, output_tokens=5),
        meta=ResponseMeta("req-no"),
    )
    group = {"fallback_on_content_filter": True}
    first, second = ScriptedProvider("anthropic", [declined]), ScriptedProvider("ollama")
    async with priced(first, second, budgets=budgets, group=group) as router:
        reply = await router.complete("g", "hi")
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert reply.provider == "ollama"
    assert (rows[0].outcome, rows[0].error) == ("failed", "ContentFilterError")
    assert (rows[0].cost, rows[0].bound) == (ANSWER, ANSWER)
    assert rows[0].request_id == "req-no"
    assert_trace_is_the_books(reply.trace.steps, rows)


@EACH_WAY
async def test_an_answer_of_the_wrong_form_is_paid(budgets: list[Any]) -> None:
    provider = ScriptedProvider("anthropic", ["this is no JSON"])
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    async with priced(provider, budgets=budgets, config=NO_REPEATS) as router:
        with pytest.raises(AllProvidersFailedError):
            await router.complete("g", "hi", response_format=schema)
        whole = await only_row(router)
        with pytest.raises(MalformedResponseError) as malformed:
            async with router.stream("g", "hi", response_format=schema) as stream:
                async for _ in stream:
                    pass
        streamed = (await rows_of(router))[-1]
        assert_nothing_is_left(router)
    assert (whole.outcome, whole.error) == ("failed", "MalformedResponseError")
    assert (whole.cost, whole.bound) == (ANSWER, ANSWER)
    assert (streamed.cost, streamed.bound) == (ANSWER, ANSWER)
    assert malformed.value.trace is not None
    assert_trace_is_the_books(malformed.value.trace.steps, [streamed])


# -- cancelled by the caller -----------------------------------------------------------------


@EACH_WAY
async def test_a_cancelled_call_may_have_cost_everything(budgets: list[Any]) -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=60)])
    async with priced(provider, budgets=budgets) as router:
        task = asyncio.ensure_future(router.complete("g", "hi"))
        await asyncio.sleep(3)
        task.cancel()
        await asyncio.wait([task])
        row = await only_row(router)
    assert (row.outcome, row.latency) == ("cancelled", 3_000_000)
    assert_guessed(row)
    if budgets:
        assert_bounded_by_its_reservation(row)


@EACH_WAY
async def test_a_stream_that_is_cancelled_while_it_opens_is_booked(budgets: list[Any]) -> None:
    for script in (Scripted(delay=60), Scripted(gap=60)):
        provider = ScriptedProvider("anthropic", [script])
        async with priced(provider, budgets=budgets) as router:
            task = asyncio.ensure_future(router.stream("g", "hi").__aenter__())
            await asyncio.sleep(3)
            task.cancel()
            await asyncio.wait([task])
            row = await only_row(router)
        assert (row.outcome, row.stream, row.first_token) == ("cancelled", True, None)
        assert_guessed(row)


@EACH_WAY
async def test_a_stream_that_is_cancelled_in_the_middle_is_booked(budgets: list[Any]) -> None:
    words = Scripted(gap=1, reply=scripted_reply("one two three four five six"))
    provider = ScriptedProvider("anthropic", [words])

    async def read(router: Router) -> None:
        async with router.stream("g", "hi") as stream:
            async for _ in stream:
                pass

    async with priced(provider, budgets=budgets) as router:
        task = asyncio.ensure_future(read(router))
        await asyncio.sleep(3.5)
        task.cancel()
        await asyncio.wait([task])
        row = await only_row(router)
    assert (row.outcome, row.first_token) == ("cancelled", 1_000_000)
    assert row.usage is not None
    assert row.usage.estimated
    assert row.usage.output_tokens > 0
    assert_guessed(row)


@EACH_WAY
async def test_cancelled_at_any_wait_a_call_has_one_row_at_most_and_leaves_nothing(
    budgets: list[Any],
) -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=0.5, gap=0.1)])
    async with priced(provider, budgets=budgets) as router:
        before = 0

        async def begin() -> object:
            async with router.stream("g", "hi") as stream:
                return [event async for event in stream]

        async def between() -> None:
            nonlocal before
            await asyncio.sleep(1)
            rows = await rows_of(router)
            assert_nothing_is_left(router)
            assert len(rows) == len(provider.calls)
            before = len(rows)

        assert await at_every_wait(begin, between) >= 3
        assert before >= 2


# -- streams ---------------------------------------------------------------------------------


@EACH_WAY
async def test_a_whole_stream_costs_what_its_usage_says(budgets: list[Any]) -> None:
    provider = ScriptedProvider("anthropic", ["one two"])
    async with priced(provider, budgets=budgets) as router:
        async with router.stream("g", "hi") as stream:
            async for _ in stream:
                pass
        row = await only_row(router)
    assert (row.outcome, row.cost, row.bound, row.stream) == ("answered", ANSWER, ANSWER, True)
    assert stream.completion.cost == usd(ANSWER)
    assert row.request_id == "req-1"
    assert_trace_is_the_books(stream.completion.trace.steps, [row])


BREAKS: dict[str, tuple[Scripted, dict[str, Any], str]] = {
    "cut": (
        Scripted(reply=scripted_reply("one two three"), cut_after=2),
        {},
        "ProviderConnectionError",
    ),
    "error": (
        Scripted(
            reply=scripted_reply("one two three"),
            error=OverloadedError("busy", status=529, code="overloaded_error"),
            events_before_error=2,
        ),
        {},
        "OverloadedError",
    ),
    "silence": (
        Scripted(reply=scripted_reply("one two three"), gap=5),
        {"idle_timeout": 1},
        "ProviderTimeoutError",
    ),
    "deadline": (
        Scripted(reply=scripted_reply("one two three"), gap=5),
        {"timeout": 7},
        "DeadlineExceededError",
    ),
}


@EACH_WAY
@pytest.mark.parametrize("case", BREAKS)
async def test_an_interrupted_stream_is_paid_for_and_may_have_cost_more(
    case: str, budgets: list[Any]
) -> None:
    script, options, error = BREAKS[case]
    provider = ScriptedProvider("anthropic", [script])
    async with priced(provider, budgets=budgets) as router:
        with pytest.raises(StreamInterruptedError) as broken:
            async with router.stream("g", "hi", **options) as stream:
                async for _ in stream:
                    pass
        row = await only_row(router)
    assert (row.outcome, row.error) == ("interrupted", error)
    if case == "error":
        assert (row.status, row.code) == (529, "overloaded_error")
    part = broken.value.completion
    assert part is not None
    assert part.usage.estimated
    assert row.usage == part.usage
    assert_guessed(row)
    assert part.cost == usd(row.cost or 0)
    if budgets:
        assert_bounded_by_its_reservation(row)
    assert_trace_is_the_books(part.trace.steps, [row])


@EACH_WAY
async def test_both_halves_of_a_resumed_stream_are_booked_under_one_call(
    budgets: list[Any],
) -> None:
    cut = Scripted(reply=scripted_reply("one two three"), cut_after=2)
    first, second = ScriptedProvider("anthropic", [cut, "never"]), ScriptedProvider("openai", ["x"])
    async with priced(first, second, budgets=budgets, group={"resume": True}) as router:
        async with router.stream("g", "hi") as stream:
            async for _ in stream:
                pass
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert [row.outcome for row in rows] == ["interrupted", "answered"]
    assert {row.call_id for row in rows} == {rows[0].id}
    assert stream.completion.cost == usd(sum(row.cost or 0 for row in rows))
    assert_trace_is_the_books(stream.completion.trace.steps, rows)


@EACH_WAY
async def test_a_stream_that_is_left_early_may_have_cost_everything(budgets: list[Any]) -> None:
    provider = ScriptedProvider("anthropic", ["one two three four"])
    async with priced(provider, budgets=budgets) as router:
        async with router.stream("g", "hi") as stream:
            await anext(stream)
        row = await only_row(router)
    assert (row.outcome, row.error) == ("cancelled", None)
    assert stream.completion.usage == row.usage
    assert stream.completion.cost == usd(row.cost or 0)
    if budgets:
        assert_bounded_by_its_reservation(row)
    assert_trace_is_the_books(stream.completion.trace.steps, [row])


async def test_a_stream_that_is_left_when_all_is_said_has_its_exact_cost() -> None:
    provider = ScriptedProvider("anthropic", ["one two"])
    async with priced(provider, budgets=[hard()]) as router:
        async with router.stream("g", "hi") as stream:
            await anext(stream)
            await anext(stream)
            provider.streams[0].finished = True  # its last word came with the last delta
        row = await only_row(router)
    assert (row.outcome, row.cost, row.bound) == ("cancelled", ANSWER, ANSWER)


@EACH_WAY
async def test_a_stream_that_fails_before_its_first_token_fails_over_and_is_booked(
    budgets: list[Any],
) -> None:
    dead = Scripted(error=ServerError("oops"), events_before_error=0)
    first, second = ScriptedProvider("anthropic", [dead]), ScriptedProvider("openai")
    async with priced(first, second, budgets=budgets, config=NO_REPEATS) as router:
        async with router.stream("g", "hi") as stream:
            async for _ in stream:
                pass
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert [(row.outcome, row.stream) for row in rows] == [("failed", True), ("answered", True)]
    assert rows[0].bound is not None
    assert rows[0].bound > 0
    assert_trace_is_the_books(stream.completion.trace.steps, rows)


# -- hedges ----------------------------------------------------------------------------------

SLOW = Scripted(delay=10)


@EACH_WAY
async def test_winner_and_loser_of_a_hedge_are_both_booked(budgets: list[Any]) -> None:
    first, second = ScriptedProvider("anthropic", [SLOW]), ScriptedProvider("openai")
    async with priced(first, second, budgets=budgets, group={"hedging": 2}) as router:
        reply = await router.complete("g", "hi")
        rows = {row.provider: row for row in await rows_of(router)}
        assert_nothing_is_left(router)
    lost, won = rows["anthropic"], rows["openai"]
    assert (lost.outcome, lost.hedge, lost.latency) == ("cancelled", False, 2_000_000)
    assert (won.outcome, won.hedge, won.latency) == ("answered", True, 0)
    assert lost.call_id == won.call_id
    assert lost.cost is not None
    assert lost.bound is not None
    assert 0 < lost.cost < lost.bound
    if budgets:
        assert_bounded_by_its_reservation(lost)
    assert_trace_is_the_books(reply.trace.steps, list(rows.values()))


@EACH_WAY
async def test_a_hedge_that_is_cancelled_early_is_booked(budgets: list[Any]) -> None:
    first = ScriptedProvider("anthropic", [Scripted(delay=3)])
    second = ScriptedProvider("openai", [SLOW])
    async with priced(first, second, budgets=budgets, group={"hedging": 2}) as router:
        reply = await router.complete("g", "hi")
        rows = {row.provider: row for row in await rows_of(router)}
        assert_nothing_is_left(router)
    assert rows["anthropic"].outcome == "answered"
    assert (rows["openai"].outcome, rows["openai"].hedge) == ("cancelled", True)
    assert rows["openai"].latency == 1_000_000
    assert_trace_is_the_books(reply.trace.steps, list(rows.values()))


@EACH_WAY
async def test_a_loser_that_answers_in_the_same_moment_has_its_exact_cost(
    budgets: list[Any],
) -> None:
    first = ScriptedProvider("anthropic", [Scripted(delay=3)])
    second = ScriptedProvider("openai", [Scripted(delay=1)])
    async with priced(first, second, budgets=budgets, group={"hedging": 2}) as router:
        reply = await router.complete("g", "hi")
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert len(rows) == 2
    assert {row.outcome for row in rows} <= {"answered", "cancelled"}
    for row in rows:
        if row.outcome == "answered":
            assert row.cost == row.bound
    assert_trace_is_the_books(reply.trace.steps, rows)


class Deaf(ScriptedProvider):
    """Goes on for a moment when it is cancelled, and answers all the same."""

    async def complete(self, call: Any) -> Reply:
        self.calls.append(call)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0.5)
        return scripted_reply("too late")


@EACH_WAY
async def test_a_loser_that_answers_too_late_is_booked_with_what_it_used(
    budgets: list[Any],
) -> None:
    first, second = ScriptedProvider("openai", [Scripted(delay=3)]), Deaf("anthropic")
    async with priced(first, second, budgets=budgets, group={"hedging": 2}) as router:
        reply = await router.complete("g", "hi")
        rows = {row.provider: row for row in await rows_of(router)}
        assert_nothing_is_left(router)
    assert reply.provider == "openai"
    assert (rows["anthropic"].cost, rows["anthropic"].bound) == (ANSWER, ANSWER)
    assert_trace_is_the_books(reply.trace.steps, list(rows.values()))


@EACH_WAY
async def test_a_cancelled_call_books_both_attempts_of_its_hedge(budgets: list[Any]) -> None:
    first, second = ScriptedProvider("anthropic", [SLOW]), ScriptedProvider("openai", [SLOW])
    async with priced(first, second, budgets=budgets, group={"hedging": 2}) as router:
        task = asyncio.ensure_future(router.complete("g", "hi"))
        await asyncio.sleep(3)
        task.cancel()
        await asyncio.wait([task])
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert [(row.provider, row.outcome) for row in rows] == [
        ("anthropic", "cancelled"),
        ("openai", "cancelled"),
    ]


@EACH_WAY
async def test_a_stream_that_lost_its_race_is_booked_and_closed(budgets: list[Any]) -> None:
    first, second = ScriptedProvider("anthropic", [Scripted(gap=10)]), ScriptedProvider("openai")
    async with priced(first, second, budgets=budgets, group={"hedging": 2}) as router:
        async with router.stream("g", "hi") as stream:
            async for _ in stream:
                pass
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert sorted((row.provider, row.outcome) for row in rows) == [
        ("anthropic", "cancelled"),
        ("openai", "answered"),
    ]
    assert all(opened.closed for opened in first.streams)
    assert_trace_is_the_books(stream.completion.trace.steps, rows)


# -- nothing to be booked --------------------------------------------------------------------


async def test_counting_tokens_is_no_attempt_at_an_answer() -> None:
    async with priced(ScriptedProvider("anthropic"), budgets=[hard()]) as router:
        assert (await router.count_tokens("g", "hi")).tokens > 0
        assert await rows_of(router) == []
        assert_nothing_is_left(router)


async def test_a_candidate_that_is_skipped_has_no_row() -> None:
    first, second = ScriptedProvider("anthropic"), ScriptedProvider("ollama")
    async with priced(first, second, budgets=[hard()]) as router:
        reply = await router.complete("g", "hi", max_cost=0)
        row = await only_row(router)
    assert row.provider == "ollama"
    assert [step.outcome for step in reply.trace.steps] == ["skipped", "answered"]
    assert (row.cost, row.bound, row.reserved, row.budgets) == (0, 0, 0, ())


# -- what the user is told -------------------------------------------------------------------


async def test_spend_adds_up_every_attempt() -> None:
    sick = ScriptedProvider("anthropic", [ProviderTimeoutError("no answer"), "ok"])
    async with priced(sick) as router:
        await router.complete("g", "hi", project_id="p1")
        await router.complete(CLAUDE, "hi", project_id="p2")
        rows = await rows_of(router)
        spent = await router.spend(by="project")
        one = await router.spend(project_id="p1")
    assert spent.cost == usd(sum(row.cost or 0 for row in rows))
    assert spent.calls == 2
    assert one.cost == usd(sum(row.cost or 0 for row in rows if row.project_id == "p1"))


async def test_the_router_closes_with_everything_in_the_books() -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=60)])
    router = priced(provider, budgets=[hard()])
    task = asyncio.ensure_future(router.complete("g", "hi"))
    stream = router.stream("g", "hi")
    opening = asyncio.ensure_future(stream.__aenter__())
    await asyncio.sleep(1)
    booked: list[Any] = []
    router._ledger.on_booked.append(lambda upto, done: booked.append(done.rows))
    await router.aclose()
    await asyncio.wait([task, opening])
    assert sum(booked) == 2
    assert_nothing_is_left(router)
    for ended in (task, opening):
        error = ended.exception()
        assert isinstance(error, LifecycleError)
        assert error.trace is not None
        [step] = error.trace.steps
        assert step.outcome == "failed"
        assert "the router was closed" in step.reason
        assert step.bound


# -- plugins with bad manners ----------------------------------------------------------------

NO_REPLIES: list[Any] = [None, {"text": "ok"}, "ok"]
NO_COUNTS: list[Any] = [
    Usage(input_tokens=None, output_tokens=5),  # type: ignore[arg-type]  # what plugins do
    {"input_tokens": 10},
]


class _Rogue(ScriptedProvider):
    """Answers with whatever it was given."""

    def __init__(self, answer: Any) -> None:
        super().__init__("anthropic")
        self._answer = answer

    async def complete(self, call: Any) -> Any:
        self.calls.append(call)
        return self._answer


@EACH_WAY
@pytest.mark.parametrize("answer", NO_REPLIES, ids=repr)
async def test_what_is_no_reply_is_a_failure_in_the_books_too(
    answer: Any, budgets: list[Any]
) -> None:
    async with priced(_Rogue(answer), budgets=budgets, config=NO_REPEATS) as router:
        failed = await failing(router)
        row = await only_row(router)
    assert (row.outcome, row.error) == ("failed", "PluginError")
    assert row.bound
    assert failed.trace is not None
    assert_trace_is_the_books(failed.trace.steps, [row])


@EACH_WAY
@pytest.mark.parametrize("usage", NO_COUNTS, ids=repr)
async def test_counts_that_are_no_numbers_leave_nothing_open(
    usage: Any, budgets: list[Any]
) -> None:
    reply = msgspec.structs.replace(scripted_reply(), usage=usage)
    async with priced(_Rogue(reply), budgets=budgets, config=NO_REPEATS) as router:
        failed = await failing(router)
        row = await only_row(router)
        stream = priced(ScriptedProvider("anthropic", [reply]), budgets=budgets)
        async with stream:
            with pytest.raises(PluginError):
                async with stream.stream("g", "hi") as opened:
                    async for _ in opened:
                        pass
            await only_row(stream)
    assert isinstance(failed, AllProvidersFailedError)
    assert (row.outcome, row.error) == ("failed", "PluginError")
    assert row.bound
    assert row.cost is not None


class _Generous(ScriptedProvider):
    """Counts a huge prompt at the beginning of its stream, which then breaks."""

    async def stream(self, call: Any) -> Any:
        opened = await super().stream(call)
        whole = opened.snapshot

        def snapshot() -> Reply:
            counted = Usage(input_tokens=100_000, output_tokens=1)
            return msgspec.structs.replace(whole(), usage=counted, finish_reason="error")

        opened.snapshot = snapshot  # type: ignore[method-assign]
        return opened


@EACH_WAY
async def test_what_can_have_been_spent_is_never_less_than_what_was(budgets: list[Any]) -> None:
    """Also where a vendor counts more than it documents, and then breaks off."""
    cut = Scripted(reply=scripted_reply("one two three"), cut_after=2)
    async with priced(_Generous("anthropic", [cut]), budgets=budgets) as router:
        with pytest.raises(StreamInterruptedError):
            async with router.stream("g", "hi", max_tokens=10) as stream:
                async for _ in stream:
                    pass
        row = await only_row(router)
    assert row.cost is not None
    assert row.cost > 100_000 * MICRO
    assert row.bound == row.cost


# -- the end of the router -------------------------------------------------------------------


@EACH_WAY
async def test_a_stream_that_is_open_when_the_router_closes_is_booked(budgets: list[Any]) -> None:
    provider = ScriptedProvider("anthropic", ["one two three"])
    router = priced(provider, budgets=budgets)
    booked: list[Any] = []
    router._ledger.on_booked.append(lambda upto, done: booked.append(done.rows))
    stream = await router.stream("g", "hi").__aenter__()
    await anext(stream)
    await router.aclose()
    assert sum(booked) == 1
    assert_nothing_is_left(router)
    assert stream.completion.cost is not None
    assert stream.completion.trace.steps[0].bound is not None


async def test_a_cancelled_closing_is_gone_on_with() -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=60)])
    router = priced(provider, budgets=[hard()])
    task = asyncio.ensure_future(router.complete("g", "hi"))
    await asyncio.sleep(1)
    closing = asyncio.ensure_future(router.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing, task])
    await router.aclose()
    assert isinstance(task.exception(), SwitchgearError)
    assert_nothing_is_left(router)
    assert asyncio.all_tasks() == {asyncio.current_task()}
