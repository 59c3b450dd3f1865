"""What a request's provider-specific fields and headers do to the most that it can cost.

Every field that may be given in ``extra`` is in one of these tables, or has no bound: a field that
nobody here knows may have the vendor search the web, store and re-read a conversation, or answer
five times. The same goes for the vendors' own headers.

Sources: the request types of ``openai`` 3.54.0 and ``anthropic`` 2.12.0 with their documentation,
Ollama's API reference, OpenRouter's parameter reference; read on 2026-11-23.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from ..config.backend import LITELLM
from .tokens.prompt_bounds import Marks, byte_bound, schema_bound
from .unbounded import UNKNOWN, Unbounded, unbounded_field, unbounded_header

if TYPE_CHECKING:
    from ..config import ProviderConfig

__all__ = ["Family", "Terms", "family_of", "fields_of_table", "terms_of"]

Family: TypeAlias = Literal["anthropic", "openai", "ollama", "compatible"]


class Terms(msgspec.Struct):
    """What the fields and headers ask for, as far as it has a price.

    Attributes:
        added: Tokens that they add to the prompt, at most.
        longest: The longest answer that they ask for; 0 where they leave it alone.
        answers: How many answers.
        tier: The service tier, in the vendor's word; ``None`` leaves it to the vendor's settings.
        fast: Fast mode.
        everywhere: The place of inference is not pinned to where it costs nothing extra.
        marks: Cache marks.
        speaks: The answer may be spoken.
        window: A window at least so large was asked for.
    """

    added: int = 0
    longest: int = 0
    answers: int = 1
    tier: str | None = None
    fast: bool = False
    everywhere: bool = True
    marks: Marks = 0
    speaks: bool = False
    window: int = 0


_Reading: TypeAlias = Callable[[Terms, Any], str]
"""Takes a field's value into the terms; says why that has no bound, or nothing."""

_FAMILIES: Final[Mapping[str, Family]] = {
    "anthropic": "anthropic",
    "bedrock": "anthropic",
    "vertex": "anthropic",
    "openai": "openai",
    "azure-openai": "openai",
    "ollama": "ollama",
}
_NONE: Final = Terms()
_NO_FIELDS: Final[Mapping[str, Any]] = {}

# Arguments of LiteLLM's that say how to get to a vendor, and nothing of what is asked there.
_WAY_IN: Final = re.compile(
    r"(?:aws|azure|vertex|watsonx|oci|snowflake|sagemaker)_\w+|api_version|api_type|organization|"
    r"project|region_name|tenant_id|client_id|client_secret|allowed_openai_params|keep_alive|num_ctx"
)


def family_of(kind: str) -> Family:
    """Whose request a provider's plugin speaks."""
    return _FAMILIES.get(kind, "compatible")


def fields_of_table(settings: ProviderConfig) -> Mapping[str, Any]:
    """What a provider's own table adds to every request, as fields of its body.

    Only LiteLLM's table can: whatever argument of its ``params`` is not known to be about the way
    to a vendor is one.
    """
    params = settings.options.get("params") if settings.plugin == LITELLM else None
    if not isinstance(params, Mapping):
        return _NO_FIELDS
    return {name: value for name, value in params.items() if _WAY_IN.fullmatch(name) is None}


def terms_of(
    family: Family, extra: Mapping[str, Any], headers: Mapping[str, str]
) -> Terms | Unbounded:
    """Read what a request says beyond the common fields. Not to be changed: it may be shared."""
    if not extra and not headers:
        return _NONE
    terms = Terms()
    harmless, readings = _HARMLESS[family], _READINGS[family]
    for name, value in extra.items():
        if name in harmless:
            continue
        reading = readings.get(name)
        if reading is None:
            return unbounded_field(name)
        reason = reading(terms, value)
        if reason:
            return unbounded_field(name, reason)
    for name, value in headers.items():
        reason = _read_header(terms, name.lower(), value)
        if reason:
            return unbounded_header(name, reason)
    return terms


# --- how a field is read --------------------------------------------------------------------------


def _longest(terms: Terms, value: Any) -> str:
    if not _is_count(value):
        return "is no number of tokens, so the answer has no longest form"
    terms.longest = max(terms.longest, value)
    return ""


def _answers(terms: Terms, value: Any) -> str:
    if not _is_count(value):
        return "is no number of answers"
    terms.answers = value
    return ""


def _said(terms: Terms, value: Any) -> str:
    if not isinstance(value, str):
        return "is not plain text"
    terms.added += byte_bound(value) + 64
    return ""


def _form(terms: Terms, value: Any) -> str:
    """The answer's form: its schema becomes part of the prompt."""
    terms.added += 256 + schema_bound(value)
    return ""


def _tier(terms: Terms, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return "is no tier"
    terms.tier = value
    return ""


def _speed(terms: Terms, value: Any) -> str:
    if value not in (None, "standard", "fast"):
        return "is no speed that has a price here"
    terms.fast = value == "fast"
    return ""


def _geo(terms: Terms, value: Any) -> str:
    terms.everywhere = value != "global"
    return ""


def _cache(terms: Terms, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, Mapping) or value.get("ttl", "5m") not in ("5m", "1h"):
        return "has a lifetime that has no price here"
    terms.marks = max(terms.marks, 2 if value.get("ttl") == "1h" else 1)
    return ""


def _cache_options(terms: Terms, value: Any) -> str:
    if not isinstance(value, Mapping) or not value.keys() <= {"mode", "ttl"}:
        return "asks for more of the cache than a way and a lifetime"
    if value.get("ttl") not in (None, "30m"):
        terms.marks = 2
    return ""


def _modalities(terms: Terms, value: Any) -> str:
    if not isinstance(value, list | tuple) or not set(map(str, value)) <= {"text", "audio"}:
        return "asks for more than text and sound"
    terms.speaks = terms.speaks or "audio" in value
    return ""


def _voice(terms: Terms, value: Any) -> str:
    if value is not None and (not isinstance(value, Mapping) or not value.keys() <= _VOICE):
        return "asks for more than a voice and a format"
    terms.speaks = value is not None
    return ""


def _thinking(terms: Terms, value: Any) -> str:
    if not isinstance(value, Mapping) or not value.keys() <= {"type", "budget_tokens", "display"}:
        return "asks for more of thinking than a budget"
    budget = value.get("budget_tokens", 0)
    # A budget above max_tokens is taken with interleaved thinking, and then the larger one holds.
    return _longest(terms, budget) if budget else ""


def _reasoning(_: Terms, value: Any) -> str:
    """OpenAI's: how hard and in which mode. Reasoning counts within the longest answer."""
    if not isinstance(value, Mapping):
        return "" if value is None else "is no reasoning"
    known = {"effort", "summary", "generate_summary", "context", "mode"}
    if not value.keys() <= known or value.get("mode") not in (None, "standard"):
        return "asks for a way of reasoning whose cost is not documented"
    return ""


def _reasoning_anywhere(_: Terms, value: Any) -> str:
    """OpenRouter's and others': without a budget, which may not count within the answer."""
    if isinstance(value, Mapping) and value.keys() <= {"effort", "exclude", "enabled", "summary"}:
        return ""
    return "asks for more of reasoning than an effort"


def _switched(_: Terms, value: Any) -> str:
    """Thinking on or off."""
    if isinstance(value, Mapping) and value.keys() <= {"type"}:
        return ""
    return "asks for more of thinking than whether"


def _output(terms: Terms, value: Any) -> str:
    if not isinstance(value, Mapping) or not value.keys() <= {"effort", "format"}:
        return "asks for more than an effort and a form"
    return _form(terms, value)


def _betas(terms: Terms, value: Any) -> str:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        return "is no list of features"
    for name in names:
        beta = str(name).strip()
        if beta.startswith("context-1m-"):
            terms.window = 1_000_000
        elif not beta.startswith(_HARMLESS_BETAS):
            return f"asks for {beta}, which {UNKNOWN}"
    return ""


def _options(terms: Terms, value: Any) -> str:
    """Ollama's: how to draw, how to load; and the longest answer, -1 for one without end."""
    if not isinstance(value, Mapping):
        return "are no options"
    return _longest(terms, value["num_predict"]) if "num_predict" in value else ""


def _unless_false(_: Terms, value: Any) -> str:
    return "has a cost of its own" if value else ""


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _read_header(terms: Terms, name: str, value: str) -> str:
    if name == "anthropic-beta":
        return _betas(terms, value)
    if name in _HARMLESS_HEADERS or not name.startswith(_VENDORS_HEADERS):
        return ""
    return UNKNOWN


# --- the tables -----------------------------------------------------------------------------------

_VOICE: Final = frozenset({"voice", "format"})

_DRAWING: Final = frozenset({"temperature", "top_p", "top_k", "stop", "seed"})

_COMMON: Final = _DRAWING | {
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "metadata",
    "parallel_tool_calls",
    "reasoning_effort",
    "stream_options",
    "tool_choice",
    "user",
    "verbosity",
}

_HARMLESS: Final[Mapping[Family, frozenset[str]]] = {
    "anthropic": frozenset(
        {
            "temperature",
            "top_p",
            "top_k",
            "stop_sequences",
            "metadata",
            "diagnostics",
            "service_tier",  # the tiers that a request can choose have one price
            "tool_choice",
            "anthropic_version",
            "user_profile_id",
        }
    ),
    "openai": _COMMON
    | {
        "function_call",
        "include",
        "max_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "store",  # this call costs the same; a later one that builds on it has no bound
        "truncation",
    },
    "ollama": frozenset({"keep_alive", "think", "truncate", "shift", "logprobs", "top_logprobs"}),
    "compatible": _COMMON
    | {
        "min_p",
        "repetition_penalty",
        "safety_identifier",
        "prompt_cache_key",
        "random_seed",
        "typical_p",
    },
}

_OPENAI: Final[Mapping[str, _Reading]] = {
    "max_tokens": _longest,
    "max_completion_tokens": _longest,
    "max_output_tokens": _longest,
    "n": _answers,
    "response_format": _form,
    "service_tier": _tier,
    "modalities": _modalities,
    "audio": _voice,
}

_READINGS: Final[Mapping[Family, Mapping[str, _Reading]]] = {
    "anthropic": {
        "max_tokens": _longest,
        "speed": _speed,
        "inference_geo": _geo,
        "cache_control": _cache,
        "thinking": _thinking,
        "output_config": _output,
        "output_format": _form,
        "anthropic_beta": _betas,
    },
    "openai": {
        **_OPENAI,
        "text": _form,
        "instructions": _said,
        "reasoning": _reasoning,
        "prompt_cache_options": _cache_options,
        "background": _unless_false,
    },
    "ollama": {"options": _options, "format": _form},
    "compatible": {**_OPENAI, "reasoning": _reasoning_anywhere, "thinking": _switched},
}

# Features that change how an answer is made or sent, and neither its price nor its limits.
_HARMLESS_BETAS: Final = (
    "cache-diagnosis-",
    "computer-use-",
    "dev-full-thinking-",
    "effort-",
    "extended-cache-ttl-",
    "fast-mode-",  # the price goes by `speed`
    "fine-grained-tool-streaming-",
    "interleaved-thinking-",
    "max-tokens-3-5-sonnet-",
    "model-context-window-exceeded-",
    "output-128k-",
    "output-300k-",
    "pdfs-",
    "prompt-caching-",
    "structured-outputs-",
    "thinking-display-updates-",
    "thinking-token-count-",
    "token-counting-",
    "token-efficient-tools-",
)

_VENDORS_HEADERS: Final = ("anthropic-", "openai-", "x-amzn-", "x-goog-", "x-vertex-", "x-ms-")
_HARMLESS_HEADERS: Final = frozenset(
    {"anthropic-version", "openai-organization", "openai-project", "x-ms-client-request-id"}
)
