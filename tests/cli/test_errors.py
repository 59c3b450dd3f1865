"""Mistakes: one line, a hint, an exit code that means something; with --json an object as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from switchgear.testing import Fault, SimulatedProviders
from tests.cli.conftest import Cli

Configured = Callable[..., Path]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chta",), "No such command 'chta'"),
        (("chat", "--modle", "x", "hi"), "--modle"),
        (("chat", "--max-tokens", "0", "hi"), "--max-tokens"),
        (("chat", "--max-tokens", "many", "hi"), "--max-tokens"),
        (("chat", "--temperature", "3", "hi"), "--temperature"),
        (("config",), "Usage: switchgear config"),
        (("config", "chek"), "No such command 'chek'"),
        (("config", "check", "a.toml", "-c", "b.toml"), "two files"),
        (("demo", "--questions", "9"), "--questions"),
        (("providers", "extra"), "extra"),
    ],
)
def test_a_wrong_command_line_is_2(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    result = cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert said in result.err


def test_a_wrong_option_leads_to_the_help_of_its_command(cli: Cli) -> None:
    error, hint = cli("config", "show", "--jsn").err.splitlines()
    assert error.startswith("error: No such option")
    assert hint == "hint: switchgear config show --help"


def test_the_bare_command_shows_its_help(cli: Cli) -> None:
    result = cli()
    assert result.code == 2
    for command in ("chat", "config", "demo", "models", "providers"):
        assert f"\n  {command} " in result.err


@pytest.mark.parametrize("option", ["--timeout=-1", "--timeout=nan", "--temperature=nan"])
def test_a_number_out_of_bounds_is_2(cli: Cli, configured: Configured, option: str) -> None:
    configured()
    result = cli("chat", option, "hi")
    assert result.code == 2
    assert result.err.count("\n") == 1


def test_failed_providers_are_1_and_repeats_are_counted(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured("[retry]", "backoff_base = 0.001", "backoff_max = 0.002")
    simulated_providers.openai.always(Fault.server_error())
    result = cli("chat", "-m", "fast-response", "hi")
    error, hint = result.err.splitlines()
    assert result.code == 1
    assert error.startswith("error: openai: 500")
    assert error.endswith("(4 times)")
    assert hint == "hint: --show-trace shows every attempt"


def test_a_provider_that_refuses_connections_is_1(cli: Cli, configured: Configured) -> None:
    configured(
        "[retry]",
        "num_retries = 0",
        "[providers.away]",
        'plugin = "openai-compatible"',
        'base_url = "http://127.0.0.1:1/v1"',
    )
    for arguments in (("chat", "-m", "away/x", "hi"), ("models", "away")):
        result = cli(*arguments)
        assert result.code == 1
        assert "away: connection failed" in result.err


def test_a_rate_limit_says_when_to_come_back(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured("[retry]", "num_retries = 0")
    simulated_providers.openai.always(Fault.rate_limit(retry_after=42))
    assert "hint: try again in 42 s" in cli("chat", "-m", "fast-response", "hi").err


def test_what_a_provider_says_can_not_command_the_terminal(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured("[retry]", "num_retries = 0")
    message = "\x1b]0;title\x07\x1b[2J\nerror: second line " + "long " * 1000
    simulated_providers.openai.always(Fault.invalid_request(message))
    result = cli("chat", "-m", "fast-response", "hi")
    assert "\x1b" not in result.err
    assert "\x07" not in result.err
    assert result.err.count("\n") == 1
    assert len(result.err) < 1100


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[groups", "not valid TOML"),
        ("[grops.a]\nchain = []", "did you mean"),
        ("[providers.x]\nplugin = 'not-there'\n[groups.g]\nchain = ['x/m']", "not-there"),
        ("\x00", "TOML"),
    ],
)
def test_a_broken_configuration_is_3(cli: Cli, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "switchgear.toml").write_text(text)
    result = cli("chat", "hi")
    assert result.code == 3
    assert said in result.err
    assert result.err.startswith("error: ")


def test_a_configuration_that_is_no_file_is_3(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    for path in (str(tmp_path), str(tmp_path / "missing.toml"), "latin.toml"):
        for command in (("chat", "hi", "-c"), ("models", "-c"), ("config", "check")):
            result = cli(*command, path)
            assert result.code == 3
            assert result.err.startswith("error: ")
            assert Path(path).name in result.err


def test_the_variable_for_the_configuration_holds_too(
    cli: Cli, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured().rename(tmp_path / "elsewhere.toml")
    monkeypatch.setenv("SWITCHGEAR_CONFIG", "elsewhere.toml")
    assert cli("chat", "hi") == (0, "You said: hi\n", "")
    monkeypatch.setenv("SWITCHGEAR_CONFIG", "missing.toml")
    # Also where a model by name would need none: whoever sets it wants it read.
    assert cli("chat", "-m", "embedded/smollm2-135m", "hi").code == 3


def test_many_mistakes_show_the_first_and_where_to_see_all(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "switchgear.toml").write_text("wrong = 1\nalso_wrong = 2\n")
    error, hint = cli("models").err.splitlines()
    assert error.startswith("error: switchgear.toml:1: wrong")
    assert error.endswith("(and 1 more mistake)")
    assert hint == "hint: switchgear config check lists every mistake"


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (("chat", "--json", "hi"), 1, "AllProvidersFailedError"),
        (("chat", "--json", "--wrong", "hi"), 2, "UsageError"),
        (("chat", "--json", "-m", "nobody/x", "hi"), 2, "InvalidRequestError"),
        (("chat", "--json"), 2, "UsageError"),
        (("models", "--json", "nobody"), 2, "InvalidRequestError"),
        (("models", "--json", "-c", "missing.toml"), 3, "ConfigError"),
        (("config", "show", "--json", "-c", "missing.toml"), 3, "ConfigError"),
    ],
)
def test_with_json_an_error_is_an_object_and_still_a_line(
    cli: Cli,
    configured: Configured,
    simulated_providers: SimulatedProviders,
    *,
    arguments: tuple[str, ...],
    code: int,
    kind: str,
) -> None:
    configured("[retry]", "num_retries = 0")
    simulated_providers.anthropic.always(Fault.overloaded())
    simulated_providers.openai.always(Fault.authentication())
    result = cli(*arguments)
    error = result.json["error"]
    assert result.code == error["exit_code"] == code
    assert error["type"] == kind
    assert result.err.startswith("error: ")
    assert error["message"]


def test_the_object_of_a_failed_chain_has_every_attempt(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured("[retry]", "num_retries = 0")
    simulated_providers.anthropic.always(Fault.overloaded())
    simulated_providers.openai.always(Fault.rate_limit(retry_after=9))
    error = cli("chat", "--json", "hi").json["error"]
    assert [each["status"] for each in error["errors"]] == [529, 429]
    assert [step["outcome"] for step in error["trace"]["steps"]] == ["failed", "failed"]
    assert error["retry_after"] == 9


def test_json_after_a_double_dash_is_part_of_the_question(cli: Cli, configured: Configured) -> None:
    configured()
    result = cli("chat", "-m", "fast-response", "--", "explain", "--json")
    assert result == (0, "You said: explain --json\n", "")
    with pytest.raises(json.JSONDecodeError):
        _ = cli("chat", "-m", "nobody/x", "--", "--json").json
