"""How the command writes: rich on a terminal, plain elsewhere, JSON for scripts.

Answers, tables and JSON go to the standard output; everything said about them (errors, hints,
warnings, traces) to the standard error, so that a pipe carries the answer alone.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..decision import Trace

__all__ = [
    "Answer",
    "OutputError",
    "complain",
    "drop_output",
    "is_terminal",
    "one_line",
    "say",
    "settle_streams",
    "show_table",
    "show_trace",
    "warn",
    "write_json",
]

_LONGEST_LINE = 1000

# A model's words are no commands to the terminal: C0 and C1, but for tab and line feed.
_INERT = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
_INERT[ord("\r")] = ""


class OutputError(Exception):
    """The standard output can't be written.

    Attributes:
        gone: Its reader has left, as in ``| head``; nobody is interested in more.
    """

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"can't write the output: {cause.strerror or cause}")
        self.gone = isinstance(cause, BrokenPipeError)


def is_terminal(*, err: bool = False) -> bool:
    """A person reads the standard output, or the standard error."""
    stream = _stream(err=err)
    # A process may be started without one, or with a closed one.
    return stream is not None and not stream.closed and stream.isatty()


def settle_streams() -> None:
    """A character that the terminal's encoding lacks is replaced, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def say(text: str = "", *, nl: bool = True, err: bool = False, **style: Any) -> None:
    """Write a text at once. ``style`` is ``click.style``'s, for terminals that show colours.

    Raises:
        OutputError: It can't be written.
    """
    stream = _stream(err=err)
    if stream is None or stream.closed:
        return
    if style and _has_colours(stream):
        text = click.style(text, **style)
    try:
        stream.write(f"{text}\n" if nl else text)
        stream.flush()
    except OSError as exc:
        raise OutputError(exc) from exc


def complain(message: str, *, hint: str | None = None) -> None:
    """One line on the standard error, and where there is one a hint on the way out."""
    with contextlib.suppress(OutputError):  # there is no other place to complain at
        say(f"error: {one_line(message)}", err=True, fg="red")
        if hint:
            say(f"hint: {one_line(hint)}", err=True)


def warn(message: str) -> None:
    """One line on the standard error about something that is not an error."""
    with contextlib.suppress(OutputError):
        say(f"warning: {one_line(message)}", err=True, fg="yellow")


def one_line(text: str) -> str:
    """The text as a line of bearable length, without anything that a terminal would obey."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"


def write_json(value: Any) -> None:
    """The value as indented JSON on the standard output.

    Raises:
        OutputError: It can't be written.
    """
    import msgspec

    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


class Answer:
    """An answer on its way to the standard output, piece by piece. ``style`` as in ``say``."""

    def __init__(self, **style: Any) -> None:
        self._style = style
        self._inert = is_terminal()
        self._open = False

    def write(self, text: str) -> None:
        """The next piece.

        Raises:
            OutputError: It can't be written.
        """
        if not text:
            return
        say(text.translate(_INERT) if self._inert else text, nl=False, **self._style)
        self._open = not text.endswith("\n")

    def end(self) -> None:
        """Whatever comes next begins on a line of its own."""
        if self._open:
            self._open = False
            say()


def show_trace(trace: Trace, *, err: bool = False) -> None:
    """The trace as a table: rich on a terminal, aligned text elsewhere."""
    if is_terminal(err=err):
        _console(err=err).print(trace)
    else:
        say(str(trace), err=err)


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    note: str | None = None,
    numbers: Collection[str] = (),
) -> None:
    """Rows of text: a table on a terminal, elsewhere a line each with tabs between the cells.

    Args:
        title: What they are; only for people.
        columns: The headings.
        rows: A cell for each column.
        note: The column that a terminal shows under the first one, to leave room for the others.
        numbers: The columns that a terminal aligns on the right.
    """
    if not is_terminal():
        for row in (columns, *rows):
            say("\t".join(one_line(cell) for cell in row))
        return
    from rich.text import Text

    table = _table(title)
    for column in columns:
        if column != note:
            justify: Literal["right", "left"] = "right" if column in numbers else "left"
            table.add_column(column, overflow="fold", justify=justify, no_wrap=column in numbers)
    for row in rows:
        cells = {column: one_line(cell) for column, cell in zip(columns, row, strict=True)}
        under = cells.pop(note, "") if note is not None else ""
        first, *others = cells.values()
        head = Text(first)
        if under:
            head.append(f"\n{under}", style="dim")
        table.add_row(head, *map(Text, others))
    _console().print(table)


def drop_output() -> None:
    """Point the standard output at nothing.

    What its buffer still holds would otherwise fail again, noisily, when the interpreter exits.
    """
    stream = sys.stdout
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _stream(*, err: bool) -> TextIO | None:
    return sys.stderr if err else sys.stdout


def _has_colours(stream: TextIO) -> bool:
    # https://no-color.org
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _console(*, err: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=err, highlight=False)
