"""``switchgear models`` and ``switchgear providers``: what there is, for people and for scripts."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from switchgear import plugins
from switchgear.testing import Fault, SimulatedProviders
from tests.cli.conftest import Cli

Configured = Callable[..., Path]


def test_models_are_those_of_the_groups(cli: Cli, configured: Configured) -> None:
    configured()
    result = cli("models")
    heading, *rows = [line.split("\t") for line in result.out.splitlines()]
    assert heading == ["group", "model", "window", "answer", "can", "$/M in", "$/M out"]
    assert [row[:2] for row in rows] == [
        ["high-reasoning", "anthropic/claude-3-5-sonnet-20241022"],
        ["high-reasoning", "openai/gpt-4-turbo"],
        ["fast-response", "openai/gpt-4o-mini"],
    ]
    assert rows[0][2:4] == ["200000", "8192"]
    assert rows[0][5:] == ["3", "15"]


def test_an_unknown_price_is_no_zero(cli: Cli, configured: Configured) -> None:
    configured("[groups.new]", 'chain = ["openai/not-priced-yet", "ollama/llama3"]')
    *_, new, local = cli("models", "--json").json
    assert new["usd_per_million_input"] is None
    assert Decimal(local["usd_per_million_input"]) == 0


def test_models_as_json_keep_money_exact(cli: Cli, configured: Configured) -> None:
    configured()
    *_, mini = cli("models", "--json").json
    assert mini["model"] == "openai/gpt-4o-mini"
    assert mini["usd_per_million_input"] == "0.15"
    assert "tools" in mini["can"]


def test_a_provider_is_asked_for_its_models(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.openai.configure(models={"gpt-a", "gpt-b"})
    result = cli("models", "openai")
    assert result.code == 0
    assert set(result.out.split()) == {"openai/gpt-a", "openai/gpt-b"}
    assert set(cli("models", "openai", "--json").json) == {"openai/gpt-a", "openai/gpt-b"}


def test_a_provider_that_fails_to_list_is_an_error(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.openai.script(Fault.authentication(), endpoint="models")
    result = cli("models", "openai")
    assert result.code == 1
    assert result.out == ""


def test_providers_lists_every_plugin_of_the_library(cli: Cli) -> None:
    result = cli("providers")
    assert result.code == 0
    names = [line.split("\t")[0] for line in result.out.splitlines()[1:]]
    assert {"anthropic", "openai", "ollama", "embedded", "openai-compatible"} <= set(names)
    assert all(plugin["error"] is None for plugin in cli("providers", "--json").json)


@pytest.fixture
def broken_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*, group: str) -> list[EntryPoint]:
        broken = EntryPoint("acme", "acme_llm_that_is_not_there:create", group)
        return [*importlib.metadata.entry_points(group=group), broken]

    monkeypatch.setattr(plugins, "entry_points", found)


@pytest.mark.usefixtures("broken_plugin")
def test_a_broken_plugin_is_named_and_disturbs_no_other(cli: Cli, configured: Configured) -> None:
    configured()
    result = cli("providers")
    assert result.code == 3
    assert "acme\tbroken\t" in result.out
    assert "acme_llm_that_is_not_there" in result.out
    listed = {plugin["name"]: plugin for plugin in cli("providers", "--json").json}
    assert listed["acme"]["error"]
    assert listed["openai"]["error"] is None
    assert cli("chat", "hi") == (0, "You said: hi\n", "")


@pytest.mark.usefixtures("broken_plugin")
def test_a_model_that_can_not_be_used_says_why(cli: Cli, configured: Configured) -> None:
    configured("[providers.acme]", "[groups.spare]", 'chain = ["acme/x", "openai/gpt-4o-mini"]')
    spare, *_ = (row for row in cli("models", "--json").json if row["group"] == "spare")
    assert spare["model"] == "acme/x"
    assert "can't be loaded" in spare["error"]
    assert "\tunusable: " in cli("models").out


@pytest.mark.usefixtures("broken_plugin")
def test_a_call_to_a_broken_plugin_is_a_fault_of_the_installation(
    cli: Cli, configured: Configured
) -> None:
    configured("[providers.acme]")
    result = cli("chat", "-m", "acme/x", "hi")
    assert result.code == 3
    assert "can't be loaded" in result.err
    assert cli("config", "check").code == 3


@pytest.mark.usefixtures("broken_plugin")
def test_plugins_of_others_can_be_turned_off(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHGEAR_PLUGINS", "0")
    result = cli("providers")
    assert result.code == 0
    assert "acme" not in result.out
