"""From a provider's reply to the caller's completion: usage, cost, parsed answer, warnings."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from ..accounting.cost import bound_of, cost_of
from ..accounting.money import usd
from ..completion import Completion, Usage
from ..errors import MalformedResponseError
from ..messages import Message, Text
from ..request import ChatRequest
from ..structured import parse_structured

if TYPE_CHECKING:
    from ..accounting.pricing import Price, PriceTable
    from ..accounting.tokens import TokenCounter
    from ..clock import Clock
    from ..providers.base import Reply
    from .plan import Candidate
    from .recorder import Recorder

__all__ = ["Settler"]

_PARSED = frozenset({"stop", "tool_calls"})


class Settler:
    """Books what an attempt used and makes the reply of it.

    Args:
        prices: The price table.
        tokens: Counts where the provider did not.
        clock: The day, for prices that change.
    """

    def __init__(self, prices: PriceTable, tokens: TokenCounter, clock: Clock) -> None:
        self._prices = prices
        self._tokens = tokens
        self._clock = clock

    def completion(
        self,
        reply: Reply,
        request: ChatRequest,
        candidate: Candidate,
        recorder: Recorder,
        *,
        group: str | None,
        parsed: object = None,
        first_token: float | None = None,
        whole: bool = True,
    ) -> Completion:
        """The caller's reply. The recorder's last step is the attempt that made it.

        Args:
            reply: What the provider sent.
            request: What was asked.
            candidate: Who answered.
            recorder: The call's record.
            group: The group that was asked for, if it was one.
            parsed: The answer in the form that was asked for.
            first_token: Seconds from the start of the call to the first delta.
            whole: The provider said that the answer is complete.
        """
        usage = self.usage(reply, request, candidate, whole=whole)
        cost = self.cost(candidate, reply.model, usage)
        recorder.settle(usage, cost, self.bound_of(request, candidate, usage, cost))
        warnings = reply.warnings
        if cost is None:
            line = f"cost: unknown, {candidate.name} has no price; add it to the price table"
            warnings = (*warnings, line)
        return Completion(
            id=reply.id,
            message=Message("assistant", reply.parts),
            parsed=parsed,
            finish_reason=reply.finish_reason if whole else "error",
            native_finish_reason=reply.native_finish_reason,
            usage=usage,
            cost=cost,
            provider=candidate.entry.provider,
            model=reply.model or candidate.entry.model,
            group=group,
            latency=recorder.elapsed(),
            time_to_first_token=first_token,
            trace=recorder.trace(),
            warnings=warnings,
            request_id=reply.meta.request_id,
            created=int(self._clock.now()),
            raw_body=reply.body,
        )

    def usage(
        self, reply: Reply, request: ChatRequest, candidate: Candidate, *, whole: bool
    ) -> Usage:
        """The provider's count; an estimate, flagged so, where there is no final one."""
        counted = reply.usage
        if counted is not None and (whole or counted.estimated):
            return counted
        estimate = self._tokens.estimate_text(
            "".join(map(_visible, reply.parts)), candidate.entry.model
        )
        if counted is None:
            prompt = self._tokens.estimate(request, candidate.entry.model).tokens
            return Usage(input_tokens=prompt, output_tokens=estimate, estimated=True)
        # A cut stream: its prompt was counted at the start, its answer only in part.
        longest = max(counted.output_tokens, estimate)
        return msgspec.structs.replace(counted, output_tokens=longest, estimated=True)

    async def embedding_usage(self, texts: tuple[str, ...], model: str) -> Usage:
        """The tokens of texts to embed, counted here and flagged so."""
        counted = await self._tokens.count_texts(texts, model)
        return Usage(input_tokens=counted.tokens, estimated=True)

    def bound_of(
        self, request: ChatRequest, candidate: Candidate, usage: Usage, cost: Decimal | None
    ) -> Decimal | None:
        """USD; the most that an attempt can have cost: its cost, where the provider counted it."""
        if not usage.estimated:
            return cost
        prompt = self._tokens.upper_bound(
            request,
            candidate.entry.model,
            context_window=candidate.capabilities.context_window,
        )
        return None if prompt is None else self.bound(candidate, prompt)

    def bound(self, candidate: Candidate, prompt_bound: int) -> Decimal | None:
        """USD; the most that a call can cost. ``None`` where that can't be told."""
        price = self.price(candidate, "")
        info = self._prices.info(candidate.kind, candidate.entry.model)
        longest = candidate.max_tokens or candidate.capabilities.max_output_tokens
        if longest is None and info is not None:
            longest = info.max_output_tokens
        if price is None or longest is None:
            return None
        return usd(bound_of(prompt_bound, longest, price))

    def cost(self, candidate: Candidate, answered: str, usage: Usage) -> Decimal | None:
        """USD at the day's price; ``None`` where there is no price."""
        price = self.price(candidate, answered)
        return usd(cost_of(usage, price)) if price is not None else None

    def price(self, candidate: Candidate, answered: str) -> Price | None:
        """Today's price of a model; of the one that answered, where the candidate's has none."""
        day = dt.datetime.fromtimestamp(self._clock.now(), dt.UTC).date()
        price = self._prices.lookup(candidate.kind, candidate.entry.model, day)
        if price is None and answered:
            # A deployment's own name says nothing; the model that answered may.
            price = self._prices.lookup(candidate.kind, answered, day)
        return price

    @staticmethod
    def parse(reply: Reply, request: ChatRequest) -> object:
        """The answer in the form that was asked for; ``None`` where none was, or none came.

        Raises:
            MalformedResponseError: It is not of that form.
        """
        form = request.response_format
        if form is None or reply.finish_reason not in _PARSED:
            return None
        message = Message("assistant", reply.parts)
        if message.tool_calls and not message.text.strip():
            return None
        try:
            return parse_structured(form, message.text)
        except MalformedResponseError:
            # A preamble may stand before the answer, and OpenAI's models give it twice at times.
            texts = [part.text for part in message.parts if isinstance(part, Text)]
            if len(texts) < 2:
                raise
            return parse_structured(form, texts[-1])


def _visible(part: object) -> str:
    text = getattr(part, "text", None)
    if isinstance(text, str):
        return text
    arguments = getattr(part, "arguments", None)
    return arguments if isinstance(arguments, str) else ""
