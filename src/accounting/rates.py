"""What a token costs: the values that a lookup in the price table answers with."""

from __future__ import annotations

import datetime as dt

import msgspec

from .money import Pico

__all__ = ["FREE_RATES", "ModelInfo", "Price", "Rates", "Step"]


class Rates(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Pico-dollars for one token of each kind.

    A kind that the vendor does not price apart has the rate at which it is billed then: cached and
    spoken input as input, spoken output as output.
    """

    input: Pico
    output: Pico
    cache_read: Pico
    cache_write_5m: Pico
    cache_write_1h: Pico
    audio_input: Pico
    audio_output: Pico


class Step(msgspec.Struct, frozen=True):
    """Rates that hold for the *whole* request once its prompt is longer than ``above`` tokens."""

    above: int
    rates: Rates


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A model's price on one day, in one tier.

    Attributes:
        provider: The table in ``pricing.toml``.
        model: The entry in it; for a free provider the name that was asked for.
        rates: The rates of a prompt below every step.
        steps: Long-context rates, ascending.
        tier: ``standard``, ``batch``, ``flex``, ``priority``, ``fast``, …
        region: The data-residency zone that was charged extra for; ``None`` where none was.
        free: Costs nothing because the provider was declared free, not for want of a price.
        since: The first day of this price, where known.
        until: The first day on which it no longer holds, where known.
        source: The page that states it.
        checked: The day on which the entry was last compared with its sources.
    """

    provider: str
    model: str
    rates: Rates
    steps: tuple[Step, ...] = ()
    tier: str = "standard"
    region: str | None = None
    free: bool = False
    since: dt.date | None = None
    until: dt.date | None = None
    source: str = ""
    checked: dt.date | None = None

    def rates_for(self, prompt_tokens: int) -> Rates:
        """The rates that a prompt of that length is billed at."""
        rates = self.rates
        for step in self.steps:
            if prompt_tokens <= step.above:
                break
            rates = step.rates
        return rates


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the table knows of a model besides its price.

    Attributes:
        provider: The table in ``pricing.toml``.
        model: The entry in it.
        context_window: Tokens of prompt and answer together; ``None`` where unknown.
        max_output_tokens: The longest answer in tokens; ``None`` where unknown.
        default_max_tokens: What an unset ``max_tokens`` becomes where one must be sent.
        capabilities: Some of ``tools, schema, json, images, files, audio, reasoning, sampling,
            prompt_cache, embeddings, chat, responses`` (the last two: the vendor's endpoints that
            take it).
        retires: The day from which the vendor's own API no longer serves it, where announced.
        source: The page that states the price.
        checked: The day on which the entry was last compared with its sources.
    """

    provider: str
    model: str
    context_window: int | None = None
    max_output_tokens: int | None = None
    default_max_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    retires: dt.date | None = None
    source: str = ""
    checked: dt.date | None = None


FREE_RATES = Rates(
    input=0,
    output=0,
    cache_read=0,
    cache_write_5m=0,
    cache_write_1h=0,
    audio_input=0,
    audio_output=0,
)
