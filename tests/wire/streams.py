"""Recorded streams by the kind of their format, and what their bytes say, read by plain dict code.

A :class:`Kind` is one format as one real adapter reads it. :func:`marks` cuts a recorded body into
its events and says of each where it ends and what it adds to the answer, so that a decoder can be
held to every single byte.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from switchgear.completion import StreamEvent
from switchgear.credentials import Secret
from switchgear.messages import Reasoning, Refusal, Text, ToolCall
from switchgear.normalise import normalise_messages
from switchgear.providers.base import Call, ProviderSettings, Reply, ResponseMeta
from switchgear.providers.stream import Decoder
from switchgear.providers.wire import WireRequest
from switchgear.request import ChatRequest
from tests.wire import replay
from tests.wire.replay import Recording

__all__ = [
    "ANTHROPIC",
    "CHAT",
    "COMPATIBLE",
    "KINDS",
    "OLLAMA",
    "ONE_EACH",
    "RESPONSES",
    "Kind",
    "Mark",
    "Said",
    "decoder_of",
    "delivered",
    "directly",
    "marks",
    "needed",
    "recorded",
    "said_by",
]


@dataclass(frozen=True, eq=False)
class Said:
    """What an answer holds so far: the three things that reach the caller as deltas.

    Reasoning is kept without its white space: its parts are set apart by a line of ours. A call
    that brings no arguments at all is equal to one with ``{}``, which is how a reply writes it.
    """

    text: str = ""
    reasoning: str = ""
    arguments: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Said) and self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, more: Said) -> Said:
        return Said(
            self.text + more.text,
            self.reasoning + more.reasoning,
            self.arguments + more.arguments,
        )

    @property
    def size(self) -> int:
        """How much there is of everything."""
        return len(self.text) + len(self.reasoning) + len(self.arguments)

    def begins(self, whole: Said) -> bool:
        """It is the beginning of the whole."""
        return (
            whole.text.startswith(self.text)
            and whole.reasoning.startswith(self.reasoning)
            and whole.arguments.startswith(self.arguments)
        )

    def _key(self) -> tuple[str, ...]:
        return self.text, self.reasoning, self.arguments.replace("{}", "")


@dataclass(frozen=True)
class Mark:
    """One event of a recorded stream.

    ``end`` is the first offset that is no longer its own; ``said`` is what the stream has said up
    to there; ``finish`` the vendor's finish reason, as far as it was told; ``tokens`` those of the
    answer; ``last`` marks the terminal event.
    """

    end: int
    said: Said
    finish: str | None
    tokens: int | None
    last: bool


@dataclass(frozen=True)
class _News:
    said: Said = field(default_factory=Said)
    finish: str | None = None
    tokens: int | None = None
    last: bool = False


@dataclass(frozen=True)
class Kind:
    """One stream format, as one adapter is configured for it."""

    name: str
    vendor: str
    endpoint: str
    plugin: str
    read: Callable[[], Callable[[str], _News]]
    options: Mapping[str, Any] = field(default_factory=dict)
    base: str = "/v1"
    separator: bytes = b"\n\n"
    orderly_end_will_do: bool = False
    """An orderly end of the body after the finish reason completes the answer."""
    whole_without_separator: bool = False
    """An event can be seen to be whole before its separator has come, as a JSON object can."""

    def __repr__(self) -> str:
        return self.name

    def settings(self, url: str = "http://127.0.0.1:9", name: str = "") -> ProviderSettings:
        """The provider's table, for a server at ``url``."""
        return ProviderSettings(
            name=name or self.plugin,
            plugin=self.plugin,
            api_key=None if self.plugin == "ollama" else Secret("not-a-real-key"),
            base_url=url + self.base,
            options=self.options,
        )

    def provider(self, url: str = "http://127.0.0.1:9", name: str = "") -> Any:
        """The real adapter."""
        module = importlib.import_module(f"switchgear.providers.{self.plugin.replace('-', '_')}")
        return module.create(self.settings(url, name))


class _Nowhere:
    """A wire that leads nowhere: the adapter makes its stream as ever, and no byte comes."""

    client = None
    meta = ResponseMeta()

    async def open(self, request: WireRequest) -> _Nowhere:
        return self

    async def read(self) -> bytes:
        return b""

    async def aclose(self) -> None:
        pass


async def decoder_of(kind: Kind, model: str) -> Decoder:
    """The decoder that the real adapter makes for a stream of that model."""
    provider = kind.provider()
    provider._wire = _Nowhere()
    call = Call(request=ChatRequest(messages=normalise_messages("hi")), model=model)
    decoder: Decoder = (await provider.stream(call))._decoder
    return decoder


def directly(kind: Kind) -> Kind:
    """The same format on the road that leaves the SDK out."""
    return replace(kind, name=f"{kind.name}-direct", options={**kind.options, "wire": "direct"})


def recorded(*kinds: Kind, most: int = 10**9, lines: Iterable[int] = ()) -> list[Any]:
    """Parameters of kind and recording: those of up to ``most`` bytes, and those of ``lines``."""
    found = []
    for kind in kinds:
        for param in replay.recordings(kind.vendor, endpoint=kind.endpoint, stream=True):
            recording = param.values[0]
            if recording is None:
                found.append(pytest.param(kind, None, id=f"{kind.name}-absent", marks=param.marks))
            elif len(recording.body) <= most or recording.line in lines:
                found.append(pytest.param(kind, recording, id=f"{kind.name}-{recording.line}"))
    return found


def marks(kind: Kind, recording: Recording) -> tuple[Mark, ...]:
    """The events of a recorded stream up to its terminal one, in order."""
    found = []
    said, finish, tokens = Said(), None, None
    news_of = kind.read()
    for end, payload in _payloads(recording.body, kind.separator):
        news = news_of(payload)
        said += news.said
        finish = news.finish or finish
        tokens = news.tokens if news.tokens is not None else tokens
        found.append(Mark(end, said, finish, tokens, news.last))
        if news.last:
            return tuple(found)
    raise AssertionError(f"{recording} has no terminal event")


def needed(kind: Kind, recording: Recording, *, at_end: bool) -> int:
    """How many bytes it takes for the answer to be complete.

    Args:
        kind: The format.
        recording: The stream.
        at_end: The body ends there, in order.
    """
    told = marks(kind, recording)
    if at_end and kind.orderly_end_will_do:
        return next((mark.end for mark in told if mark.finish), told[-1].end)
    return told[-1].end - (1 if at_end and kind.whole_without_separator else 0)


def delivered(events: Iterable[StreamEvent]) -> Said:
    """What somebody has seen who reads the deltas only."""
    said = Said()
    for event in events:
        arguments = event.tool_call.arguments if event.tool_call is not None else ""
        said += Said(event.text, _bare(event.reasoning), arguments)
    return said


def said_by(reply: Reply | Any) -> Said:
    """What the parts of a reply or a completion hold."""
    said = Said()
    for part in reply.parts:
        if isinstance(part, Text | Refusal):
            said += Said(text=part.text)
        elif isinstance(part, Reasoning):
            said += Said(reasoning=_bare(part.text))
        elif isinstance(part, ToolCall):
            said += Said(arguments=part.arguments)
    return said


def _payloads(body: bytes, separator: bytes) -> Iterator[tuple[int, str]]:
    start = 0
    while (found := body.find(separator, start)) >= 0:
        end = found + len(separator)
        block = body[start:end].decode()
        if separator == b"\n":
            yield end, block
        else:
            lines = (line.strip() for line in block.split("\n"))
            data = [line.removeprefix("data:") for line in lines if line.startswith("data:")]
            yield end, "\n".join(data).strip()
        start = end
    assert start == len(body), "the recording ends inside an event"


def _bare(text: str) -> str:
    return "".join(text.split())


def _read_messages() -> Callable[[str], _News]:
    calls: set[int] = set()

    def read(payload: str) -> _News:
        event = json.loads(payload)
        if event["type"] == "content_block_start":
            if event["content_block"]["type"] == "tool_use":
                calls.add(event["index"])
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            arguments = delta.get("partial_json", "") if event["index"] in calls else ""
            text, thinking = delta.get("text", ""), delta.get("thinking", "")
            return _News(Said(text, _bare(thinking), arguments))
        elif event["type"] == "message_delta":
            return _News(
                finish=event["delta"]["stop_reason"], tokens=event["usage"]["output_tokens"]
            )
        return _News(last=event["type"] == "message_stop")

    return read


def _read_chat() -> Callable[[str], _News]:
    def read(payload: str) -> _News:
        if payload == "[DONE]":
            return _News(last=True)
        chunk = json.loads(payload)
        tokens = (chunk.get("usage") or {}).get("completion_tokens")
        choice = next((c for c in chunk["choices"] if not c.get("index")), None)
        if choice is None:
            return _News(tokens=tokens)
        delta = choice["delta"]
        functions = [call["function"] for call in delta.get("tool_calls") or ()]
        functions += [delta["function_call"]] if delta.get("function_call") else []
        said = Said(
            (delta.get("content") or "") + (delta.get("refusal") or ""),
            arguments="".join(function.get("arguments") or "" for function in functions),
        )
        return _News(said, choice.get("finish_reason"), tokens)

    return read


def _read_responses() -> Callable[[str], _News]:
    def read(payload: str) -> _News:
        event = json.loads(payload)
        match event["type"]:
            case "response.output_text.delta" | "response.refusal.delta":
                return _News(Said(event["delta"]))
            case "response.reasoning_summary_text.delta":
                return _News(Said(reasoning=_bare(event["delta"])))
            case "response.function_call_arguments.delta":
                return _News(Said(arguments=event["delta"]))
            case "response.completed" | "response.incomplete":
                answer = event["response"]
                return _News(Said(), answer["status"], answer["usage"]["output_tokens"], last=True)
        return _News()

    return read


def _read_ollama() -> Callable[[str], _News]:
    def read(payload: str) -> _News:
        line = json.loads(payload)
        said = Said(line["message"]["content"], _bare(line["message"].get("thinking", "")))
        return _News(said, line.get("done_reason"), line.get("eval_count"), last=line["done"])

    return read


ANTHROPIC = Kind("anthropic", "anthropic", "messages", "anthropic", _read_messages, base="")
CHAT = Kind("chat", "openai", "chat.completions", "openai", _read_chat, {"api": "chat"})
RESPONSES = Kind(
    "responses", "openai", "responses", "openai", _read_responses, {"api": "responses"}
)
COMPATIBLE = Kind(
    "compatible",
    "openai",
    "chat.completions",
    "openai-compatible",
    _read_chat,
    orderly_end_will_do=True,
)
OLLAMA = Kind(
    "ollama",
    "ollama",
    "api.chat",
    "ollama",
    _read_ollama,
    base="",
    separator=b"\n",
    whole_without_separator=True,
)
KINDS = (ANTHROPIC, CHAT, RESPONSES, OLLAMA, COMPATIBLE)

ONE_EACH = [
    *recorded(ANTHROPIC, most=0, lines=[44]),
    *recorded(CHAT, most=0, lines=[205]),
    *recorded(RESPONSES, most=0, lines=[248]),
    *recorded(OLLAMA, most=7_000),
    *recorded(COMPATIBLE, most=0, lines=[283]),
]
"""Reasoning and a tool, parallel calls, a call, plain text, a call with the usage apart."""
