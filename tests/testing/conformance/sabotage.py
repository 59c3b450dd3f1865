"""What saboteurs are made with, and the list of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

import msgspec

from switchgear.errors import (
    SwitchgearError,
)
from switchgear.messages import (
    Text,
    ToolCall,
)
from switchgear.providers import anthropic
from switchgear.providers.base import (
    Provider,
    ProviderSettings,
    Reply,
)
from tests.testing.conformance.wrapped import Wrapped

SABOTEURS: list[tuple[str, type[Wrapped]]] = []
"""The check's name, and the adapter that it must refuse."""

C = TypeVar("C", bound=type[Wrapped])


def fails(*checks: str) -> Callable[[C], C]:
    def note(saboteur: C) -> C:
        SABOTEURS.extend((check, saboteur) for check in checks)
        return saboteur

    return note


def texts(reply: Reply, change: Callable[[str], str]) -> Reply:
    parts = tuple(
        Text(change(part.text)) if isinstance(part, Text) else part for part in reply.parts
    )
    return msgspec.structs.replace(reply, parts=parts)


def calls(reply: Reply, change: Callable[[ToolCall], ToolCall]) -> Reply:
    parts = tuple(change(part) if isinstance(part, ToolCall) else part for part in reply.parts)
    return msgspec.structs.replace(reply, parts=parts)


def as_other(error: SwitchgearError, cls: type[SwitchgearError]) -> SwitchgearError:
    """The same failure as another class of error."""
    other = cls(error.message)
    other.__dict__.update(error.__dict__)
    return other


class AnthropicAdapter(Wrapped):
    """Before Anthropic's API, which signs its thinking."""

    at: ClassVar[str] = "anthropic"

    def make(self, settings: ProviderSettings) -> Provider:
        return anthropic.create(msgspec.structs.replace(settings, options={}))
