"""Whatever a caller gives as a conversation becomes ``Message`` values, checked, once."""

from __future__ import annotations

from .messages import normalise_message, normalise_messages

__all__ = ["normalise_message", "normalise_messages"]
