"""What a token costs: the values that a lookup in the price table answers with."""

from __future__ import annotations

import datetime as dt
from functools import cached_property

import msgspec

from ..money import Pico

__all__ = ["FREE", "FREE_RATES", "Fees", "ModelInfo", "Price", "Rates", "Step"]


class Rates(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Pico-dollars for one token of each kind (for :attr:`Price.per` tokens, to be exact).

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


class Fees(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Pico-dollars for one use of a tool that the vendor runs; ``None`` where not known."""

    web_search: Pico | None = None
    file_search: Pico | None = None
    code_session: Pico | None = None


class Step(msgspec.Struct, frozen=True):
    """Rates that hold for the *whole* request once its prompt is longer than ``above`` tokens."""

    above: int
    rates: Rates


class Price(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A model's price on one day, in one tier.

    Attributes:
        provider: The table in ``pricing.toml``.
        model: The entry in it; for a free provider the name that was asked for.
        rates: The rates of a prompt below every step.
        steps: Long-context rates, ascending.
        per: For how many tokens the rates are. 1, unless a multiplier leaves a fraction of a
            pico-dollar for one token: rates are exact, and only what a call costs is rounded.
        fees: What the vendor's own tools cost beside their tokens.
        tier: ``standard``, ``batch``, ``flex``, ``priority``, ``fast``, …
        region: The data-residency zone that was charged extra for; ``None`` where none was.
        free: Costs nothing because the provider was declared free, not for want of a price.
        since: The first day of this price, where known.
        until: The first day on which it no longer holds, where known.
        source: The page that states it.
        checked: The day on which the entry was last compared with its sources.
        own: A mark of its amounts where a user's table changed them; ``None`` where none did.
    """

    provider: str
    model: str
    rates: Rates
    steps: tuple[Step, ...] = ()
    per: int = 1
    fees: Fees = Fees()
    tier: str = "standard"
    region: str | None = None
    free: bool = False
    since: dt.date | None = None
    until: dt.date | None = None
    source: str = ""
    checked: dt.date | None = None
    own: str | None = None

    @cached_property
    def version(self) -> str:
        """Which price this is, for the ledger: ``anthropic/claude-opus-5@2026-11-23``.

        The day is that on which the entry was checked. What is not the usual follows: the first day
        of a price that has changed, the mark of a user's own price, the tier, the region, as in
        ``openai/o3@2026-11-23,from=2025-06-10,own=1f0c3a52,tier=flex,region=us``.
        """
        marks = [
            f"{self.provider}/{self.model}@{self.checked or 'unchecked'}",
            f"from={self.since}" if self.since is not None else "",
            f"until={self.until}" if self.since is None and self.until is not None else "",
            f"own={self.own}" if self.own is not None else "",
            f"tier={self.tier}" if self.tier != "standard" else "",
            f"region={self.region}" if self.region is not None else "",
        ]
        return ",".join(filter(None, marks))

    def rates_for(self, prompt_tokens: int) -> Rates:
        """The rates that a prompt of that length is billed at."""
        rates = self.rates
        for step in self.steps:
            if prompt_tokens <= step.above:
                break
            rates = step.rates
        return rates

    def cost(
        self,
        prompt_tokens: int,
        *,
        input: int = 0,  # noqa: A002 - the name that the kind has everywhere
        output: int = 0,
        cache_read: int = 0,
        cache_write_5m: int = 0,
        cache_write_1h: int = 0,
        audio_input: int = 0,
        audio_output: int = 0,
    ) -> Pico:
        """What tokens cost, each counted under one kind only; a fraction of a pico-dollar is one.

        The sum is exact, and rounding up is the last step, so splitting a usage can only make it
        dearer, by less than a pico-dollar a part.

        Args:
            prompt_tokens: The length of the prompt, by which the rates are chosen.
            input: Tokens of the prompt that are of no other kind.
            output: Tokens of the answer that are not spoken.
            cache_read: Read from the vendor's cache.
            cache_write_5m: Written to its short-lived cache.
            cache_write_1h: Written to its long-lived cache.
            audio_input: Heard.
            audio_output: Spoken.
        """
        rates = self.rates_for(prompt_tokens) if self.steps else self.rates
        exact = (
            input * rates.input
            + output * rates.output
            + cache_read * rates.cache_read
            + cache_write_5m * rates.cache_write_5m
            + cache_write_1h * rates.cache_write_1h
            + audio_input * rates.audio_input
            + audio_output * rates.audio_output
        )
        return exact if self.per == 1 else -(-exact // self.per)


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
        aliases: Further names of it; one that ends with ``*`` is a prefix.
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
    aliases: tuple[str, ...] = ()
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

FREE = Fees(web_search=0, file_search=0, code_session=0)
