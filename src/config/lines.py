"""Where in a TOML text a key stands, so that an error can name the line."""

from __future__ import annotations

import json
import re
from typing import NamedTuple, TypeAlias

__all__ = ["Path", "line_numbers", "show_path"]

Path: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys, and indices of lists."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")

_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
  | (?P<string>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
  | (?P<newline>\n)
  | (?P<mark>[\[\]{}=,.])
  | (?P<word>[^\s\[\]{}=,.\#"']+)
    """,
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def show_path(path: Path) -> str:
    """A path as one would write it: ``groups."my group".chain[1].model``."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
            continue
        name = part if _BARE.fullmatch(part) else json.dumps(part)
        shown = f"{shown}.{name}" if shown else name
    return shown


def line_numbers(text: str) -> dict[Path, int]:
    """The line of every table, key and list element, counted from 1.

    The text must already have been read as valid TOML; of anything else the answer is a guess.
    """
    return _Reader(text).read()


class _Reader:
    """Follows the structure of a TOML text without reading its values."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._lines: dict[Path, int] = {}
        self._lists: dict[Path, int] = {}  # the last index of each array of tables

    def read(self) -> dict[Path, int]:
        table: Path = ()
        while (token := self._peek()) is not None:
            if token.kind == "newline":
                self._at += 1
            elif token.text == "[" and token.kind == "mark":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _mark(self, text: str) -> bool:
        """Step over a punctuation mark, if it is the next token."""
        token = self._peek()
        if token is None or token.kind != "mark" or token.text != text:
            return False
        self._at += 1
        return True

    def _header(self) -> Path:
        line = self._tokens[self._at].line
        self._mark("[")
        is_list = self._mark("[")
        path = self._inside(self._key(), whole=not is_list)
        if is_list:
            index = self._lists.get(path, -1) + 1
            self._lists[path] = index
            self._lines.setdefault(path, line)
            path = (*path, index)
            self._mark("]")
        self._mark("]")
        self._note(path, line)
        return path

    def _inside(self, keys: tuple[str, ...], *, whole: bool) -> Path:
        """Where a header leads: through the last element of every array of tables on the way."""
        path: Path = ()
        for number, key in enumerate(keys, 1):
            path = (*path, key)
            if path in self._lists and (whole or number < len(keys)):
                path = (*path, self._lists[path])
        return path

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while (token := self._peek()) is not None and token.kind in {"word", "string"}:
            parts.append(_unquoted(token))
            self._at += 1
            if not self._mark("."):
                break
        return tuple(parts)

    def _pair(self, table: Path) -> None:
        line = self._tokens[self._at].line
        keys = self._key()
        if not keys or not self._mark("="):
            self._at += 1
            return
        path = (*table, *keys)
        self._note(path, line)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._mark("["):
            self._list(path)
        elif self._mark("{"):
            self._inline_table(path)
        else:
            while (token := self._peek()) is not None:
                if token.kind == "newline" or (token.kind == "mark" and token.text in ",]}"):
                    return
                self._at += 1

    def _list(self, path: Path) -> None:
        index = 0
        while (token := self._peek()) is not None and not self._mark("]"):
            if token.kind == "newline" or self._mark(","):
                self._at += token.kind == "newline"
                continue
            self._note((*path, index), token.line)
            self._value((*path, index))
            index += 1
            # A value takes at least one token. If it took none, this is no TOML; don't hang on it.
            self._at += self._peek() is token

    def _inline_table(self, path: Path) -> None:
        while (token := self._peek()) is not None and not self._mark("}"):
            if token.kind == "newline" or self._mark(","):
                self._at += token.kind == "newline"
                continue
            self._pair(path)

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)


def _tokens(text: str) -> list[_Token]:
    tokens, line, at = [], 1, 0
    while (found := _TOKEN.search(text, at)) is not None:
        kind = found.lastgroup or ""
        if kind != "comment":
            tokens.append(_Token(kind, found.group(), line))
        line += found.group().count("\n")
        at = found.end()
    return tokens


def _unquoted(token: _Token) -> str:
    if token.kind == "word":
        return token.text
    if token.text.startswith("'"):
        return token.text[1:-1]
    try:
        return str(json.loads(token.text, strict=False))
    except ValueError:  # an escape that TOML has and JSON has not
        return token.text[1:-1]
