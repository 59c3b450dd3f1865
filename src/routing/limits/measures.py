"""What a call takes out of the limits, before it is sent and once its usage is known.

Vendors count differently (documentation as of 2026, checked against recorded traffic):

* Anthropic, platform.claude.com/docs/en/api/rate-limits: token buckets, "continuously replenished
  up to your maximum limit". Input "is estimated at the beginning of each request, and the estimate
  is adjusted during the request"; cache reads do not count for most models. Output is "evaluated in
  real time as output tokens are produced", ``max_tokens`` "does not factor". So a request needs
  its input to be there, but of output only that the bucket is not yet empty.
* OpenAI, developers.openai.com/api/docs/guides/rate-limits: "the maximum of ``max_tokens`` and the
  estimated number of tokens based on the character count". Recorded headers agree: what a request
  takes is taken at its start, by characters, and what it really used is not settled afterwards.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "DEFERRED",
    "INPUT",
    "INPUT_ALL",
    "OUTPUT",
    "OUTPUT_MAX",
    "REQUESTS",
    "SLOTS",
    "TOKENS",
    "TOKENS_ALL",
    "TOKENS_MAX",
    "Need",
    "Price",
    "price_of",
    "settled",
]

# What is counted: the places in a price.
REQUESTS = 0
INPUT = 1  # input without what was read from the cache
INPUT_ALL = 2
OUTPUT = 3  # output as it is produced
OUTPUT_MAX = 4  # output as it was asked for
TOKENS = 5  # INPUT + OUTPUT
TOKENS_ALL = 6  # INPUT_ALL + OUTPUT
TOKENS_MAX = 7  # OpenAI's: whichever is larger of input and max_tokens
SLOTS = 8  # requests under way

DEFERRED = frozenset({OUTPUT, TOKENS, TOKENS_ALL})
"""Output in these is counted while it is produced, so it need not be there at the start."""

Price = tuple[float, ...]
"""What one call takes, by measure."""


class Need(msgspec.Struct, frozen=True, gc=False):
    """What a call is expected to take.

    Attributes:
        input_tokens: The whole prompt, an estimate.
        output_tokens: The answer, an estimate; where nothing better is known its ``max_tokens``.
            The limiter learns how much of such estimates is really used.
        max_tokens: What the request says it may produce; ``None`` where it does not say.
        cached_tokens: Of the input, what is expected to be read from the provider's cache.
    """

    input_tokens: int
    output_tokens: int
    max_tokens: int | None = None
    cached_tokens: int = 0


def price_of(need: Need, fresh: float, output: float) -> Price:
    """What is taken at the start.

    Args:
        need: What the caller estimates.
        fresh: Input tokens that are expected to count where cache reads do not.
        output: Output tokens that are expected.
    """
    whole = float(need.input_tokens)
    longest = float(need.output_tokens if need.max_tokens is None else need.max_tokens)
    asked = whole if need.max_tokens is None else max(whole, longest)
    return 1.0, fresh, whole, output, longest, fresh + output, whole + output, asked, 1.0


def settled(price: Price, whole: float, fresh: float, output: float) -> Price:
    """What it took in the end; what vendors do not settle stays as it was."""
    asked, longest = price[TOKENS_MAX], price[OUTPUT_MAX]
    return 1.0, fresh, whole, output, longest, fresh + output, whole + output, asked, 0.0
