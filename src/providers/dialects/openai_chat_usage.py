"""The usage of a chat completion, as OpenAI and the vendors that speak its API write it.

What they really send, and where it is known from:

- OpenAI, Azure, Groq, Mistral, Fireworks, Cerebras, Z.ai: totals that hold their parts; the details
  may be null or missing (their API references, recorded traffic). Groq repeats them under
  ``x_groq`` in streams. Mistral has ``num_cached_tokens`` beside the details, and bills what it
  hears by the minute.
- DeepSeek: ``prompt_cache_hit_tokens`` and ``prompt_cache_miss_tokens``, together the prompt.
- Moonshot, Together: ``cached_tokens`` beside the totals; Moonshot in the choice of a stream.
- xAI: reasoning is counted beside the answer and only the total holds both (its API reference has
  32 + 9 + 94 = 135). Gemini's compatible endpoint counts thoughts in the total alone, and leaves
  out what is zero.
- Perplexity: citations and reasoning are billed beside the totals, which leave them out; a citation
  costs what input does. Reasoning costs less than the answer there, and is counted as answer.
- DashScope, LiteLLM: writes to the cache as Anthropic calls them, with their time to live.

What OpenRouter, xAI and Perplexity say of the cost is not read: prices are the table's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...completion import Usage
from .counts import Counter, count

__all__ = ["embedding_usage", "usage_of"]

_SEARCH_MODEL = re.compile(r"gpt-[\w.-]+-search-(?:preview|api)")
_MOONSHOT_SEARCH = "$web_search"
# OpenAI's own form, which most servers keep to: nothing else is to be looked for there.
_OWN = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)
_OWN_PROMPT = frozenset({"cached_tokens", "audio_tokens"})


def usage_of(given: Any, *, model: str = "", called: Sequence[str] = ()) -> Usage | None:
    """Tokens as inclusive totals; ``None`` where the prompt or the answer was not counted.

    Args:
        given: ``usage`` as it came.
        model: Who answered. OpenAI's search models search for every answer, at a fee, and do not
            say how often: one is counted, and the usage marked as estimated.
        called: The tools that the answer calls. Moonshot charges for each call of its own search.
    """
    if type(given) is not dict and not isinstance(given, Mapping):
        return None
    read = Counter()
    prompt = read.inside(given, "prompt_tokens_details")
    answer = read.inside(given, "completion_tokens_details")
    asked, said = _totals(given)
    if asked is None or said is None:
        return None
    cached = read(prompt.get("cached_tokens"))
    thought = read(answer.get("reasoning_tokens"))
    written = kept = searches = files = sessions = 0
    if not (given.keys() <= _OWN and prompt.keys() <= _OWN_PROMPT):
        cached = cached or _cached(given, read)
        written, kept = _written(given, prompt, read)
        thought = thought or read(given.get("reasoning_tokens"))
        searches, files, sessions = _uses(given, read)
    whole = count(given.get("total_tokens"))
    unsaid = max((whole or 0) - asked - said, 0)
    if cached + written > asked and unsaid >= cached + written:
        # A gateway handed on counts that leave the cache out, as Anthropic's do.
        asked += cached + written
        unsaid -= cached + written
    if "citation_tokens" in given:
        asked += read(given["citation_tokens"])
        unsaid = max(unsaid, thought)
    elif whole is None and thought > said:
        unsaid = thought  # it can't be inside the answer
    if not asked:
        return None  # no prompt is empty: a server that says so did not count
    if called or "search" in model:
        searches = _with_untold(searches, model, called, read)
    return Usage(
        asked,
        said + unsaid,
        cached,
        written,
        kept,
        read(prompt.get("audio_tokens")),
        thought or unsaid,
        read(answer.get("audio_tokens")),
        read.doubtful,
        searches,
        files,
        sessions,
    )


def _with_untold(searches: int, model: str, called: Sequence[str], read: Counter) -> int:
    """Searches of the web, with those that the usage does not tell."""
    searches += sum(name == _MOONSHOT_SEARCH for name in called)
    if not searches and _SEARCH_MODEL.match(model):
        searches = 1
        read.doubtful = True
    return searches


def _cached(given: Mapping[str, Any], read: Counter) -> int:
    """What was read from a cache, told elsewhere than OpenAI does."""
    return read(
        given.get("prompt_cache_hit_tokens"),
        given.get("cached_tokens"),
        given.get("num_cached_tokens"),
        given.get("cache_read_input_tokens"),
    )


def _written(given: Mapping[str, Any], prompt: Mapping[str, Any], read: Counter) -> tuple[int, int]:
    """What was written to a cache, and how much of it for an hour."""
    written = read(
        prompt.get("cache_write_tokens"),
        prompt.get("cache_creation_tokens"),
        prompt.get("cache_creation_input_tokens"),
        given.get("cache_creation_input_tokens"),
    )
    kept = read.inside(prompt, "cache_creation") or read.inside(
        prompt, "cache_creation_token_details"
    )
    return written, min(read(kept.get("ephemeral_1h_input_tokens")), written)


def embedding_usage(given: Any) -> Usage | None:
    """The tokens of texts to embed: there is no answer, and some servers send the total only."""
    if not isinstance(given, Mapping):
        return None
    tokens = count(given.get("prompt_tokens"))
    if tokens is None:
        tokens = count(given.get("total_tokens"))
    return Usage(input_tokens=tokens) if tokens else None


def _totals(given: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """The prompt and the answer. What is missing beside a total shows in that."""
    prompt, answer = given.get("prompt_tokens"), given.get("completion_tokens")
    asked, said = count(prompt), count(answer)
    whole = count(given.get("total_tokens"))
    if prompt is None:
        hit = count(given.get("prompt_cache_hit_tokens"))
        miss = count(given.get("prompt_cache_miss_tokens"))
        if hit is not None and miss is not None:
            asked = hit + miss
        elif whole is not None and said is not None:
            asked = max(whole - said, 0)
    if answer is None and whole is not None:
        said = 0
    return asked, said


def _uses(given: Mapping[str, Any], read: Counter) -> tuple[int, int, int]:
    """Uses of the vendor's own tools that have a price of their own.

    Searches of the web, searches of files, containers.
    """
    if count(given.get("prompt_audio_seconds")):
        read.doubtful = True
    router = read.inside(given, "server_tool_use") or read.inside(given, "server_tool_use_details")
    xai = read.inside(given, "server_side_tool_usage_details")
    searches = (
        read(router.get("web_search_requests"))
        + read(xai.get("web_search_calls"))
        + read(xai.get("x_search_calls"))
    )
    searches = searches or read(given.get("num_search_queries"), given.get("num_sources_used"))
    size = given.get("search_context_size")
    if isinstance(size, str) and not searches:
        # Perplexity charges a request by how much it searches; the table has the lowest fee.
        searches = 1
        read.doubtful = read.doubtful or size != "low"
    files = read(xai.get("file_search_calls")) + read(xai.get("document_search_calls"))
    return searches, files, read(xai.get("code_interpreter_calls"))
