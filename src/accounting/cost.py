"""From tokens to money: the cost of a usage, and the most that a request can cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..completion import Usage
    from .money import Pico
    from .rates import Price, Rates

__all__ = ["bound_of", "cost_of"]


def cost_of(usage: Usage, price: Price) -> Pico:
    """What a usage costs, in pico-dollars.

    Each token is paid for once, at the rate of its own kind. A prompt longer than a long-context
    step puts the whole request, answer included, on that step's rates.

    A usage that contradicts itself, with more tokens in its parts than in its total, is read so
    that nothing in it goes unpaid: totals grow to hold their parts, and where parts must overlap
    (spoken tokens that were also cached) the tokens count as the dearer kind by the usual order of
    prices: spoken, written to the cache, read from it.
    """
    reads = max(usage.cache_read_tokens, 0)
    writes = max(usage.cache_write_tokens, usage.cache_write_1h_tokens, 0)
    writes_1h = max(usage.cache_write_1h_tokens, 0)
    spoken = max(usage.audio_input_tokens, 0)
    prompt = max(usage.input_tokens, reads + writes, spoken)
    said = max(usage.audio_output_tokens, 0)
    answer = max(usage.output_tokens, usage.reasoning_tokens, said)
    rates = price.rates_for(prompt)

    writes = min(writes, prompt - spoken)
    writes_1h = min(writes_1h, writes)
    reads = min(reads, prompt - spoken - writes)
    return (
        (prompt - spoken - writes - reads) * rates.input
        + reads * rates.cache_read
        + (writes - writes_1h) * rates.cache_write_5m
        + writes_1h * rates.cache_write_1h
        + spoken * rates.audio_input
        + (answer - said) * rates.output
        + said * rates.audio_output
    )


def bound_of(
    input_tokens: int,
    output_tokens: int,
    price: Price,
    *,
    long_cache: bool = True,
    audio: bool = True,
) -> Pico:
    """The most that a request can cost, in pico-dollars: what a budget must set aside for it.

    Args:
        input_tokens: An upper bound of the prompt.
        output_tokens: An upper bound of the answer, reasoning included.
        price: The price.
        long_cache: Whether the prompt may be written to the vendor's long-lived cache. Set it to
            false where the request asks for none: those writes can cost twice the input.
        audio: Whether anything may be spoken.
    """
    reachable = [price.rates, *(s.rates for s in price.steps if s.above < input_tokens)]
    # A shorter prompt than the bound is on a lower step, so each step must be looked at.
    return max(
        input_tokens * _dearest_input(rates, long_cache=long_cache, audio=audio)
        + output_tokens * (max(rates.output, rates.audio_output) if audio else rates.output)
        for rates in reachable
    )


def _dearest_input(rates: Rates, *, long_cache: bool, audio: bool) -> Pico:
    kinds = [rates.input, rates.cache_read, rates.cache_write_5m]
    if long_cache:
        kinds.append(rates.cache_write_1h)
    if audio:
        kinds.append(rates.audio_input)
    return max(kinds)
