"""Where costs are booked."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from .hiding import without_password

__all__ = ["LedgerConfig", "OnError"]

OnError: TypeAlias = Literal["fail", "serve"]


class LedgerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The ``[ledger]`` table.

    Attributes:
        url: ``sqlite:PATH`` (relative to the configuration's folder), ``postgresql://…``,
            ``memory:`` (nothing outlives the process), or one whose scheme a plugin serves. Empty:
            a file of this user's own, shared by all programs that say nothing else;
            ``SWITCHGEAR_LEDGER`` names another.
        on_error: What becomes of a call that can't be booked, because the disk is full or the file
            can't be written: ``fail`` refuses it before anything is sent, ``serve`` makes it and
            warns. ``None``: ``fail`` where ``url`` is set. Hard budgets always fail.
        journal: The folder of the journal, in which attempts wait for the database; empty: beside
            the database file, or in this user's state folder for a server.
        journal_mb: How large a journal may grow while the database is away.
    """

    url: str = ""
    on_error: OnError | None = None
    journal: str = ""
    journal_mb: int = 1024

    @property
    def shown_url(self) -> str:
        """The URL without a password, fit to be shown."""
        return without_password(self.url)

    @property
    def fails(self) -> bool:
        """Whether a call that can't be booked is refused."""
        return self.on_error == "fail" or (self.on_error is None and bool(self.url))

    def __repr__(self) -> str:
        return f"LedgerConfig(url={self.shown_url!r}, on_error={self.on_error!r})"
