"""Reading LiteLLM's YAML: a tree whose keys are taken one by one, so that none is lost silently."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from .findings import Findings

__all__ = ["Section", "Source", "named_variables", "number", "read_yaml"]

_UNKNOWN = "unknown here: look it up in LiteLLM's documentation, and whether you need it"
_REFERENCE = re.compile(r"\s*os\.environ/([A-Za-z_][A-Za-z0-9_]*)\s*")
_LARGEST_FILE = 4 * 1024 * 1024
_MOST_INCLUDED = 100


class Source:
    """What values are read with.

    Args:
        findings: Where remarks go.
        environ: The environment, and the file's own ``environment_variables``.
    """

    def __init__(self, findings: Findings, environ: Mapping[str, str]) -> None:
        self.findings = findings
        self._environ = environ

    def reference(self, value: object) -> str | None:
        """``env:NAME`` for ``os.environ/NAME``."""
        found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        return self.findings.reads(found[1]) if found is not None else None

    def plain(self, value: Any, path: str) -> Any:
        """A value itself, also where it stands in a variable; ``None`` where that is not set.

        For numbers and addresses, for which our configuration takes no reference.
        """
        found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return value
        held = self._environ.get(found[1], "").strip()
        if not held:
            self.findings.lose(path, f"{found[1]} is not set here: write its value by hand")
            return None
        self.findings.note(path, f"the value that {found[1]} has now was written down")
        return held

    def variable(self, name: str) -> str | None:
        """What LiteLLM would read by itself."""
        return self._environ.get(name, "").strip() or None


class Section:
    """One table of the file.

    Args:
        data: Its values.
        path: Where it stands.
        source: What values are read with.
        hints: By key without an equivalent, what to do instead.
        otherwise: The same for a key that is not among them.
    """

    def __init__(
        self,
        data: object,
        path: str,
        source: Source,
        hints: Mapping[str, str] | None = None,
        *,
        otherwise: str = _UNKNOWN,
    ) -> None:
        if data is not None and not isinstance(data, Mapping):
            source.findings.lose(path, "is no table, and was left out")
            data = None
        self._left = {str(key): value for key, value in (data or {}).items()}
        self._hints = hints or {}
        self._otherwise = otherwise
        self.path = path
        self.source = source
        self.findings = source.findings

    def at(self, key: str) -> str:
        """The path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def place(self, *keys: str) -> str:
        """The path of the first of them that is set."""
        return self.at(next((key for key in keys if self._left.get(key) is not None), keys[0]))

    @property
    def left(self) -> tuple[str, ...]:
        """The keys that nobody has taken yet."""
        return tuple(self._left)

    def take(self, *keys: str) -> Any:
        """The value of the first key that is set; all of them are taken."""
        values = [self._left.pop(key, None) for key in keys]
        return next((value for value in values if value is not None), None)

    def put(self, key: str, value: Any) -> None:
        """Give a value back, for somebody else to take."""
        self._left[key] = value

    def seconds(self, *keys: str) -> float | int | None:
        """A length of time."""
        return self._above_zero(*keys)

    def amount(self, *keys: str) -> Decimal | None:
        """A number, exactly as it is written."""
        place = self.place(*keys)
        value = self.source.plain(self.take(*keys), place)
        if value is None:
            return None
        found = number(value)
        if found is None:
            self.findings.lose(place, "is no number, and was left out")
        return found

    def count(self, *keys: str) -> int | None:
        """A whole number from 1."""
        found = self._above_zero(*keys)
        return max(1, int(found)) if found is not None else None

    def flag(self, *keys: str) -> bool | None:
        """``true`` or ``false``, as LiteLLM takes them."""
        value = self.take(*keys)
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower())
        return value if isinstance(value, bool) else None

    def text(self, *keys: str) -> str | None:
        """A string itself, also where it stands in a variable."""
        place = self.place(*keys)
        value = self.source.plain(self.take(*keys), place)
        return str(value).strip() or None if value is not None else None

    def mapping(self, key: str) -> dict[str, Any]:
        """A table within."""
        value = self.take(key)
        if value is not None and not isinstance(value, Mapping):
            self.findings.lose(self.at(key), "is no table, and was left out")
        return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {}

    def listed(self, key: str) -> list[Any]:
        """A list."""
        value = self.take(key)
        if value is not None and not isinstance(value, list):
            self.findings.lose(self.at(key), "is no list, and was left out")
        return value if isinstance(value, list) else []

    def option(self, *keys: str) -> Any:
        """A value for an option, which may be a reference: strings in it keep theirs."""
        return self.referring(self.take(*keys))

    def referring(self, value: Any) -> Any:
        """The value with references of our form."""
        if isinstance(value, Mapping):
            return {str(k): self.referring(v) for k, v in value.items() if v is not None}
        if isinstance(value, list):
            return [self.referring(item) for item in value if item is not None]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.source.reference(value) or str(value)

    def close(self) -> None:
        """Everything that nobody took has no equivalent."""
        for key in list(self._left):
            if self._left.pop(key) is not None:
                self.findings.lose(self.at(key), self._hints.get(key, self._otherwise))

    def _above_zero(self, *keys: str) -> float | int | None:
        place = self.place(*keys)
        found = self.amount(*keys)
        if found is None:
            return None
        if found <= 0:
            self.findings.lose(place, "is not above 0, and was left out")
            return None
        return int(found) if found == found.to_integral_value() else float(found)


def named_variables(data: object) -> set[str]:
    """Every variable that a file names."""
    found: set[str] = set()
    waiting = [data]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str) and (reference := _REFERENCE.fullmatch(each)):
            found.add(reference[1])
        elif isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return found


def number(value: object) -> Decimal | None:
    """A number, also one that YAML takes for a string (``3e-6``)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def read_yaml(path: Path) -> dict[str, Any]:
    """A file, and those that it includes, as LiteLLM's proxy reads them.

    Raises:
        ConfigError: It can't be read, is no YAML or no table, or there is no library for YAML.
    """
    config = _one_file(path)
    included = config.pop("include", None) or []
    if not isinstance(included, list) or len(included) > _MOST_INCLUDED:
        raise ConfigError(f"{path}: include: is no list of files", param="include")
    for name in included:
        for key, value in _one_file(path.parent / str(name)).items():
            before = config.get(key)
            if isinstance(value, list) and isinstance(before, list):
                config[key] = [*before, *value]
            elif isinstance(value, dict) and isinstance(before, dict):
                config[key] = {**before, **value}
            else:
                config[key] = value
    return config


def _one_file(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as exc:
        message = "reading YAML needs PyYAML: pip install pyyaml, or 'switchgear[litellm]'"
        raise ConfigError(message, param="path") from exc
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as exc:
        raise ConfigError(f"can't read {path}: {exc.strerror or exc}", param="path") from exc
    if len(data) > _LARGEST_FILE:
        raise ConfigError(f"{path} is too large to be a configuration", param="path")
    place = reason = ""
    try:
        found = yaml.safe_load(data)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        reason = exc.problem or "it can't be read"
    except (yaml.YAMLError, ValueError, RecursionError):
        reason = "it can't be read"
    if reason:
        # Not "from exc": that one shows the line, and what is secret in it.
        raise ConfigError(f"{path}{place}: not valid YAML: {reason}", param="path")
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: is no configuration of LiteLLM's: no table", param="path")
    return {str(key): value for key, value in found.items()}
