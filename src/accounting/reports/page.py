"""A report as one HTML file that stands alone: no script, no font, nothing to load.

Whatever comes from the ledger (names of agents, projects, models, tags) is escaped: labels are
other people's words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from html import escape
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from .charts import Amount, Bar, Column, bar_chart, column_chart, legend, patterns
from .figures import dollars, places_for, share, short_count, times
from .overview import BUCKETS, Overview, label
from .spend import Spend, SpendRow

__all__ = ["page"]

_MOST_BARS: Final = 10
_MOST_FILLS: Final = 6
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_STATES: Final = ("answered", "failed")


def page(seen: Overview, now: dt.datetime) -> str:
    """The page: charts, and every row of the report in a table.

    Args:
        seen: What it shows.
        now: When it was made.
    """
    spend = seen.spend
    zone = ZoneInfo(spend.timezone)
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    time = _time(seen, zone)
    made = f"{now.astimezone(zone):%Y-%m-%d %H:%M} {escape(spend.timezone)}"
    body = (
        patterns(_MOST_FILLS),
        f"<header><h1>Spending</h1><p>{escape(time)}</p></header>",
        _tiles(spend),
        _remarks(spend),
        _costs(seen),
        _top("project", "Projects", seen.projects),
        _top("agent", "Agents", seen.agents),
        _top("model", "Models", seen.models, ("provider", "model")),
        _tokens(seen),
        _attempts(seen),
        _table(spend),
        f"<footer>Made by Switchgear, {made}. Costs are in US dollars.</footer>",
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Spending: {escape(time)}</title><style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def _time(seen: Overview, zone: ZoneInfo) -> str:
    spend = seen.spend
    first = spend.since.astimezone(zone) if spend.since else None
    last = spend.until.astimezone(zone) if spend.until else None
    begin = f"{first:%Y-%m-%d %H:%M}" if first else "the ledger’s beginning"
    end = f"{last:%Y-%m-%d %H:%M}" if last else "now"
    return f"from {begin} to {end} ({spend.timezone})"


def _tiles(spend: Spend) -> str:
    used = spend.usage
    cached = share(used.cache_read_tokens, used.input_tokens)
    tiles = (
        ("Cost", dollars(spend.cost), f"at most {dollars(spend.bound)}"),
        ("Calls", f"{spend.calls:,}", f"{spend.attempts:,} attempts"),
        ("Failed attempts", f"{spend.failed:,}", share(spend.failed, spend.attempts)),
        ("Input tokens", short_count(used.input_tokens), f"{cached} read from cache"),
        ("Output tokens", short_count(used.output_tokens), _reasoned(spend)),
        ("Saved by the cache", dollars(spend.saved), "answers not asked for again"),
    )
    shown = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
        for name, value, note in tiles
    )
    return f'<dl class="tiles">{shown}</dl>'


def _reasoned(spend: Spend) -> str:
    return f"{share(spend.usage.reasoning_tokens, spend.usage.output_tokens)} reasoning"


def _remarks(spend: Spend) -> str:
    """What the figures do not hold."""
    remarks = []
    if spend.unpriced:
        remarks.append(
            f"<strong>{times(spend.unpriced, 'attempt')} without a price</strong>: the true cost "
            "is higher than what is shown here."
        )
    if spend.estimated:
        remarks.append(
            f"<strong>{times(spend.estimated, 'attempt')} with estimated tokens</strong>: the "
            "provider sent no final count."
        )
    items = "".join(f"<li>{remark}</li>" for remark in remarks)
    return f'<ul class="remarks">{items}</ul>' if items else ""


def _costs(seen: Overview) -> str:
    columns = [Column(step.name, _tick(step.name), step.cost) for step in seen.steps]
    what = seen.stacked.replace("_", " ").removeprefix("tag:")
    title = f"Cost by {seen.unit} and {what}"
    return _along(seen, "cost", title, series=seen.series, columns=columns, shown=_dollars_on(seen))


def _tokens(seen: Overview) -> str:
    columns = [Column(step.name, _tick(step.name), step.tokens) for step in seen.steps]
    return _along(
        seen, "tokens", f"Tokens by {seen.unit}", series=BUCKETS, columns=columns, shown=_counted
    )


def _attempts(seen: Overview) -> str:
    columns = [
        Column(step.name, _tick(step.name), (step.answered, step.failed)) for step in seen.steps
    ]
    return _along(
        seen,
        "attempts",
        f"Attempts by {seen.unit}",
        series=_STATES,
        columns=columns,
        shown=_counted,
    )


def _along(
    seen: Overview,
    key: str,
    title: str,
    *,
    series: Sequence[str],
    columns: Sequence[Column],
    shown: Callable[[Amount], str],
) -> str:
    totals = [sum(column.parts) for column in columns]
    if not any(totals):
        return f"<section><h2>{escape(title)}</h2><p>Nothing in this time.</p></section>"
    largest = max(range(len(columns)), key=lambda place: totals[place])
    description = (
        f"{len(columns)} {seen.unit}s. The most is {shown(totals[largest])} on "
        f"{columns[largest].name}; together {shown(sum(totals))}. Split into {', '.join(series)}."
    )
    used = [place for place in range(len(series)) if any(column.parts[place] for column in columns)]
    chart = column_chart(key, title, description, series=series, columns=columns, shown=shown)
    rows = [
        (column.name, *(shown(column.parts[place]) for place in used), shown(total))
        for column, total in zip(columns, totals, strict=True)
    ]
    heads = (seen.unit, *(series[place] for place in used), "together")
    return (
        f"<section><h2>{escape(title)}</h2>{legend(series)}<figure>{chart}</figure>"
        f"<details><summary>The figures</summary>{_grid(heads, rows)}</details></section>"
    )


def _top(key: str, title: str, rows: Sequence[SpendRow], columns: Sequence[str] = ()) -> str:
    """Who spent most; nothing where nobody is named."""
    if not rows or (len(rows) == 1 and not any(rows[0].keys.values())):
        return ""
    shown = rows[:_MOST_BARS]
    places = places_for(row.cost for row in shown)
    bars = [
        Bar(label(row, columns or None), row.cost, _priced(row, places), times(row.calls, "call"))
        for row in shown
    ]
    rest = rows[_MOST_BARS:]
    more = ""
    if rest:
        cost = sum((row.cost for row in rest), Decimal(0))
        more = f"<p>and {len(rest):,} more, together {escape(dollars(cost))}</p>"
    description = "; ".join(f"{bar.name} {bar.text}" for bar in bars)
    chart = bar_chart(key, f"{title} by cost", description, bars)
    return f"<section><h2>{escape(title)} by cost</h2><figure>{chart}</figure>{more}</section>"


def _priced(row: SpendRow, places: int) -> str:
    if row.unpriced and not row.cost:
        return "no price"
    return dollars(row.cost, places) + (" + unpriced" if row.unpriced else "")


def _table(spend: Spend) -> str:
    if not spend.rows:
        return ""
    places = places_for([*(row.cost for row in spend.rows), *(row.bound for row in spend.rows)])
    heads = (
        *(name.replace("_", " ").removeprefix("tag:") for name in spend.by),
        *("cost", "at most", "calls", "attempts", "failed", "input", "of it cached", "output"),
    )
    rows = [
        (
            *(row.keys[name] or "(none)" for name in spend.by),
            dollars(row.cost, places) + ("*" if row.unpriced else ""),
            dollars(row.bound, places),
            *(f"{count:,}" for count in (row.calls, row.attempts, row.failed)),
            f"{row.usage.input_tokens:,}",
            f"{row.usage.cache_read_tokens:,}",
            f"{row.usage.output_tokens:,}" + ("~" if row.estimated else ""),
        )
        for row in spend.rows
    ]
    notes = []
    if spend.unpriced:
        notes.append("* some of it has no price")
    if spend.estimated:
        notes.append("~ some of it is estimated")
    note = f"<p>{'; '.join(notes)}</p>" if notes else ""
    table = _grid(heads, rows, names=len(spend.by))
    return f"<section><h2>Row by row</h2>{table}{note}</section>"


def _grid(heads: Iterable[str], rows: Iterable[Iterable[str]], *, names: int = 1) -> str:
    head = "".join(
        f'<th scope="col"{"" if place < names else _RIGHT}>{escape(text)}</th>'
        for place, text in enumerate(heads)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(text)}</td>" if place < names else f"<td{_RIGHT}>{escape(text)}</td>"
            for place, text in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="wide" role="region" aria-label="Table" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


_RIGHT: Final = ' class="n"'


def _tick(name: str) -> str:
    """``2026-11-23`` as ``23 Nov``, ``2026-11`` as ``Nov 2026``, an hour as ``08:00``."""
    if "T" in name:
        return name.partition("T")[2][:5]
    year, month, *day = name.split("-")
    of = _MONTHS[int(month) - 1]
    return f"{int(day[0])} {of}" if day else f"{of} {year}"


def _dollars_on(seen: Overview) -> Callable[[Amount], str]:
    largest = max((sum(step.cost) for step in seen.steps), default=Decimal(0))
    places = places_for((largest / 8,)) if largest else 2

    def shown(amount: Amount) -> str:
        exact = Decimal(amount)
        return "$0" if not exact else dollars(exact, max(places, 2))

    return shown


def _counted(amount: Amount) -> str:
    return short_count(int(amount))
