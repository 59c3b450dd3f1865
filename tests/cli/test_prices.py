"""``switchgear prices``: what models cost, for people and for scripts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from switchgear.accounting.prices.table import default_prices
from tests.cli.conftest import Cli

Configured = Callable[..., Path]
HEADING = "model\t$/M in\t$/M out\tcache read\tcache write\t1 h write\twindow\tnotes"


def test_without_a_sub_command_it_shows_everything(cli: Cli) -> None:
    result = cli("prices")
    assert result.code == 0
    heading, *rows = result.out.splitlines()
    assert heading == HEADING
    assert len(rows) > 400
    assert result.out == cli("prices", "show").out


def test_a_name_shows_that_model(cli: Cli) -> None:
    result = cli("prices", "anthropic/claude-3-haiku-20240307", "--on", "2026-11-23")
    _, row = result.out.splitlines()
    assert row.split("\t") == [
        *("anthropic/claude-3-haiku", "0.25", "1.25", "0.03", "0.3", "0.5", "200000"),
        "retired 2026-04-20, batch ×0.5, web_search $0.01",
    ]


def test_prices_as_json_keep_money_exact(cli: Cli) -> None:
    (mini,) = cli("prices", "gpt-4o-mini", "-p", "openai", "--json").json
    assert (mini["model"], mini["input"], mini["cache_read"]) == (
        "openai/gpt-4o-mini",
        "0.15",
        "0.075",
    )
    assert mini["cache_write_5m"] is None
    assert mini["source"].startswith("https://")


def test_prices_are_those_of_the_day(cli: Cli) -> None:
    def dollars(day: str) -> Decimal:
        (o3,) = cli("prices", "openai/o3", "--on", day, "--json").json
        return Decimal(o3["input"])

    assert dollars("2025-06-09") == 10
    assert dollars("2025-06-10") == 2


def test_only_a_provider(cli: Cli) -> None:
    rows = cli("prices", "--provider", "groq", "-p", "ollama").out.splitlines()[1:]
    assert {row.partition("/")[0] for row in rows} == {"groq", "ollama"}


def test_a_provider_without_prices_is_named(cli: Cli) -> None:
    result = cli("prices", "--provider", "acme")
    assert result.code == 2
    assert "acme" in result.err
    assert "anthropic" in result.err


def test_search_finds_what_has_every_word(cli: Cli) -> None:
    rows = cli("prices", "search", "anthropic/", "fast").out.splitlines()[1:]
    assert any(row.startswith("anthropic/claude-opus-5-5\t") for row in rows)
    assert all("claude" in row for row in rows)
    assert cli("prices", "search").code == 2


@pytest.mark.parametrize("words", [("no-such-model",), ("search", "no-such-word")])
def test_nothing_found_is_said_and_is_a_failure(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli("prices", *words)
    assert (result.code, result.out) == (1, "")
    assert "no such model" in result.err
    # The way out is another command than the one that has just been run.
    assert f"switchgear prices {' '.join(words)}\n" not in result.err
    assert ("switchgear prices search no-such-model" in result.err) is (len(words) == 1)
    result = cli("prices", *words, "--json")
    assert (result.code, result.json) == (1, [])


def test_a_configurations_own_prices_are_counted_in(cli: Cli, configured: Configured) -> None:
    configured(
        "[pricing.prices.openai.models.gpt-4o]",
        "prices = { input = 1.5, output = 2 }",
    )
    (own,) = cli("prices", "gpt-4o", "-p", "openai", "--json").json
    assert own["input"] == "1.5"


def test_a_wrong_configuration_is_not_passed_over(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "switchgear.toml").write_text("[groups.x]\nchain = 1\n")
    assert cli("prices", "gpt-4o").code == 3


def test_diff_shows_what_a_file_would_change(cli: Cli, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[openai.models."gpt-4.1"]\nprices = { input = 1, output = 8 }\n'
        "[acme.models.x]\nprices = { input = 1, output = 2 }\n"
    )
    result = cli("prices", "diff", str(own))
    assert result.code == 1
    assert result.out.splitlines() == [
        "model\twhat\there\tOTHER",
        "openai/gpt-4.1\tinput\t2\t1",
        "acme/x\tmodel\t\tknown",
    ]
    assert cli("prices", "diff", str(own), "--json").json[0] == {
        "provider": "openai",
        "model": "gpt-4.1",
        "what": "input",
        "ours": "2",
        "theirs": "1",
    }


def test_diff_of_what_changes_nothing_is_silent_success(cli: Cli, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[openai.models."gpt-4.1"]\n')
    assert cli("prices", "diff", str(own)) == (0, "no differences\n", "")
    assert cli("prices", "diff", str(own), "--json").json == []


def test_diff_with_a_whole_table_tells_what_it_lacks(cli: Cli, tmp_path: Path) -> None:
    old = tmp_path / "old.toml"
    old.write_text('[openai.models."gpt-4.1"]\nprices = { input = 2, output = 8 }\n')
    result = cli("prices", "diff", "--whole", str(old))
    assert "openai/gpt-4o\tmodel\tknown\t" in result.out
    assert "openai/gpt-4.1\tcache_read\t0.5\t" in result.out


def test_a_wrong_file_of_prices_is_a_wrong_configuration(cli: Cli, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[openai.models."gpt-4.1"]\nprices = { input = -1, output = 8 }\n')
    result = cli("prices", "diff", str(own))
    assert result.code == 3
    assert "own.toml" in result.err
    assert cli("prices", "diff", str(tmp_path / "none.toml")).code == 2


CHECK = ("prices", "check", "--on", "2026-11-23")


def needs_genai_prices() -> None:
    pytest.importorskip("genai_prices", reason="genai-prices is not installed")


def test_check_shows_every_difference_with_its_reason_and_passes(cli: Cli) -> None:
    needs_genai_prices()
    result = cli(*CHECK, "-p", "anthropic")
    assert result.code == 0
    heading, *rows = result.out.splitlines()
    assert heading == "model\twhat\there\tgenai-prices\twhy"
    assert len(rows) == 10
    assert all(row.startswith("anthropic/claude-sonnet-4-5\t") for row in rows)
    assert all(row.endswith("\tthe beta with a surcharge ended 2026-04-30") for row in rows)
    assert "10 explained differences, 0 without a reason" in result.err


def test_the_shipped_table_has_no_difference_without_a_reason(cli: Cli) -> None:
    needs_genai_prices()
    result = cli(*CHECK)
    assert result.code == 0
    assert ", 0 without a reason" in result.err
    assert "out of date" not in result.err


def test_check_says_what_it_does_not_show_and_shows_it_on_request(cli: Cli) -> None:
    needs_genai_prices()
    brief, full = cli(*CHECK), cli(*CHECK, "--all")
    (line,) = (each for each in brief.err.splitlines() if each.startswith("not shown"))
    counts = [int(word) for word in line.split() if word.isdigit()]
    assert len(full.out.splitlines()) == len(brief.out.splitlines()) + sum(counts)
    assert "models there" in line
    assert "--all shows them" in brief.err
    assert "not shown" not in full.err
    assert full.code == 0
    assert full.out.splitlines()[-1].endswith("\tonly one of the two states it")


def test_check_fails_on_a_difference_without_a_reason_and_shows_it_first(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_genai_prices()
    prices = {"prices": {"input": Decimal(4)}}
    table = default_prices().merged({"anthropic": {"models": {"claude-sonnet-4-5": prices}}})
    monkeypatch.setattr("switchgear.accounting.prices.table.default_prices", lambda: table)
    result = cli(*CHECK, "-p", "anthropic")
    assert result.code == 1
    assert result.out.splitlines()[1] == "anthropic/claude-sonnet-4-5\tinput\t4\t3\t"
    assert "out of date" in result.err
    found = cli(*CHECK, "-p", "anthropic", "--json").json
    assert found[0] == {
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "what": "input",
        "ours": "4",
        "theirs": "3",
        "reason": None,
    }
    assert found[-1]["reason"] == "the beta with a surcharge ended 2026-04-30"


def test_check_without_any_difference_says_so(cli: Cli) -> None:
    needs_genai_prices()
    clean = cli(*CHECK, "-p", "groq")
    assert (clean.code, clean.out) == (0, "no differences\n")


def test_check_says_how_to_install_what_it_needs(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    result = cli("prices", "check")
    assert result.code == 3
    assert "pip install genai-prices" in result.err


def test_help_lists_the_sub_commands(cli: Cli) -> None:
    text = cli("prices", "--help").out
    assert all(name in text for name in ("show", "search", "diff", "check"))
