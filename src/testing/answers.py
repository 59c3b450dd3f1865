"""What a simulated provider answers, in no vendor's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Answer", "RateLimits", "TokenUsage", "ToolCall"]


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a client-side tool.

    `arguments` is an object, or the raw JSON text where a test wants text that is not valid JSON
    (only the OpenAI formats can carry that; the others parse it). `id` is invented in the vendor's
    own form when it is None; Ollama has none.
    """

    name: str
    arguments: Mapping[str, Any] | str = msgspec.field(default_factory=dict)
    id: str | None = None

    def arguments_text(self) -> str:
        """The arguments as JSON text, as OpenAI sends them."""
        if isinstance(self.arguments, str):
            return self.arguments
        return msgspec.json.encode(self.arguments).decode()

    def arguments_object(self) -> Any:
        """The arguments as a parsed value, as Anthropic and Ollama send them.

        Text that is not JSON becomes `{}`.
        """
        if not isinstance(self.arguments, str):
            return dict(self.arguments)
        try:
            return msgspec.json.decode(self.arguments or "{}")
        except msgspec.DecodeError:
            return {}


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts as inclusive totals with sub-buckets.

    Each vendor's arithmetic is applied when rendering.

    `input_tokens` includes `cache_read_tokens` and both cache-write counts, `output_tokens`
    includes `reasoning_tokens`. None means "estimate it from the text" (four bytes a token).
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int | None = None
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One successful answer, in whatever format and framing the request asks for.

    All durations are seconds. `latency` passes before the response headers, `first_token_delay`
    between the headers and the first piece of content, `chunk_delay` between later pieces. `chunks`
    says how the text is split when streamed: a number of pieces, the pieces themselves, or None for
    one piece a word.

    `stop_reason` is one of `stop, length, tool_calls, content_filter, refusal, pause,
    stop_sequence`, or a vendor's own word, sent as it is; None derives it from the content.
    `reasoning` is shown where the vendor would show it: None lets the simulator invent a line when
    the request switched thinking on, an empty string means the model did not think. `extra` is
    merged into the top level of the vendor's body, for fields not modelled here.
    """

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str | None = None
    redacted_reasoning: bool = False
    refusal: str | None = None
    usage: TokenUsage | None = None
    send_usage: bool = True
    stop_reason: str | None = None
    stop_sequence: str | None = None
    model: str | None = None
    id: str | None = None
    embeddings: tuple[tuple[float, ...], ...] | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)
    latency: float = 0.0
    first_token_delay: float = 0.0
    chunk_delay: float = 0.0
    chunks: int | tuple[str, ...] | None = None
    pings: bool = True

    def finish(self) -> str:
        """The stop reason, derived from the content when the answer names none."""
        if self.stop_reason is not None:
            return self.stop_reason
        if self.refusal is not None:
            return "refusal"
        return "tool_calls" if self.tool_calls else "stop"


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the rate-limit headers of every answer say; nothing is enforced.

    A `*_remaining` of None is counted down from its limit by the traffic seen since the last reset.
    `reset_after` is seconds until the buckets are full again.
    """

    requests_limit: int = 4000
    requests_remaining: int | None = None
    input_tokens_limit: int = 400_000
    input_tokens_remaining: int | None = None
    output_tokens_limit: int = 80_000
    output_tokens_remaining: int | None = None
    reset_after: float = 1.0
