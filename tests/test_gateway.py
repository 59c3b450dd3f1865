"""The gateway: agents and projects on top of the router, as ADR-004 draws it."""

import asyncio
import contextlib
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from switchgear import (
    AllProvidersFailedError,
    Config,
    ConfigError,
    InvalidRequestError,
    LifecycleError,
    LLMGateway,
    Message,
    Router,
    ServerError,
    StreamInterruptedError,
    SyncLLMGateway,
    SyncRouter,
)
from switchgear.config.environment import AGENTS
from switchgear.testing import Answer, Fault, SimulatedProviders
from switchgear.testing.answers import TokenUsage
from switchgear.testing.scripted import Script, Scripted, ScriptedProvider, scripted_reply

ADR = Path(__file__).resolve().parents[1] / "examples/adr-004.toml"
HI = [{"role": "user", "content": "hi"}]

CLAUDE, GPT, LLAMA = "anthropic/claude-haiku-4-5", "openai/gpt-4o-mini", "ollama/llama3"
GROUPS = {
    "high-reasoning": {"chain": [CLAUDE]},
    "fast-response": {"chain": [GPT]},
    "cost-optimized": {"chain": [LLAMA]},
}


def config_of(**sections: Any) -> Config:
    return Config.from_dict({"groups": GROUPS, "retry": {"num_retries": 0}, **sections})


def scripted(*script: Script) -> dict[str, ScriptedProvider]:
    return {name: ScriptedProvider(name, script) for name in ("anthropic", "openai", "ollama")}


def router_of(*script: Script, **sections: Any) -> Router:
    return Router(config_of(**sections), providers=scripted(*script))


# The ADR's call -----------------------------------------------------------------------------------


async def test_the_adrs_call_as_it_is_written() -> None:
    async with router_of("Raft is easier.") as router:
        gateway = LLMGateway(router)
        reply = await gateway.complete(
            agent_id="a1", project_id="p1", messages=HI, model_preference="high-reasoning"
        )
        assert reply.text == reply["choices"][0]["message"]["content"] == "Raft is easier."
        assert (reply.group, reply.provider) == ("high-reasoning", "anthropic")
        assert reply.trace.labels == {"agent_id": "a1", "project_id": "p1"}


async def test_it_tells_what_the_cache_did() -> None:
    async with router_of(cache={}) as router:
        gateway = LLMGateway(router)
        for _ in range(2):
            await gateway.complete("a1", "p1", HI, "fast-response")
        assert gateway.cache_stats() == router.cache_stats()
        assert (gateway.cache_stats().hits, gateway.cache_stats().misses) == (1, 1)


async def test_its_arguments_may_go_by_their_places() -> None:
    async with router_of() as router:
        gateway = LLMGateway(router)
        reply = await gateway.complete("a1", "p1", HI, "fast-response")
        assert reply.group == "fast-response"
        async with gateway.stream("a1", "p1", HI, "cost-optimized") as stream:
            assert "".join([event.text async for event in stream]) == "ok"
        assert stream.completion.group == "cost-optimized"


async def test_without_a_preference_it_is_high_reasoning_as_in_the_adr() -> None:
    async with router_of() as router:
        gateway = LLMGateway(router)
        assert (await gateway.complete("a1", "p1", HI)).group == "high-reasoning"
        async with gateway.stream("a1", "p1", HI) as stream:
            async for _ in stream:
                pass
        assert stream.completion.group == "high-reasoning"


async def test_without_that_group_it_asks_for_a_preference() -> None:
    sections = {"groups": {"only": {"chain": [CLAUDE]}}}
    async with router_of(**sections) as router:
        gateway = LLMGateway(router)
        with pytest.raises(InvalidRequestError, match="groups: only") as caught:
            await gateway.complete("a1", "p1", HI)
        assert caught.value.param == "model_preference"
        assert (await gateway.complete("a1", "p1", HI, "only")).group == "only"
        assert (await gateway.complete("a1", "p1", HI, CLAUDE)).group is None


async def test_every_other_option_goes_through() -> None:
    providers = scripted()
    async with Router(config_of(), providers=providers) as router:
        reply = await LLMGateway(router).complete(
            "a1", "p1", "hi", temperature=0.3, max_tokens=7, run_id="r1", tags={"team": "x"}
        )
        (call,) = providers["anthropic"].calls
        assert (call.request.temperature, call.request.max_tokens) == (0.3, 7)
        assert call.request.messages == (Message("user", "hi"),)
        assert reply.trace.labels["run_id"] == "r1"
        assert reply.trace.labels["tag:team"] == "x"


# Agent types --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("agent_type", "group"), AGENTS.items())
async def test_the_adrs_types_have_their_groups_without_any_configuration(
    agent_type: str, group: str
) -> None:
    async with router_of() as router:
        gateway = LLMGateway(router)
        reply = await gateway.complete("a1", "p1", HI, agent_type=agent_type)
        assert reply.group == group
        assert reply.trace.labels["agent_type"] == agent_type
        async with gateway.stream("a1", "p1", HI, agent_type=agent_type) as stream:
            async for _ in stream:
                pass
        assert stream.completion.group == group


@pytest.mark.parametrize(
    "spelling", ["QA Engineer", "qa engineer", "qa-engineer", "qa_engineer", "QAEngineer"]
)
async def test_every_spelling_of_a_type_is_booked_as_one(spelling: str) -> None:
    async with router_of() as router:
        gateway = LLMGateway(router)
        reply = await gateway.complete("a1", "p1", HI, agent_type=spelling)
        assert reply.group == "fast-response"
        with_preference = await gateway.complete(
            "a1", "p1", HI, "cost-optimized", agent_type=spelling
        )
        (row,) = (await router.spend(by="agent_type")).rows
        assert (row.keys["agent_type"], row.calls) == ("QA Engineer", 2)
        assert with_preference.group == "cost-optimized"


async def test_the_configuration_goes_before_the_defaults_in_whatever_spelling() -> None:
    agents = {"qa_engineer": "cost-optimized", "Poet": "high-reasoning"}
    async with router_of(agents=agents) as router:
        gateway = LLMGateway(router)
        reply = await gateway.complete("a1", "p1", HI, agent_type="QA Engineer")
        assert reply.group == "cost-optimized"
        assert reply.trace.labels["agent_type"] == "qa_engineer"
        assert (await gateway.complete("a1", "p1", HI, agent_type="poet")).group == "high-reasoning"
        others = {name: group for name, group in AGENTS.items() if name != "QA Engineer"}
        assert gateway.agent_types == {**agents, **others}


async def test_a_preference_goes_before_the_type_which_is_still_booked() -> None:
    async with router_of() as router:
        gateway = LLMGateway(router)
        for agent_type in ("QA Engineer", "Plumber"):
            reply = await gateway.complete("a1", "p1", HI, "cost-optimized", agent_type=agent_type)
            assert reply.group == "cost-optimized"
            assert reply.trace.labels["agent_type"] == agent_type


async def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    async with router_of(agents={"Poet": "fast-response"}) as router:
        gateway = LLMGateway(router)
        with pytest.raises(InvalidRequestError, match="did you mean 'QA Engineer'") as caught:
            await gateway.complete("a1", "p1", HI, agent_type="QA Enginer")
        assert caught.value.param == "agent_type"
        assert all(name in caught.value.message for name in ("Poet", *AGENTS))
        with pytest.raises(InvalidRequestError, match="no agent type 'Plumber'"):
            gateway.stream("a1", "p1", HI, agent_type="Plumber")


async def test_a_default_type_whose_group_is_not_there_says_so() -> None:
    async with router_of(groups={"high-reasoning": {"chain": [CLAUDE]}}) as router:
        gateway = LLMGateway(router)
        assert "QA Engineer" not in gateway.agent_types
        with pytest.raises(InvalidRequestError, match=r"'fast-response', .* is not configured"):
            await gateway.complete("a1", "p1", HI, agent_type="qa-engineer")


async def test_two_groups_for_one_type_are_refused_at_the_start() -> None:
    agents = {"QA Engineer": "fast-response", "qa-engineer": "high-reasoning"}
    async with router_of(agents=agents) as router:
        with pytest.raises(ConfigError, match="'QA Engineer' and 'qa-engineer' are one"):
            LLMGateway(router)
    async with router_of(agents=dict.fromkeys(agents, "fast-response")) as router:
        assert LLMGateway(router).agent_types["QA Engineer"] == "fast-response"


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("param", ["agent_id", "project_id", "model_preference", "agent_type"])
@pytest.mark.parametrize("value", ["", "  ", 7, b"a1"])
async def test_a_name_that_says_nothing_is_refused_before_anything_is_sent(
    param: str, value: Any
) -> None:
    providers = scripted()
    async with Router(config_of(), providers=providers) as router:
        gateway = LLMGateway(router)
        arguments: dict[str, Any] = {"agent_id": "a1", "project_id": "p1", param: value}
        with pytest.raises(InvalidRequestError, match=param) as caught:
            await gateway.complete(messages=HI, **arguments)
        assert caught.value.param == param
        with pytest.raises(InvalidRequestError, match=param):
            gateway.stream(messages=HI, **arguments)
        assert providers["anthropic"].calls == []


@pytest.mark.parametrize("param", ["agent_id", "project_id"])
async def test_an_agent_and_a_project_can_not_be_none(param: str) -> None:
    async with router_of() as router:
        arguments: dict[str, Any] = {"agent_id": "a1", "project_id": "p1", param: None}
        with pytest.raises(InvalidRequestError, match=param):
            await LLMGateway(router).complete(messages=HI, **arguments)


async def test_the_routers_word_for_the_group_is_explained() -> None:
    async with router_of() as router:
        gateway: Any = LLMGateway(router)
        with pytest.raises(InvalidRequestError, match="it is called model_preference here"):
            await gateway.complete("a1", "p1", HI, model="high-reasoning")
        with pytest.raises(InvalidRequestError, match="did you mean 'temperature'"):
            await gateway.complete("a1", "p1", HI, temprature=1)


# Usage --------------------------------------------------------------------------------------------


async def test_usage_is_booked_by_agent_and_project_however_a_call_ends() -> None:
    broken = ServerError("down", provider="anthropic", status=500)
    script: list[Script] = [
        "answered",
        broken,
        Scripted(delay=3600),
        Scripted(reply=scripted_reply("one two three"), error=broken, events_before_error=1),
        scripted_reply("one two three"),
    ]
    arrived = asyncio.Event()
    claude = ScriptedProvider("anthropic", script, on_call=lambda _: arrived.set())
    async with Router(config_of(), providers={"anthropic": claude}) as router:
        gateway = LLMGateway(router)
        await gateway.complete("answers", "p1", HI)
        with pytest.raises(AllProvidersFailedError):
            await gateway.complete("fails", "p1", HI)
        arrived.clear()
        leaving = asyncio.create_task(gateway.complete("leaves", "p1", HI))
        await arrived.wait()
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        with pytest.raises(StreamInterruptedError):
            async with gateway.stream("is cut", "p2", HI) as stream:
                async for _ in stream:
                    pass
        async with gateway.stream("turns away", "p2", HI) as stream:
            await anext(stream)
        spend = await gateway.router.spend(by=["project", "agent", "outcome"])
        assert {tuple(row.keys.values()) for row in spend.rows} == {
            ("p1", "answers", "answered"),
            ("p1", "fails", "failed"),
            ("p1", "leaves", "cancelled"),
            ("p2", "is cut", "interrupted"),
            ("p2", "turns away", "cancelled"),
        }
        assert all(row.bound > 0 for row in spend.rows)
        assert (await router.spend(project_id="p2")).attempts == 2


# Whose router it is -------------------------------------------------------------------------------


async def test_a_router_that_was_given_is_not_closed() -> None:
    providers = scripted()
    async with Router(config_of(), providers=providers) as router:
        async with LLMGateway(router) as gateway:
            await gateway.complete("a1", "p1", HI)
        await gateway.aclose()
        assert providers["anthropic"].closed == 0
        assert (await LLMGateway(router).complete("a1", "p1", HI)).text == "ok"


async def test_one_of_its_own_is_closed_with_it(tmp_path: Path) -> None:
    providers = scripted()
    data = {"groups": GROUPS}
    path = tmp_path / "switchgear.toml"
    path.write_text(f"[groups.high-reasoning]\nchain = ['{CLAUDE}']\n")
    for gateway in (
        LLMGateway.from_dict(data, providers=providers),
        LLMGateway.from_file(path, providers=providers),
    ):
        async with gateway:
            assert (await gateway.complete("a1", "p1", HI)).text == "ok"
        await gateway.aclose()
        with pytest.raises(LifecycleError):
            await gateway.complete("a1", "p1", HI)
    assert providers["anthropic"].closed == 2


async def test_without_a_router_it_makes_one_from_the_environment(
    simulated_providers: SimulatedProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SWITCHGEAR_CONFIG", "OPENAI_API_KEY", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-a-real-key")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", simulated_providers.anthropic.base_url)
    async with LLMGateway() as gateway:
        reply = await gateway.complete("a1", "p1", HI, agent_type="Software Architect")
        assert (reply.group, reply.provider) == ("high-reasoning", "anthropic")
        router = gateway.router
    with pytest.raises(LifecycleError):
        await router.complete(CLAUDE, HI)


def test_without_anything_in_the_environment_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SWITCHGEAR_CONFIG", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)
    for kind in (LLMGateway, SyncLLMGateway):
        with pytest.raises(ConfigError, match="export ANTHROPIC_API_KEY"):
            kind()


# Without await ------------------------------------------------------------------------------------


def test_the_synchronous_twin() -> None:
    with SyncRouter(config_of(), providers=scripted("one two")) as router:
        with SyncLLMGateway(router) as gateway:
            reply = gateway.complete("a1", "p1", HI, agent_type="qa-engineer")
            assert (reply.group, reply["choices"][0]["message"]["content"]) == (
                "fast-response",
                "one two",
            )
            with gateway.stream("a1", "p1", HI, "cost-optimized") as stream:
                assert [event.text for event in stream] == ["one", " two"]
            with pytest.raises(InvalidRequestError, match="Plumber"):
                gateway.complete("a1", "p1", HI, agent_type="Plumber")
        assert router.spend(agent_id="a1").calls == 2


def test_the_twin_closes_only_its_own_router(tmp_path: Path) -> None:
    path = tmp_path / "switchgear.toml"
    path.write_text(f"[groups.high-reasoning]\nchain = ['{CLAUDE}']\n")
    for gateway in (
        SyncLLMGateway.from_dict({"groups": GROUPS}, providers=scripted()),
        SyncLLMGateway.from_file(path, providers=scripted()),
    ):
        with gateway:
            gateway.complete("a1", "p1", HI)
        with pytest.raises(LifecycleError):
            gateway.complete("a1", "p1", HI)
        gateway.close()


# The ADR to the letter ----------------------------------------------------------------------------


def adr(simulated: SimulatedProviders) -> Mapping[str, Any]:
    """The example as it stands, its three vendors simulated."""
    data = tomllib.loads(ADR.read_text(encoding="utf-8"))
    key = {"api_key": "env:ANY_KEY"}
    data["providers"] = {
        "anthropic": {**key, "base_url": simulated.anthropic.base_url},
        "openai": {**key, "base_url": simulated.openai.base_url},
        "ollama": {"base_url": simulated.ollama.base_url},
    }
    return data


def test_the_example_is_the_adrs_tables() -> None:
    config = Config.from_file(ADR, environ={})
    sonnet, haiku = "anthropic/claude-3-5-sonnet-20241022", "anthropic/claude-3-haiku-20240307"
    chains = {name: [*map(str, group.candidates)] for name, group in config.groups.items()}
    assert chains == {
        "high-reasoning": [sonnet, "openai/gpt-4-turbo", "ollama/llama3"],
        "fast-response": [haiku, "openai/gpt-4o-mini"],
        "cost-optimized": ["ollama/llama3", haiku],
    }
    assert config.agents == AGENTS
    assert config.retry.num_retries == 3


PRICES = {  # of a thousand tokens in and a thousand out: the ADR's are for a million of each
    ("high-reasoning", "anthropic"): Decimal("0.018"),
    ("high-reasoning", "openai"): Decimal("0.04"),
    ("high-reasoning", "ollama"): Decimal(0),
    ("fast-response", "anthropic"): Decimal("0.0015"),
    ("fast-response", "openai"): Decimal("0.00075"),
    ("cost-optimized", "ollama"): Decimal(0),
    ("cost-optimized", "anthropic"): Decimal("0.0015"),
}


@pytest.mark.parametrize(("group", "provider"), PRICES)
async def test_each_step_of_the_adrs_chains_answers_at_the_adrs_price(
    simulated_providers: SimulatedProviders,
    monkeypatch: pytest.MonkeyPatch,
    group: str,
    provider: str,
) -> None:
    monkeypatch.setenv("ANY_KEY", "not-a-real-key")
    usage = TokenUsage(input_tokens=1000, output_tokens=1000)
    for vendor in ("anthropic", "openai", "ollama"):
        simulated_providers[vendor].always(Fault.authentication())
    simulated_providers[provider].always(Answer(text="ok", usage=usage))
    async with LLMGateway.from_dict(adr(simulated_providers)) as gateway:
        reply = await gateway.complete(
            agent_id="a1", project_id="p1", messages=HI, model_preference=group
        )
        assert (reply.provider, reply.cost) == (provider, PRICES[group, provider])


async def test_at_the_end_of_the_adrs_chain_is_an_error_that_says_when_to_retry(
    simulated_providers: SimulatedProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANY_KEY", "not-a-real-key")
    for vendor in ("anthropic", "openai", "ollama"):
        simulated_providers[vendor].always(Fault.rate_limit(retry_after=20))
    async with LLMGateway.from_dict(adr(simulated_providers)) as gateway:
        with pytest.raises(AllProvidersFailedError) as caught:
            await gateway.complete(agent_id="a1", project_id="p1", messages=HI, timeout=5)
        assert caught.value.retry_after == pytest.approx(20, abs=2)
        spend = await gateway.router.spend(agent_id="a1", by="provider")
        assert {row.keys["provider"] for row in spend.rows} == {"anthropic", "openai", "ollama"}
        assert spend.failed == spend.attempts == 3
