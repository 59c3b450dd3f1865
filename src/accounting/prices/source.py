"""What a source of prices is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

__all__ = ["PriceSource", "PriceSourceSettings"]


class PriceSourceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a price source is asked with: its table in the configuration.

    Attributes:
        name: NAME in ``[pricing.sources.NAME]``.
        plugin: The plugin that is asked.
        timeout: Seconds after which nobody waits for its answer any more.
        options: Every other key of the table; what is given as ``env:`` or ``file:`` has been
            looked up. The source checks them, and raises ``ConfigError`` where they make no sense.
    """

    name: str
    plugin: str
    timeout: float
    options: Mapping[str, Any] = {}


class PriceSource(Protocol):
    """Says what models cost: an entry point of the group ``switchgear.price_sources``.

    It is asked once by each router, in a thread of its own, before the router's first call; and by
    commands that show prices. It may read files and ask servers.
    """

    def __call__(self, settings: PriceSourceSettings, /) -> Mapping[str, Any]:
        """Prices in the form of ``pricing.toml``, whose comments explain every key.

        ::

            {"acme": {"models": {"large-1": {"prices": {"input": "0.50", "output": "1.50"}}}}}

        They are laid over the package's own as a user's table is, and a user's table over them:
        what they do not name stays as it is. Numbers are ``Decimal``, ``int``, or ``float``, which
        counts as it is written.
        """
