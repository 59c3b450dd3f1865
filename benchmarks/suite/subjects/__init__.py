"""Who is measured, and what each can do. Nothing here is imported but by who measures it.

A subject's module is loaded only in its own process, and a peer's by a Python that has neither
Switchgear nor its dependencies: all it may import is that peer, the standard library, and this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

__all__ = ["MESSAGES", "SUBJECTS", "Connected", "Operation", "Place", "Subject", "UnavailableError"]

Operation: TypeAlias = Callable[[], Awaitable[tuple[int, float]]]
"""One call. It returns how many characters the answer's text has, so that nobody is fast by
dropping some, and of a stream when the first of it came (`time.perf_counter()`), else 0."""

MESSAGES = (
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "What is the capital of France?"},
)
"""What every subject asks."""

MAX_TOKENS = 200

_CHAT = ("openai", "anthropic", "openai-stream", "anthropic-stream")


class UnavailableError(Exception):
    """This subject can't be measured here; the message says why."""


class Place(NamedTuple):
    """Which clients to make.

    Attributes:
        variant: Which of a module's subjects.
        base_url: What stands before a vendor's own paths.
        folder: An empty one, for what is kept on disk.
    """

    variant: str
    base_url: str
    folder: Path


class Connected(NamedTuple):
    """A subject's clients for one address.

    Attributes:
        operations: What it can do, by name.
        aclose: Ends it.
    """

    operations: Mapping[str, Operation]
    aclose: Callable[[], Awaitable[Any]]


class Subject(NamedTuple):
    """Where a subject is found.

    Attributes:
        title: For people.
        module: In this folder. Its ``connect(place)`` makes the clients.
        variant: Which of that module's subjects.
        operations: What it can do.
        package: Whose version stands beside it.
        environment: The peer's environment that it runs in; empty: this one.
    """

    title: str
    module: str
    variant: str
    operations: tuple[str, ...]
    package: str
    environment: str = ""


SUBJECTS = {
    "switchgear": Subject("Switchgear", "ours", "sdk", _CHAT, "switchgear"),
    "switchgear-direct": Subject("Switchgear, direct", "ours", "direct", _CHAT, "switchgear"),
    "switchgear-alone": Subject("Switchgear's own share", "alone", "", ("alone",), "switchgear"),
    "openai-sdk": Subject("OpenAI SDK", "sdks", "openai", ("openai", "openai-stream"), "openai"),
    "openai-raw": Subject("OpenAI SDK, raw", "sdks", "openai-raw", ("openai",), "openai"),
    "anthropic-sdk": Subject(
        "Anthropic SDK", "sdks", "anthropic", ("anthropic", "anthropic-stream"), "anthropic"
    ),
    "anthropic-raw": Subject(
        "Anthropic SDK, raw", "sdks", "anthropic-raw", ("anthropic",), "anthropic"
    ),
    "transport": Subject("aiohttp and msgspec", "transport", "", _CHAT, "aiohttp"),
    "litellm": Subject("LiteLLM Router", "peer_litellm", "", _CHAT, "litellm", "litellm"),
    "any-llm": Subject("any-llm", "peer_any_llm", "", _CHAT, "any-llm-sdk", "any-llm"),
    "tensorzero": Subject(
        "TensorZero, embedded", "peer_tensorzero", "", _CHAT, "tensorzero", "tensorzero"
    ),
}
"""By name."""
