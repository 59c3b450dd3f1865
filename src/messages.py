"""The plain values of a conversation: messages, their parts, and tools.

Every value is frozen. A message's ``content`` is a string or a tuple of parts in the order in which
they were said, tool calls and reasoning among them, so that a reply goes back into the next request
exactly as its author wrote it. Some parts carry a :class:`Native`: the author's own form of the
part, which only that author can read.
"""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from .errors import InvalidRequestError

__all__ = [
    "Audio",
    "CacheTtl",
    "File",
    "Image",
    "Message",
    "Native",
    "NativeBlock",
    "Part",
    "Reasoning",
    "Refusal",
    "Role",
    "Text",
    "Tool",
    "ToolCall",
    "ToolChoice",
]

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]

CacheTtl: TypeAlias = Literal["5m", "1h"]
"""How long a provider should keep the prompt up to and including the marked part in its cache."""


class Native(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part in its author's own form.

    Attributes:
        author: Who can read it: an adapter gets back only what carries its own author name.
        data: The vendor's JSON object, unmodified (a signature, encrypted reasoning, citations).
    """

    author: str
    data: dict[str, Any]


class _Part(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """What all parts share: a tag, so that a stored part can be read back."""


class Text(_Part, frozen=True, tag="text"):
    """Text. ``cache`` marks the end of a prefix worth caching at the provider."""

    text: str
    cache: CacheTtl | None = None
    native: Native | None = None


class Image(_Part, frozen=True, tag="image"):
    """An image: either ``url`` (http or https) or ``data`` (base64) with its ``media_type``."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None
    cache: CacheTtl | None = None

    @classmethod
    def from_path(cls, path: str | Path) -> Image:
        """Read an image file; its type comes from its name.

        Raises:
            InvalidRequestError: The name does not tell that it is an image.
        """
        media_type = mimetypes.guess_type(str(path))[0] or ""
        if not media_type.startswith("image/"):
            message = f"{path}: not known as an image by its name; build Image(data=, media_type=)"
            raise InvalidRequestError(message)
        return cls(data=base64.b64encode(Path(path).read_bytes()).decode(), media_type=media_type)


class Audio(_Part, frozen=True, tag="audio"):
    """Spoken input: base64 ``data`` in ``format`` (``wav`` or ``mp3``)."""

    data: str
    format: str


class File(_Part, frozen=True, tag="file"):
    """A document: base64 ``data`` with its ``media_type``, a ``url``, or a vendor's ``file_id``."""

    data: str | None = None
    media_type: str | None = None
    filename: str | None = None
    url: str | None = None
    file_id: str | None = None
    cache: CacheTtl | None = None

    @classmethod
    def from_path(cls, path: str | Path) -> File:
        """Read a document; its type comes from its name."""
        path = Path(path)
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        data = base64.b64encode(path.read_bytes()).decode()
        return cls(data=data, media_type=media_type, filename=path.name)


class Reasoning(_Part, frozen=True, tag="reasoning"):
    """What the model thought before it spoke.

    ``text`` is what may be read of it (possibly nothing); ``native`` holds the signature or the
    encrypted form that its author wants back unmodified.
    """

    text: str = ""
    native: Native | None = None


class Refusal(_Part, frozen=True, tag="refusal"):
    """The model declined, in its own words."""

    text: str


class ToolCall(_Part, frozen=True, tag="tool_call"):
    """A tool the model wants run. ``arguments`` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str = "{}"
    native: Native | None = None

    def parse(self) -> dict[str, Any]:
        """The arguments as a dict.

        Raises:
            InvalidRequestError: The model wrote something that is not a JSON object.
        """
        try:
            value = msgspec.json.decode(self.arguments or "{}")
        except msgspec.DecodeError as exc:
            message = f"tool call {self.id!r} ({self.name}): its arguments are not JSON: {exc}"
            raise InvalidRequestError(message) from exc
        if not isinstance(value, dict):
            message = f"tool call {self.id!r} ({self.name}): its arguments are not a JSON object"
            raise InvalidRequestError(message)
        return value


class NativeBlock(_Part, frozen=True, tag="native"):
    """A block that has no common form (a vendor's own server-side tool and its result)."""

    native: Native


Part: TypeAlias = Text | Image | Audio | File | Reasoning | Refusal | ToolCall | NativeBlock


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn of a conversation.

    Attributes:
        role: ``system``, ``developer``, ``user``, ``assistant`` or ``tool``.
        content: A string, or parts in the order in which they were said.
        tool_call_id: For ``tool``: the call that this answers.
        name: The participant's or the tool's name, for providers that take one.
        is_error: For ``tool``: the tool failed, and the content says how.
    """

    role: Role
    content: str | tuple[Part, ...] = ""
    tool_call_id: str | None = None
    name: str | None = None
    is_error: bool = False

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content as parts, whichever way it was given; nothing for an empty string."""
        if isinstance(self.content, str):
            return (Text(self.content),) if self.content else ()
        return self.content

    @property
    def text(self) -> str:
        """All text, joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools that this message wants run."""
        if isinstance(self.content, str):
            return ()
        return tuple(part for part in self.content if isinstance(part, ToolCall))

    @property
    def reasoning(self) -> str:
        """What may be read of the reasoning, joined."""
        if isinstance(self.content, str):
            return ""
        return "".join(part.text for part in self.content if isinstance(part, Reasoning))

    def to_openai(self) -> dict[str, Any]:
        """The message as an OpenAI chat message; ``normalise`` reads it back without loss."""
        from .openai_shape import message_to_openai

        return message_to_openai(self)


class Tool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A function that the model may ask for.

    Attributes:
        name: What the model calls it.
        description: When and how to use it.
        parameters: JSON schema of its arguments, an object.
        strict: The provider must keep the arguments to the schema.
        cache: Marks the end of a prefix worth caching at the provider.
        native: A vendor's own tool (web search, code execution) in the vendor's form.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = msgspec.field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )
    strict: bool | None = None
    cache: CacheTtl | None = None
    native: Native | None = None


class ToolChoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the model may (``auto``), must (``required``) or must not (``none``) use a tool.

    With ``name`` it must use that one.
    """

    mode: Literal["auto", "required", "none"] = "auto"
    name: str | None = None
