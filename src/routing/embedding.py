"""One embedding call, from its plan to its vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ..accounting.money import usd
from ..completion import EmbeddingResult, Usage
from ..errors import InvalidRequestError, MalformedResponseError, UnsupportedParameterError
from ..providers.base import EmbedCall, Embeds, Reply
from .fields import extra_of, headers_of
from .plan import Candidate, Skip

if TYPE_CHECKING:
    from .failover import Failover
    from .recorder import Recorder
    from .turn import Turn

__all__ = ["EmbeddingRun", "embedding_inputs", "embeds_or_skip"]


def embedding_inputs(inputs: object, dimensions: object) -> tuple[str, ...]:
    """The texts of an embedding call, checked.

    Raises:
        InvalidRequestError: No text, an empty one, or not texts; or a senseless ``dimensions``.
    """
    if isinstance(inputs, str):
        inputs = [inputs]
    if not isinstance(inputs, Sequence) or isinstance(inputs, bytes) or not inputs:
        message = "inputs: expected a text or a list of texts"
        raise InvalidRequestError(message, param="inputs")
    for position, text in enumerate(inputs):
        if not isinstance(text, str) or not text:
            place = f"inputs[{position}]"
            raise InvalidRequestError(f"{place}: expected a text that is not empty", param=place)
    if dimensions is not None and (
        isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions < 1
    ):
        message = f"dimensions: {dimensions!r} is not a whole number from 1"
        raise InvalidRequestError(message, param="dimensions")
    return tuple(inputs)


def embeds_or_skip(item: Candidate | Skip) -> Candidate | Skip:
    """A candidate whose plugin makes no embeddings is none for this call."""
    if isinstance(item, Skip) or isinstance(item.provider, Embeds):
        return item
    message = "its plugin makes no embeddings"
    return Skip(item.name, UnsupportedParameterError(message, param="model"))


class EmbeddingRun:
    """An embedding call whose candidates are known."""

    def __init__(
        self,
        *,
        inputs: tuple[str, ...],
        dimensions: int | None,
        failover: Failover,
        recorder: Recorder,
        extra: Mapping[str, Mapping[str, Any]],
        extra_headers: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._inputs = inputs
        self._dimensions = dimensions
        self._failover = failover
        self._recorder = recorder
        self._extra = extra
        self._extra_headers = extra_headers

    async def run(self) -> EmbeddingResult:
        """The vectors of the first candidate that makes them."""
        return await self._failover.run(self._once)

    async def _once(self, turn: Turn) -> EmbeddingResult:
        candidate = turn.candidate
        entry, provider = candidate.entry, candidate.provider
        made = await cast("Embeds", provider).embed(
            EmbedCall(
                inputs=self._inputs,
                model=entry.model,
                dimensions=self._dimensions,
                timeout=turn.timeout,
                credential=candidate.credential,
                headers=headers_of(candidate, self._extra_headers),
                extra=extra_of(candidate, self._extra),
            )
        )
        heard = turn.booking.heard = Reply(
            parts=(),
            finish_reason="stop",
            usage=made.usage,
            model=made.model,
            meta=made.meta,
            tier=made.tier,
        )
        if len(made.vectors) != len(self._inputs):
            message = (
                f"{entry.provider}: {len(made.vectors)} vectors for {len(self._inputs)} inputs"
            )
            raise MalformedResponseError(message, provider=entry.provider, model=entry.model)
        turn.entry.answered(made.usage, made.meta.headers, None)
        charge = turn.booking.answered(heard, first_token=None)
        self._recorder.end(turn, "answered", request_id=made.meta.request_id)
        return EmbeddingResult(
            vectors=made.vectors,
            usage=charge.usage or Usage(estimated=True),
            cost=usd(charge.cost) if charge.cost is not None else None,
            provider=entry.provider,
            model=made.model or entry.model,
            trace=self._recorder.trace(),
            warnings=made.warnings,
        )
