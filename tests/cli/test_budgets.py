"""``switchgear budgets``: how each budget stands."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.accounting.reports.rows import ledger
from tests.cli.booked import book, hours_ago
from tests.cli.conftest import Cli
from tests.cli.terminal import Terminal

Configured = Callable[..., Path]
BUDGETS = (
    "[[budgets]]",
    'scope = "global"',
    "usd = 2",
    'period = "ever"',
    "[[budgets]]",
    'scope = "project:*"',
    "usd = 0.5",
    'period = "month"',
    'enforcement = "soft"',
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return book(tmp_path / "ledger.db", hours_ago(0, dollars="0.30", project_id="atlas"))


def test_every_budget_has_its_row(cli: Cli, configured: Configured, url: str) -> None:
    configured(*BUDGETS)
    cli("budgets", "--ledger", url)  # from now on they are counted
    store = ledger([], url)
    store.book("other", 1, [hours_ago(0, dollars="0.6", project_id="syndarix")], frozenset())
    store.close()
    result = cli("budgets", "--ledger", url)
    assert result.code == 0
    heading, whole, project = [line.split("\t") for line in result.out.splitlines()]
    assert heading == ["budget", "limit", "spent", "reserved", "left", "used", "period"]
    assert whole == ["global", "2", "0.9", "0", "1.1", "45 %", "for ever"]
    assert project[:6] == ["project:syndarix", "0.5", "0.6", "0", "-0.1", "120 %"]
    assert project[6].startswith("per month, soft, resets 20")
    assert "project:syndarix per month is overspent by 0.1" in result.err


def test_json_is_exact(cli: Cli, configured: Configured, url: str) -> None:
    configured(*BUDGETS)
    (found,) = cli("budgets", "--ledger", url, "--json").json
    assert (found["name"], found["hard"], found["resets_at"]) == ("global for ever", True, None)
    assert Decimal(found["left"]) == Decimal("1.7")


def test_a_budget_for_each_that_nobody_used_is_shown_as_such(
    cli: Cli, configured: Configured, url: str
) -> None:
    configured(*BUDGETS)
    *_, last = cli("budgets", "--ledger", url).out.splitlines()
    assert last.split("\t")[:3] == ["project:*", "0.5", ""]
    assert last.endswith("none used so far")


def test_no_budgets_need_no_ledger(cli: Cli, configured: Configured) -> None:
    configured()
    assert cli("budgets", "--ledger", "sqlite:none.db").out == "no budget is configured\n"
    assert cli("budgets", "--json").json == []


def test_a_ledger_that_is_not_there_is_not_made(
    cli: Cli, configured: Configured, tmp_path: Path
) -> None:
    configured(*BUDGETS)
    result = cli("budgets", "--ledger", "sqlite:none.db")
    assert result.code == 1
    assert "there is no ledger at" in result.err
    assert not (tmp_path / "none.db").exists()


def test_on_a_terminal_there_is_a_bar(
    configured: Configured, url: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    configured(*BUDGETS)
    with Terminal("budgets", "--ledger", url, folder=tmp_path, environ=environ) as terminal:
        assert terminal.end() == 0
        lines = terminal.screen.splitlines()
    (whole,) = [line for line in lines if line.startswith("global")]
    assert "$0.30" in whole
    assert "15 %" in whole
    assert "█" in whole
    assert all(len(line) <= 80 for line in lines)


def test_a_closed_budget_says_so_and_is_opened_again(
    cli: Cli, configured: Configured, url: str
) -> None:
    configured("[[budgets]]", 'scope = "project:*"', "usd = 5", 'period = "ever"')
    cli("budgets", "--ledger", url)
    store = ledger([], url)
    store.book("other", 1, [hours_ago(0, dollars="0.6", project_id="syndarix")], frozenset())
    store.shut(['["project","syndarix","ever","UTC",0]'])
    store.close()
    assert "project:syndarix for ever is closed" in cli("budgets", "--ledger", url).err
    wrong = cli("budgets", "--ledger", url, "--reopen", "project:atlas")
    assert wrong.code == 2
    assert "closed: project:syndarix" in wrong.err
    opened = cli("budgets", "--ledger", url, "--reopen", "project:syndarix")
    assert opened.code == 0
    assert "is closed" not in opened.err
