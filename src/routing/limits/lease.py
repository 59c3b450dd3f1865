"""A place within the limits, held while a call runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from .measures import Need, Price

if TYPE_CHECKING:
    from .lane import Lane  # noqa: TC004 - it makes these, and must be imported first

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


class Lease(msgspec.Struct, eq=False):
    """What was reserved for one call. Exactly one of `settle` and `cancel` counts, the first.

    A struct, since one is made for each attempt: C makes it three times as fast.

    Attributes:
        need: What the call was expected to take.
        price: The same, by measure.
        output: What it takes of output, as far as is known.
        number: Its place in the order of the account's.
        sent_at: When it was given, monotonic seconds.
        waited: Seconds that the call stood in the queue for it.
        room: The part of the tightest limit that it left, 0 to 1; ``None`` where none is known.
        taken: What all calls of its lane had taken by then, itself included, by measure.
        running: The output that those before it were still expected to bring.
    """

    _lane: Lane
    need: Need
    price: Price
    output: float
    number: int
    sent_at: float
    waited: float
    room: float | None
    taken: Price
    running: float
    _open: bool = True

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
            lane = self._lane
            lane.settle(self, input_tokens, output_tokens, cached_tokens, good=status < 400)
            lane.hear(self, headers, status, retry_after)

    def cancel(self) -> None:
        """Nothing was sent: everything goes back."""
        if self._open:
            self._open = False
            self._lane.refund(self)
