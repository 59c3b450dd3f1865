"""Our configuration as TOML for people, with what the translation has to say at its head."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from .findings import Findings, Remark

__all__ = ["write_toml"]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH: Final = 100
# Tables that are written as tables of their own; others stand on one line.
_NESTED: Final = frozenset({"models", "prices"})


def write_toml(config: Mapping[str, Any], findings: Findings, comments: Mapping[str, str]) -> str:
    """The text of a configuration.

    Args:
        config: As our reader takes it.
        findings: What the translation has to say.
        comments: By table, as ``providers.openai``, a line above it.
    """
    lines = [*_head(findings)]
    plain = {k: v for k, v in config.items() if not isinstance(v, Mapping | list)}
    lines += [*(f"{_key(k)} = {_value(v)}" for k, v in plain.items()), *([""] if plain else [])]
    for section, table in config.items():
        if isinstance(table, list):
            for each in table:
                lines += [f"[[{_key(section)}]]", *_pairs(each), ""]
        elif isinstance(table, Mapping):
            lines += _tables((section,), table, comments)
    return "\n".join(lines).rstrip() + "\n"


def _head(findings: Findings) -> list[str]:
    lines = ["# Made by `switchgear migrate litellm`. Look it through, then:", "#"]
    lines += ["#   switchgear config check FILE", "#   switchgear doctor --config FILE", "#"]
    if findings.unset:
        lines += ["# To be set, for the secrets that were not copied:", "#"]
        lines += [f"#   {name}: {_plain(what)}" for name, what in findings.unset.items()] + ["#"]
    lines += _remarks("What has no equivalent, and what to do instead:", findings.lost)
    lines += _remarks("What differs:", findings.notes)
    return [*lines[:-1], ""]


def _remarks(title: str, remarks: Iterable[Remark]) -> list[str]:
    listed = list(remarks)
    if not listed:
        return []
    lines = [f"# {title}", "#"]
    for remark in listed:
        lines += textwrap.wrap(
            _plain(str(remark)),
            _WIDTH,
            initial_indent="#   ",
            subsequent_indent="#     ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [*lines, "#"]


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _tables(
    path: tuple[str, ...], table: Mapping[str, Any], comments: Mapping[str, str]
) -> list[str]:
    inner = {
        key: value
        for key, value in table.items()
        if isinstance(value, Mapping)
        and (len(path) == 1 or key in _NESTED or path[-1] in _NESTED)
        and not _is_value(path, key)
    }
    own = {key: value for key, value in table.items() if key not in inner}
    lines: list[str] = []
    if own or not inner:
        if comment := comments.get(".".join(path)):
            lines.append(f"# {_plain(comment)}")
        lines += [f"[{'.'.join(map(_key, path))}]", *_pairs(own), ""]
    for key, value in inner.items():
        lines += _tables((*path, key), value, comments)
    return lines


def _is_value(path: tuple[str, ...], key: str) -> bool:
    """A model's prices and capabilities stand on lines of its own table."""
    return path[0] == "pricing" and len(path) == 5 and key == "prices"


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_long(value, len(key) + 3)}" for key, value in table.items()]


def _long(value: Any, before: int) -> str:
    """A list on lines of its own, where one line is too short."""
    text = _value(value)
    if not isinstance(value, list) or len(text) + before <= _WIDTH:
        return text
    inner = []
    for item in value:
        written = _value(item)
        if isinstance(item, list) and len(written) > _WIDTH - 5:
            rows = "".join(f"        {_value(each)},\n" for each in item)
            written = f"[\n{rows}    ]"
        inner.append(f"    {written},\n")
    return f"[\n{''.join(inner)}]"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(str(k))} = {_value(v)}" for k, v in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _string(text: str) -> str:
    # A JSON string is a basic string of TOML, but for DEL; no surrogate can stand in YAML.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
