"""Which proxy the environment wants for an address.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` (on macOS and Windows also what the
system says), read as the SDKs' own HTTP client reads them. aiohttp would ask again for each
request, and look into ``~/.netrc`` for a login that belongs to nobody's key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.request import getproxies

__all__ = ["EnvironmentProxies"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class EnvironmentProxies:
    """The proxies that were set when it was made.

    Args:
        found: By scheme, and ``no`` for what goes without; by default the environment's.
    """

    def __init__(self, found: Mapping[str, str] | None = None) -> None:
        found = getproxies() if found is None else found
        self._proxies = {
            scheme: proxy if "://" in proxy else f"http://{proxy}"
            for scheme in ("http", "https", "all")
            if (proxy := found.get(scheme))
        }
        entries = [entry.strip().lower() for entry in found.get("no", "").split(",")]
        if "*" in entries:
            self._proxies = {}
        self._without = [entry for entry in entries if entry]

    def of(self, scheme: str, host: str, port: int | None = None) -> str | None:
        """The proxy's address, or ``None`` for none.

        Args:
            scheme: ``http`` or ``https``.
            host: The name or the IP address (IPv6 without brackets).
            port: ``None`` for the scheme's own.
        """
        proxy = self._proxies.get(scheme) or self._proxies.get("all")
        if proxy is None:
            return None
        place = (scheme, host.lower(), port or _DEFAULT_PORTS.get(scheme))
        return None if any(_covers(entry, *place) for entry in self._without) else proxy


def _covers(entry: str, scheme: str, host: str, port: int | None) -> bool:
    """Whether an entry of ``NO_PROXY`` means that address."""
    only, has_scheme, rest = entry.rpartition("://")
    if has_scheme and only not in {scheme, "all"}:
        return False
    if "/" in rest:
        return _in_network(rest, host)
    name, wanted = _split(rest)
    if wanted is not None and wanted != port:
        return False
    if name.startswith("*."):
        return host.endswith(name[1:])
    if has_scheme or _address(name) is not None or name == "localhost":
        return host == name
    # A leading dot leaves out the name itself.
    return (
        host.endswith(name) if name.startswith(".") else host == name or host.endswith("." + name)
    )


def _split(place: str) -> tuple[str, int | None]:
    """The host and the port of ``host:port``, ``[::1]:port`` or either alone."""
    if place.startswith("["):
        name, _, port = place[1:].partition("]")
        return name, int(port[1:]) if port[1:].isdecimal() else None
    name, colon, port = place.rpartition(":")
    if colon and ":" not in name and port.isdecimal():
        return name, int(port)
    return place, None


def _in_network(entry: str, host: str) -> bool:
    address = _address(host)
    if address is None:
        return False
    try:
        return address in ipaddress.ip_network(
            entry.replace("[", "").replace("]", ""), strict=False
        )
    except ValueError:
        return False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
