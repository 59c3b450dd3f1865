"""What the names of OpenAI's models say about their parameters."""

from __future__ import annotations

import re

from ..rendering import Json

__all__ = ["is_reasoning", "snapshot", "takes_sampling"]

_SNAPSHOTS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-5.5": "gpt-5.5-2026-04-23",
}


def snapshot(model: str) -> str:
    """The dated name that answers carry for an alias."""
    return _SNAPSHOTS.get(model, model)


def is_reasoning(model: str) -> bool:
    """The o-series and the GPT-5 family, its chat variants excepted."""
    if "-chat" in model:
        return False
    return re.match(r"(?:o\d|gpt-[5-9]|codex)", model) is not None


def takes_sampling(model: str, effort: object) -> bool:
    """Whether temperature and top_p may be set: from GPT-5.1 on without reasoning they may."""
    if not is_reasoning(model):
        return True
    return re.match(r"gpt-5\.\d", model) is not None and effort == "none"


def usage_chat(
    prompt: int, output: int, *, cached: int, reasoning: int, audio: tuple[int, int]
) -> Json:
    """The `usage` object of chat completions."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": audio[0]},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": audio[1],
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
