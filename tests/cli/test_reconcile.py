"""``switchgear reconcile``: the ledger beside a vendor's bill."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.accounting.reports import exports as made
from tests.accounting.reports.rows import row
from tests.cli.booked import book
from tests.cli.conftest import Cli
from tests.cli.terminal import Terminal


@pytest.fixture
def url(tmp_path: Path) -> str:
    return book(tmp_path / "ledger.db", row("2026-11-22T12:00", "0.01"))


@pytest.fixture
def right(tmp_path: Path) -> str:
    """An export that agrees with the ledger."""
    path = tmp_path / "right.json"
    path.write_bytes(made.anthropic(("2026-11-22", [made.usage(fresh=1000, output=100, key="a")])))
    return str(path)


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    """An export with more output, and a key that the ledger knows nothing of."""
    path = tmp_path / "wrong.json"
    mine = made.usage(fresh=1000, output=170, key="a")
    other = made.usage("claude-opus-5", fresh=5, output=7, key="b")
    path.write_bytes(made.anthropic(("2026-11-22", [mine, other])))
    return str(path)


def test_agreement_is_exit_code_0(cli: Cli, url: str, right: str) -> None:
    result = cli("reconcile", right, "--ledger", url)
    assert result.code == 0
    assert result.out.splitlines()[-1] == "no difference in 2 figures"
    assert "beside 1 attempt in the ledger" in result.out


def test_every_difference_is_listed_and_is_exit_code_1(cli: Cli, url: str, wrong: str) -> None:
    result = cli("reconcile", wrong, "--ledger", url)
    assert result.code == 1
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert [
        "2026-11-22",
        "claude-haiku-4-5-20251001",
        "output tokens",
        "100",
        "170",
        "+70",
        "",
    ] in rows
    missing = [each for each in rows if each[-1] == "missing in ledger"]
    assert [(each[1], each[2], each[4]) for each in missing] == [
        ("claude-opus-5", "input tokens", "5"),
        ("claude-opus-5", "output tokens", "7"),
    ]
    assert rows[-1] == ["3 of 4 figures differ"]


def test_json_says_it_all(cli: Cli, url: str, wrong: str) -> None:
    result = cli("reconcile", wrong, "--ledger", url, "--json")
    assert result.code == 1
    found = result.json
    assert (found["agree"], found["vendor"], found["attempts"]) == (False, "anthropic", 1)
    assert [Decimal(each["difference"]) for each in found["differences"]] == [70, 5, 7]
    assert found["totals"][0]["measure"] == "input_tokens"


def test_one_key_of_the_export_can_be_compared_alone(cli: Cli, url: str, wrong: str) -> None:
    result = cli("reconcile", wrong, "--ledger", url, "--api-key", "a", "--json")
    assert len(result.json["differences"]) == 1
    unknown = cli("reconcile", wrong, "--ledger", url, "--api-key", "c")
    assert unknown.code == 2
    assert "it names a, b" in unknown.err


def test_a_tolerance_lets_little_differences_pass(cli: Cli, url: str, wrong: str) -> None:
    arguments = ("reconcile", wrong, "--ledger", url, "--api-key", "a", "--tolerance")
    assert cli(*arguments, "50%").code == 0
    assert cli(*arguments, "10%").code == 1
    assert cli(*arguments, "1").code == 1
    refused = cli(*arguments, "a bit")
    assert refused.code == 2
    assert "write an amount in USD" in refused.err


def test_a_provider_can_be_named(cli: Cli, url: str, right: str) -> None:
    assert cli("reconcile", right, "--ledger", url, "--provider", "anthropic").code == 0
    assert cli("reconcile", right, "--ledger", url, "--provider", "other").code == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [("", "empty"), ("a,b\n1,2\n", "known are Anthropic's"), ("{", "not JSON")],
)
def test_a_file_of_another_kind_is_a_wrong_request(
    cli: Cli, url: str, tmp_path: Path, content: str, told: str
) -> None:
    (tmp_path / "other.csv").write_text(content)
    result = cli("reconcile", "other.csv", "--ledger", url)
    assert result.code == 2
    assert told in result.err


def test_a_file_that_is_not_there_is_named(cli: Cli, url: str) -> None:
    result = cli("reconcile", "gone.csv", "--ledger", url)
    assert result.code == 2
    assert "gone.csv" in result.err


def test_an_export_that_covers_no_time_agrees_with_nothing(
    cli: Cli, url: str, tmp_path: Path
) -> None:
    (tmp_path / "empty.csv").write_bytes(made.table(made.CONSOLE_USAGE))
    result = cli("reconcile", "empty.csv", "--ledger", url)
    assert result.code == 2
    assert "covers no time: nothing was compared" in result.out


def test_a_covered_day_without_results_is_a_difference(cli: Cli, url: str, tmp_path: Path) -> None:
    """As it is where another workspace or key was exported."""
    (tmp_path / "other.json").write_bytes(made.anthropic(("2026-11-22", [])))
    result = cli("reconcile", "other.json", "--ledger", url)
    assert result.code == 1
    assert result.out.splitlines()[-1] == "3 of 3 figures differ"
    assert result.out.count("missing in export") == 3
    assert "was it made for this workspace, project or key?" in result.err
    assert cli("reconcile", "other.json", "--ledger", url, "--json").json["verdict"] == "differ"


def test_two_sides_that_say_nothing_are_no_agreement(cli: Cli, url: str, tmp_path: Path) -> None:
    (tmp_path / "idle.json").write_bytes(made.openai(("2026-11-22", [])))
    result = cli("reconcile", "idle.json", "--ledger", url)
    assert result.code == 2
    assert "nothing was compared: neither side has anything billed" in result.out
    found = cli("reconcile", "idle.json", "--ledger", url, "--json")
    assert (found.code, found.json["agree"]) == (2, False)
    assert found.json["verdict"] == "nothing compared"


def test_an_incomplete_export_is_no_agreement(cli: Cli, url: str, tmp_path: Path) -> None:
    result = made.usage(fresh=1000, output=100)
    (tmp_path / "part.json").write_bytes(made.anthropic(("2026-11-22", [result]), more=True))
    shown = cli("reconcile", "part.json", "--ledger", url)
    assert shown.code == 2
    assert "FILE is incomplete: add what is missing" in shown.out.splitlines()[-1]
    found = cli("reconcile", "part.json", "--ledger", url, "--json")
    assert (found.code, found.json["agree"], found.json["complete"]) == (2, False, False)


def test_a_difference_in_an_incomplete_export_is_a_difference(
    cli: Cli, url: str, tmp_path: Path
) -> None:
    (tmp_path / "part.json").write_bytes(made.anthropic(("2026-11-22", []), more=True))
    assert cli("reconcile", "part.json", "--ledger", url).code == 1


def test_on_a_terminal_costs_are_in_dollars(
    url: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "cost.json").write_bytes(made.anthropic(("2026-11-22", [made.cost("1.5")])))
    arguments = ("reconcile", "cost.json", "--ledger", url)
    with Terminal(*arguments, folder=tmp_path, environ=environ) as terminal:
        assert terminal.end() == 1
        shown = terminal.screen
    assert "+$0.0050" in shown
    assert "1 of 1 figure differs" in shown
