"""``switchgear ledger``: looking after the ledger's database."""

from __future__ import annotations

import datetime as dt
import re
import sys

import click

from .ledger import ledger_option, opened_ledger, read_config
from .output import say
from .setup import config_option

__all__ = ["ledger"]

_MONTH = re.compile(r"(19[7-9]\d|[2-9]\d{3})-(0[1-9]|1[0-2])")


@click.group()
def ledger() -> None:
    """Look after the ledger, where attempts are booked."""


def _month(_context: click.Context, _option: click.Parameter, value: str) -> dt.datetime:
    found = _MONTH.fullmatch(value)
    if found is None:
        message = f"{value!r} is not a month: write it as 2026-09"
        raise click.BadParameter(message)
    return dt.datetime(int(found[1]), int(found[2]), 1, tzinfo=dt.UTC)


@ledger.command()
@click.option(
    "--before",
    required=True,
    metavar="MONTH",
    callback=_month,
    help="The first month (of UTC) that is kept whole, as 2026-09.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@ledger_option
@config_option
def forget(
    before: dt.datetime, *, yes: bool, ledger_url: str | None, config_path: str | None
) -> None:
    """Delete single attempts from before a month; their sums are kept.

    Reports about that time still tell agents, projects, models, hours, days and months apart. Runs,
    sessions, tags, and days that begin within an hour of UTC can't be told apart any more, and no
    bill of that time can be compared. The present month and the last one stay in any case.
    """
    from ..accounting.reports.moments import instant, microseconds

    with opened_ledger(read_config(config_path), ledger_url) as store:
        since = f"{before:%Y-%m-%d}"
        if not yes:
            _confirm(f"Delete all attempts from before {since} (UTC) and keep sums?")
        now = dt.datetime.now(dt.UTC)
        kept = store.forget(microseconds(before), microseconds(now))
    say(f"single attempts are kept since {instant(kept):%Y-%m-%d} (UTC), and sums of all before")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        message = "nobody is there to be asked: give --yes to delete attempts without"
        raise click.UsageError(message)
    click.confirm(question, abort=True)
