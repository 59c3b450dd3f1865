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
# ruff: noqa: FURB136 - comparing two numbers costs a third of calling min or max

from __future__ import annotations

import msgspec

__all__ = [
    "DEFERRED",
    "INPUT",
    "INPUT_ALL",
    "OUTPUT",
    "OUTPUT_MAX",
    "PLACES",
    "REQUESTS",
    "SLOTS",
    "STARTS",
    "TOKENS",
    "TOKENS_ALL",
    "TOKENS_MAX",
    "Need",
    "Price",
    "price_of",
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

STARTS = (REQUESTS, INPUT, INPUT_ALL, 9, OUTPUT_MAX, 10, 11, TOKENS_MAX, SLOTS)
"""Where in a price it stands what has to be there at the start, by measure."""

PLACES = 12
"""Of a price."""

Price = tuple[float, ...]
"""What one call takes, by measure, and behind that what of it has to be there at the start, where
that is another number (see `STARTS`): of output that is counted as it comes, one token."""


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
    most = need.max_tokens
    if most is None:
        longest, asked = float(need.output_tokens), whole
    else:
        longest = float(most)
        asked = longest if longest > whole else whole
    begun = output if output < 1.0 else 1.0
    return (
        1.0,
        fresh,
        whole,
        output,
        longest,
        fresh + output,
        whole + output,
        asked,
        1.0,
        begun,
        fresh + begun,
        whole + begun,
    )
