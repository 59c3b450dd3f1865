"""OpenAI's Responses API: encrypted reasoning that travels with the conversation, hosted tools."""

from __future__ import annotations

from ..base import Call, Capabilities, Reply
from ..stream import Decoder
from ..wire import WireResponse
from . import Encoded
from .openai_responses_decode import decode
from .openai_responses_encode import encode
from .openai_responses_items import author_of
from .openai_responses_stream import ResponsesDecoder

__all__ = ["ResponsesDialect"]


class ResponsesDialect:
    """The dialect for one provider.

    Args:
        provider: The provider's name in the configuration. Reasoning is encrypted for one
            organisation, so what two providers thought can't be exchanged.
        region: Where it answers, where that has a price of its own.
    """

    path = "/responses"

    def __init__(self, provider: str, *, region: str | None = None) -> None:
        self._provider = provider
        self._region = region
        self._author = author_of(provider)

    def encode(self, call: Call, capabilities: Capabilities, *, stream: bool) -> Encoded:
        """Write a call as a JSON body, with ``store: false`` unless the call's ``extra`` differs.

        Raises:
            InvalidRequestError: ``extra`` asks for what would change the answer's form.
            UnsupportedParameterError: Something can't be expressed and may not be dropped.
        """
        return encode(
            call,
            capabilities,
            provider=self._provider,
            author=self._author,
            stream=stream,
        )

    def decode(self, response: WireResponse, call: Call, encoded: Encoded) -> Reply:
        """Read a whole answer.

        Raises:
            MalformedResponseError: It is not what the API promises.
            SwitchgearError: It says that the call failed.
        """
        return decode(
            response,
            encoded,
            provider=self._provider,
            model=call.model,
            author=self._author,
            region=self._region,
        )

    def decoder(self, call: Call, encoded: Encoded) -> Decoder:
        """What reads a streamed answer, fresh for each call."""
        return ResponsesDecoder(
            provider=self._provider,
            model=call.model,
            author=self._author,
            encoded=encoded,
            region=self._region,
        )
