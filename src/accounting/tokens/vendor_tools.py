"""Vendors' own tools: which of them can cost more than their definition.

A tool that the vendor runs reads the web or files, charges for it, and bills its results again in
every round: nothing bounds it. A tool of the vendor's design that the *caller* runs only costs the
tokens of a definition that the vendor writes.

Sources: Anthropic's pages "Pricing" (bash 245 tokens, text editor 700, computer use 735 and 466 to
499 for its preamble) and "Tool use" (which run where), the tool types in ``anthropic`` 2.12.0 and
``openai`` 3.54.0.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from ...messages import Native

__all__ = ["ToolBound", "tool_bound"]


class ToolBound(msgspec.Struct, frozen=True, gc=False):
    """What a vendor's own tool can add to a prompt.

    Attributes:
        tokens: At most so many for its definition; ``None`` where the vendor does not say.
        why: Why nothing bounds what it costs; empty where it runs at the caller.
    """

    tokens: int | None = None
    why: str = ""


_AT_VENDOR: Final = ToolBound(why="runs at the vendor, who bills what it reads")
_UNDOCUMENTED: Final = ToolBound()

# The figures are of models before the tokenizer that came with Opus 4.7, which makes about a third
# more of the same text: rounded up by more than that.
_ANTHROPIC: Final = (
    (re.compile(r"bash_\d{8}"), ToolBound(512)),
    (re.compile(r"text_editor_\d{8}"), ToolBound(1024)),
    (re.compile(r"computer_\d{8}"), ToolBound(2048)),
    (re.compile(r"(?:memory|(?:computer|browser)_toolset)_\d{8}"), _UNDOCUMENTED),
)
_OPENAI: Final = {
    "custom": ToolBound(64),
    "function": ToolBound(64),
    "apply_patch": _UNDOCUMENTED,
    "computer": _UNDOCUMENTED,
    "computer_use_preview": _UNDOCUMENTED,
    "local_shell": _UNDOCUMENTED,
}


def tool_bound(native: Native) -> ToolBound:
    """What a tool in its vendor's own form can add, beyond the bytes of that form."""
    data = native.data
    kind = str(data.get("type", ""))
    if native.author.startswith("openai"):
        return _OPENAI.get(kind, _AT_VENDOR)
    if native.author == "ollama":
        return ToolBound(64)
    # Called from code that runs at the vendor, or shown to the model by a search there.
    if data.get("allowed_callers") not in (None, [], ["direct"]):
        return _AT_VENDOR
    for pattern, bound in _ANTHROPIC:
        if pattern.fullmatch(kind):
            return bound
    return _AT_VENDOR
