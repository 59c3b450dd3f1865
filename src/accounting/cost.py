"""From tokens to money: the cost of a usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..completion import Usage
    from .money import Pico
    from .prices.rates import Price

__all__ = ["cost_of"]


def cost_of(usage: Usage, price: Price) -> Pico | None:
    """What a usage costs, in pico-dollars; ``None`` where a fee in it is not known.

    Each token is paid for once, at the rate of its own kind. A prompt longer than a long-context
    step puts the whole request, answer included, on that step's rates. Fees come on top, and no
    tier, region or step changes them. The sum is exact; a fraction of a pico-dollar, which only
    odd multipliers leave, is rounded up once, at the end.

    A usage that contradicts itself, with more tokens in its parts than in its total, is read so
    that nothing in it goes unpaid: totals grow to hold their parts, and where parts must overlap
    (spoken tokens that were also cached) the tokens count as the dearer kind by the usual order of
    prices: spoken, written to the cache, read from it. A negative count is none.
    """
    prompt, answer = usage.input_tokens, usage.output_tokens
    if prompt >= 0 and answer >= 0 and _of_two_kinds(usage):
        return price.cost(prompt, input=prompt, output=answer)
    fees = _fees(usage, price)
    if fees is None:
        return None
    reads = max(usage.cache_read_tokens, 0)
    writes = max(usage.cache_write_tokens, usage.cache_write_1h_tokens, 0)
    writes_1h = max(usage.cache_write_1h_tokens, 0)
    spoken = max(usage.audio_input_tokens, 0)
    prompt = max(usage.input_tokens, reads + writes, spoken)
    said = max(usage.audio_output_tokens, 0)
    answer = max(usage.output_tokens, usage.reasoning_tokens, said)

    writes = min(writes, prompt - spoken)
    writes_1h = min(writes_1h, writes)
    reads = min(reads, prompt - spoken - writes)
    return fees + price.cost(
        prompt,
        input=prompt - spoken - writes - reads,
        cache_read=reads,
        cache_write_5m=writes - writes_1h,
        cache_write_1h=writes_1h,
        audio_input=spoken,
        output=answer - said,
        audio_output=said,
    )


def _of_two_kinds(usage: Usage) -> bool:
    """Whether nothing in it is priced apart but prompt and answer, as in most answers."""
    return not (
        usage.cache_read_tokens
        or usage.cache_write_tokens
        or usage.cache_write_1h_tokens
        or usage.audio_input_tokens
        or usage.audio_output_tokens
        or usage.web_searches
        or usage.file_searches
        or usage.code_sessions
        or usage.reasoning_tokens > usage.output_tokens
    )


def _fees(usage: Usage, price: Price) -> Pico | None:
    """What the vendor's own tools cost; ``None`` where one was used whose fee is not known."""
    fees = price.fees
    total = 0
    for uses, fee in (
        (usage.web_searches, fees.web_search),
        (usage.file_searches, fees.file_search),
        (usage.code_sessions, fees.code_session),
    ):
        if uses > 0:
            if fee is None:
                return None
            total += uses * fee
    return total
