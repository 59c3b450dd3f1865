"""``reasoning_effort`` as a thinking budget or an effort, whichever the model has."""

from __future__ import annotations

from typing import Any

import msgspec

from ...request import ChatRequest
from ..anthropic_models import Traits
from ..unsupported import Unexpressed
from .anthropic_messages import Conversation

__all__ = ["Thinking", "thinking_for"]

_LEAST_BUDGET = 1_024
_BUDGETS = {
    "minimal": _LEAST_BUDGET,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_000,
}
_FORCED = "thinking and a forced tool exclude each other"


class Thinking(msgspec.Struct, frozen=True):
    """What a request says about thinking.

    Attributes:
        type: The body's ``thinking``; ``None`` says nothing.
        effort: ``output_config.effort``.
        budget: Tokens set aside for thinking, where the model has budgets.
        active: The model may think in this request, asked or not.
    """

    type: dict[str, Any] | None = None
    effort: str | None = None
    budget: int = 0
    active: bool = False


def thinking_for(
    request: ChatRequest,
    traits: Traits,
    talk: Conversation,
    *,
    forced: bool,
    display: str | None,
    notes: Unexpressed,
) -> Thinking:
    """Decide whether and how the model thinks.

    Args:
        request: What is asked.
        traits: What the model takes.
        talk: The conversation; a foreign tool loop or a begun answer may forbid thinking.
        forced: The request makes the model use a tool.
        display: ``thinking.display``, where thinking is on.
        notes: Where what can't be had is noted.
    """
    wanted = request.reasoning_effort
    if traits.thinking is None:
        if wanted not in (None, "none"):
            notes.knob("reasoning_effort")
        return Thinking()
    if traits.thinking == "budget":
        return _by_budget(request, traits, talk, forced=forced, display=display, notes=notes)
    if wanted == "none":
        return _off(traits, notes)
    if forced:
        return _off_for_tool(wanted, traits, notes)
    if wanted is None:
        asked = _shown("adaptive", display) if display and traits.thinks_unasked else None
        return Thinking(type=asked, active=traits.thinks_unasked)
    effort = _effort(wanted, traits, notes)
    return Thinking(type=_shown("adaptive", display), effort=effort, active=True)


def _by_budget(
    request: ChatRequest,
    traits: Traits,
    talk: Conversation,
    *,
    forced: bool,
    display: str | None,
    notes: Unexpressed,
) -> Thinking:
    wanted = request.reasoning_effort
    if wanted in (None, "none"):
        return Thinking()
    obstacle = None
    if forced:
        obstacle = _FORCED
    elif talk.prefilled:
        obstacle = "thinking and an answer begun for the model exclude each other"
    elif talk.unsigned_loop:
        obstacle = (
            "the tool loop at the end of the conversation was begun without Anthropic's signed "
            "thinking, so thinking is off in this request"
        )
    limit = request.max_tokens or traits.max_output
    if obstacle is None and limit is not None and limit <= _LEAST_BUDGET:
        obstacle = f"thinking needs max_tokens above {_LEAST_BUDGET}"
    if obstacle is not None:
        notes.knob("reasoning_effort", obstacle)
        return Thinking()
    budget = _BUDGETS.get(wanted or "", _BUDGETS["medium"])
    if limit is not None and budget >= limit:
        budget = max(_LEAST_BUDGET, limit // 2)
        notes.note(f"reasoning_effort: a thinking budget of {budget}, half of max_tokens")
    asked = _shown("enabled", display) | {"budget_tokens": budget}
    return Thinking(type=asked, budget=budget, active=True)


def _off(traits: Traits, notes: Unexpressed) -> Thinking:
    if traits.off is None:
        lowest = traits.efforts[0]
        notes.approximate("reasoning_effort", f"this model always thinks: {lowest} instead of none")
        return Thinking(effort=lowest, active=True)
    return Thinking(type=None if traits.off == "omit" else {"type": traits.off})


def _off_for_tool(wanted: str | None, traits: Traits, notes: Unexpressed) -> Thinking:
    if wanted is not None:
        notes.knob("reasoning_effort", _FORCED)
    if traits.off in (None, "omit"):
        return Thinking(active=traits.off is None)
    if wanted is None:
        notes.note(f"tool_choice: this request goes without thinking: {_FORCED}")
    return Thinking(type={"type": traits.off})


def _effort(wanted: str, traits: Traits, notes: Unexpressed) -> str | None:
    level = "low" if wanted == "minimal" else wanted
    if level in traits.efforts:
        return level
    nearest = "high" if "high" in traits.efforts and level in {"xhigh", "max"} else None
    if nearest is None:
        notes.knob("reasoning_effort", f"this model has no level {wanted}")
        return None
    notes.approximate("reasoning_effort", f"this model has no level {wanted}: {nearest} instead")
    return nearest


def _shown(kind: str, display: str | None) -> dict[str, Any]:
    return {"type": kind} if display is None else {"type": kind, "display": display}
