"""Reading tables strictly: every fault is collected, none is passed over."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ..credentials import Secret
from ..errors import ConfigError
from .lines import Path, show_path
from .values import shorten

__all__ = ["Problems", "Table", "closest", "normalised"]

_MAX_DEPTH = 32
_MAX_VALUES = 100_000


class Problems:
    """What is wrong, collected until all of it can be said at once.

    Args:
        source: The file that is read; empty for a mapping.
        lines: Where things stand in it.
    """

    def __init__(self, source: str = "", lines: Mapping[Path, int] | None = None) -> None:
        self.source = source
        self.lines = lines or {}
        self.warnings: list[str] = []
        self._errors: list[ConfigError] = []

    def add(self, path: Path, message: str) -> None:
        """Note an error."""
        self._errors.append(ConfigError(self._placed(path, message), param=show_path(path)))

    def warn(self, path: Path, message: str) -> None:
        """Note something that works but should not stay."""
        self.warnings.append(self._placed(path, message))

    def raise_if_any(self) -> None:
        """End the reading, if anything was wrong."""
        if self._errors:
            raise self._error()

    def failure(self, path: Path, message: str) -> ConfigError:
        """Note an error that leaves nothing more to be read, and make what is to be raised."""
        self.add(path, message)
        return self._error()

    def _error(self) -> ConfigError:
        errors = tuple(self._errors)
        if len(errors) == 1:
            message = errors[0].message
        else:
            where = f" in {self.source}" if self.source else " in the configuration"
            message = "\n  ".join([f"{len(errors)} errors{where}:", *(e.message for e in errors)])
        error = ConfigError(message, param=errors[0].param)
        error.errors = errors
        return error

    def _placed(self, path: Path, message: str) -> str:
        place = self.source
        if place and (line := self._line(path)) is not None:
            place = f"{place}:{line}"
        return ": ".join(part for part in (place, show_path(path), message) if part)

    def _line(self, path: Path) -> int | None:
        """The line of the key itself, or of the innermost table around it that the text shows."""
        for length in range(len(path), 0, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line
        return None


def closest(word: str, options: Iterable[str]) -> str:
    """``did you mean ...?`` for the option most like the word, or nothing."""
    folded = {option.casefold(): option for option in options}
    found = difflib.get_close_matches(word[:80].casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {shorten(folded[found[0]])}?" if found else ""


def kind(value: object) -> str:
    """What a value is, in words, without the value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, str | Secret):
        return "a string"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return "a number" if isinstance(value, Decimal) else "nothing"


class Table:
    """One table, read key by key.

    Args:
        data: Its values, as ``normalised`` made them.
        path: Where it stands.
        problems: Where faults go.
        secretive: No value of it is ever shown, because credentials may stand in the wrong place.
    """

    def __init__(
        self, data: dict[str, Any], path: Path, problems: Problems, *, secretive: bool = False
    ) -> None:
        self.data = data
        self.path = path
        self.problems = problems
        self.secretive = secretive

    def wrong(self, key: str, expected: str, hint: str = "") -> None:
        """Note that a value is not what it must be."""
        value = self.data.get(key)
        found = kind(value)
        if not self.secretive:
            if isinstance(value, str):
                found = f"the string {shorten(value)}"
            elif isinstance(value, Decimal) or (isinstance(value, int) and abs(value) < 10**18):
                found = str(value).lower()
        self.problems.add((*self.path, key), f"must be {expected}, but is {found}{hint}")

    def text(self, key: str, default: str = "") -> str:
        """A string that is not empty."""
        value = self.data.get(key, default)
        if isinstance(value, str) and (value.strip() or key not in self.data):
            return value
        self.wrong(key, "a string that is not empty")
        return default

    def flag(self, key: str) -> bool | None:
        """``true`` or ``false``; ``None`` where it is not set."""
        value = self.data.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.wrong(key, "true or false")
        return None

    def integer(self, key: str, *, least: int, most: int = 2**53) -> int | None:
        """A whole number; ``None`` where it is not set."""
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        limit = f" up to {most}" if most < 2**53 else ""
        self.wrong(key, f"a whole number from {least}{limit}")
        return None

    def positive(self, key: str, what: str = "a number above 0") -> float | None:
        """A number above nothing; ``None`` where it is not set."""
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            number = as_float(value)
            if number is not None and number > 0:
                return number
        self.wrong(key, what)
        return None

    def seconds(self, key: str) -> float | None:
        """A length of time; ``None`` where it is not set."""
        return self.positive(key, "a number of seconds above 0")

    def choice(self, key: str, options: Iterable[str]) -> str | None:
        """One of a few words; ``None`` where it is not set."""
        value = self.data.get(key)
        if value is None:
            return None
        options = list(options)
        if isinstance(value, str) and value in options:
            return value
        allowed = ", ".join(f'"{option}"' for option in options)
        hint = closest(value, options) if isinstance(value, str) else ""
        self.wrong(key, f"one of {allowed}", hint)
        return None

    def table(self, key: str) -> Table | None:
        """A table within; ``None`` where it is not set."""
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, dict):
            return Table(value, (*self.path, key), self.problems, secretive=self.secretive)
        self.wrong(key, "a table")
        return None

    def tables(self, key: str) -> dict[str, Table]:
        """A table of tables, such as ``[groups]``; what is no table is noted and left out."""
        outer = self.table(key)
        if outer is None:
            return {}
        found = {name: outer.table(name) for name in outer.data}
        return {name: table for name, table in found.items() if table is not None}

    def only(self, known: Iterable[str], unavailable: Mapping[str, str] | None = None) -> None:
        """Note every key that does not belong here, and every one that is not served yet."""
        known = list(known)
        for key in self.data:
            if key in known:
                continue
            path = (*self.path, key)
            if unavailable is not None and key in unavailable:
                reason = unavailable[key]
                self.problems.add(path, f"not available in this version ({reason}); leave it out")
                continue
            hint = closest(key, known)
            allowed = ", ".join(sorted(known))
            self.problems.add(path, f"unknown key{hint}{'' if hint else f'; known: {allowed}'}")


def as_float(value: Decimal | int) -> float | None:
    """A number as a float; ``None`` where it has no finite one."""
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def normalised(mapping: object, problems: Problems) -> dict[str, Any]:
    """A fresh copy made of dicts, lists, strings, booleans, integers, ``Decimal`` and ``Secret``.

    Floats become the ``Decimal`` that their ``repr`` shows, so that 0.1 stays 0.1. A key whose
    value is ``None`` is left out: JSON has no other way to say "not set".
    """
    copy = _Copy(problems).value(mapping, ())
    if isinstance(copy, dict):
        return copy
    raise problems.failure((), f"a configuration is a table (a mapping), but this is {kind(copy)}")


class _Copy:
    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._around: set[int] = set()
        self._left = _MAX_VALUES

    def value(self, value: object, path: Path) -> Any:
        self._left -= 1
        if self._left < 0:
            raise self._problems.failure(
                path, f"more than {_MAX_VALUES} values are not a configuration"
            )
        if isinstance(value, Mapping | list | tuple):
            return self._container(value, path)
        if value is None or isinstance(value, bool | str | Secret):
            return value
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            value = Decimal(float.__repr__(value))
        if isinstance(value, Decimal):
            if value.is_finite():
                return value
            self._problems.add(path, "must be a finite number")
            return None
        name = type(value).__name__
        self._problems.add(path, f"a value of type {name} has no meaning here; write a string")
        return None

    def _container(self, value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], path: Path) -> Any:
        if id(value) in self._around or len(path) >= _MAX_DEPTH:
            self._problems.add(path[:8], f"nested more than {_MAX_DEPTH} levels deep")
            return None
        self._around.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._table(value, path)
            return [self.value(item, (*path, index)) for index, item in enumerate(value)]
        finally:
            self._around.discard(id(value))

    def _table(self, value: Mapping[Any, Any], path: Path) -> dict[str, Any]:
        table = {}
        for key, item in value.items():
            if not isinstance(key, str):
                self._problems.add(path, f"keys must be strings, but one is {kind(key)}")
            elif (copied := self.value(item, (*path, key))) is not None:
                table[str(key)] = copied
        return table
