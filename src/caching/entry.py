"""A stored answer: plain data, with everything that a reply is made of."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec

from ..completion import Completion, FinishReason, Usage
from ..decision import Trace
from ..messages import Message, Part

__all__ = ["Answer", "Entry", "Made"]

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a live call brought, for the cache.

    Attributes:
        completion: What the caller gets.
        asked: The model that was asked, as the configuration names it.
        cost: What it cost, in 10⁻¹² USD; ``None`` where that is unknown.
        first_choice: It came from the first choice of the chain, and not from a fallback. The first
            choice is the first that could serve the request at all.
        whole: One candidate gave all of it. A stream that another one went on with is not.
        tier: The service tier that answered.
        region: Where it was answered.
    """

    completion: Completion
    asked: str = ""
    cost: int | None = None
    first_choice: bool = True
    whole: bool = True
    tier: str | None = None
    region: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An answer as it is stored.

    Attributes:
        stored_at: When, in milliseconds since 1970 (UTC).
        ttl: Milliseconds for which it may be given again.
        parts: The answer in order, the vendor's own blocks among it.
        finish_reason: Why it ended.
        native_finish_reason: The same in the provider's own word.
        usage: Tokens that it took.
        cost: What it cost, in 10⁻¹² USD, which each further use saves; ``None`` where unknown.
        id: The provider's id of the answer.
        request_id: The provider's id of the request.
        provider: The provider's name in the configuration.
        model: The model that answered, as the provider says.
        asked: The model that was asked, as the configuration names it.
        created: When it was made, seconds since 1970.
        first_choice: It came from the first choice of its chain.
        warnings: What was dropped or changed on the way.
        tier: The service tier that answered.
        region: Where it was answered.
        body: The answer as received; empty for a stream.
    """

    stored_at: _Count
    ttl: _Count
    parts: tuple[Part, ...]
    finish_reason: FinishReason
    native_finish_reason: str | None
    usage: Usage
    cost: _Count | None
    id: str
    request_id: str | None
    provider: str
    model: str
    asked: str
    created: _Count
    first_choice: bool
    warnings: tuple[str, ...]
    tier: str | None
    region: str | None
    body: bytes

    @classmethod
    def of(cls, made: Made, *, now: float, ttl: float) -> Entry:
        """An answer that has just come.

        Args:
            made: It.
            now: Seconds since 1970.
            ttl: Seconds for which it may be given again.
        """
        reply = made.completion
        return cls(
            stored_at=int(now * 1000),
            ttl=int(ttl * 1000),
            parts=reply.parts,
            finish_reason=reply.finish_reason,
            native_finish_reason=reply.native_finish_reason,
            usage=reply.usage,
            cost=made.cost,
            id=reply.id,
            request_id=reply.request_id,
            provider=reply.provider,
            model=reply.model,
            asked=made.asked or reply.model,
            created=max(0, reply.created),
            first_choice=made.first_choice,
            warnings=reply.warnings,
            tier=made.tier,
            region=made.region,
            body=reply.raw_body,
        )

    def age(self, now: float) -> float:
        """Seconds since it was stored; never negative, since clocks of machines differ."""
        return max(0.0, now - self.stored_at / 1000)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What asking the cache came to.

    Attributes:
        entry: The answer.
        live: The caller's own call brought it; else it cost this caller nothing.
        joined: Somebody else's identical call brought it.
        age: Seconds since it was stored; 0 where it is new.
        fresh: It may still be given. One that may not is given only where every candidate failed.
        completion: What the caller's own call brought.
        error: Where an expired answer is given: what became of the candidates.
    """

    entry: Entry
    live: bool = False
    joined: bool = False
    age: float = 0.0
    fresh: bool = True
    completion: Completion | None = None
    error: Exception | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The answer's own, and one where it is an expired one."""
        if self.fresh:
            return self.entry.warnings
        line = f"cache: expired; stored {self.age:.0f} s ago, given since every candidate failed"
        return (*self.entry.warnings, line)

    def completion_for(
        self,
        *,
        trace: Trace,
        group: str | None,
        latency: float,
        parsed: Any = None,
        time_to_first_token: float | None = None,
    ) -> Completion:
        """The reply of a caller whom it cost nothing. Its ``usage`` is what the answer once took.

        Args:
            trace: The call's own.
            group: The group that was asked, if it was one.
            latency: Seconds that it took.
            parsed: The answer in the form that was asked for.
            time_to_first_token: Seconds to the first delta, where it is a stream.
        """
        entry = self.entry
        return Completion(
            id=entry.id,
            message=Message("assistant", entry.parts),
            parsed=parsed,
            finish_reason=entry.finish_reason,
            native_finish_reason=entry.native_finish_reason,
            usage=entry.usage,
            cost=Decimal(0),
            provider=entry.provider,
            model=entry.model,
            group=group,
            latency=latency,
            time_to_first_token=time_to_first_token,
            cached=True,
            trace=trace,
            warnings=self.warnings,
            request_id=entry.request_id,
            created=entry.created,
            raw_body=entry.body,
        )
