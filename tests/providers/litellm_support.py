"""What the tests of LiteLLM share: a provider for each vendor that is simulated."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from switchgear.credentials import Secret
from switchgear.messages import Message
from switchgear.providers.base import Call, EmbedCall, ProviderSettings
from switchgear.providers.litellm import LiteLLMProvider, create
from switchgear.request import ChatRequest
from switchgear.testing import SimulatedProvider, SimulatedProviders

KEY = "sk-test-0123456789"

MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "openai": "gpt-4o",
    "azure": "gpt-4o",
    "ollama": "llama3.1",
}
VENDORS = tuple(MODELS)


def settings(simulated: SimulatedProvider, *, refused: bool = False, **options: Any) -> Any:
    kind = simulated.kind
    base_url = simulated.refused_base_url if refused else simulated.base_url
    if kind == "azure":
        base_url = base_url.partition("/openai")[0]
        options.setdefault("params", {"api_version": "2024-10-21"})
    options.setdefault("vendor", "ollama_chat" if kind == "ollama" else kind)
    return ProviderSettings(
        name="lite",
        plugin="litellm",
        api_key=None if kind == "ollama" else Secret(KEY),
        base_url=base_url,
        options=options,
    )


@contextlib.asynccontextmanager
async def opened(
    simulated: SimulatedProvider, *, refused: bool = False, **options: Any
) -> AsyncIterator[LiteLLMProvider]:
    provider = create(settings(simulated, refused=refused, **options))
    try:
        yield provider
    finally:
        await provider.aclose()


def vendor(simulated: SimulatedProviders, kind: str) -> SimulatedProvider:
    return simulated[kind]


def call(*messages: Message, model: str = "claude-sonnet-4-5", **fields: Any) -> Call:
    own = {key: fields.pop(key) for key in list(fields) if key in Call.__struct_fields__}
    request = ChatRequest(messages=messages or (Message("user", "Hi"),), **fields)
    return Call(request=request, model=model, **own)


def embed_call(*texts: str, **fields: Any) -> EmbedCall:
    return EmbedCall(inputs=texts, model="text-embedding-3-small", **fields)
