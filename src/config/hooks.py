"""The section ``[hooks]``: other people's code that is asked and told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .secret_reader import SecretReader
from .table import Table
from .values import EMPTY, FrozenDict

__all__ = ["HookConfig", "read_hooks", "read_options", "show_hook"]

_OWN = ("plugin", "timeout", "fail_closed")


class HookConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[hooks.NAME]`` table. Without one, an installed hook does nothing.

    Attributes:
        name: NAME.
        plugin: Which plugin makes it; NAME, if the table does not say otherwise.
        timeout: Seconds that an ``async`` method of it may take; ``None``: as it says itself, else
            1. A call waits for no more than that.
        fail_closed: Where it fails before an attempt, the call is refused; ``None``: as it says
            itself, else no.
        options: The rest of the table, for the hook to check and to use.
    """

    name: str
    plugin: str
    timeout: float | None = None
    fail_closed: bool | None = None
    options: FrozenDict = EMPTY


def read_hooks(top: Table, secrets: SecretReader) -> FrozenDict:
    """The ``[hooks]`` tables, in order."""
    found: dict[str, HookConfig] = {}
    for name, table in top.tables("hooks").items():
        found[name] = HookConfig(
            name=name,
            plugin=table.text("plugin", name),
            timeout=table.seconds("timeout"),
            fail_closed=table.flag("fail_closed"),
            options=read_options(table, secrets, but=_OWN),
        )
    return FrozenDict(found)


def read_options(table: Table, secrets: SecretReader, *, but: tuple[str, ...]) -> FrozenDict:
    """What a table says to its plugin: all keys but these. What it names must be there."""
    rest: dict[str, Any] = {key: value for key, value in table.data.items() if key not in but}
    options, missing = secrets.options(rest, table.path)
    for path, message in missing:
        table.problems.add(path, message)
    return options


def show_hook(hook: HookConfig) -> Mapping[str, Any]:
    """A hook as plain data, its secrets masked."""
    shown = msgspec.structs.asdict(hook)
    del shown["name"]
    return {**shown, "options": hook.options.redacted()}
