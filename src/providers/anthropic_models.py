"""What Anthropic's models can and can't do, by line and version.

The API refuses with a 400 what a model does not take, so the adapter has to know. Sources, all read
on 2026-11-23: the vendor's model pages and migration guides (platform.claude.com/docs/en/models and
/docs/en/api/migration-2026-10-21), its pages on thinking, effort, structured outputs and
mid-conversation system messages, and the model names and deprecations in ``anthropic`` 2.12.0. For
retired models the numbers are those of their last published table.
"""

from __future__ import annotations

import functools
import re
from typing import Literal

import msgspec

from .base import Capabilities

__all__ = ["Traits", "capabilities_of", "traits_of"]

_SAMPLERS = frozenset({"temperature", "top_p"})
_TO_HIGH = ("low", "medium", "high")
_TO_MAX = (*_TO_HIGH, "max")
_ALL_EFFORTS = (*_TO_HIGH, "xhigh", "max")


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """One model, beyond what :class:`Capabilities` can say.

    Attributes:
        samplers: Of ``temperature`` and ``top_p``, those that it takes (with API version
            2023-06-01 only: from 2026-10-21 on every model refuses them).
        one_sampler: Only one of them at a time.
        thinking: By a budget of tokens, as it sees fit, or not at all.
        thinks_unasked: It thinks when the request does not mention it.
        off: How thinking is switched off: by not asking for it, by a ``thinking.type``, or not.
        efforts: The levels of ``output_config.effort``, lowest first.
        forced_tools: It can be made to use a tool.
        prefill: It continues an answer that was begun for it.
        native_schema: ``output_config.format`` and strict tools.
        mid_system: It takes system messages inside the conversation.
        images: It sees.
        documents: It reads PDF files.
        context_window: Tokens.
        max_output: The longest answer, in tokens.
        default_output: ``max_tokens`` where the request has none; the API requires one.
        old_bedrock: On Bedrock it only speaks the API's first version.
    """

    samplers: frozenset[str] = frozenset()
    one_sampler: bool = True
    thinking: Literal["budget", "adaptive"] | None = "adaptive"
    thinks_unasked: bool = True
    off: Literal["omit", "disabled", "between_tools"] | None = None
    efforts: tuple[str, ...] = _ALL_EFFORTS
    forced_tools: bool = False
    prefill: bool = False
    native_schema: bool = True
    mid_system: bool = False
    images: bool = True
    documents: bool = True
    context_window: int | None = 1_000_000
    max_output: int | None = 128_000
    default_output: int = 16_384
    old_bedrock: bool = False


# The strictest of all stands for models that are newer than this table: what it does not send, no
# model refuses.
_NEWEST = Traits()
_TODAY = Traits(mid_system=True)

_CLAUDE_3 = Traits(
    samplers=_SAMPLERS,
    one_sampler=False,
    thinking=None,
    thinks_unasked=False,
    off="omit",
    efforts=(),
    forced_tools=True,
    prefill=True,
    native_schema=False,
    documents=False,
    context_window=200_000,
    max_output=4_096,
    default_output=4_096,
    old_bedrock=True,
)
_CLAUDE_35 = msgspec.structs.replace(_CLAUDE_3, documents=True, max_output=8_192)
_CLAUDE_37 = msgspec.structs.replace(
    _CLAUDE_35, thinking="budget", max_output=64_000, default_output=16_384
)
_OPUS_4 = msgspec.structs.replace(_CLAUDE_37, max_output=32_000)
_OPUS_41 = msgspec.structs.replace(_OPUS_4, one_sampler=True)
_CLAUDE_45 = msgspec.structs.replace(_CLAUDE_37, one_sampler=True, native_schema=True)
_CLAUDE_46 = msgspec.structs.replace(
    _CLAUDE_45,
    thinking="adaptive",
    efforts=_TO_MAX,
    prefill=False,
    context_window=1_000_000,
    max_output=128_000,
)
_OPUS_47 = Traits(thinks_unasked=False, off="omit", forced_tools=True)
_OPUS_48 = msgspec.structs.replace(_OPUS_47, mid_system=True)
_SONNET_5 = Traits(off="disabled", forced_tools=True)
_OPUS_5 = msgspec.structs.replace(_SONNET_5, mid_system=True)
_SONNET_55 = Traits(off="between_tools", mid_system=True)

_Version = tuple[int, int]

_LINES: dict[str, tuple[tuple[_Version, Traits], ...]] = {
    "haiku": (((3, 0), _CLAUDE_3), ((3, 5), _CLAUDE_35), ((4, 5), _CLAUDE_45), ((5, 5), _OPUS_5)),
    "sonnet": (
        ((3, 0), _CLAUDE_3),
        ((3, 5), _CLAUDE_35),
        ((3, 7), _CLAUDE_37),
        ((4, 5), _CLAUDE_45),
        ((4, 6), _CLAUDE_46),
        ((5, 0), _SONNET_5),
        ((5, 5), _SONNET_55),
    ),
    "opus": (
        ((3, 0), _CLAUDE_3),
        ((4, 0), _OPUS_4),
        ((4, 1), _OPUS_41),
        ((4, 5), _CLAUDE_45),
        ((4, 6), _CLAUDE_46),
        ((4, 7), _OPUS_47),
        ((4, 8), _OPUS_48),
        ((5, 0), _OPUS_5),
        ((5, 5), _TODAY),
    ),
    "fable": (((5, 0), _TODAY), ((5, 2), _TODAY)),
    "mythos": (((5, 0), _TODAY), ((5, 2), _TODAY)),
}

# Another vendor's model behind an Anthropic-compatible address: nothing is known to be refused.
_FOREIGN = Traits(
    samplers=_SAMPLERS,
    one_sampler=False,
    thinking="budget",
    thinks_unasked=False,
    off="omit",
    efforts=(),
    forced_tools=True,
    prefill=True,
    native_schema=False,
    context_window=None,
    max_output=None,
    default_output=4_096,
    old_bedrock=True,
)

# claude-opus-4-1-20250805, us.anthropic.claude-opus-4-6-v1, claude-opus-4-1@20250805; and the names
# before Claude 4: claude-3-5-sonnet-20241022, anthropic.claude-3-5-sonnet-20241022-v2:0.
_LINE_FIRST = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_NUMBER_FIRST = re.compile(r"claude-(\d{1,2})(?:[-.](\d{1,2}))?-([a-z]+)")


@functools.lru_cache(maxsize=256)  # pure, and asked several times a call
def traits_of(model: str) -> Traits:
    """The traits of a model, by any platform's name for it."""
    name = model.lower()
    if match := _LINE_FIRST.search(name):
        line, major, minor = match.groups()
    elif match := _NUMBER_FIRST.search(name):
        major, minor, line = match.groups()
    else:
        return _NEWEST if "claude" in name or name.startswith("arn:") else _FOREIGN
    version = (int(major), int(minor or 0))
    known = _LINES.get(line, ())
    if not known or version > known[-1][0]:
        return _NEWEST
    return next((traits for since, traits in reversed(known) if since <= version), known[0][1])


@functools.lru_cache(maxsize=256)
def capabilities_of(model: str) -> Capabilities:
    """What the router needs to know of a model."""
    traits = traits_of(model)
    schema: Literal["native", "tool"] | None = "tool" if traits.forced_tools else None
    return Capabilities(
        tool_choice=traits.forced_tools,
        schema="native" if traits.native_schema else schema,
        images=traits.images,
        files=traits.documents,
        reasoning=traits.thinking is not None,
        sampling=traits.samplers | {"stop"},
        prompt_cache=True,
        context_window=traits.context_window,
        max_output_tokens=traits.max_output,
    )
