"""The tables, as numbered scripts. One that was released never changes; the next one is added.

``0001_ledger.sql`` brings an empty database to version 1, and so on. The scripts hold plain
statements, each ended by a semicolon at the end of a line.
"""

from __future__ import annotations

from importlib import resources

from ....errors import LedgerError

__all__ = ["VERSION", "pending"]

VERSION = 2
"""The version of the tables that this code reads and writes."""


def pending(dialect: str, version: int, place: str) -> list[list[str]]:
    """The scripts, as statements, that bring a database of this version to the newest.

    Raises:
        LedgerError: It is newer than this code.
    """
    if version > VERSION:
        raise LedgerError(
            f"the ledger at {place} was made by a newer Switchgear (its tables are version "
            f"{version}, this one knows {VERSION}): update Switchgear, or name another ledger"
        )
    folder = resources.files(__package__).joinpath(dialect)
    scripts = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name
    )
    return [_statements(script.read_text("utf-8")) for script in scripts[version:VERSION]]


def _statements(script: str) -> list[str]:
    return [part for part in (piece.strip() for piece in script.split(";\n")) if part]
