"""A secret that can be used but not shown."""

from __future__ import annotations

import re

__all__ = ["Secret", "hide"]

_LOOKS_LIKE_A_KEY = re.compile(r"\b(?:sk|gsk|xai|pk|rk)-[\w\-*]{6,}|(?i:bearer)\s+[\w\-.~+/]{8,}=*")
_SHORTEST = 4
"""Characters. What is shorter is a placeholder, and would tear up the text around it."""


class Secret:
    """A credential. ``reveal()`` gives it; ``repr``, ``str`` and pickling do not.

    Two secrets are equal when what they hold is equal, so that configurations compare.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError(
            "a Secret is not pickled: pass the name of its environment variable instead"
        )


def hide(text: str, *secrets: Secret | None) -> str:
    """The text without these credentials, and without whatever else looks like one."""
    for secret in secrets:
        if secret is not None and len(secret.reveal()) >= _SHORTEST:
            text = text.replace(secret.reveal(), "***")
    return _LOOKS_LIKE_A_KEY.sub("***", text)
