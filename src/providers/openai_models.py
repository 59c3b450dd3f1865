"""What OpenAI's models can do, by their names.

From the reference in OpenAI's SDK (openai 3.54.0: ``ChatModel``, ``AllModels`` and the request's
own documentation) and from public copies of its model pages, as of 2026-11-23; windows that could
not be confirmed are left out. A name that is not known
is judged by its version, since newer models have kept the ways of those before them; where a
provider serves something else under a name, its ``models`` table says so.
"""

from __future__ import annotations

import functools
import re

import msgspec

from .base import Capabilities

__all__ = ["ModelFacts", "facts", "sampling"]

_OF_REASONING = frozenset({"temperature", "top_p"})
_VERSION = re.compile(r"(?:gpt-(\d+)(?:\.(\d+))?|(o\d+))(?=-|o|$)")
# The words of a name that exist behind /v1/responses only.
_RESPONSES_WORDS = frozenset({"codex", "cyber", "daybreak", "pro", "rosalind"})

_DRAWS_NOTHING: frozenset[str] = frozenset({"seed"})


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one model.

    Attributes:
        capabilities: For the router.
        version: ``(5, 4)`` for ``gpt-5.4-mini``; ``(0, 0)`` where the name has none.
        reasoning: It thinks before it answers: ``developer`` instead of ``system``,
            ``max_completion_tokens`` instead of ``max_tokens``.
        responses_only: It does not exist behind ``/v1/chat/completions``.
        effort_may_be_none: ``reasoning_effort`` may be ``none``, and sampling knobs count then.
        cache_breakpoints: It takes explicit marks in the prompt's blocks.
    """

    capabilities: Capabilities
    version: tuple[int, int] = (0, 0)
    reasoning: bool = False
    responses_only: bool = False
    effort_may_be_none: bool = False
    cache_breakpoints: bool = False


@functools.lru_cache(maxsize=256)  # pure, and asked several times a call
def facts(model: str) -> ModelFacts:
    """What is known of a model, by its name; a fine-tuned one is judged by its base.

    Args:
        model: As the API calls it: ``gpt-4o-mini-2024-07-18``, ``ft:gpt-4o:acme::x``, ``o3``.
    """
    name = model.removeprefix("ft:").split(":")[0].lower()
    words = frozenset(name.split("-"))
    found = _VERSION.match(name)
    major = int(found[1]) if found and found[1] else 0
    minor = int(found[2]) if found and found[2] else 0
    o_series = bool(found and found[3])
    # "-chat-latest" is ChatGPT's own model: it answers at once, whatever its family does.
    chat = "chat" in words
    reasoning = o_series or (major >= 5 and not chat) or bool(words & {"codex", "computer"})
    if reasoning:
        return _reasoning_model(name, words, (major, minor), o_series=o_series)
    capabilities = _plain_model(name, words, (major, minor))
    return ModelFacts(
        capabilities=capabilities,
        version=(major, minor),
        responses_only=_responses_only(name, words),
    )


def sampling(model: str, effort: str | None, declared: frozenset[str]) -> frozenset[str]:
    """Which sampling knobs a request may set, now that its effort is known.

    From GPT-5.1 on, temperature and ``top_p`` are taken while the model does not reason, and a
    400 otherwise.

    Args:
        model: As the API calls it.
        effort: The request's ``reasoning_effort``.
        declared: What the model takes when no effort is asked for.
    """
    known = facts(model)
    if not known.reasoning or effort is None:
        return declared
    if effort == "none" and known.effort_may_be_none:
        return declared | _OF_REASONING
    return declared - _OF_REASONING


def _reasoning_model(
    name: str, words: frozenset[str], version: tuple[int, int], *, o_series: bool
) -> ModelFacts:
    early = name.startswith(("o1-mini", "o1-preview"))
    # GPT-5.1 to 5.4 don't reason unless asked to; those before can't help it, later ones do.
    at_rest = (5, 1) <= version <= (5, 4) and not words & {"codex", "pro"}
    may_rest = version >= (5, 1) and not words & {"codex", "pro", "astra"}
    may_rest = may_rest and not name.startswith("gpt-6.1-sol")
    knobs = _DRAWS_NOTHING | (_OF_REASONING if at_rest else frozenset())
    if name.startswith("o1"):
        knobs |= {"stop"}
    window, longest = _reasoning_limits(name, words, version, o_series=o_series)
    sees = not (early or name.startswith("o3-mini"))
    return ModelFacts(
        version=version,
        reasoning=True,
        responses_only=_responses_only(name, words),
        effort_may_be_none=may_rest,
        cache_breakpoints=version >= (5, 6),
        capabilities=Capabilities(
            tools=not early,
            tool_choice=not early,
            parallel_tool_calls=not o_series,
            schema=None if early else "native",
            json_object=not early,
            images=sees,
            files=sees,
            reasoning=not early,
            sampling=knobs,
            prompt_cache=version >= (5, 6),
            context_window=window,
            max_output_tokens=longest,
        ),
    )


def _responses_only(name: str, words: frozenset[str]) -> bool:
    return (
        bool(words & _RESPONSES_WORDS)
        or "deep-research" in name
        or name.startswith("computer-use")
        or name.endswith("-astra-law")
    )


def _reasoning_limits(
    name: str, words: frozenset[str], version: tuple[int, int], *, o_series: bool
) -> tuple[int | None, int | None]:
    """Context window and longest answer, where the model's page says so."""
    if name.startswith("computer-use"):
        return 8_192, 1_024
    if name.startswith("o1-mini"):
        return 128_000, 65_536
    if name.startswith("o1-preview"):
        return 128_000, 32_768
    if o_series or name.startswith("codex-mini"):
        return 200_000, 100_000
    if version == (5, 0) and "pro" in words:
        return 400_000, 272_000
    if (5, 0) <= version <= (5, 2) or (version == (5, 4) and words & {"mini", "nano"}):
        return 400_000, 128_000
    if version in {(5, 4), (5, 5)} or (version == (5, 6) and "sol" in words):
        return 1_050_000, 128_000
    return None, None


def _plain_model(name: str, words: frozenset[str], version: tuple[int, int]) -> Capabilities:
    if name.startswith("gpt-3.5"):
        return _gpt_35(name)
    if name.startswith("gpt-4-") or name == "gpt-4":
        return _gpt_4(name)
    if "audio" in words:
        return Capabilities(
            schema="tool",
            json_object=False,
            images=False,
            files=False,
            audio=True,
            context_window=128_000,
            max_output_tokens=16_384,
        )
    if "search" in words:
        return Capabilities(
            tools=False,
            tool_choice=False,
            parallel_tool_calls=False,
            images=False,
            files=False,
            sampling=frozenset(),
            context_window=128_000,
            max_output_tokens=16_384,
        )
    if name.startswith("chatgpt-4o"):
        return Capabilities(
            tools=False,
            tool_choice=False,
            parallel_tool_calls=False,
            schema=None,
            context_window=128_000,
            max_output_tokens=16_384,
        )
    if name == "gpt-4o-2024-05-13":
        return Capabilities(schema="tool", context_window=128_000, max_output_tokens=4_096)
    if version >= (5, 1):  # and "chat": it thinks as long as it sees fit, so sampling is fixed
        knobs = frozenset({"seed", "stop"})
        return Capabilities(sampling=knobs, context_window=128_000, max_output_tokens=16_384)
    if name.startswith("gpt-4o") or version == (5, 0):
        return Capabilities(context_window=128_000, max_output_tokens=16_384)
    if version == (4, 1):
        return Capabilities(context_window=1_047_576, max_output_tokens=32_768)
    return Capabilities()


def _gpt_35(name: str) -> Capabilities:
    # JSON mode and parallel calls came with the November 2023 snapshot.
    old = name.endswith(("0301", "0613")) or "16k" in name
    return Capabilities(
        tools=not name.endswith("0301"),
        tool_choice=not name.endswith("0301"),
        parallel_tool_calls=not old,
        schema=None if name.endswith("0301") else "tool",
        json_object=not old,
        images=False,
        files=False,
        context_window=4_096 if old and "16k" not in name else 16_385,
        max_output_tokens=4_096,
    )


def _gpt_4(name: str) -> Capabilities:
    vision = name.startswith("gpt-4-vision")
    preview = vision or "preview" in name
    turbo = preview or name.startswith("gpt-4-turbo")
    tools = not vision and not name.endswith("0314")
    window = 128_000 if turbo else 32_768 if "32k" in name else 8_192
    return Capabilities(
        tools=tools,
        tool_choice=tools,
        parallel_tool_calls=turbo and tools,
        schema="tool" if tools else None,
        json_object=turbo and not vision,
        images=vision or (turbo and not preview),
        files=False,
        context_window=window,
        max_output_tokens=4_096 if turbo else window,
    )
