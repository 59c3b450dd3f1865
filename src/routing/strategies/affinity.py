"""Keeps a conversation where its prompt is cached, while that pays."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from ...accounting.money import Pico
from ...completion import Usage
from ...messages import Audio, File, Image, Message, Part, Text
from ...request import ChatRequest
from .base import Hint, Member, PoolContext
from .expectation import expected_seconds, with_failures

__all__ = ["AffinitySettings", "SessionAffinity"]

_HEAD, _TAIL = 2048, 512
"""Of a long text, the characters at its beginning and its end that a fingerprint looks at."""


class AffinitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long a cache is taken for warm, and what a warm one is worth.

    Attributes:
        conversations: The most that are remembered, counted for each pool apart; the one that was
            used least lately goes first. About 300 bytes each.
        ttl: Seconds that a provider keeps a prompt after its last use. Anthropic: 5 minutes;
            OpenAI: 5 to 10.
        long_ttl: The same for a prompt that was written with a mark for an hour.
        least_tokens: Shorter prompts are not cached. 1024 at OpenAI and for most of Anthropic's
            models.
        second: Pico-dollars that a second of waiting is worth. The default is $0.001, or $3.60 an
            hour: 10 000 cached tokens at $3 a million, read back at a tenth, make up for 27 s.
        prefill: Seconds that a provider needs to read a token that is not cached. The default is
            that of a fast hosted model; small servers take twenty times as long.
        failure_rate: A provider that fails more than this keeps nobody. One failure alone counts
            0.25 at first (``StatsSettings.blame``).
    """

    conversations: int = 10_000
    ttl: float = 300.0
    long_ttl: float = 3600.0
    least_tokens: int = 1024
    second: Pico = 1_000_000_000
    prefill: float = 0.0001
    failure_rate: float = 0.3


class _Warm(msgspec.Struct, frozen=True, gc=False):
    """Where a conversation's prompt is cached, and how much of it."""

    member: str
    tokens: int
    until: float
    ttl: float


_DEFAULTS = AffinitySettings()


class SessionAffinity:
    """Remembers who answered each conversation last, and puts it first while its cache pays.

    It pays while what the cached tokens save there (at the input rate less the cache-read rate) is
    at least what going there costs more than going to the strategy's choice: its higher price, and
    its longer expected time less the time that reading the cached tokens would take, a second being
    worth ``AffinitySettings.second``. Failures are part of the expected time. What is unknown
    counts nothing. It never pays for a provider that is not ready or fails, nor past the time for
    which the provider keeps the prompt.

    Members only move inside their pool. Nothing of a conversation is kept but a keyed hash.

    Args:
        settings: How long and how much.
        secret: Key of the hashes, up to 64 bytes; a new random one by default. Processes that are
            to know each other's conversations need the same.

    Attributes:
        needs: The hints of a member that it reads.
    """

    __slots__ = ("_secret", "_settings", "_warm")
    needs: ClassVar[frozenset[Hint]] = frozenset({"price", "saving"})

    def __init__(
        self, settings: AffinitySettings = _DEFAULTS, *, secret: bytes | None = None
    ) -> None:
        self._settings = settings
        self._secret = secrets.token_bytes(32) if secret is None else secret
        self._warm: OrderedDict[tuple[bytes, str], _Warm] = OrderedDict()

    def conversation(
        self, request: ChatRequest, session_id: str | None = None, *, scope: str = ""
    ) -> bytes:
        """The key of the conversation that a request belongs to, for ``PoolContext``.

        The session's id; without one, a fingerprint of what all requests of a conversation begin
        with: the system prompt, the first user message and the tools. Only the length and both ends
        of a long text go into it; a wrong guess costs a cold cache, nothing else.

        Args:
            request: What is asked.
            session_id: As the caller names the session.
            scope: Sessions of different scopes (projects) are different, whatever their names.
        """
        digest = hashlib.blake2b(key=self._secret, digest_size=16)
        if session_id is not None:
            digest.update(_framed(["session", scope, session_id]))
        else:
            digest.update(_framed(["prefix", scope, *_beginning(request)]))
        return digest.digest()

    def warm_at(self, context: PoolContext) -> str | None:
        """The member whose cache is warm; where none is, the hints in ``needs`` are not needed."""
        warm = self._find(context)
        return warm.member if warm is not None else None

    def prefer(self, ordered: Sequence[Member], context: PoolContext) -> Sequence[Member]:
        """The strategy's order, but the conversation's warm provider first if that pays."""
        warm = self._find(context)
        if warm is None:
            return ordered
        place = next((i for i, member in enumerate(ordered) if member.name == warm.member), 0)
        if place == 0 or not self._pays(ordered, place, warm.tokens, context):
            return ordered
        return [ordered[place], *ordered[:place], *ordered[place + 1 :]]

    def remember(self, context: PoolContext, member: str, usage: Usage, *, began: float) -> None:
        """A conversation was answered.

        Args:
            context: With which its pool was ordered.
            member: The name of the one that answered.
            usage: What it counted, from which the cached tokens are told.
            began: The clock's ``monotonic`` when the answering attempt was sent: the provider keeps
                the prompt from then, not from the answer's end.
        """
        if context.conversation is None:
            return
        settings, key = self._settings, (context.conversation, context.pool)
        before = self._warm.get(key)
        if before is not None and before.member != member:
            before = None
        # Reading refreshes what was written for an hour, and only the writing is reported as such.
        long = usage.cache_write_1h_tokens > 0 or (
            before is not None and before.ttl == settings.long_ttl and usage.cache_read_tokens > 0
        )
        ttl = settings.long_ttl if long else settings.ttl
        tokens = _cached_next_time(usage, first=before is None)
        if tokens < settings.least_tokens:
            tokens = 0
        self._warm[key] = _Warm(member, tokens, began + ttl, ttl)
        self._warm.move_to_end(key)
        if len(self._warm) > settings.conversations:
            self._warm.popitem(last=False)

    def __len__(self) -> int:
        return len(self._warm)

    def __repr__(self) -> str:
        return f"<SessionAffinity of {len(self._warm)} conversations>"

    def _find(self, context: PoolContext) -> _Warm | None:
        if context.conversation is None:
            return None
        key = (context.conversation, context.pool)
        warm = self._warm.get(key)
        if warm is not None and warm.until <= context.now:
            del self._warm[key]
            return None
        return warm

    def _pays(
        self, ordered: Sequence[Member], place: int, tokens: int, context: PoolContext
    ) -> bool:
        settings, warm, choice = self._settings, ordered[place], ordered[0]
        if not warm.ready or tokens == 0:
            return False
        if warm.stats.failure_rate(context.now) > settings.failure_rate:
            return False
        seconds = with_failures(ordered, expected_seconds(ordered, context), context)
        slower = seconds[place] - seconds[0] - tokens * settings.prefill
        dearer = 0
        if warm.price is not None and choice.price is not None:
            dearer = warm.price - choice.price
        return dearer + round(slower * settings.second) <= tokens * (warm.saving or 0)


def _cached_next_time(usage: Usage, *, first: bool) -> int:
    """Prompt tokens of this answer that the next one may find cached there.

    Vendors that mark (Anthropic) report what they wrote. Those that cache by themselves (OpenAI,
    local servers) report reads alone, or nothing: after the first answer that is taken for all of
    the prompt, and a second answer that read nothing proves it wrong.
    """
    if usage.cache_write_tokens:
        return usage.cache_read_tokens + usage.cache_write_tokens
    return usage.input_tokens if first or usage.cache_read_tokens else 0


def _beginning(request: ChatRequest) -> list[str]:
    """What does not change from one request of a conversation to the next."""
    pieces = [tool.name for tool in request.tools]
    for message in request.messages:
        pieces.append(message.role)
        pieces.extend(_contents(message))
        if message.role == "user":
            break
    return pieces


def _contents(message: Message) -> list[str]:
    if isinstance(message.content, str):
        return [message.content]
    return [_content(part) for part in message.content]


def _content(part: Part) -> str:
    match part:
        case Text():
            return part.text
        case Image():
            return part.url or part.data or ""
        case Audio():
            return part.data
        case File():
            return part.data or part.file_id or part.url or ""
        case _:
            return ""


def _framed(pieces: list[str]) -> bytes:
    """The pieces as bytes, each with its length before it so that none runs into the next."""
    clipped = (
        f"{len(piece)}:{piece}"
        if len(piece) <= _HEAD + _TAIL
        else f"{len(piece)}:{piece[:_HEAD]}{piece[-_TAIL:]}"
        for piece in pieces
    )
    return "".join(clipped).encode("utf-8", "surrogatepass")
