"""Whose prices a provider's calls are billed at.

Most providers are their plugin: ``anthropic`` has Anthropic's prices. One plugin speaks to many
vendors, though, and then the address tells whose prices they are: each table in ``pricing.toml``
names its ``hosts``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .table import PriceTable

__all__ = ["vendor_of"]


def vendor_of(plugin: str, base_url: str | None, table: PriceTable) -> str:
    """The name under which a provider's prices are looked up in the table.

    A host that the table knows decides, whatever the plugin: DeepSeek costs DeepSeek's prices
    through an Anthropic-compatible address too. At any other address (a proxy, a server of one's
    own) the plugin does. Only a plugin that the table has no prices for may then have none.

    Args:
        plugin: The provider's plugin (``openai-compatible``).
        base_url: The address in its settings; ``None`` is the plugin's own.
        table: The prices in force.

    Returns:
        The name of a table, or the plugin.
    """
    host = _host(base_url)
    while host:
        if (found := table.hosts.get(host)) is not None:
            return found
        host = host.partition(".")[2]
    return plugin


def _host(base_url: str | None) -> str:
    try:
        return (urlsplit(base_url or "").hostname or "").rstrip(".")
    except ValueError:  # an address that no client would take either
        return ""
