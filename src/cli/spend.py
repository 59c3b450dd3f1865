"""``switchgear spend``: what was spent, on what and by whom."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .ledger import ledger_option, opened_ledger, read_config
from .output import is_terminal, say, show_table, warn, write_json
from .setup import config_option

if TYPE_CHECKING:
    from ..accounting.reports.overview import Overview
    from ..accounting.reports.spend import Spend, SpendRow

__all__ = ["spend"]

_MOST_BARS = 12
_FIGURES = ("cost", "at most", "calls", "failed", "input", "output")


@click.command()
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    help="agent, project, agent_type, run, session, api_key, group, provider, model, outcome, "
    "hour, day, month or tag:NAME; several with commas between them, or by giving this again.  "
    "[default: project,model]",
)
@click.option(
    "--since",
    default="month",
    show_default=True,
    metavar="WHEN",
    help="2026-11-23, 2026-11, 2026-11-23T08:00, 24h, 7d (today and six days before), today, "
    "yesterday, week, month, year, or all.",
)
@click.option("--until", metavar="WHEN", help="The same; a day or month it names is counted whole.")
@click.option("--agent", "agent_id", metavar="ID", help="Only this agent.")
@click.option("--project", "project_id", metavar="ID", help="Only this project.")
@click.option("--agent-type", metavar="TYPE", help="Only agents of this type.")
@click.option("--run", "run_id", metavar="ID", help="Only this run.")
@click.option("--session", "session_id", metavar="ID", help="Only this session.")
@click.option("--api-key", "api_key_id", metavar="ID", help="Only this virtual key.")
@click.option("--group", metavar="NAME", help="Only what was asked of this group.")
@click.option("--provider", metavar="NAME", help="Only this provider.")
@click.option("--model", metavar="NAME", help="Only this model, without its provider.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Only what has this tag.")
@click.option("--timezone", default="UTC", show_default=True, help="Where days begin.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, every figure exact.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, every figure exact.")
@click.option(
    "--plot", "as_plot", is_flag=True, help="As bars in the terminal; --html writes charts."
)
@click.option(
    "--html",
    "html_path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Charts and tables into one file that needs nothing else. --plot draws in the terminal.",
)
@ledger_option
@config_option
def spend(
    *,
    by: tuple[str, ...],
    since: str,
    until: str | None,
    tags: tuple[str, ...],
    as_csv: bool,
    as_json: bool,
    as_plot: bool,
    html_path: Path | None,
    ledger_url: str | None,
    config_path: str | None,
    **labels: str | None,
) -> None:
    """Show what was spent.

    Costs are what attempts cost, as far as is known: "*" marks sums that lack a price, "~" ones
    with estimated tokens. "at most" is what hard budgets count.
    """
    import datetime as dt

    from ..accounting.reports.overview import overview
    from ..accounting.reports.page import page
    from ..accounting.reports.spend import report, spend_query

    if as_csv + as_json + as_plot > 1:
        message = "--csv, --json and --plot are three ways to show it: give one of them"
        raise click.UsageError(message)
    by = tuple(name.strip() for each in by for name in each.split(","))
    now = dt.datetime.now(dt.UTC)
    query = spend_query(
        by=by or ("project", "model"),
        since=None if since == "all" else since,
        until=until,
        tags=_tags(tags),
        now=now,
        **labels,  # type: ignore[arg-type]
    )
    with opened_ledger(read_config(config_path), ledger_url) as store:
        if html_path is not None:
            _write(html_path, page(overview(store, query, now), now))
        if as_plot:
            seen = overview(store, query, now)
            _plot(seen, chosen=bool(by))
            _remark(seen.spend)
            return
        found = report(store, query)
    if as_json:
        write_json(_plain(found))
    elif as_csv:
        say(_csv(found), nl=False)
    elif html_path is None:
        _show(found)
    if not as_json:
        _remark(found)


def _tags(given: tuple[str, ...]) -> dict[str, str]:
    tags = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals):
            message = f"--tag {each}: write NAME=VALUE"
            raise click.UsageError(message)
        tags[name] = value
    return tags


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise click.FileError(str(path), exc.strerror) from exc
    say(f"{path}: written", err=True)


def _show(found: Spend) -> None:
    from ..accounting.reports.figures import places_for

    if not found.rows:
        say(f"nothing was spent {_span(found)}")
        return
    amounts = [found.cost, found.bound, *(row.cost for row in found.rows)]
    places = places_for(amounts) if is_terminal() else None
    columns = (*found.by, *_FIGURES)
    rows = [
        (*(_label(row.keys[name]) for name in found.by), *_figures(row, places))
        for row in found.rows
    ]
    blank = [""] * (len(found.by) - 1)
    rows.append(("together", *blank, *_figures(found, places)))
    if all(row.cost == row.bound for row in found.rows):
        place = columns.index("at most")
        columns = (*columns[:place], *columns[place + 1 :])
        rows = [(*row[:place], *row[place + 1 :]) for row in rows]
    title = f"spending {_span(found)}, USD"
    show_table(title, columns, rows, numbers=_FIGURES)


def _figures(row: Spend | SpendRow, places: int | None) -> tuple[str, ...]:
    missing = "*" if row.unpriced else ""
    guessed = "~" if row.estimated else ""
    return (
        # A sum of nothing but unknown costs is unknown.
        "?" if row.unpriced and not row.cost else _amount(row.cost, places) + missing,
        _amount(row.bound, places) + missing,
        _count(row.calls),
        _count(row.failed),
        _count(row.usage.input_tokens) + guessed,
        _count(row.usage.output_tokens) + guessed,
    )


def _amount(amount: Decimal, places: int | None) -> str:
    from ..accounting.reports.figures import dollars

    # Rounded for eyes, exact for scripts.
    return f"{amount:f}" if places is None else dollars(amount, places)


def _count(count: int) -> str:
    from ..accounting.reports.figures import short_count

    return short_count(count) if is_terminal() else str(count)


def _label(value: str | None) -> str:
    return value or "-"


def _span(found: Spend) -> str:
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(found.timezone)
    since = f"since {found.since.astimezone(zone):%Y-%m-%d %H:%M}" if found.since else ""
    until = f"until {found.until.astimezone(zone):%Y-%m-%d %H:%M}" if found.until else ""
    words = " ".join(word for word in (since, until) if word) or "so far"
    return f"{words} ({found.timezone})"


def _remark(found: Spend) -> None:
    """What the sums do not hold."""
    from ..accounting.reports.figures import times

    if found.unpriced:
        warn(f"{times(found.unpriced, 'attempt')} without a price: the true cost is higher (*)")
    if found.estimated:
        warn(f"{times(found.estimated, 'attempt')} with estimated tokens (~)")


def _plot(seen: Overview, *, chosen: bool) -> None:
    """Bars of the rows that were asked for; of time and of who spent most where none were."""
    from ..accounting.reports.figures import dollars, places_for, times
    from ..accounting.reports.overview import label
    from .plot import PlotBar, show_bars

    found = seen.spend
    if not found.attempts:
        say(f"nothing was spent {_span(found)}")
        return
    say(f"{dollars(found.cost)} {_span(found)}: {times(found.calls, 'call')}")
    plots: list[tuple[str, list[tuple[str, Decimal, bool]]]] = []
    if chosen:
        rows = [(label(row), row.cost, row.unpriced > 0) for row in found.rows]
        plots.append((f"cost by {' and '.join(found.by)}", rows))
    else:
        steps = [(step.name, sum(step.cost, Decimal(0)), False) for step in seen.steps]
        plots.append((f"cost by {seen.unit}", steps))
        for what, spenders in (
            ("project", seen.projects),
            ("agent", seen.agents),
            ("model", seen.models),
        ):
            rows = [(label(row), row.cost, row.unpriced > 0) for row in spenders[:_MOST_BARS]]
            more = f" (of {len(spenders)})" if len(spenders) > _MOST_BARS else ""
            plots.append((f"cost by {what}{more}", rows))
    for title, sizes in plots:
        places = places_for(size for _, size, _ in sizes)
        marks = ("*", " ") if any(unpriced for _, _, unpriced in sizes) else ("", "")
        say()
        show_bars(
            title,
            [
                PlotBar(name, size, dollars(size, places) + marks[not unpriced])
                for name, size, unpriced in sizes
            ],
        )


def _plain(found: Spend) -> dict[str, Any]:
    """The report for scripts: amounts as text, since a JSON number would be read as a float."""
    import msgspec

    def plain(value: Spend | SpendRow) -> dict[str, Any]:
        fields = msgspec.structs.asdict(value)
        return {**fields, "usage": msgspec.structs.asdict(value.usage)}

    return {**plain(found), "rows": [plain(row) for row in found.rows]}


def _csv(found: Spend) -> str:
    import msgspec

    figures = ("cost", "bound", "saved", "calls", "attempts", "failed", "unpriced", "estimated")
    counters = [name for name in type(found.usage).__struct_fields__ if name != "estimated"]
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow((*found.by, *figures, *counters))
    for row in found.rows:
        fields, usage = msgspec.structs.asdict(row), msgspec.structs.asdict(row.usage)
        amounts = [fields[name] for name in figures]
        lines.writerow(
            (
                *("" if row.keys[name] is None else row.keys[name] for name in found.by),
                *(f"{each:f}" if isinstance(each, Decimal) else each for each in amounts),
                *(usage[name] for name in counters),
            )
        )
    return written.getvalue()
