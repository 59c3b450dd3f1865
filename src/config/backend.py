"""What serves the providers: our own adapters, or LiteLLM underneath. The section ``[backend]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

from .table import Table
from .values import FrozenDict

__all__ = ["BACKENDS", "EQUIVALENTS", "LITELLM", "Backend", "read_backend", "served_by"]

Backend: TypeAlias = Literal["native", "litellm"]

BACKENDS: tuple[Backend, ...] = ("native", "litellm")

LITELLM = "litellm"
"""The plugin that is LiteLLM, and the backend of the same name."""

EQUIVALENTS: Mapping[str, str] = FrozenDict(
    {
        "anthropic": "anthropic",
        "azure-openai": "azure",
        "bedrock": "bedrock",
        "ollama": "ollama_chat",
        "openai": "openai",
        "openai-compatible": "openai",
        "vertex": "vertex_ai",
    }
)
"""The plugins in whose place LiteLLM can serve, each with LiteLLM's name of the vendor."""


def read_backend(top: Table) -> Backend:
    """The ``[backend]`` table: who serves where a provider's own table says nothing."""
    table = top.table("backend")
    if table is None:
        return "native"
    table.only(("default",))
    return cast("Backend", table.choice("default", BACKENDS) or "native")


def served_by(table: Table, plugin: str, default: Backend) -> Backend:
    """Who serves one provider: what its own table says, else the default as far as it applies.

    Args:
        table: The provider's.
        plugin: Its plugin.
        default: What ``[backend]`` says.
    """
    said = cast("Backend | None", table.choice("backend", BACKENDS))
    if said is None:
        return default if plugin in EQUIVALENTS else "native"
    if said == "litellm" and plugin not in EQUIVALENTS and plugin != LITELLM:
        known = ", ".join(sorted(EQUIVALENTS))
        message = f'can\'t be "litellm": only these plugins have an equivalent there: {known}'
        table.problems.add((*table.path, "backend"), message)
    elif said == "native" and plugin == LITELLM:
        message = 'can\'t be "native": its plugin is LiteLLM; name another plugin'
        table.problems.add((*table.path, "backend"), message)
    return said if plugin in EQUIVALENTS else "native"
