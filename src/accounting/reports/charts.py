"""Charts as SVG inside a page: no script, no font, nothing to load.

Each has a title and a description for screen readers. Series differ by colour and by pattern, so
that a print in grey says the same. Colours are the page's variables, which know light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from html import escape
from typing import Final, NamedTuple, TypeAlias

__all__ = ["Bar", "Column", "bar_chart", "column_chart", "legend", "patterns"]

Amount: TypeAlias = Decimal | int

_WIDTH: Final = 720
_HEIGHT: Final = 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 8, 12, 26
_STEPS_IN_TEN: Final = (1, 2, 2.5, 5, 10)
_MOST_LABELS: Final = 9
_ROW: Final = 30
_NAME_WIDTH: Final = 250
_AMOUNT_WIDTH: Final = 130
_LONGEST_NAME: Final = 32
_PATTERNS: Final = (
    "",
    '<path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" class="ink"/>',
    '<circle cx="3" cy="3" r="1.25" class="dot"/>',
    '<path d="M0 3H6" class="ink"/>',
    '<path d="M3 0V6" class="ink"/>',
    '<path d="M0 3H6M3 0V6" class="ink"/>',
)


class Column(NamedTuple):
    """One place along the time axis.

    Attributes:
        name: For the tooltip: ``2026-11-23``.
        tick: For the axis: ``23 Nov``.
        parts: An amount for each series, from the bottom up.
    """

    name: str
    tick: str
    parts: tuple[Amount, ...]


class Bar(NamedTuple):
    """One row: its name, its amount, the amount as people read it, and a remark."""

    name: str
    amount: Amount
    text: str
    remark: str = ""


def patterns(series: int) -> str:
    """What the charts of a page fill their shapes with; once on a page, before them."""
    tiles = "".join(
        f'<pattern id="fill{place}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect width="6" height="6" class="s{place}"/>{_PATTERNS[place % len(_PATTERNS)]}'
        "</pattern>"
        for place in range(series)
    )
    return f'<svg width="0" height="0" class="tiles" aria-hidden="true"><defs>{tiles}</defs></svg>'


def legend(names: Sequence[str]) -> str:
    """Which series has which look."""
    items = "".join(
        f'<li><svg width="14" height="14" aria-hidden="true"><rect width="14" height="14" rx="2" '
        f'fill="url(#fill{place})"/></svg>{escape(name)}</li>'
        for place, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def column_chart(
    key: str,
    title: str,
    description: str,
    *,
    series: Sequence[str],
    columns: Sequence[Column],
    shown: Callable[[Amount], str],
) -> str:
    """Columns along time, each a stack of its series.

    Args:
        key: Unlike that of any other chart on the page.
        title: What it shows.
        description: What is to be seen in it, for those who can't.
        series: The names of the parts.
        columns: From left to right.
        shown: How an amount is written.
    """
    top, step = _scale(max((sum(column.parts) for column in columns), default=0))
    height = _HEIGHT - _TOP - _BOTTOM
    drawn = [_grid(top, step, height, shown)]
    slot = (_WIDTH - _LEFT - _RIGHT) / max(1, len(columns))
    bar = min(slot * 0.78, 46.0)
    every = math.ceil(len(columns) / _MOST_LABELS)
    for place, column in enumerate(columns):
        left = _LEFT + slot * place + (slot - bar) / 2
        drawn.append(_stack(column, series, (left, bar), height / top, shown))
        if place % every == 0:
            drawn.append(
                f'<text x="{left + bar / 2:.1f}" y="{_HEIGHT - 8}" class="tick" '
                f'text-anchor="middle">{escape(column.tick)}</text>'
            )
    drawn.append(f'<path d="M{_LEFT} {_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}" class="axis"/>')
    return _svg(key, title, description, _HEIGHT, "".join(drawn))


def bar_chart(key: str, title: str, description: str, rows: Sequence[Bar]) -> str:
    """Rows, the name on the left and the amount on the right; see :func:`column_chart`."""
    largest = max((float(row.amount) for row in rows), default=0.0)
    room = _WIDTH - _NAME_WIDTH - _AMOUNT_WIDTH
    drawn = []
    for place, row in enumerate(rows):
        y = place * _ROW
        length = room * float(row.amount) / largest if largest > 0 else 0.0
        middle = y + _ROW / 2 + 4
        name = row.name
        if len(name) > _LONGEST_NAME:
            name = f"{name[: _LONGEST_NAME - 1]}…"
        remark = f" ({row.remark})" if row.remark else ""
        drawn.append(
            f"<g><title>{escape(row.name)}: {escape(row.text + remark)}</title>"
            f'<text x="{_NAME_WIDTH - 10}" y="{middle:.1f}" class="name" text-anchor="end">'
            f"{escape(name)}</text>"
            f'<rect x="{_NAME_WIDTH}" y="{y + 6}" width="{max(length, 1.0):.1f}" '
            f'height="{_ROW - 12}" rx="2" class="s0"/>'
            f'<text x="{_NAME_WIDTH + max(length, 1.0) + 7:.1f}" y="{middle:.1f}" class="amount">'
            f"{escape(row.text)}</text></g>"
        )
    return _svg(key, title, description, max(1, len(rows)) * _ROW, "".join(drawn))


def _svg(key: str, title: str, description: str, height: int, drawn: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-labelledby="{key}-title {key}-desc"><title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-desc">{escape(description)}</desc>{drawn}</svg>'
    )


def _scale(largest: Amount) -> tuple[float, float]:
    """The axis' end and the distance of its lines: round numbers, three to six lines."""
    value = float(largest)
    if value <= 0:
        return 1.0, 1.0
    rough = value / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in _STEPS_IN_TEN if power * each >= rough * 0.999)
    return step * math.ceil(value / step * 0.999), step


def _grid(top: float, step: float, height: int, shown: Callable[[Amount], str]) -> str:
    lines = []
    for place in range(round(top / step) + 1):
        y = _TOP + height - height * place * step / top
        # Only the picture's axis: amounts themselves are never floats.
        amount = Decimal(repr(step)) * place
        lines.append(
            f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" class="grid"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" class="tick" text-anchor="end">'
            f"{escape(shown(amount))}</text>"
        )
    return "".join(lines)


def _stack(
    column: Column,
    series: Sequence[str],
    across: tuple[float, float],
    scale: float,
    shown: Callable[[Amount], str],
) -> str:
    left, width = across
    y = float(_HEIGHT - _BOTTOM)
    drawn = []
    for place, (name, amount) in enumerate(zip(series, column.parts, strict=True)):
        length = float(amount) * scale
        if length <= 0:
            continue
        y -= length
        drawn.append(
            f'<rect x="{left:.1f}" y="{y:.2f}" width="{width:.1f}" height="{length:.2f}" '
            f'fill="url(#fill{place})"><title>{escape(column.name)}, {escape(name)}: '
            f"{escape(shown(amount))}</title></rect>"
        )
    return "".join(drawn)
