"""Whether a group's chain can keep what its first candidate promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config import Finding, GroupConfig
from ..errors import SwitchgearError
from ..providers.base import Capabilities

if TYPE_CHECKING:
    from ..config import Config
    from .providers import Providers

__all__ = ["broken_promises"]

_PROMISES = {
    "tools": "tools",
    "tool_choice": "forced tool choice",
    "schema": "structured output",
    "images": "image input",
    "files": "document input",
    "audio": "audio input",
    "reasoning": "reasoning",
}


def broken_promises(config: Config, providers: Providers) -> list[Finding]:
    """What the later steps of each group can't do and an earlier one can.

    A call that needs it will skip those steps: the chain is shorter than it looks. No I/O.
    """
    return [finding for group in config.groups.values() for finding in _of_group(group, providers)]


def _of_group(group: GroupConfig, providers: Providers) -> list[Finding]:
    findings: list[Finding] = []
    promised: set[str] = set()
    widest: tuple[int, str] | None = None
    longest: tuple[int, str] | None = None
    for index, pool in enumerate(group.chain):
        place = f"groups.{group.name}.chain[{index}]"
        for candidate in pool.candidates:
            name = str(candidate)
            try:
                provider, _ = providers.get(candidate.provider)
            except SwitchgearError:
                continue  # a finding of its own already
            can = provider.capabilities(candidate.model)
            missing = [_PROMISES[each] for each in sorted(promised) if not getattr(can, each)]
            if missing:
                lacks = ", ".join(missing)
                message = f"{name} has no {lacks}: calls that need it will skip this step"
                findings.append(Finding("warning", place, message))
            findings += _shrinks(place, name, "window", can.context_window, widest)
            findings += _shrinks(place, name, "longest answer", can.max_output_tokens, longest)
            widest = _larger(widest, can.context_window, name)
            longest = _larger(longest, can.max_output_tokens, name)
            promised |= _offered(can)
    return findings


def _offered(can: Capabilities) -> set[str]:
    return {each for each in _PROMISES if getattr(can, each)}


def _shrinks(
    place: str, name: str, what: str, size: int | None, before: tuple[int, str] | None
) -> list[Finding]:
    if size is None or before is None or size >= before[0]:
        return []
    message = (
        f"the {what} shrinks from {before[0]:,} tokens ({before[1]}) to {size:,} ({name}): "
        "what needs more will skip this step"
    )
    return [Finding("warning", place, message)]


def _larger(before: tuple[int, str] | None, size: int | None, name: str) -> tuple[int, str] | None:
    if size is None or (before is not None and size <= before[0]):
        return before
    return size, name
