"""The plain values of an answer: usage, the completion, and the events of a stream."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, TypeAlias

import msgspec

from .decision import Trace
from .messages import Message, Part, ToolCall

__all__ = [
    "Completion",
    "EmbeddingResult",
    "FinishReason",
    "StreamEvent",
    "TokenCount",
    "ToolCallDelta",
    "Usage",
]

FinishReason: TypeAlias = Literal[
    "stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error"
]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens, as inclusive totals with the sub-buckets that are priced apart.

    Attributes:
        input_tokens: The whole prompt, cached parts included.
        cache_read_tokens: Of the input: read from the provider's cache.
        cache_write_tokens: Of the input: written to the provider's cache, for whatever time.
        cache_write_1h_tokens: Of those written: kept for an hour instead of five minutes.
        audio_input_tokens: Of the input: spoken.
        output_tokens: The whole answer, reasoning included.
        reasoning_tokens: Of the output: thought and not said.
        audio_output_tokens: Of the output: spoken.
        estimated: Counted by us, since the provider sent no final count.
        web_searches: Searches of the web that the vendor ran and charges apart.
        file_searches: Searches of stored files, likewise.
        code_sessions: Containers in which the vendor ran code, likewise.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0
    estimated: bool = False
    web_searches: int = 0
    file_searches: int = 0
    code_sessions: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens


class ToolCallDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of a tool call: ``id`` and ``name`` come with its first piece, then arguments.

    ``index`` counts the tool calls of this answer from 0.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    """One delta of a stream: exactly one of its fields is filled.

    ``event.text`` is safe to print for every event, since it is empty for the other kinds.
    """

    text: str = ""
    reasoning: str = ""
    tool_call: ToolCallDelta | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A whole answer, and how it came about.

    It also reads as the dict that :meth:`to_openai` gives, for code that expects one:
    ``reply["choices"][0]["message"]["content"]``, ``reply.get("usage")``, ``"id" in reply``,
    ``{**reply}``. The dict is made once, when it is first looked into. It is another view of the
    same answer and no part of it: two answers compare by their attributes, and ``json.dumps``
    wants ``dict(reply)``.

    Attributes:
        id: The provider's id of the answer.
        message: The answer as a message, ready to go back into the conversation.
        parsed: The answer as ``response_format`` asked for it; ``None`` where it did not.
        finish_reason: Why the answer ended, in the common words.
        native_finish_reason: The same in the provider's own word.
        usage: Tokens.
        cost: USD. ``None`` where the model has no price: never a silent zero.
        provider: The name in the configuration of the provider that answered.
        model: The model that answered, as the provider says.
        group: The group that was asked; ``None`` where a model was named.
        latency: Seconds from the call to the whole answer.
        time_to_first_token: Seconds to the first delta; ``None`` where it was not a stream.
        cached: The answer came from the response cache.
        trace: Every attempt and every skip, with its reason.
        warnings: What was dropped or changed on the way, one line each.
        request_id: The provider's id of the request, for its support.
        raw_body: The answer as received; for a stream ``b""``.
    """

    id: str
    message: Message
    finish_reason: FinishReason
    usage: Usage
    provider: str
    model: str
    trace: Trace
    parsed: Any = None
    native_finish_reason: str | None = None
    cost: Decimal | None = None
    group: str | None = None
    latency: float = 0.0
    time_to_first_token: float | None = None
    cached: bool = False
    warnings: tuple[str, ...] = ()
    request_id: str | None = None
    created: int = 0
    raw_body: bytes = b""

    @property
    def text(self) -> str:
        """The answer's text; empty where it only calls tools."""
        return self.message.text

    @property
    def reasoning(self) -> str:
        """What may be read of the model's reasoning."""
        return self.message.reasoning

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools that the model wants run."""
        return self.message.tool_calls

    @property
    def parts(self) -> tuple[Part, ...]:
        """The answer's parts in the order in which they were said."""
        return self.message.parts

    @cached_property
    def raw(self) -> Any:
        """The provider's own body, decoded; ``None`` for a stream."""
        return msgspec.json.decode(self.raw_body) if self.raw_body else None

    def to_openai(self) -> dict[str, Any]:
        """The answer in the shape of OpenAI's ``chat.completion``."""
        from .openai_shape import completion_to_openai

        return completion_to_openai(self)

    @cached_property
    def _as_dict(self) -> dict[str, Any]:
        return self.to_openai()

    def __getitem__(self, key: str) -> Any:
        return self._as_dict[key]

    def __contains__(self, key: object) -> bool:
        return key in self._as_dict

    def __iter__(self) -> Iterator[str]:
        return iter(self._as_dict)

    def __len__(self) -> int:
        return len(self._as_dict)

    def get(self, key: str, default: Any = None) -> Any:
        """A field of the answer in OpenAI's shape, or what holds without one."""
        return self._as_dict.get(key, default)

    def keys(self) -> KeysView[str]:
        """The names of the fields in OpenAI's shape."""
        return self._as_dict.keys()

    def values(self) -> ValuesView[Any]:
        """The fields in OpenAI's shape."""
        return self._as_dict.values()

    def items(self) -> ItemsView[str, Any]:
        """The fields in OpenAI's shape with their names."""
        return self._as_dict.items()


# Not as its base class: a Struct has a metaclass of its own.
Mapping.register(Completion)


class EmbeddingResult(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors, one for each input and in its order.

    Iterating, indexing and ``len`` go to the vectors.
    """

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage
    provider: str
    model: str
    trace: Trace
    cost: Decimal | None = None
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: int) -> tuple[float, ...]:
        return self.vectors[index]


class TokenCount(msgspec.Struct, frozen=True):
    """How many tokens a prompt has.

    ``exact`` where the provider counted, or the model's own tokenizer did and the request has only
    what its overheads are published for; ``method`` says who or what counted.
    """

    tokens: int
    exact: bool
    method: str
