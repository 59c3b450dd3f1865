"""The ledger that a command reads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .setup import load_config

if TYPE_CHECKING:
    from ..accounting.ledger.store import Store
    from ..config import Config

__all__ = ["ledger_option", "opened_ledger", "read_config"]

F = TypeVar("F", bound=Callable[..., Any])


def ledger_option(command: F) -> F:
    """Give a command the option ``--ledger``."""
    return click.option(
        "--ledger",
        "ledger_url",
        metavar="URL",
        help="sqlite:PATH or postgresql://… Default: what the configuration says, "
        "$SWITCHGEAR_LEDGER, else this user's own file.",
    )(command)


def read_config(path: str | None) -> Config:
    """The configuration; one without providers will do, since nothing is called.

    Raises:
        ConfigError: It is wrong.
    """
    return load_config(path, model="any/model", silent=True)


@contextlib.contextmanager
def opened_ledger(config: Config, url: str | None) -> Iterator[Store]:
    """The database of the ledger that ``--ledger`` or the configuration names, as long as it takes.

    It is only looked at: what still waits in the journals of other processes stays there, and
    where there is no ledger none is made.

    Raises:
        ConfigError: The URL names no kind of ledger.
        LedgerError: There is none, or it can't be read.
    """
    from ..accounting.ledger.place import MEMORY, place_of
    from ..accounting.ledger.stores import open_store
    from ..config import LedgerConfig

    if url is not None:
        place = place_of(LedgerConfig(url=url), environ={})
    else:
        base = Path(config.source).absolute().parent if config.source else None
        place = place_of(config.ledger, base)
    if place.url == MEMORY:
        raise _no_ledger(
            "the ledger is kept in memory: nothing of it is left",
            'calls are booked in the file that [ledger] url = "sqlite:PATH" names',
        )
    if place.local and not Path(place.name).is_file():
        raise _no_ledger(f"there is no ledger at {place.name} yet", "the first call makes it")
    store = open_store(place.url)
    try:
        yield store
    finally:
        store.close()


def _no_ledger(message: str, way_out: str) -> Exception:
    from ..errors import LedgerError

    error = LedgerError(message)
    error.add_note(f"{way_out}; --ledger URL reads another")
    return error
