"""How many tokens a prompt has: exactly where a tokenizer is at hand, else about, else at most.

Three questions, three answers: :meth:`TokenCounter.estimate` at once, :meth:`TokenCounter.count`
after loading the tokenizer where there is one, and :meth:`TokenCounter.bound` for budgets, which
must never be too low. No answer holds an event loop: what is long is tokenized in a thread, or not
at all.
"""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeAlias

from ...completion import TokenCount
from ...messages import Text, ToolCall
from .encodings import (
    EncodingUnavailableError,
    encoding_name,
    is_certain,
    is_documented,
    load_encoding,
)
from .learned import Calibration, Factor
from .prompt_bounds import PromptBound, byte_bound, prompt_bound
from .prompts import Measure, characters_of, is_plain, tokens_of, utf8_length

if TYPE_CHECKING:
    from tiktoken import Encoding

    from ...request import ChatRequest

__all__ = ["Loader", "TokenCounter"]

Loader: TypeAlias = "Callable[[str], Encoding]"
"""Builds an encoding by its name; may take a second."""

# Above this many characters a tokenizer holds the event loop for more than some milliseconds.
_INLINE_CHARS: Final = 20_000

# Guessing the tokens of more than this takes up to a millisecond.
_TAUGHT_CHARS: Final = 200_000

# A text is tokenized in slices of this many characters: the time of a tokenizer grows faster than
# the text where that is one long word. One more token at most for each cut.
_SLICE: Final = 100_000

# Characters for one token, measured with o200k: ASCII on English prose, program text and TOML (4.1,
# 4.4, 3.5); letters of two bytes of UTF-8 on Russian and Arabic (3.3, 3.2), of three on Chinese and
# Japanese (1.1, 1.2). Recorded prompts to Claude 3.5 to 4.6 have 4 to 4.8. Anthropic says of its
# tokenizer since Opus 4.7 that it makes about a third more than the one before.
_ASCII: Final = 4.0
_TWO_BYTES: Final = 3.2
_THREE_BYTES: Final = 1.1
_CLAUDE_NEW: Final = 3.0 / _ASCII
_CLAUDE_OLD: Final = re.compile(r"claude-(?:[123]|opus-4(?:-[0156]\b|-2|$)|sonnet-4|haiku-4)")


class TokenCounter:
    """Counts tokens. Owned by one router; keeps the tokenizers that it has loaded.

    A tokenizer is loaded at most once, in a thread of its own, when :meth:`count` or :meth:`load`
    first needs it. Nothing is ever downloaded. Where there is none, tokens are guessed by
    characters, and the guess learns from what vendors count (:meth:`learn`).
    """

    __slots__ = ("_calibration", "_loaded", "_loader", "_loading", "_lock")

    def __init__(self, loader: Loader = load_encoding) -> None:
        self._loader = loader
        self._loaded: dict[str, Encoding] = {}
        self._loading: dict[str, Future[Encoding | None]] = {}
        self._lock = threading.Lock()
        self._calibration = Calibration()

    def estimate(self, request: ChatRequest, model: str) -> TokenCount:
        """The prompt's tokens, with what is at hand now: never waits, never loads.

        ``exact`` only where the model's own tokenizer is loaded and the request is plain text, the
        one form whose overheads are published. A prompt of more than 20 000 characters is guessed,
        since this may be called on an event loop; :meth:`count` tokenizes it in a thread.
        """
        encoding = self._encoding(model)
        if encoding is None or characters_of(request) > _INLINE_CHARS:
            return self._guess(request, model)
        return _tokenized(request, model, encoding)

    def estimate_text(self, text: str, model: str) -> int:
        """The tokens of an answer's text, with what is at hand now: never waits, never loads."""
        encoding = self._encoding(model)
        if encoding is not None and len(text) <= _INLINE_CHARS:
            return _by(encoding)(text)
        tokens = _by_characters(model)(text)
        factor = self._calibration.factor(model)
        return tokens if factor is None else round(tokens * factor.value)

    async def count(self, request: ChatRequest, model: str) -> TokenCount:
        """The prompt's tokens, by the model's tokenizer where there is one.

        The first call for an OpenAI model waits for its tokenizer. Cancelling a call leaves the
        loading to the others.
        """
        await self.load(model)
        encoding = self._encoding(model)
        if encoding is None:
            return self._guess(request, model)
        if characters_of(request) > _INLINE_CHARS:
            return await asyncio.to_thread(_tokenized, request, model, encoding)
        return _tokenized(request, model, encoding)

    def learn(self, model: str, request: ChatRequest, counted: int) -> None:
        """Let a settled call correct the guesses for its model.

        Takes a microsecond or two on average: after a model's first calls one in 64 is looked at.

        Args:
            model: The model as the provider calls it.
            request: What was asked. One with more than text and the caller's own tools teaches
                nothing, nor does a very long one.
            counted: The whole prompt as the vendor counted it, cached parts included: never an
                estimate, nor the count of a call in which the vendor ran a tool.
        """
        if counted <= 0 or not self._calibration.wants(model) or not _teaches(request):
            return
        guessed = tokens_of(request, model, _by_characters(model))
        self._calibration.learn(model, guessed, counted)

    def bound(self, request: ChatRequest, model: str, *, exact: bool = False) -> PromptBound:
        """The most tokens that the prompt can be, and what in it is priced apart.

        Args:
            request: The request.
            model: The model as the provider calls it.
            exact: Count text with the model's own tokenizer, where that is loaded and published to
                be its own. **Not for an event loop** if the prompt is long (see :meth:`is_quick`).
                Otherwise by bytes, which is cheap and some four times as much for English.
        """
        if exact:
            encoding = self._encoding(model) if is_certain(model) else None
            if encoding is not None:
                return prompt_bound(request, model, _at_most(encoding))
        return prompt_bound(request, model)

    def upper_bound(
        self,
        request: ChatRequest,
        model: str,
        *,
        context_window: int | None = None,
        exact: bool = False,
    ) -> int | None:
        """The most tokens that the prompt can be: never less than the vendor will count.

        Text counts by bytes of UTF-8, since no token is shorter than one, or (``exact``) as
        :meth:`bound` says. What is not text counts at its documented maximum.

        Args:
            request: The request.
            model: The model as the provider calls it.
            context_window: The model's window, where known: no prompt is longer than it.
            exact: As in :meth:`bound`.

        Returns:
            ``None`` where nothing bounds it: a vendor's own tool that reads the web, or a document
            whose text can't be seen from here, with no context window known. A tool that the vendor
            runs has no bound even so, since its results are billed again in every round.
        """
        bound = self.bound(request, model, exact=exact)
        if bound.why:
            return None
        if bound.tokens is None or context_window is None:
            return context_window if bound.tokens is None else bound.tokens
        return min(bound.tokens, context_window)

    def is_quick(self, request: ChatRequest) -> bool:
        """Whether the request is short enough to be tokenized on an event loop."""
        return characters_of(request) <= _INLINE_CHARS

    async def load(self, model: str) -> bool:
        """Wait until the model's tokenizer is loaded; whether there is one."""
        name = encoding_name(model)
        if name is None:
            return False
        if name in self._loaded:
            return True
        # Many may wait for one thread, on several loops; a cancelled waiter must not cancel it.
        return await asyncio.shield(asyncio.wrap_future(self._start(name))) is not None

    def _start(self, name: str) -> Future[Encoding | None]:
        with self._lock:
            future = self._loading.get(name)
            if future is None:
                future = self._loading[name] = Future()
                # A daemon: a process that ends early does not wait for a tokenizer.
                threading.Thread(
                    target=self._load, args=(name, future), name=f"tokenizer-{name}", daemon=True
                ).start()
            return future

    def _load(self, name: str, future: Future[Encoding | None]) -> None:
        # Running futures can't be cancelled by those who wait for them.
        future.set_running_or_notify_cancel()
        try:
            encoding = self._loader(name)
        except EncodingUnavailableError:
            future.set_result(None)
        except BaseException as exc:  # noqa: BLE001 - goes to those who wait, as it is
            future.set_exception(exc)
        else:
            self._loaded[name] = encoding
            future.set_result(encoding)

    def _encoding(self, model: str) -> Encoding | None:
        name = encoding_name(model)
        return self._loaded.get(name) if name is not None else None

    def _guess(self, request: ChatRequest, model: str) -> TokenCount:
        tokens = tokens_of(request, model, _by_characters(model))
        factor: Factor | None = self._calibration.factor(model)
        if factor is None:
            return TokenCount(tokens, exact=False, method="characters")
        method = f"characters, calibrated on {factor.calls} calls"
        return TokenCount(round(tokens * factor.value), exact=False, method=method)


def _tokenized(request: ChatRequest, model: str, encoding: Encoding) -> TokenCount:
    tokens = tokens_of(request, model, _by(encoding))
    exact = is_documented(model) and is_plain(request)
    if exact and any(len(message.text) > _SLICE for message in request.messages):
        exact = False
    return TokenCount(tokens, exact=exact, method=f"tiktoken:{encoding.name}")


def _teaches(request: ChatRequest) -> bool:
    """Text, calls and tools of the caller's own, and short enough to be measured in passing."""
    if any(tool.native is not None for tool in request.tools):
        return False
    size = 0
    for message in request.messages:
        content = message.content
        if isinstance(content, str):
            size += len(content)
        elif all(isinstance(part, Text | ToolCall) for part in content):
            size += len(message.text)
        else:
            return False
    return size <= _TAUGHT_CHARS


def _by(encoding: Encoding) -> Measure:
    def measure(text: str) -> int:
        if len(text) <= _SLICE:
            return len(encoding.encode_ordinary(text))
        return sum(
            len(encoding.encode_ordinary(text[start : start + _SLICE]))
            for start in range(0, len(text), _SLICE)
        )

    return measure


def _at_most(encoding: Encoding) -> Measure:
    # Nothing proves that a text in slices has at least as many tokens as the whole.
    def measure(text: str) -> int:
        if len(text) <= _SLICE:
            return len(encoding.encode_ordinary(text))
        return byte_bound(text)

    return measure


def _by_characters(model: str) -> Measure:
    newest = "claude" in model and not _CLAUDE_OLD.search(model)
    scale = _CLAUDE_NEW if newest else 1.0

    def measure(text: str) -> int:
        if text.isascii():
            return math.ceil(len(text) / (_ASCII * scale))
        plain = len(text.encode("ascii", "ignore"))
        others = len(text) - plain
        # Two bytes each, and one more for each that has three.
        wide = utf8_length(text) - plain - 2 * others
        tokens = plain / _ASCII + (others - wide) / _TWO_BYTES + wide / _THREE_BYTES
        return math.ceil(tokens / scale)

    return measure
