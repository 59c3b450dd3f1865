"""A place within the limits, held while a call runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from .measures import OUTPUT, Need, Price

if TYPE_CHECKING:
    from .lane import Lane

__all__ = ["Lease", "NoRoom"]


class NoRoom(msgspec.Struct, frozen=True):
    """A call does not fit now.

    Attributes:
        limit: The limit that keeps it back the longest: ``itpm of anthropic/*``.
        wait: Seconds until there will be room, those counted who wait already; an estimate where
            it depends on other calls ending. ``None``: never, it needs more than the limit holds.
    """

    limit: str
    wait: float | None

    def __str__(self) -> str:
        if self.wait is None:
            return f"{self.limit}: asks for more than the limit ever holds"
        return f"{self.limit}: no room for another {self.wait:.3g} s"


class Lease:
    """What was reserved for one call. Exactly one of `settle` and `cancel` counts, the first.

    Attributes:
        waited: Seconds that the call stood in the queue for it.
    """

    __slots__ = (
        "_lane",
        "_open",
        "need",
        "number",
        "output",
        "price",
        "running",
        "sent_at",
        "taken",
        "waited",
    )

    def __init__(
        self, lane: Lane, need: Need, price: Price, *, number: int, now: float, waited: float
    ) -> None:
        self._lane = lane
        self._open = True
        self.need = need
        self.price = price
        self.output = price[OUTPUT]
        self.number = number
        self.sent_at = now
        self.waited = waited
        # As the lane stood when this was sent: what all calls took so far, what was running.
        self.taken = tuple(lane.taken)
        self.running = lane.running

    def __repr__(self) -> str:
        state = "open" if self._open else "settled"
        return f"<Lease {self._lane.name}, {self.need}, {state}>"

    def observe(
        self,
        headers: Mapping[str, str] | None,
        *,
        status: int = 200,
        retry_after: float | None = None,
    ) -> None:
        """The response has begun; a stream reports its headers here, long before its end.

        Args:
            headers: The response's, names in lower case or case-insensitive.
            status: Its HTTP status.
            retry_after: Seconds to stay away, honoured on 429 and 5xx only.
        """
        if self._open:
            self._lane.hear(self, headers, status, retry_after)

    def settle(
        self,
        input_tokens: int | None,
        output_tokens: int | None,
        headers: Mapping[str, str] | None = None,
        *,
        cached_tokens: int = 0,
        status: int = 200,
        retry_after: float | None = None,
    ) -> None:
        """The call is over: what it did not use goes back, what it used on top is taken.

        Args:
            input_tokens: The whole prompt as the provider counted it; ``None`` leaves it as it was
                reserved. A refused call used 0.
            output_tokens: The same for the answer.
            headers: The response's.
            cached_tokens: Of the input, what was read from the provider's cache.
            status: The HTTP status.
            retry_after: Seconds to stay away, honoured on 429 and 5xx only.
        """
        if self._open:
            self._open = False
            self._lane.settle(self, input_tokens, output_tokens, cached_tokens, good=status < 400)
            self._lane.hear(self, headers, status, retry_after)

    def cancel(self) -> None:
        """Nothing was sent: everything goes back."""
        if self._open:
            self._open = False
            self._lane.refund(self)
