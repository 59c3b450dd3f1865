"""The adapters that come with the library, as subjects at simulated vendors."""

from __future__ import annotations

from ...credentials import Secret
from ...providers import (
    anthropic,
    azure,
    bedrock,
    ollama,
    openai,
    openai_compatible,
    vertex,
)
from ..provider import SimulatedProvider
from ..server import SimulatedProviders
from .subject import Subject

__all__ = ["builtin", "through_litellm"]

_COUNTS = {"no_usage": "every answer of this API has a count"}
_COMPATIBLE = {
    "missing_end": "servers differ, and without the option done_marker an orderly end behind the "
    "finish reason will do",
}
_OLLAMA = {
    "finish_content_filter": "Ollama has no content filter",
    "declined_prompt": "Ollama has no content filter",
    "quota": "Ollama charges nothing",
}


def builtin(simulated: SimulatedProviders) -> dict[str, Subject]:
    """Each adapter that has a simulated vendor, under the name of its plugin.

    OpenAI's is there twice, for its two APIs.

    Args:
        simulated: Running, since a subject holds an address.
    """
    return {subject.name: subject for subject in _subjects(simulated)}


def _subjects(simulated: SimulatedProviders) -> tuple[Subject, ...]:
    return (
        Subject(
            name="anthropic",
            factory=anthropic.create,
            model="claude-sonnet-4-5",
            endpoint=simulated.anthropic,
            author="anthropic",
            lacks=_COUNTS,
        ),
        Subject(
            name="openai-chat",
            plugin="openai",
            factory=openai.create,
            model="gpt-4o",
            endpoint=simulated.openai,
            options={"api": "chat"},
            author="openai-chat",
            embedding_model="text-embedding-3-small",
        ),
        Subject(
            name="openai-responses",
            plugin="openai",
            factory=openai.create,
            model="gpt-5-mini",
            endpoint=simulated.openai,
            options={"api": "responses"},
            author="openai-responses/openai-responses",
            embedding_model="text-embedding-3-small",
            lacks=_COUNTS,
        ),
        Subject(
            name="azure-openai",
            factory=azure.create,
            model="gpt-4o",
            endpoint=simulated.azure,
            address=lambda url: url.removesuffix("/openai/v1"),
            author="openai-chat",
            embedding_model="text-embedding-3-small",
        ),
        Subject(
            name="openai-compatible",
            factory=openai_compatible.create,
            model="some-model",
            endpoint=simulated.compatible,
            author="openai-chat",
            embedding_model="some-embedding-model",
            lacks=_COMPATIBLE,
        ),
        Subject(
            name="ollama",
            factory=ollama.create,
            model="qwen3",
            endpoint=simulated.ollama,
            author="ollama",
            embedding_model="nomic-embed-text",
            lacks=_OLLAMA,
        ),
        Subject(
            name="bedrock",
            factory=bedrock.create,
            model="eu.anthropic.claude-haiku-4-5-20251001-v1:0",
            endpoint=simulated.bedrock,
            api_key=None,
            options={
                "region": "eu-central-1",
                "aws_access_key": "AKIDEXAMPLE",
                "aws_secret_key": "wJalrXUt",
            },
            author="anthropic",
            lacks=_COUNTS,
        ),
        Subject(
            name="vertex",
            factory=vertex.create,
            model="claude-haiku-4-5@20251001",
            endpoint=simulated.vertex,
            api_key=Secret("ya29.conformance-0123456789"),
            options={"region": "europe-west1", "project_id": "acme"},
            author="anthropic",
            lacks=_COUNTS,
        ),
    )


_LITELLM_OLLAMA = {
    **_OLLAMA,
    "extra_fields": "LiteLLM makes them options of Ollama's, one level below",
}
_VECTORS = {"openai": "text-embedding-3-small", "ollama": "nomic-embed-text"}


def through_litellm(simulated: SimulatedProviders) -> dict[str, Subject]:
    """LiteLLM's adapter over three vendors. Needs the extra ``litellm``.

    Args:
        simulated: As for :func:`builtin`.
    """
    from ...providers import litellm

    vendors: tuple[tuple[str, str, SimulatedProvider, dict[str, str]], ...] = (
        ("anthropic", "claude-sonnet-4-5", simulated.anthropic, _COUNTS),
        ("openai", "gpt-4o", simulated.openai, {}),
        ("ollama", "qwen3", simulated.ollama, _LITELLM_OLLAMA),
    )
    return {
        f"litellm-{vendor}": Subject(
            name=f"litellm-{vendor}",
            plugin="litellm",
            factory=litellm.create,
            model=model,
            endpoint=endpoint,
            options={"vendor": "ollama_chat" if vendor == "ollama" else vendor},
            author="anthropic" if vendor == "anthropic" else "openai-chat",
            embedding_model=_VECTORS.get(vendor),
            lacks=lacks,
        )
        for vendor, model, endpoint, lacks in vendors
    }
