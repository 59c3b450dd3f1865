"""``switchgear config``: every mistake at once, and what is in force without its secrets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Cli

Configured = Callable[..., Path]


def test_a_good_file_is_ok(cli: Cli, configured: Configured) -> None:
    path = configured()
    result = cli("config", "check", str(path))
    assert result.code == 0
    assert result.out.splitlines()[-1] == f"{path}: ok, 2 groups"
    assert result.err == ""


def test_without_a_path_the_usual_file_is_checked(cli: Cli, configured: Configured) -> None:
    configured()
    assert "switchgear.toml: ok" in cli("config", "check").out


def test_every_mistake_has_a_line(cli: Cli, configured: Configured) -> None:
    path = configured("[retry]", "num_retries = -1", "[agents]", '"QA Engineer" = "fast"')
    result = cli("config", "check")
    assert result.code == 3
    assert result.out == ""
    first, second = result.err.splitlines()
    assert first.startswith(f"error: {path.name}:") or second.startswith(f"error: {path.name}:")
    assert "num_retries" in result.err
    assert "QA Engineer" in result.err


def test_a_plugin_may_find_mistakes_of_its_own(cli: Cli, configured: Configured) -> None:
    # No group uses it: a router would not notice before the first call.
    configured("[providers.spare]", 'plugin = "openai"', "colour = 3", 'api_key = "env:SIMULATED"')
    result = cli("config", "check")
    assert result.code == 3
    assert "providers.spare.colour" in result.err


def test_a_missing_plugin_is_a_mistake(cli: Cli, configured: Configured) -> None:
    configured("[providers.x]", 'plugin = "acme-llm"')
    result = cli("config", "check")
    assert result.code == 3
    assert "no provider plugin 'acme-llm' is installed" in result.err


def test_what_is_hardly_meant_is_shown_and_allowed(cli: Cli, configured: Configured) -> None:
    configured("[providers.spare]", 'plugin = "openai"', 'api_key = "env:NOT_THERE_AT_ALL"')
    result = cli("config", "check")
    assert result.code == 0
    assert "warning: " in result.out
    assert "NOT_THERE_AT_ALL" in result.out
    assert "note: providers.spare: no group uses it" in result.out


def test_a_warning_is_shown_once(cli: Cli, configured: Configured) -> None:
    path = configured()
    path.write_text(path.read_text().replace("env:SIMULATED", "literal-secret", 1))
    result = cli("config", "check")
    assert (result.out + result.err).count("the credential itself") == 1
    assert "literal-secret" not in result.out + result.err


def test_json_of_a_check(cli: Cli, configured: Configured) -> None:
    configured()
    good = cli("config", "check", "--json")
    assert good.code == 0
    assert good.json["ok"]
    assert good.json["errors"] == []
    assert {finding["level"] for finding in good.json["findings"]} <= {"note", "warning"}
    configured("wrong")
    bad = cli("config", "check", "--json")
    assert bad.code == 3
    assert not bad.json["ok"]
    assert len(bad.json["errors"]) == 1
    assert bad.err.startswith("error: ")


def test_nothing_to_check_is_a_mistake(cli: Cli) -> None:
    result = cli("config", "check")
    assert result.code == 3
    assert "no provider is configured" in result.err
    with_json = cli("config", "check", "--json")
    assert with_json.code == 3
    assert with_json.json["errors"] == ["no provider is configured"]


def test_show_tells_what_is_in_force(cli: Cli, configured: Configured) -> None:
    configured("[agents]", '"QA Engineer" = "fast-response"')
    result = cli("config", "show")
    assert result.code == 0
    assert "openai\topenai\tenv:SIMULATED\thttp://127.0.0.1:" in result.out
    assert "fast-response\topenai/gpt-4o-mini\tQuick tasks" in result.out
    assert "QA Engineer\tfast-response" in result.out


def test_show_draws_a_pool_inside_its_chain(cli: Cli, configured: Configured) -> None:
    configured("[groups.pooled]", 'chain = [["openai/a", "anthropic/b"], "ollama/llama3"]')
    out = cli("config", "show").out
    assert "pooled\t[openai/a | anthropic/b] → ollama/llama3\t-" in out


def test_show_as_json_has_all_of_it_but_the_secrets(cli: Cli, configured: Configured) -> None:
    path = configured()
    path.write_text(path.read_text().replace("env:SIMULATED", "literal-secret", 1))
    result = cli("config", "show", "--json")
    shown = result.json
    assert shown["source"] == "switchgear.toml"
    assert shown["providers"]["openai"]["api_key"] == "env:SIMULATED"
    assert shown["providers"]["anthropic"]["api_key"] == "***"
    assert "literal-secret" not in result.out + result.err
