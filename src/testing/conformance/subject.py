"""What is held against the checks: a provider, how to make it, and where its requests go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from ...credentials import Secret
from ...providers.base import Provider, ProviderSettings
from ..provider import SimulatedProvider

__all__ = ["Endpoint", "Subject"]

Endpoint: TypeAlias = SimulatedProvider | Literal["real", "in-process"]
"""Where requests go: to a simulated vendor, to a server that answers as it likes (and may charge
for it), or nowhere, because the provider answers by itself.
"""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as its author presents it.

    Attributes:
        factory: What the entry point of the group ``switchgear.providers`` leads to.
        model: The model that is asked, as the provider calls it.
        endpoint: A simulated vendor, ``"real"`` or ``"in-process"``.
        name: The provider's name in the configuration, and in reports.
        plugin: The plugin's name; ``name`` where it is left out.
        api_key: The configured key; a simulated vendor requires it of every request. ``None`` for a
            provider that has no ``api_key`` (``options`` may hold other credentials).
        base_url: The address of a real endpoint; ``None`` is the vendor's own.
        options: The rest of the provider's table.
        models: The table's ``models``.
        address: Makes of a simulated vendor's ``base_url`` what the provider takes for its own,
            where that differs.
        author: What the provider's own ``Native`` values have as their author, so that its own are
            not taken for foreign ones.
        embedding_model: The model that is asked for vectors; ``None`` leaves those checks out.
        lacks: Checks, by name, that the vendor's API gives no means for, and why. They are
            reported as "can't", as what the capabilities deny is.
        at_once: How many calls are made at once where that is checked.
        patience: Seconds within which happens what should happen at once.
    """

    factory: Callable[[ProviderSettings], Provider]
    model: str
    endpoint: Endpoint
    name: str = "subject"
    plugin: str = ""
    api_key: Secret | None = Secret("sk-conformance-0123456789abcdef")
    base_url: str | None = None
    options: Mapping[str, Any] = {}
    models: Mapping[str, Mapping[str, Any]] = {}
    address: Callable[[str], str] = str
    author: str | None = None
    embedding_model: str | None = None
    lacks: Mapping[str, str] = {}
    at_once: int = 50
    patience: float = 10.0

    def settings(self, *, refused: bool = False, **changes: Any) -> ProviderSettings:
        """The provider's table for this endpoint.

        Args:
            refused: With an address at which every connection is refused.
            changes: Fields of ``ProviderSettings`` in place of the subject's.
        """
        base_url = self.base_url
        if refused:
            base_url = self.address(_refused(self.endpoint))
        elif isinstance(self.endpoint, SimulatedProvider):
            base_url = self.address(self.endpoint.base_url)
        fields: dict[str, Any] = {
            "name": self.name,
            "plugin": self.plugin or self.name,
            "api_key": self.api_key,
            "base_url": base_url,
            "options": self.options,
            "models": self.models,
        }
        return ProviderSettings(**{**fields, **changes})


def _refused(endpoint: Endpoint) -> str:
    # Port 1 is nobody's; a simulated vendor has a port that is surely kept free.
    if isinstance(endpoint, SimulatedProvider):
        return endpoint.refused_base_url
    return "http://127.0.0.1:1"
