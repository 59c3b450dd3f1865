"""Where a model behind LiteLLM is run, where that has a price and no answer says it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from . import bedrock, openai

__all__ = ["region_of"]


def region_of(
    vendor: str, model: str, base_url: str | None, params: Mapping[str, Any]
) -> str | None:
    """The region, in the word that our own adapter of that vendor has for it.

    Args:
        vendor: LiteLLM's name of the vendor.
        model: The model, without the vendor.
        base_url: The address; ``None`` is the vendor's own.
        params: LiteLLM's further arguments.
    """
    if vendor in {"bedrock", "bedrock_converse"}:
        named = params.get("aws_region_name") or os.environ.get("AWS_REGION_NAME")
        return bedrock.region_of(model, named)
    if vendor in {"vertex_ai", "vertex_ai_beta"}:
        place = params.get("vertex_location") or params.get("vertex_ai_location")
        return place or os.environ.get("VERTEXAI_LOCATION") or None
    if vendor == "openai":
        return openai.region_of(base_url or os.environ.get("OPENAI_BASE_URL") or "")
    return None
