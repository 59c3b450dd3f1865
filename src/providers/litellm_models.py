"""What models can do behind LiteLLM, and how it wants to be spoken to about them.

A model that one of our own adapters serves as well can do here what it can do there: which of the
two serves it must not change what a router plans.
"""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from ..config.providers import host_reach
from . import anthropic_models, ollama_models, openai_models
from .base import Capabilities
from .dialects.openai_chat import ChatQuirks

__all__ = [
    "Family",
    "capabilities_of",
    "default_max_tokens",
    "family_of",
    "is_local",
    "quirks_of",
    "sends_done",
]

Family = Literal["claude", "openai", "azure", "ollama", "other"]
"""By whose knowledge a model is judged."""

_CLAUDES = frozenset({"anthropic", "azure_ai", "bedrock", "vertex_ai"})
_OLLAMAS = frozenset({"ollama", "ollama_chat"})
_OPENAIS = frozenset({"openai", "responses"})
_AZURES = frozenset({"azure", "azure_text"})

# As for a compatible server that nobody has described: see ``openai_compatible``.
_USUAL = Capabilities(images=False, files=False)


def family_of(vendor: str, model: str, base_url: str | None) -> Family:
    """Whose model it is.

    Args:
        vendor: LiteLLM's name of the vendor.
        model: The model, without the vendor.
        base_url: The address, where it is not the vendor's own.
    """
    if vendor in _CLAUDES and (vendor == "anthropic" or "claude" in model.lower()):
        return "claude"
    if vendor in _OPENAIS:
        # LiteLLM calls every server openai that speaks its API.
        return "openai" if base_url is None or _is_openais(model) else "other"
    if vendor in _AZURES:
        return "azure"
    return "ollama" if vendor in _OLLAMAS else "other"


def capabilities_of(family: Family, model: str) -> Capabilities:
    """What a model can do, as far as it is known."""
    if family == "claude":
        return anthropic_models.capabilities_of(model)
    if family in {"openai", "azure"}:
        # Its marks for the prompt's cache are not LiteLLM's.
        known = openai_models.facts(model).capabilities
        return msgspec.structs.replace(known, prompt_cache=False)
    if family == "ollama":
        return ollama_models.capabilities_of(model)
    return _USUAL


def quirks_of(family: Family, model: str) -> ChatQuirks:
    """How LiteLLM takes a request for a model."""
    if family == "claude":
        return ChatQuirks(cache_control=True, thinking_blocks=True, call_fields=True)
    if family in {"openai", "azure"}:
        reasoning = openai_models.facts(model).reasoning
        return ChatQuirks(
            max_tokens_field="max_completion_tokens" if reasoning else "max_tokens",
            system_role="developer" if reasoning else "system",
            strict=True,
            file_ids=True,
            openai_models=True,
        )
    return ChatQuirks(call_fields=True)


def default_max_tokens(family: Family, model: str) -> int | None:
    """The longest answer where the request sets none; ``None`` leaves it to the vendor.

    LiteLLM would ask Claude for the longest that there is.
    """
    return anthropic_models.traits_of(model).default_output if family == "claude" else None


def sends_done(family: Family) -> bool:
    """Its streams end with ``[DONE]``, so that one without was cut."""
    return family in {"openai", "azure"}


def is_local(family: Family, model: str, base_url: str | None) -> bool:
    """It is served on this machine, and nothing is sent on: as for our own adapter of Ollama."""
    if family != "ollama" or ollama_models.is_cloud_model(model):
        return False
    return host_reach(base_url or os.environ.get("OLLAMA_API_BASE", "")) == "loopback"


def _is_openais(model: str) -> bool:
    known = openai_models.facts(model)
    return known.reasoning or known.version != (0, 0)
