"""``switchgear ledger``: old attempts go, and what they came to stays."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from switchgear.accounting.ledger.months import Month
from switchgear.accounting.ledger.stores import open_store
from tests.accounting.reports import rows
from tests.cli.booked import book, hours_ago
from tests.cli.conftest import Cli
from tests.cli.terminal import Terminal

THIS = Month.at(dt.datetime.now(dt.UTC).timestamp())


def named(months_ago: int) -> str:
    year, number = THIS.plus(-months_ago)
    return f"{year}-{number:02}"


@pytest.fixture
def url(tmp_path: Path) -> str:
    old = [
        rows.row(f"{named(5)}-1{n}T08:00:00Z", dollars="0.25", project_id=f"p{n}", run_id="r")
        for n in range(3)
    ]
    return book(tmp_path / "ledger.db", *old, hours_ago(0, dollars="0.30", project_id="p1"))


def left(url: str) -> int:
    store = open_store(url)
    try:
        return len(store.rows(0, 2**62))
    finally:
        store.close()


def test_attempts_go_and_their_sums_stay(cli: Cli, url: str) -> None:
    arguments = ("spend", "--ledger", url, "--since", "all", "--by", "project", "--by", "month")
    before = cli(*arguments).out
    result = cli("ledger", "forget", "--before", named(3), "--yes", "--ledger", url)
    assert result.code == 0
    assert result.out == (
        f"single attempts are kept since {named(3)}-01 (UTC), and sums of all before\n"
    )
    assert left(url) == 1
    assert before.count(named(5)) == 3
    assert cli(*arguments).out == before


def test_what_sums_can_not_tell_is_refused_with_the_way_out(cli: Cli, url: str) -> None:
    cli("ledger", "forget", "--before", named(3), "--yes", "--ledger", url)
    result = cli("spend", "--ledger", url, "--since", "all", "--by", "run")
    assert result.code == 1
    assert f"ask since {named(3)}-01" in result.err
    assert cli("spend", "--ledger", url, "--since", named(3), "--by", "run").code == 0


def test_without_a_terminal_it_has_to_be_told(cli: Cli, url: str) -> None:
    result = cli("ledger", "forget", "--before", named(3), "--ledger", url, stdin=b"y\n")
    assert result.code == 2
    assert "--yes" in result.err
    assert left(url) == 4


@pytest.mark.parametrize(("answer", "there"), [("n\n", 4), ("\n", 4), ("y\n", 1)])
def test_on_a_terminal_it_asks(
    url: str, answer: str, there: int, tmp_path: Path, environ: dict[str, str]
) -> None:
    arguments = ("ledger", "forget", "--before", named(3), "--ledger", url)
    with Terminal(*arguments, folder=tmp_path, environ=environ) as terminal:
        terminal.wait_for("[y/N]")
        terminal.press(answer)
        terminal.end()
        assert f"Delete all attempts from before {named(3)}-01 (UTC)" in terminal.screen
    assert left(url) == there


@pytest.mark.parametrize("month", ["2026", "2026-13", "2026-9", "1969-01", "today", "2026-09-01"])
def test_a_month_is_written_as_one(cli: Cli, url: str, month: str) -> None:
    result = cli("ledger", "forget", "--before", month, "--yes", "--ledger", url)
    assert result.code == 2
    assert f"'{month}' is not a month" in result.err


@pytest.mark.parametrize("months_ago", [0, -5])
def test_the_last_two_months_stay(cli: Cli, url: str, months_ago: int) -> None:
    result = cli("ledger", "forget", "--before", named(months_ago), "--yes", "--ledger", url)
    assert result.code == 1
    assert "keeps at least the present month and the last one" in result.err
    assert left(url) == 4


def test_a_ledger_that_is_not_there_is_not_made(cli: Cli, tmp_path: Path) -> None:
    result = cli("ledger", "forget", "--before", "2020-01", "--yes", "--ledger", "sqlite:none.db")
    assert result.code == 1
    assert "there is no ledger at" in result.err
    assert not (tmp_path / "none.db").exists()
