"""Results as pictures: bars in SVG, readable on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from .results import Found, Results, Row
from .statistics import Figure, figure

__all__ = ["PICTURES", "Bar", "Panel", "draw", "svg"]

WIDTH = 760
LEFT = 245
RIGHT = 100
BAR = 18
STEP = 26
OURS = ("switchgear", "switchgear-direct", "switchgear-alone", "router")

# A background of its own: what the reader's system prefers need not be what the page looks like.
_STYLE = """
.page { fill: #ffffff; stroke: #d1d9e0; }
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
.title { font-size: 15px; font-weight: 600; }
.panel { font-weight: 600; }
.note { font-size: 11px; fill: #57606a; }
.bar { fill: #8c959f; }
.ours { fill: #0969da; }
.axis, .spread { stroke: #57606a; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; stroke: #3d444d; }
  text { fill: #e6edf3; }
  .note { fill: #9198a1; }
  .bar { fill: #6e7681; }
  .ours { fill: #4493f8; }
  .axis, .spread { stroke: #9198a1; }
}
"""


class Bar(NamedTuple):
    """One subject's."""

    label: str
    value: Figure
    ours: bool


class Panel(NamedTuple):
    """Bars that share a scale."""

    title: str
    bars: Sequence[Bar]


class Picture(NamedTuple):
    """What a file shows of which scenarios.

    Attributes:
        title: Above all.
        unit: Of the figures.
        figure: Takes it from a row.
        scenarios: In this order.
    """

    title: str
    unit: str
    figure: Callable[[Row], Figure | None]
    scenarios: tuple[str, ...]


def _first_token(row: Row) -> Figure | None:
    return None if row.first_p50_ms is None else figure([row.first_p50_ms])


PICTURES = {
    "completions.svg": Picture(
        "CPU time of a completion",
        "µs",
        lambda row: row.cpu_us,
        ("openai-64", "openai-1", "anthropic-64"),
    ),
    "streams.svg": Picture(
        "CPU time of a stream of 100 chunks",
        "µs",
        lambda row: row.cpu_us,
        ("openai-stream", "openai-burst", "anthropic-stream", "anthropic-burst"),
    ),
    "latency.svg": Picture(
        "99th percentile of the latency", "ms", lambda row: row.p99_rounds_ms, ("latency",)
    ),
    "first-token.svg": Picture(
        "Median time to the first token", "ms", _first_token, ("openai-stream", "anthropic-stream")
    ),
    "memory.svg": Picture(
        "Memory of a process", "MB", lambda row: row.memory_mb, ("import", "openai-64")
    ),
}
"""By file name."""


def draw(results: Results) -> dict[str, str]:
    """SVG pictures by file name, of what was measured."""
    by_name = {found.scenario: found for found in results.scenarios}
    drawn = {}
    for file, picture in PICTURES.items():
        panels = [
            _panel(by_name[name], picture.figure) for name in picture.scenarios if name in by_name
        ]
        if any(panel.bars for panel in panels):
            note = (
                f"Medians of {results.options['rounds']} interleaved rounds, with quartiles;"
                f" {results.machine['python']}, {results.options['loop']},"
                f" {results.machine['processors']} processors"
            )
            drawn[file] = svg(picture.title, picture.unit, panels, note)
    return drawn


def _panel(found: Found, take: Callable[[Row], Figure | None]) -> Panel:
    taken = [(row, value) for row in found.rows if (value := take(row)) is not None]
    return Panel(
        found.title.replace("`", ""),
        [
            Bar(f"{row.title} {row.version}".strip(), value, row.subject in OURS)
            for row, value in taken
        ],
    )


def svg(title: str, unit: str, panels: Sequence[Panel], note: str) -> str:
    """Panels one under the other, each with a scale of its own that begins at nothing."""
    lines, y = [], 28
    for panel in panels:
        y += 30
        lines.append(f'<text class="panel" x="16" y="{y}">{escape(panel.title)}</text>')
        y += 12
        lines.append(f'<path class="axis" d="M{LEFT} {y}v{len(panel.bars) * STEP}"/>')
        lines += _bars(panel.bars, unit, y)
        y += len(panel.bars) * STEP
    y += 26
    lines.append(f'<text class="note" x="16" y="{y}">{escape(note)}</text>')
    height = y + 14
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' width="{WIDTH}" height="{height}">'
    )
    name = escape(title)
    page = f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>'
    top = f'<text class="title" x="16" y="28">{name}</text>'
    parts = [
        head,
        f"<title>{name}</title>",
        f"<style>{_STYLE}</style>",
        page,
        top,
        *lines,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bars(bars: Sequence[Bar], unit: str, top: int) -> Iterator[str]:
    most = max((bar.value.high for bar in bars), default=0.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / most
    for number, bar in enumerate(bars):
        y = top + number * STEP + (STEP - BAR) / 2
        middle = y + BAR / 2
        low, value, high = (
            LEFT + max(each, 0.0) * scale
            for each in (bar.value.low, bar.value.median, bar.value.high)
        )
        kind, wide = ("bar ours" if bar.ours else "bar"), value - LEFT
        base, end = middle + 4.5, max(value, high) + 6
        said = f"{bar.value.median:,.{0 if bar.value.median >= 100 else 1}f} {unit}"
        yield f'<text x="{LEFT - 8}" y="{base:g}" text-anchor="end">{escape(bar.label)}</text>'
        yield f'<rect class="{kind}" x="{LEFT}" y="{y:g}" width="{wide:.1f}" height="{BAR}"/>'
        if high > low:
            yield f'<path class="spread" d="M{low:.1f} {middle:g}H{high:.1f}"/>'
        yield f'<text x="{end:.1f}" y="{base:g}">{said}</text>'
