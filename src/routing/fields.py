"""What an attempt sends besides the request: an entry's fields with the call's over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .plan import Candidate

__all__ = ["extra_of", "headers_of"]


def extra_of(
    candidate: Candidate, by_provider: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The body fields that go along as they are."""
    entry = candidate.entry
    return _merged(entry.extra, by_provider.get(entry.provider))


def headers_of(
    candidate: Candidate, by_provider: Mapping[str, Mapping[str, str]]
) -> Mapping[str, str]:
    """The additional headers."""
    entry = candidate.entry
    return _merged(entry.extra_headers, by_provider.get(entry.provider))


def _merged(entry: Mapping[str, Any], call: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if not call:
        return entry
    return {**entry, **call} if entry else call
