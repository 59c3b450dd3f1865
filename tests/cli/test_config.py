"""``switchgear config``: every mistake at once, and what is in force without its secrets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.terminal import Terminal

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


@pytest.mark.parametrize("form", ["", "--json"])
def test_show_hides_what_is_secret_in_every_url(
    cli: Cli, configured: Configured, form: str
) -> None:
    configured(
        *("[ledger]", 'url = "postgresql://h/db?user=u&oauth_client_secret=hunter2"'),
        *("[state]", 'url = "redis://h/0?passwor%64=hunter2"'),
        *("[cache]", 'url = "redis://h/0?ssl_password=hunter2"'),
        *("[providers.mine]", 'plugin = "openai-compatible"', 'webhook = "https://u:hunter2@h"'),
        'x = { dsn = "postgres://u:hunter2@h" }',
    )
    result = cli("config", "show", *filter(None, [form]))
    assert result.code == 0
    assert "hunter2" not in result.out + result.err
    assert "https://u:***@h" in result.out
    assert "postgres://u:***@h" in result.out


@pytest.mark.parametrize(
    "url", ["host=h user=u password=hunter2", "postgresql:u:hunter2@h", "mysql://h?pass=hunter2"]
)
def test_a_mistyped_ledger_is_not_repeated(
    cli: Cli, configured: Configured, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    configured()
    monkeypatch.setenv("SWITCHGEAR_LEDGER", url)
    for command in (
        ("config", "show"),
        ("spend",),
        ("doctor", "--offline"),
        ("spend", "--ledger", url),
    ):
        result = cli(*command)
        assert result.code != 0
        assert "names no ledger" in result.out + result.err
        assert "hunter2" not in result.out + result.err


def section(out: str, title: str) -> list[str]:
    """The lines under a heading, up to the next empty one."""
    block = out.partition(f"\n{title}\n")[2].partition("\n\n")[0]
    return [line.strip() for line in block.splitlines()]


EVERY_SECTION = (
    *("[retry]", "num_retries = 7"),
    *("[breaker]", "probes = 4"),
    *('[limits."openai/*"]', "rpm = 50", "share = 0.5"),
    *("[[budgets]]", 'scope = "project:*"', "usd = 20.50", 'period = "day"'),
    'downgrade = { at = 0.9, groups = { high-reasoning = "fast-response" } }',
    *("[ledger]", 'url = "postgresql://me:hunter2@db.internal/books"', 'journal = "waiting"'),
    *("[pricing]", 'unpriced = "refuse"'),
    *('[pricing.prices.openai.models."gpt-4o-mini"]', "prices = { input = 0.12, output = 0.48 }"),
    *("[cache]", 'url = "redis://me:hunter3@cache.internal/0"', "ttl = 60"),
    *("[cache.groups.fast-response]", "enabled = false"),
    *("[state]", 'url = "rediss://me:hunter4@state.internal/0"', "replicas = 9"),
)


def test_show_has_every_section_without_its_secrets(cli: Cli, configured: Configured) -> None:
    path = configured(*EVERY_SECTION)
    result = cli("config", "show")
    out = result.out
    assert "timeout = 600" in section(out, "every call")
    assert "num_retries = 7" in section(out, "[retry]")
    assert {"probes = 4", "open_seconds = 30"} <= {*section(out, "[breaker]")}
    assert section(out, "[limits]") == ['"openai/*": rpm = 50, share = 0.5, burst = 1']
    (budget,) = section(out, "[[budgets]]")
    assert budget.startswith('"project:*": usd = 20.50, period = "day"')
    assert 'downgrade = { at = 0.9, groups = { high-reasoning = "fast-response" } }' in budget
    ledger = section(out, "[ledger]")
    assert 'url = "postgresql://me@db.internal/books"' in ledger
    assert 'on_error = "fail"' in ledger
    assert any(str(path.parent / "waiting") in line for line in ledger)
    assert section(out, "[pricing]") == ['unpriced = "refuse"', "own prices of openai"]
    assert 'url = "redis://me:***@cache.internal/0"' in section(out, "[cache]")
    assert "groups.fast-response: enabled = false" in section(out, "[cache]")
    assert 'url = "rediss://me:***@state.internal/0"' in section(out, "[state]")
    assert "replicas = 9" in section(out, "[state]")
    assert "hunter" not in out + result.err


def test_show_says_none_of_what_there_is_not(cli: Cli, configured: Configured) -> None:
    configured()
    out = cli("config", "show").out
    for title in ("[limits]", "[[budgets]]", "[cache]"):
        assert section(out, title) == ["none"]
    assert 'url = "memory:"' in section(out, "[ledger]")  # what SWITCHGEAR_LEDGER says in tests
    assert "QA Engineer\tfast-response" in out  # ADR-004's, since the group is there


def test_show_tells_how_a_group_and_a_provider_differ(cli: Cli, configured: Configured) -> None:
    configured(
        "[groups.own]",
        "timeout = 30",
        'strategy = "weighted"',
        'chain = [[{ model = "openai/a", weight = 2 }, "openai/b"]]',
        "[providers.spare]",
        'plugin = "openai"',
        'api_key = "env:SIMULATED"',
        'headers = { Authorization = "env:SIMULATED", X-Team = "red" }',
    )
    out = cli("config", "show").out
    row = 'own\t[openai/a (weight = 2) | openai/b]\t-\ttimeout = 30, strategy = "weighted"'
    assert row in out
    assert 'headers = { Authorization = "***", X-Team = "red" }' in out


def test_show_as_json_has_every_section(cli: Cli, configured: Configured) -> None:
    from switchgear import Config

    configured(*EVERY_SECTION)
    result = cli("config", "show", "--json")
    shown = result.json
    assert {*Config.__struct_fields__} <= {*shown}
    assert shown["ledger"]["url"] == "postgresql://me@db.internal/books"
    prices = shown["pricing"]["tables"][0]["openai"]["models"]["gpt-4o-mini"]["prices"]
    assert prices == {"input": "0.12", "output": "0.48"}
    assert shown["agents"]["Software Architect"] == "high-reasoning"
    assert "hunter" not in result.out + result.err


def test_show_takes_the_file_as_check_does(cli: Cli, configured: Configured) -> None:
    path = configured()
    other = path.rename(path.with_name("other.toml"))
    assert cli("config", "show", str(other)).out == cli("config", "show", "-c", str(other)).out
    assert f"from {other}" in cli("config", "show", str(other)).out
    two = cli("config", "show", str(other), "--config", "elsewhere.toml")
    assert two.code == 2
    assert "two files" in two.err


def test_on_a_terminal_what_differs_stands_under_the_table(
    configured: Configured, environ: dict[str, str]
) -> None:
    path = configured("[groups.own]", "timeout = 30", 'chain = ["openai/gpt-4o-mini"]')
    with Terminal("config", "show", folder=path.parent, environ=environ) as terminal:
        assert terminal.end() == 0
        lines = [line.rstrip() for line in terminal.screen.splitlines()]
    assert "  own: timeout = 30" in lines
    assert "[breaker]" in lines
    assert not any(line.startswith("  fast-response:") for line in lines)  # nothing differs
