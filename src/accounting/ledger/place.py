"""Where a ledger lies: its database, and the folder of its journal."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from ...config.hiding import is_secret_parameter, without_password
from ...config.ledger import LedgerConfig
from ...errors import ConfigError
from ...plugins import OWN, Plugins

__all__ = ["MEMORY", "Place", "place_of"]

MEMORY: Final = "memory:"
_PASSWORD: Final = re.compile(r"(?<=://)([^:@/]*):.*(?=@)", re.DOTALL)
_VARIABLE: Final = "SWITCHGEAR_LEDGER"
_SERVERS: Final = ("postgresql://", "postgres://")
_GROUP: Final = "switchgear.ledger_stores"


class Place(msgspec.Struct, frozen=True):
    """Where a ledger lies.

    Attributes:
        url: The database, as a store is opened with; a path in it is absolute. May hold a
            password.
        name: The same to be shown: the path, or the server's address without a password.
        journal: The folder of the journal, which belongs to this database alone; ``None`` where
            there is none.
    """

    url: str
    name: str
    journal: Path | None

    @property
    def local(self) -> bool:
        """The database is a file."""
        return self.url.startswith("sqlite:")

    def __repr__(self) -> str:
        """Without the URL, which may hold a password."""
        return f"Place({self.name!r})"


def place_of(
    config: LedgerConfig,
    base: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    plugins: Plugins | None = None,
) -> Place:
    """Where the ledger of a configuration lies. Looks at no file.

    Args:
        config: The ``[ledger]`` table.
        base: The configuration's folder, for relative paths; ``None`` for the working directory.
        environ: Where ``SWITCHGEAR_LEDGER`` is looked up.
        plugins: Who serves other schemes than the library's; the installed ones by default.

    Raises:
        ConfigError: A URL that names no kind of ledger.
    """
    folder = base if base is not None else Path()
    url = config.url or environ.get(_VARIABLE, "")
    own = _absolute(config.journal, folder) if config.journal else None
    if url == MEMORY:
        return Place(MEMORY, MEMORY, None)
    scheme, colon, _ = url.partition(":")
    # Only then: to look at the installed packages takes milliseconds.
    foreign = colon and scheme not in OWN[_GROUP] and scheme in (plugins or Plugins(_GROUP))
    if foreign or url.startswith(_SERVERS):
        # What identifies a database in another package's URL, only that package knows.
        name = without_password(url) if foreign else _name_of(url)
        parent = own or _state_folder() / "journal"
        return Place(url, name, parent / _digest(name))
    if not url:
        path = _state_folder() / "ledger.sqlite3"
    elif url.startswith("sqlite:") and url.removeprefix("sqlite:") not in {"", ":memory:"}:
        # A path in the environment is the shell's, so relative to where the process was started.
        path = _absolute(url.removeprefix("sqlite:"), folder if config.url else Path())
    else:
        raise ConfigError(
            # Not shown: there is no telling where in it a password stands.
            f"{_place(config)} names no ledger; write sqlite:PATH, postgresql://HOST/DATABASE or "
            "memory:",
            param="ledger.url",
        )
    # A folder that the user named may serve several databases; each has its own in there.
    journal = own / _digest(str(path)) if own else path.with_name(path.name + ".journal")
    return Place(f"sqlite:{path}", str(path), journal)


def _place(config: LedgerConfig) -> str:
    return "ledger.url" if config.url else _VARIABLE


def _absolute(path: str, folder: Path) -> Path:
    return Path(os.path.abspath(folder / Path(path).expanduser()))  # noqa: PTH100 - no I/O


def _state_folder() -> Path:
    import platformdirs

    return platformdirs.user_state_path("switchgear", appauthor=False)


def _name_of(url: str) -> str:
    """A server's URL in the form that stays the same where only its passwords change."""
    try:
        # First by sight: a password that is not encoded may hold what ends the host elsewhere.
        parts = urlsplit(_PASSWORD.sub(r"\1", url))
    except ValueError:
        return "(a URL that can't be read)"
    user, at, host = parts.netloc.rpartition("@")
    query = sorted((key, value) for key, value in parse_qsl(parts.query) if _identifies(key))
    netloc = user.partition(":")[0] + at + host.lower()
    scheme = "postgresql" if parts.scheme == "postgres" else parts.scheme
    plain = parts._replace(scheme=scheme, netloc=netloc, query=urlencode(query)).geturl()
    return without_password(plain)


def _identifies(parameter: str) -> bool:
    return parameter != "passfile" and not is_secret_parameter(parameter)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
