"""The bare transport: what a program would write that knows its vendor and minds no failures.

No retries, no errors told apart, no types: aiohttp sends bytes, msgspec reads what is of interest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

from ..answers import MODELS
from . import MAX_TOKENS, MESSAGES, Connected, Operation, Place

__all__ = ["connect"]

_KEY = "sk-of-a-benchmark-that-calls-only-itself"


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    delta: _Message | None = None


class _Chat(msgspec.Struct):
    choices: list[_Choice]


class _Block(msgspec.Struct):
    text: str = ""


class _Messages(msgspec.Struct):
    content: list[_Block] = msgspec.field(default_factory=list)
    delta: _Block | None = None


_chat = msgspec.json.Decoder(_Chat)
_messages = msgspec.json.Decoder(_Messages)


def _openai_text(data: bytes) -> str:
    choices = _chat.decode(data).choices
    found = choices[0].message or choices[0].delta if choices else None
    return (found.content or "") if found else ""


def _anthropic_text(data: bytes) -> str:
    answer = _messages.decode(data)
    return answer.delta.text if answer.delta else "".join(each.text for each in answer.content)


def connect(place: Place) -> Connected:
    """A session for both vendors. It is opened by the first call, since it belongs to a loop."""
    opened: list[aiohttp.ClientSession] = []

    def session() -> aiohttp.ClientSession:
        if not opened:
            opened.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        return opened[0]

    chat = {"messages": MESSAGES, "max_completion_tokens": MAX_TOKENS, "model": MODELS["openai"]}
    system, *rest = MESSAGES
    messages = {"system": system["content"], "messages": rest, "max_tokens": MAX_TOKENS}
    messages["model"] = MODELS["anthropic"]
    usage = {"stream_options": {"include_usage": True}}
    bearer = {"authorization": f"Bearer {_KEY}", "content-type": "application/json"}
    versioned = {"x-api-key": _KEY, "anthropic-version": "2023-06-01"}
    versioned["content-type"] = "application/json"
    first = (session, f"{place.base_url}/v1/chat/completions", bearer, _openai_text)
    second = (session, f"{place.base_url}/v1/messages", versioned, _anthropic_text)
    operations = {
        "openai": _whole(*first, chat),
        "anthropic": _whole(*second, messages),
        "openai-stream": _stream(*first, chat | {"stream": True} | usage),
        "anthropic-stream": _stream(*second, messages | {"stream": True}),
    }

    async def aclose() -> None:
        if opened:
            await opened[0].close()

    return Connected(operations, aclose)


Session = Callable[[], aiohttp.ClientSession]
Text = Callable[[bytes], str]


def _whole(
    session: Session, url: str, headers: dict[str, str], text: Text, asked: dict[str, Any]
) -> Operation:
    async def call() -> tuple[int, float]:
        body = msgspec.json.encode(asked)
        async with session().post(url, data=body, headers=headers) as answer:
            return len(text(await answer.read())), 0.0

    return call


def _stream(
    session: Session, url: str, headers: dict[str, str], text: Text, asked: dict[str, Any]
) -> Operation:
    async def call() -> tuple[int, float]:
        length, first, rest = 0, 0.0, b""
        body = msgspec.json.encode(asked)
        async with session().post(url, data=body, headers=headers) as answer:
            async for data in answer.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {") and (piece := text(line[6:])):
                        first = first or time.perf_counter()
                        length += len(piece)
        return length, first

    return call
