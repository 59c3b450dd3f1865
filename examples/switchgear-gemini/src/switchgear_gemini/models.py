"""What Gemini's models can do, by their names."""

from __future__ import annotations

import re

from switchgear.providers import Capabilities

__all__ = ["DEFAULT_BASE_URL", "capabilities_of", "thinks_by_level", "wants_signatures"]

DEFAULT_BASE_URL = "https://generativelanguage.googleapis.com/v1beta"

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")

# Google's model pages: one million tokens of prompt and 64 Ki of answer since 2.5.
_WINDOW = 1_048_576
_LONGEST_ANSWER = 65_536


def capabilities_of(model: str) -> Capabilities:
    """What a model can do. A name that tells no version gets what the newest can."""
    thinks = _version(model) >= (2, 5)
    return Capabilities(
        tools=True,
        tool_choice=True,
        # Several calls in one answer can't be forbidden.
        parallel_tool_calls=False,
        schema="native",
        json_object=True,
        images=True,
        files=True,
        audio=True,
        reasoning=thinks,
        context_window=_WINDOW,
        max_output_tokens=_LONGEST_ANSWER if thinks else 8192,
    )


def thinks_by_level(model: str) -> bool:
    """It takes ``thinkingLevel``; those before Gemini 3 take a budget in tokens instead."""
    return _version(model) >= (3, 0)


def wants_signatures(model: str) -> bool:
    """It refuses a history whose first function call of a step has no signature."""
    return _version(model) >= (3, 0)


def _version(model: str) -> tuple[int, int]:
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (99, 0)
