"""Under which names a model is looked up.

The same model goes by many names: a dated snapshot, a cloud's id with region and version around it,
a ``-latest`` pointer. :func:`candidates` yields them from the most to the least exact, so that an
entry for one snapshot always wins over the entry of its family.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["candidates"]

# us.anthropic.claude-sonnet-4-5-20250929-v1:0, global.anthropic.claude-opus-5, anthropic.claude-…
_BEDROCK_REGION = re.compile(r"^(?:us-gov|us|eu|apac|ap|jp|au|ca|sa|me|af|uk|in|global)\.(?=\w+\.)")
_BEDROCK_VENDOR = re.compile(r"^(?:anthropic|openai)\.")
_BEDROCK_VERSION = re.compile(r"-v\d+(?::\d+)?(?::\d+k)?$")
# claude-sonnet-4-5@20250929, claude-opus-5@default; publishers/anthropic/models/claude-…
_VERTEX_VERSION = re.compile(r"@(?:(\d{8})|default|latest)$")
_SNAPSHOT = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2}|latest)$")


def candidates(model: str) -> Iterator[str]:
    """The names to try, in order: as given, without the cloud's decoration, without the date."""
    yield model
    plain = _undecorated(model)
    if plain != model:
        yield plain
    family = _SNAPSHOT.sub("", plain)
    if family != plain:
        yield family


def _undecorated(model: str) -> str:
    # A resource name (an ARN, a Vertex publisher path) ends with the model's id. Only those two:
    # elsewhere a slash is part of the name.
    if model.startswith(("arn:", "publishers/", "projects/")):
        model = model.rsplit("/", 1)[-1]
    stripped = _BEDROCK_VENDOR.sub("", _BEDROCK_REGION.sub("", model))
    if stripped != model:
        stripped = _BEDROCK_VERSION.sub("", stripped)
    return _VERTEX_VERSION.sub(lambda found: f"-{found[1]}" if found[1] else "", stripped)
