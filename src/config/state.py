"""Where replicas keep what they share: the section ``[state]``."""

from __future__ import annotations

import re

import msgspec

from .addresses import read_url
from .hiding import without_password
from .secret_reader import SecretReader
from .table import Table

__all__ = ["StateConfig", "read_state"]

_KEYS = ("url", "timeout", "namespace", "replicas")
_SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel")
_NAMESPACE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class StateConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The ``[state]`` table.

    Attributes:
        url: ``memory:`` (this process alone), ``redis://…``, ``rediss://…``, ``unix://PATH``,
            ``redis+cluster://HOST:PORT``, or ``redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB``.
        timeout: Seconds that anybody ever waits for it. A server slower than that counts as gone.
        namespace: What its keys begin with; fleets of the same namespace share everything.
        replicas: How many replicas to count with while the state has never been reached.
    """

    url: str = "memory:"
    timeout: float = 0.25
    namespace: str = "sg"
    replicas: int = 1

    @property
    def shared(self) -> bool:
        """Whether there is a fleet to share with."""
        return self.url != "memory:"

    @property
    def shown_url(self) -> str:
        """The URL without a password, fit to be shown."""
        return without_password(self.url)

    def __repr__(self) -> str:
        return f"StateConfig(url={self.shown_url!r}, namespace={self.namespace!r})"


def read_state(top: Table, secrets: SecretReader) -> StateConfig:
    """The ``[state]`` table."""
    table = top.table("state")
    if table is None:
        return StateConfig()
    table.only(_KEYS)
    url = _url(table, secrets)
    namespace = table.text("namespace", "sg")
    if _NAMESPACE.fullmatch(namespace) is None:
        table.wrong("namespace", 'letters, digits and any of "_.:-", 64 at most')
        namespace = "sg"
    return StateConfig(
        url=url or "memory:",
        timeout=table.positive("timeout", "seconds, above 0") or 0.25,
        namespace=namespace,
        replicas=table.integer("replicas", least=1, most=100_000) or 1,
    )


def _url(table: Table, secrets: SecretReader) -> str:
    url, place = read_url(table, secrets) or "", (*table.path, "url")
    scheme, colon, rest = url.partition("://")
    if url in ("", "memory:"):
        return url
    if not colon or scheme not in _SCHEMES:
        # Not shown: a password may stand in it.
        known = ", ".join(f"{name}://..." for name in _SCHEMES)
        table.problems.add(place, f'must be "memory:", {known} or "env:NAME"')
        return ""
    if not rest:
        table.problems.add(place, f'"{scheme}://" must be followed by a host, or a path for "unix"')
        return ""
    if scheme == "redis+sentinel" and not rest.partition("/")[2].partition("?")[0].strip("/"):
        table.problems.add(
            place, 'names no service; write "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE"'
        )
        return ""
    return url
