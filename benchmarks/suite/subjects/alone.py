"""Switchgear's own share of a call: everything on, and a provider that answers in the process."""

from __future__ import annotations

from collections.abc import Mapping

from switchgear import Config, Router
from switchgear.completion import Usage
from switchgear.messages import Text
from switchgear.providers.base import Call, Capabilities, Reply, ReplyStream, ResponseMeta

from ..answers import MODELS, WHOLE
from . import MAX_TOKENS, MESSAGES, Connected, Place
from .ours import configuration

__all__ = ["connect"]

_HEADERS: Mapping[str, str] = {
    "content-type": "application/json",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-limit-tokens": "30000000",
    "x-ratelimit-remaining-tokens": "29999900",
    "x-ratelimit-reset-tokens": "0s",
}


class Ready:
    """A provider that has its answer in its pocket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client = None
        self._capabilities = Capabilities(context_window=128_000, max_output_tokens=16_384)
        self._reply = Reply(
            parts=(Text("x" * WHOLE),),
            finish_reason="stop",
            usage=Usage(input_tokens=40, output_tokens=60),
            id="chatcmpl-1",
            model="gpt-4o-2024-08-06",
            meta=ResponseMeta("req_1", _HEADERS),
        )

    def capabilities(self, _: str) -> Capabilities:
        """The same for every model."""
        return self._capabilities

    async def complete(self, _: Call) -> Reply:
        """The same for every call."""
        return self._reply

    async def stream(self, _: Call) -> ReplyStream:
        """Not asked for here."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing to close."""


def connect(place: Place) -> Connected:
    """A router over such providers."""
    config = Config.from_dict(configuration(place))
    router = Router(config, providers={name: Ready(name) for name in MODELS})

    async def call() -> tuple[int, float]:
        reply = await router.complete(
            "openai", MESSAGES, max_tokens=MAX_TOKENS, project_id="p", agent_id="a"
        )
        return len(reply.text), 0.0

    return Connected({"alone": call}, router.aclose)
