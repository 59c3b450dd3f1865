"""The URLs of servers, read without showing a password."""

from __future__ import annotations

from ..plugins import OWN, Plugins
from .hiding import without_password
from .secret_reader import SecretReader, is_reference
from .table import Table

__all__ = ["others_serving", "read_url"]


def read_url(table: Table, secrets: SecretReader, default: str = "") -> str | None:
    """A table's ``url``, or what it names as ``env:`` or ``file:``; ``None`` where that is nothing.

    A password that stands in the configuration itself draws a warning.
    """
    url, place = table.text("url", default), (*table.path, "url")
    if is_reference(url):
        found = secrets.credential(url, place)
        if found.secret is None:
            table.problems.add(place, found.missing or "names nothing")
            return None
        return found.secret.reveal()
    if without_password(url) != url:
        table.problems.warn(
            place,
            "the password itself stands in the configuration, where anybody who reads the file has "
            'it; write "env:NAME" or "file:PATH" for the whole URL',
        )
    return url


def others_serving(group: str) -> tuple[str, ...]:
    """The schemes of URLs that plugins of other packages serve."""
    return tuple(name for name in Plugins(group).names() if name not in OWN.get(group, {}))
