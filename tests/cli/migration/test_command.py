"""``switchgear migrate litellm``: a file comes out, and what it lacks is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from switchgear import Config
from tests.cli.conftest import Cli
from tests.cli.migration.values import ODD, SECRETS, STARTUP, TEAM


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(TEAM)
    return path


def test_a_file_that_says_all_in_our_words_ends_with_nothing_to_complain_of(
    cli: Cli, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_WEST_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "sk-test-0123456789")
    monkeypatch.setenv("SWITCHGEAR_STATE_URL", "redis://127.0.0.1:1/0")
    output = tmp_path / "switchgear.toml"
    result = cli("migrate", "litellm", str(written), "--output", str(output))
    assert result.code == 0
    assert result.out == ""
    assert "set SWITCHGEAR_STATE_URL: " in result.err
    assert set(Config.from_file(output).groups) == {
        "smart", "careful", "cheap", "gpt-4", "smart-alone", "careful-alone"
    }  # fmt: skip
    assert cli("config", "check", str(output)).code == 0


def test_without_an_output_it_goes_to_the_standard_output(cli: Cli, written: Path) -> None:
    result = cli("migrate", "litellm", str(written))
    assert result.code == 0
    assert "[providers.azure]" in result.out


def test_what_has_no_equivalent_is_listed_and_has_an_exit_code(cli: Cli, written: Path) -> None:
    written.write_text(ODD)
    result = cli("migrate", "litellm", str(written))
    assert result.code == 4
    assert "warning: router_settings.retry_policy: " in result.err
    assert "error: 14 keys have no equivalent" in result.err
    assert [secret for secret in SECRETS if secret in result.out + result.err] == []


def test_a_file_that_is_there_is_not_written_over(cli: Cli, written: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.toml"
    output.write_text("mine")
    arguments = ("migrate", "litellm", str(written), "-o", str(output))
    refused = cli(*arguments)
    assert (refused.code, output.read_text()) == (2, "mine")
    assert "--force" in refused.err
    assert cli(*arguments, "--force").code == 0
    assert "[providers.azure]" in output.read_text()


def test_a_file_that_is_none_is_a_wrong_configuration(cli: Cli, written: Path) -> None:
    written.write_text("model_list: [")
    result = cli("migrate", "litellm", str(written))
    assert result.code == 3
    assert "not valid YAML" in result.err


def test_other_vendors_come_out_as_well(cli: Cli, written: Path) -> None:
    written.write_text(STARTUP)
    result = cli("migrate", "litellm", str(written))
    assert result.code == 0
    assert 'plugin = "litellm"' in result.out
