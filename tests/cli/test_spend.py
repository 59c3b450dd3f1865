"""``switchgear spend``: for people, for scripts, as pictures."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from switchgear import Usage
from tests.cli.booked import book, hours_ago
from tests.cli.conftest import Cli
from tests.cli.terminal import Terminal

Configured = Callable[..., Path]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return book(
        tmp_path / "ledger.db",
        hours_ago(0, dollars="0.30", project_id="atlas", agent_id="qa-1", model="gpt-5"),
        hours_ago(0, dollars="0.000000000001", project_id="atlas", agent_id="qa-2", model="gpt-5"),
        hours_ago(0, dollars="0.10", project_id="syndarix", agent_id="qa-1"),
    )


def test_by_default_it_is_this_month_by_project_and_model(cli: Cli, url: str) -> None:
    result = cli("spend", "--ledger", url)
    assert (result.code, result.err) == (0, "")
    assert [line.split("\t") for line in result.out.splitlines()] == [
        ["project", "model", "cost", "calls", "failed", "input", "output"],
        ["atlas", "gpt-5", "0.300000000001", "2", "0", "2000", "200"],
        ["syndarix", "claude-haiku-4-5", "0.1", "1", "0", "1000", "100"],
        ["together", "", "0.400000000001", "3", "0", "3000", "300"],
    ]


def test_json_is_exact(cli: Cli, url: str) -> None:
    found = cli("spend", "--ledger", url, "--by", "agent", "--since", "24h", "--json").json
    assert Decimal(found["cost"]) == Decimal("0.400000000001")
    assert found["calls"] == 3
    assert [row["keys"] for row in found["rows"]] == [{"agent": "qa-1"}, {"agent": "qa-2"}]
    assert found["rows"][0]["usage"]["cache_read_tokens"] == 0
    assert found["until"] is None


def test_columns_come_with_commas_or_one_by_one(cli: Cli, url: str) -> None:
    often = cli("spend", "--ledger", url, "--by", "agent", "--by", "project", "--by", "month")
    assert often.code == 0
    for together in (("agent,project,month",), ("agent, project", "--by", "month")):
        assert cli("spend", "--ledger", url, "--by", *together) == often


def test_the_picture_and_the_page_lead_to_each_other(cli: Cli, url: str, tmp_path: Path) -> None:
    text = " ".join(cli("spend", "--help").out.split())
    assert "As bars in the terminal; --html writes charts." in text
    assert "--plot draws in the terminal." in text
    page = tmp_path / "spend.html"
    result = cli("spend", "--ledger", url, "--plot", "--html", str(page))
    assert "cost by project" in result.out
    assert page.read_text().startswith("<!")


def test_csv_is_exact(cli: Cli, url: str) -> None:
    result = cli("spend", "--ledger", url, "--by", "agent", "--csv")
    first, second = csv.DictReader(io.StringIO(result.out))
    assert (first["agent"], Decimal(first["cost"]), first["input_tokens"]) == (
        "qa-1",
        Decimal("0.4"),
        "2000",
    )
    assert second["cost"] == "0.000000000001"


def test_filters_narrow_it_down(cli: Cli, url: str) -> None:
    result = cli("spend", "--ledger", url, "--project", "atlas", "--agent", "qa-1", "--json")
    assert Decimal(result.json["cost"]) == Decimal("0.3")
    assert cli("spend", "--ledger", url, "--tag", "a=b", "--json").json["attempts"] == 0


def test_sums_that_lack_something_are_marked(cli: Cli, tmp_path: Path) -> None:
    url = book(
        tmp_path / "ledger.db",
        hours_ago(0, dollars=None, project_id="a"),
        hours_ago(0, dollars="1", project_id="b", usage=Usage(5, 5, estimated=True)),
        hours_ago(0, dollars=None, project_id="b"),
    )
    result = cli("spend", "--ledger", url, "--by", "project")
    rows = {line.split("\t")[0]: line.split("\t") for line in result.out.splitlines()}
    assert rows["a"][1] == "?"
    assert rows["b"][1] == "1*"
    assert rows["b"][-1] == "105~"
    assert "2 attempts without a price" in result.err
    assert "1 attempt with estimated tokens" in result.err


def test_the_most_it_can_have_cost_is_shown_where_it_is_more(cli: Cli, tmp_path: Path) -> None:
    url = book(tmp_path / "ledger.db", hours_ago(0, dollars="0.1", bound=200_000_000_000))
    heading, row, _ = cli("spend", "--ledger", url, "--by", "project").out.splitlines()
    assert heading.split("\t")[:3] == ["project", "cost", "at most"]
    assert row.split("\t")[:3] == ["-", "0.1", "0.2"]


def test_the_ledger_is_that_of_the_configuration(
    cli: Cli, configured: Configured, tmp_path: Path
) -> None:
    configured("[ledger]", 'url = "sqlite:own/ledger.db"')
    (tmp_path / "own").mkdir()
    book(tmp_path / "own" / "ledger.db", hours_ago(0, dollars="0.7"))
    assert Decimal(cli("spend", "--json").json["cost"]) == Decimal("0.7")


def test_the_ledger_is_that_of_the_environment(
    cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHGEAR_LEDGER", url)
    assert cli("spend", "--json").json["attempts"] == 3


def test_a_ledger_that_is_not_there_is_not_made(cli: Cli, tmp_path: Path) -> None:
    result = cli("spend", "--ledger", "sqlite:none.db")
    assert result.code == 1
    assert result.err.startswith(f"error: there is no ledger at {tmp_path / 'none.db'} yet\nhint:")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_in_memory_can_not_be_read(cli: Cli, configured: Configured) -> None:
    configured("[ledger]", 'url = "memory:"')
    result = cli("spend")
    assert result.code == 1
    assert "kept in memory" in result.err


def test_nothing_spent_is_said_in_words(cli: Cli, tmp_path: Path) -> None:
    url = book(tmp_path / "ledger.db")
    for how in ((), ("--plot",)):
        result = cli("spend", "--ledger", url, "--since", "all", *how)
        assert (result.code, result.out) == (0, "nothing was spent so far (UTC)\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--by", "colour"), "by: 'colour' is not a column"),
        (("--by", "agent,colour"), "by: 'colour' is not a column"),
        (("--since", "whenever"), "since: 'whenever' is not a time"),
        (("--timezone", "Nowhere"), "timezone"),
        (("--csv", "--json"), "give one of them"),
        (("--tag", "red"), "write NAME=VALUE"),
        (("--ledger", "mysql:x"), "names no ledger; write sqlite:PATH"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    cli: Cli, url: str, arguments: tuple[str, ...], told: str
) -> None:
    result = cli("spend", "--ledger", url, *arguments)
    assert result.code in {2, 3}
    assert told in result.err


def test_bars_fit_into_80_columns_and_are_to_scale(cli: Cli, url: str) -> None:
    result = cli("spend", "--ledger", url, "--by", "project", "--plot")
    title, blank, heading, atlas, syndarix = result.out.splitlines()
    assert title.startswith("$0.40 since ")
    assert (blank, heading) == ("", "cost by project")
    assert (len(atlas), len(syndarix)) == (80, 80)
    assert atlas.endswith("$0.30")
    assert syndarix.endswith("$0.10")
    assert 2.8 < atlas.count("█") / syndarix.count("█") < 3.2


def test_without_columns_the_bars_show_time_and_who_spent(cli: Cli, url: str) -> None:
    out = cli("spend", "--ledger", url, "--plot", "--since", "24h").out
    headings = [line for line in out.splitlines() if line.startswith("cost by")]
    assert headings == ["cost by hour", "cost by project", "cost by agent", "cost by model"]


def test_bars_do_without_blocks_where_there_are_none(
    cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sys.stdout), "encoding", "ascii", raising=False)
    out = cli("spend", "--ledger", url, "--by", "project", "--plot").out
    assert out.isascii()
    assert "####" in out


def test_charts_go_into_one_file(cli: Cli, url: str, tmp_path: Path) -> None:
    result = cli("spend", "--ledger", url, "--html", "report.html")
    assert (result.code, result.out) == (0, "")
    assert "report.html: written" in result.err
    text = (tmp_path / "report.html").read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.count('role="img"') >= 5


def test_a_file_that_can_not_be_written_is_named(cli: Cli, url: str) -> None:
    result = cli("spend", "--ledger", url, "--html", "no/such/folder.html")
    assert result.code == 2
    assert "folder.html" in result.err


def test_a_label_gives_the_terminal_no_commands(cli: Cli, tmp_path: Path) -> None:
    url = book(tmp_path / "ledger.db", hours_ago(0, project_id="\x1b[31mred\n\x07"))
    for how in ((), ("--plot",)):
        out = cli("spend", "--ledger", url, "--by", "project", *how).out
        assert "\x1b" not in out
        assert "\x07" not in out


def test_on_a_terminal_it_is_a_table_of_80_columns(
    url: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    with Terminal("spend", "--ledger", url, folder=tmp_path, environ=environ) as terminal:
        assert terminal.end() == 0
        lines = terminal.screen.splitlines()
    assert any("spending since" in line for line in lines)
    assert any(line.startswith("atlas") and "$0.30" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)
