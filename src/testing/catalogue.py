"""All wire formats by kind."""

from __future__ import annotations

from .anthropic.bedrock import BedrockWire
from .anthropic.vertex import VertexWire
from .anthropic.wire import AnthropicWire
from .ollama.wire import OllamaWire
from .openai.azure import AzureWire
from .openai.wire import CompatibleWire, OpenAIWire
from .wire import Wire

__all__ = ["WIRES"]

WIRES: dict[str, type[Wire]] = {
    wire.kind: wire
    for wire in (
        AnthropicWire,
        OpenAIWire,
        OllamaWire,
        AzureWire,
        BedrockWire,
        VertexWire,
        CompatibleWire,
    )
}
