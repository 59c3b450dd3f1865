"""Bars in the terminal: legible in 80 columns and without a colour."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from .output import is_terminal, one_line, say

__all__ = ["PlotBar", "meter", "show_bars"]

_EIGHTHS: Final = "▏▎▍▌▋▊▉█"
_WIDEST: Final = 100
_LONGEST_LABEL: Final = 30
_SHORTEST_BAR: Final = 10


class PlotBar(NamedTuple):
    """One bar: its label, its size, and the size in words."""

    label: str
    size: Decimal
    text: str


def show_bars(title: str, bars: Sequence[PlotBar]) -> None:
    """A bar a line, the label on its left and its size on its right.

    Raises:
        OutputError: It can't be written.
    """
    say(title, bold=True)
    labels = [_cut(one_line(bar.label)) for bar in bars]
    left = max(map(len, labels), default=0)
    right = max((len(bar.text) for bar in bars), default=0)
    room = max(_SHORTEST_BAR, _columns() - left - right - 4)
    largest = max((bar.size for bar in bars), default=Decimal(0))
    for label, bar in zip(labels, bars, strict=True):
        part = bar.size / largest if largest > 0 else Decimal(0)
        say(f"{label:<{left}}  ", nl=False)
        say(f"{meter(part, room):<{room}}", nl=False, fg="cyan")
        say(f"  {bar.text:>{right}}")


def meter(part: Decimal, width: int) -> str:
    """The part (0 to 1) of a width as a bar; something can be seen of anything above zero."""
    eighths = int(max(Decimal(0), min(Decimal(1), part)) * width * 8)
    if part > 0:
        eighths = max(1, eighths)
    if not _has_blocks():
        return "#" * -(-eighths // 8)
    full, rest = divmod(eighths, 8)
    return _EIGHTHS[-1] * full + (_EIGHTHS[rest - 1] if rest else "")


def _cut(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"


def _columns() -> int:
    # Into a file or a mail it goes at the width that everything can show.
    width = shutil.get_terminal_size().columns if is_terminal() else 80
    return min(_WIDEST, width)


def _has_blocks() -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        _EIGHTHS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
