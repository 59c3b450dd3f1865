"""The books, through the official SDKs: what a vendor was sent, and what it says that it used."""

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from switchgear import (
    AllProvidersFailedError,
    BudgetExceededError,
    MalformedResponseError,
    Router,
    StreamInterruptedError,
    SwitchgearError,
    SyncRouter,
    Usage,
)
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.money import usd
from switchgear.config import Config
from switchgear.providers.base import EmbedCall, Embedding, ResponseMeta
from switchgear.testing import Answer, Fault, SimulatedProviders
from switchgear.testing.answers import TokenUsage
from switchgear.testing.scripted import ScriptedProvider

from .bookkeeping import (
    CLAUDE,
    GPT,
    assert_bounded_by_its_reservation,
    assert_guessed,
    assert_nothing_is_left,
    assert_trace_is_the_books,
    hard,
    only_row,
    rows_of,
    soft,
)
from .helpers import router_over

VECTORS = "openai/text-embedding-3-small"
COUNTED = TokenUsage(input_tokens=1000, output_tokens=200, reasoning_tokens=0)
COSTS = {
    CLAUDE: 1000 * 1_000_000 + 200 * 5_000_000,
    GPT: 1000 * 150_000 + 200 * 600_000,
}
EACH_MODEL = pytest.mark.parametrize("model", [CLAUDE, GPT])
EACH_WAY = pytest.mark.parametrize("budgets", [[hard()], []], ids=["hard budget", "no budget"])


def vendor(model: str) -> str:
    return model.partition("/")[0]


def real(
    simulated: SimulatedProviders, *, refused: bool = False, key: Any = "no-key", **sections: Any
) -> dict[str, Any]:
    """A configuration of the real adapters; ``refused`` aims them at a port nobody listens on."""
    providers = {}
    for name in ("anthropic", "openai"):
        url = simulated[name].refused_base_url if refused else simulated[name].base_url
        providers[name] = {"api_key": key, "base_url": url} if key else {"base_url": url}
    return {
        "providers": providers,
        "groups": {"g": {"chain": [CLAUDE, GPT]}},
        "retry": {"num_retries": 0},
        "ledger": {"url": "memory:"},
        **sections,
    }


async def attempt(router: Router, model: str, *, stream: bool, **options: Any) -> None:
    """Ask once, whatever comes of it."""
    try:
        if model == VECTORS:
            await router.embed(model, ["a", "b"], **options)
        elif stream:
            async with router.stream(model, "hi", **options) as opened:
                async for _ in opened:
                    pass
        else:
            await router.complete(model, "hi", **options)
    except SwitchgearError:
        pass


@EACH_WAY
@EACH_MODEL
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_the_vendor_counted_is_what_is_booked(
    simulated_providers: SimulatedProviders, model: str, stream: bool, budgets: list[Any]
) -> None:
    simulated_providers[vendor(model)].always(Answer(text="Hello there.", usage=COUNTED))
    async with Router.from_dict(real(simulated_providers, budgets=budgets)) as router:
        await attempt(router, model, stream=stream)
        row = await only_row(router)
    sent = simulated_providers[vendor(model)].last_request
    assert (row.outcome, row.stream) == ("answered", stream)
    assert (row.cost, row.bound) == (COSTS[model], COSTS[model])
    assert row.usage == Usage(input_tokens=1000, output_tokens=200)
    assert row.request_id == sent.request_id
    assert (row.first_token is not None) is stream
    assert row.latency > 0


@EACH_MODEL
async def test_under_a_hard_budget_the_vendor_is_told_how_long_it_may_answer(
    simulated_providers: SimulatedProviders, model: str
) -> None:
    name = "max_tokens" if model == CLAUDE else "max_output_tokens"
    async with Router.from_dict(real(simulated_providers, budgets=[hard()])) as router:
        await router.complete(model, "hi")
        await router.complete(model, "hi", max_tokens=77)
        longest = [request.body for request in simulated_providers[vendor(model)].requests]
    assert longest[0].get(name) or longest[0].get("max_completion_tokens")
    assert 77 in longest[1].values()


@EACH_WAY
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", [CLAUDE, GPT, VECTORS])
async def test_a_refused_connection_has_certainly_cost_nothing(
    simulated_providers: SimulatedProviders, model: str, stream: bool, budgets: list[Any]
) -> None:
    config = real(simulated_providers, refused=True, budgets=budgets)
    async with Router.from_dict(config) as router:
        await attempt(router, model, stream=stream)
        row = await only_row(router)
    assert (row.outcome, row.error) == ("failed", "ProviderConnectionError")
    assert (row.cost, row.bound, row.reserved) == (0, 0, 0)
    assert simulated_providers.requests == []


@EACH_WAY
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", [CLAUDE, GPT, VECTORS])
async def test_without_a_key_nothing_is_sent_and_nothing_spent(
    simulated_providers: SimulatedProviders,
    model: str,
    stream: bool,
    budgets: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    config = real(simulated_providers, key=None, budgets=budgets)
    async with Router.from_dict(config) as router:
        await attempt(router, model, stream=stream)
        row = await only_row(router)
    assert (row.outcome, row.error) == ("failed", "AuthenticationError")
    assert (row.cost, row.bound, row.reserved) == (0, 0, 0)
    assert simulated_providers.requests == []


FREE_FAULTS = [
    Fault.authentication(),
    Fault.permission(),
    Fault.model_not_found(),
    Fault.rate_limit(retry_after=20),
    Fault.insufficient_quota(),
]
DEAR_FAULTS = [
    Fault.invalid_request("messages: too odd"),
    Fault.context_length(),
    Fault.server_error(),
    Fault.overloaded(),
    Fault.request_timeout(),
    Fault.gateway_timeout(),
]


@EACH_MODEL
@pytest.mark.parametrize("fault", FREE_FAULTS, ids=lambda fault: str(fault.status))
async def test_a_request_that_no_model_saw_is_free(
    simulated_providers: SimulatedProviders, model: str, fault: Any
) -> None:
    simulated_providers[vendor(model)].always(fault)
    async with Router.from_dict(real(simulated_providers, budgets=[hard()])) as router:
        await attempt(router, model, stream=False)
        row = await only_row(router)
    assert (row.outcome, row.cost, row.bound, row.reserved) == ("failed", 0, 0, 0)
    assert row.status in {401, 403, 404, 429}
    assert row.request_id == simulated_providers[vendor(model)].last_request.request_id


@EACH_MODEL
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", DEAR_FAULTS, ids=lambda fault: str(fault.status))
async def test_any_other_refusal_may_have_cost_everything(
    simulated_providers: SimulatedProviders, model: str, fault: Any, stream: bool
) -> None:
    simulated_providers[vendor(model)].always(fault)
    async with Router.from_dict(real(simulated_providers, budgets=[hard()])) as router:
        await attempt(router, model, stream=stream)
        row = await only_row(router)
    assert (row.outcome, row.cost) == ("failed", 0)
    assert_bounded_by_its_reservation(row)


BREAKS = [
    Fault.cut(after_chunks=3),
    Fault.reset(after_chunks=3),
    Fault.stream_error(after_chunks=3),
    Fault.no_terminal(),
]


@EACH_WAY
@EACH_MODEL
@pytest.mark.parametrize("fault", BREAKS, ids=lambda fault: fault.kind)
async def test_a_stream_that_breaks_is_booked_with_what_had_arrived(
    simulated_providers: SimulatedProviders, model: str, fault: Any, budgets: list[Any]
) -> None:
    words = "one two three four five six seven eight nine ten"
    spoiled = msgspec.structs.replace(fault, answer=Answer(text=words, usage=COUNTED))
    simulated_providers[vendor(model)].always(spoiled)
    async with Router.from_dict(real(simulated_providers, budgets=budgets)) as router:
        with pytest.raises(StreamInterruptedError) as broken:
            async with router.stream(model, "hi") as stream:
                async for _ in stream:
                    pass
        row = await only_row(router)
    part = broken.value.completion
    assert part is not None
    assert row.outcome == "interrupted"
    assert row.error is not None
    assert row.usage == part.usage
    assert part.usage.estimated
    assert_guessed(row)
    assert part.cost == usd(row.cost or 0)
    if budgets:
        assert_bounded_by_its_reservation(row)
    assert_trace_is_the_books(part.trace.steps, [row])


@EACH_MODEL
async def test_an_answer_that_is_no_json_may_have_cost_everything(
    simulated_providers: SimulatedProviders, model: str
) -> None:
    simulated_providers[vendor(model)].always(Fault.broken_json())
    async with Router.from_dict(real(simulated_providers, budgets=[hard()])) as router:
        await attempt(router, model, stream=False)
        row = await only_row(router)
    assert (row.outcome, row.error) == ("failed", "MalformedResponseError")
    assert row.cost
    assert_bounded_by_its_reservation(row)


async def test_a_failover_between_vendors_is_booked_at_each(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.anthropic.always(Fault.overloaded())
    simulated_providers.openai.always(Answer(text="Hello.", usage=COUNTED))
    budgets = [hard(1, "project:*", "day"), soft(1)]
    async with Router.from_dict(real(simulated_providers, budgets=budgets)) as router:
        reply = await router.complete("g", "hi", project_id="p1")
        rows = await rows_of(router)
        assert_nothing_is_left(router)
        project, everything = (
            next(each for each in await router.budgets() if each.hard),
            next(each for each in await router.budgets() if not each.hard),
        )
    assert [(row.provider, row.outcome) for row in rows] == [
        ("anthropic", "failed"),
        ("openai", "answered"),
    ]
    assert reply.cost == usd(COSTS[GPT])
    assert project.spent == usd(sum(row.bound or 0 for row in rows))
    assert everything.spent == usd(COSTS[GPT])
    assert_trace_is_the_books(reply.trace.steps, rows)


# -- embeddings ------------------------------------------------------------------------------


@EACH_WAY
async def test_vectors_cost_what_the_vendor_counted(
    simulated_providers: SimulatedProviders, budgets: list[Any]
) -> None:
    async with Router.from_dict(real(simulated_providers, budgets=budgets)) as router:
        result = await router.embed(VECTORS, ["a", "b"], project_id="p1", agent_id="a1")
        row = await only_row(router)
    assert (row.outcome, row.project_id, row.agent_id) == ("answered", "p1", "a1")
    assert row.usage == result.usage
    assert row.cost == row.bound == result.usage.input_tokens * 20_000
    assert result.cost == usd(row.cost or 0)
    assert not row.stream
    assert_trace_is_the_books(result.trace.steps, [row])


async def test_vectors_that_can_not_be_paid_for_are_not_asked_for(
    simulated_providers: SimulatedProviders,
) -> None:
    async with Router.from_dict(real(simulated_providers, budgets=[hard(0)])) as router:
        with pytest.raises(BudgetExceededError):
            await router.embed(VECTORS, "a")
        assert await rows_of(router) == []
    assert simulated_providers.requests == []


class _Vectors(ScriptedProvider):
    """Gives one vector too many, or counts nothing."""

    def __init__(self, usage: Usage | None, surplus: int = 0) -> None:
        super().__init__("openai")
        self._usage = usage
        self._surplus = surplus

    async def embed(self, call: EmbedCall) -> Embedding:
        vectors = ((1.0,),) * (len(call.inputs) + self._surplus)
        meta = ResponseMeta("req-v")
        return Embedding(vectors=vectors, usage=self._usage, model=call.model, meta=meta)


def _embedder(provider: ScriptedProvider) -> Router:
    config = {"budgets": [hard()], "retry": {"num_retries": 0}}
    return router_over(provider, group={"chain": [VECTORS]}, config=config)


async def test_vectors_of_the_wrong_number_are_paid_for() -> None:
    async with _embedder(_Vectors(Usage(input_tokens=3), surplus=1)) as router:
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.embed("g", "hello")
        row = await only_row(router)
    assert isinstance(failed.value.exceptions[0], MalformedResponseError)
    assert (row.outcome, row.cost, row.bound) == ("failed", 3 * 20_000, 3 * 20_000)
    assert row.request_id == "req-v"


async def test_vectors_without_a_count_are_estimated() -> None:
    async with _embedder(_Vectors(None)) as router:
        result = await router.embed("g", "hello")
        row = await only_row(router)
    assert result.usage.estimated
    assert_bounded_by_its_reservation(row)


# -- without await ---------------------------------------------------------------------------


def test_the_router_without_await_keeps_the_same_books() -> None:
    before = threading.active_count()
    config = Config.from_dict(
        {
            "providers": {"anthropic": {"api_key": "no-key"}},
            "groups": {"g": {"chain": [CLAUDE]}},
            "budgets": [hard(1, "project:*", "day", thresholds=[0.00001])],
            "ledger": {"url": "memory:"},
        }
    )
    heard: list[Any] = []
    with SyncRouter(config, providers={"anthropic": ScriptedProvider("anthropic")}) as router:
        router.on_budget(heard.append)
        reply = router.complete("g", "hi", project_id="p1")
        with router.stream("g", "hi", project_id="p2") as stream:
            for _ in stream:
                pass
        with router.stream("g", "hi", project_id="p2") as left:
            next(iter(left))
        spent = router.spend(by="project")
        p1, p2 = sorted(router.budgets(), key=lambda each: each.scope)
    assert reply.cost is not None
    assert stream.completion.cost == reply.cost
    assert left.completion.cost is not None
    assert spent.cost == reply.cost * 2 + left.completion.cost
    assert spent.calls == 3
    assert (p1.scope, p1.spent, p1.reserved >= 0) == ("project:p1", reply.cost, True)
    assert p2.spent > reply.cost
    assert {event.kind for event in heard} == {"threshold"}
    assert threading.active_count() == before


async def test_a_row_survives_a_round_trip_through_a_file(
    simulated_providers: SimulatedProviders, tmp_path: Any
) -> None:
    simulated_providers.anthropic.always(Answer(text="Hello.", usage=COUNTED))
    ledger = {"url": f"sqlite:{tmp_path}/ledger.sqlite3"}
    async with Router.from_dict(real(simulated_providers, ledger=ledger)) as router:
        await asyncio.gather(*(router.complete("g", "hi", tags={"n": str(i)}) for i in range(20)))
        first: list[Row] = await rows_of(router)
    async with Router.from_dict(real(simulated_providers, ledger=ledger)) as router:
        again = await rows_of(router)
    assert again == first
    assert {row.tags["n"] for row in again} == {str(i) for i in range(20)}
    assert {row.cost for row in again} == {COSTS[CLAUDE]}
