"""OpenAI's Chat Completions, which half the industry speaks with an accent."""

from __future__ import annotations

from ..base import Call, Capabilities, Reply
from ..wire import WireResponse
from . import Encoded
from .openai_chat_decode import decode
from .openai_chat_encode import encode
from .openai_chat_quirks import ChatQuirks
from .openai_chat_stream import ChatDecoder

__all__ = ["ChatDialect", "ChatQuirks"]


class ChatDialect:
    """Chat Completions as one provider speaks them (a ``Dialect``).

    Args:
        provider: The provider's name in the configuration.
        quirks: The provider's accent.
        region: Where it answers, where that has a price of its own.
    """

    path = "/chat/completions"

    def __init__(self, provider: str, quirks: ChatQuirks, *, region: str | None = None) -> None:
        self._provider = provider
        self._quirks = quirks
        self._region = region

    def encode(self, call: Call, capabilities: Capabilities, *, stream: bool) -> Encoded:
        """Write a call as a request's body."""
        return encode(call, capabilities, self._quirks, provider=self._provider, stream=stream)

    def decode(self, response: WireResponse, call: Call, encoded: Encoded) -> Reply:
        """Read a ``chat.completion``."""
        return decode(
            response,
            encoded,
            provider=self._provider,
            model=call.model,
            region=self._region,
        )

    def decoder(self, call: Call, encoded: Encoded) -> ChatDecoder:
        """What reads a stream of ``chat.completion.chunk``."""
        return ChatDecoder(
            encoded,
            done_marker=self._quirks.done_marker,
            provider=self._provider,
            model=call.model,
            region=self._region,
        )
