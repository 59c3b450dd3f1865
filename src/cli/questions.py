"""Where a question comes from: the command line, the standard input, a person at the keyboard."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence

import click

from .output import is_terminal, say

__all__ = ["as_text", "ask", "at_keyboard", "prompting", "question"]

_PATIENCE_SECONDS = 2.0


def at_keyboard() -> bool:
    """A person types the standard input."""
    # A process may be started without one, or with a closed one.
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def question(words: Sequence[str]) -> str:
    """What is asked: the words of the command line, then what stands on the standard input.

    Raises:
        UsageError: Neither says anything, or it is not text.
    """
    said = as_text(" ".join(words), "the prompt")
    parts = [part for part in (said, _piped().strip()) if part.strip()]
    if not parts:
        message = "nothing was asked: give a prompt, or write it to standard input"
        raise click.UsageError(message)
    return "\n\n".join(parts)


def as_text(text: str, what: str) -> str:
    """The same text.

    Raises:
        UsageError: It holds bytes that are no text: Python reads them as lone surrogates.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        message = f"{what} is not valid UTF-8 text"
        raise click.UsageError(message) from None
    return text


def prompting() -> None:
    """Make the terminal's lines editable, with a history, where Python can."""
    if is_terminal():
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - being imported is all that input() needs


def ask() -> str:
    """The next line that the person types.

    Raises:
        EOFError: There is none: Ctrl-D.
        UnicodeError: It is not text.
    """
    if is_terminal():
        line = input("> ")
    else:
        # input() would write its prompt into whatever the answers are piped to.
        say("> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
    line.encode()  # in some locales what is no text arrives as lone surrogates
    return line


def _piped() -> str:
    stdin = sys.stdin
    if stdin is None or stdin.closed or stdin.isatty():
        return ""
    try:
        with _patience():
            data = stdin.buffer.read()
    except OSError as exc:
        message = f"can't read standard input: {exc.strerror or exc}"
        raise click.UsageError(message) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        message = f"standard input is not UTF-8 text (byte 0x{data[exc.start]:02x} in line {line})"
        raise click.UsageError(message) from None


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Say so where the standard input stays open: a person may wait for it without knowing."""
    if not is_terminal(err=True):
        yield
        return
    message = "waiting for the end of standard input (< /dev/null where there is none)"
    timer = threading.Timer(_PATIENCE_SECONDS, say, (message,), {"err": True, "dim": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
