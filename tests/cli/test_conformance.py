"""``switchgear conformance``: the list, the question what it costs, the verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from switchgear.testing import Answer, Fault, SimulatedProviders
from switchgear.testing.conformance import CHECKS
from tests.cli.conftest import Cli

Configured = Callable[..., Path]


def test_the_list_is_published(cli: Cli) -> None:
    result = cli("conformance", "--list")
    assert result.code == 0
    heading, *rows = result.out.splitlines()
    assert heading.split("\t") == ["#", "check", "guarantee"]
    assert [row.split("\t")[0] for row in rows] == [str(check.number) for check in CHECKS]
    as_json = cli("conformance", "--list", "--json").json
    assert as_json[6]["check"] == "tool_round_trip"
    assert as_json[6]["capability"] == "tools"


def test_a_real_vendor_is_not_asked_without_a_yes(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    result = cli("conformance", "openai/gpt-4o")
    assert result.code == 2
    assert "may charge for" in result.err
    assert "--yes" in result.err
    assert not simulated_providers.requests


def test_a_provider_that_keeps_its_word(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.openai.configure(require_key="any", models={"gpt-4o"})
    result = cli("conformance", "openai/gpt-4o", "--yes", "--json")
    assert result.code == 0, result.out
    verdicts = {row["check"]: row["verdict"] for row in result.json}
    assert len(verdicts) == len(CHECKS)
    assert verdicts["text_round_trip"] == verdicts["wrong_key"] == "yes"
    assert verdicts["unknown_model"] == verdicts["refused_connection"] == "yes"
    assert verdicts["audio"] == "not tried"
    assert verdicts["cut_stream"] == "not tried"


def test_a_provider_that_does_not(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.openai.always(Fault.server_error())
    result = cli("conformance", "openai/gpt-4o", "--yes", "--only", "3", "--only", "protocol")
    assert result.code == 1
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert rows[0] == ["#", "check", "verdict", "detail"]
    assert rows[1][:3] == ["1", "protocol", "yes"]
    assert rows[2][:3] == ["3", "text_round_trip", "no"]
    assert "ServerError" in rows[2][3]
    assert "1 yes, 1 no" in result.err


def test_a_check_that_there_is_not(cli: Cli, configured: Configured) -> None:
    configured()
    result = cli("conformance", "openai/gpt-4o", "--yes", "--only", "4711")
    assert result.code == 2
    assert "no check 4711" in result.err


def test_a_provider_in_this_process_needs_no_yes(cli: Cli, configured: Configured) -> None:
    # Whatever it says, nothing is asked of a vendor before the command was told what it costs.
    configured()
    result = cli("conformance", "openai/gpt-4o", "--in-process", "--only", "made_without_io")
    assert result.code == 0
    assert "made_without_io\tyes" in result.out


def test_json_holds_the_reasons(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.openai.always(Answer(text=""))
    result = cli("conformance", "openai/gpt-4o", "-y", "--only", "text_round_trip", "--json")
    assert result.code == 1
    (row,) = json.loads(result.out)
    assert row["detail"] == "expected some text, came none"
