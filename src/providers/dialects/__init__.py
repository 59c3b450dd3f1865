"""What a dialect is: one API's way of writing requests and answers, without any I/O."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from ..base import Call, Capabilities, Reply
from ..stream import Decoder
from ..wire import WireResponse

__all__ = ["Dialect", "Encoded"]


class Encoded(msgspec.Struct, frozen=True):
    """A call in the form that its API takes.

    Attributes:
        body: The JSON body.
        warnings: What could not be expressed and was dropped or changed, one line each.
        answer_tool: The forced tool whose arguments are the answer's text, where the model keeps
            to a schema by way of a tool; ``None`` elsewhere. Decoding hides the tool again.
    """

    body: dict[str, Any]
    warnings: tuple[str, ...] = ()
    answer_tool: str | None = None


class Dialect(Protocol):
    """One API, as an adapter that knows several of them sees it.

    A dialect keeps no state about calls: what decoding must know of a request is in ``Encoded``.
    """

    @property
    def path(self) -> str:
        """Where its requests go, under the client's base URL."""

    def encode(self, call: Call, capabilities: Capabilities, *, stream: bool) -> Encoded:
        """Write a call as a JSON body.

        Raises:
            InvalidRequestError: The call can't be written, or not for this model.
        """

    def decode(self, response: WireResponse, call: Call, encoded: Encoded) -> Reply:
        """Read a whole answer.

        Raises:
            SwitchgearError: It is not what the API promises, or it says that the call failed.
        """

    def decoder(self, call: Call, encoded: Encoded) -> Decoder:
        """What reads a streamed answer, fresh for each call."""
