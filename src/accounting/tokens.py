"""How many tokens a prompt has: exactly where a tokenizer is at hand, else about, else at most.

Three questions, three answers: :meth:`TokenCounter.estimate` at once, :meth:`TokenCounter.count`
after loading the tokenizer where there is one, and :meth:`TokenCounter.upper_bound` for budgets,
which must never be too low.
"""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeAlias

from ..completion import TokenCount
from .encodings import (
    EncodingUnavailableError,
    encoding_name,
    is_certain,
    is_documented,
    load_encoding,
)
from .prompts import Bound, Estimate, Measure, is_plain, tokens_of, utf8_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiktoken import Encoding

    from ..request import ChatRequest

__all__ = ["Loader", "TokenCounter"]

Loader: TypeAlias = "Callable[[str], Encoding]"
"""Builds an encoding by its name; may take a second."""

# Above this many characters a tokenizer holds the event loop for more than some milliseconds.
_INLINE_CHARS: Final = 20_000

# Characters for one token, measured with o200k: ASCII on English prose, program text and TOML (4.1,
# 4.4, 3.5); letters of two bytes of UTF-8 on Russian and Arabic (3.3, 3.2), of three on Chinese and
# Japanese (1.1, 1.2). Anthropic says of its tokenizer since Opus 4.7 that it makes about a third
# more than the one before.
_ASCII: Final = 4.0
_TWO_BYTES: Final = 3.2
_THREE_BYTES: Final = 1.1
_CLAUDE: Final = 3.5 / _ASCII
_CLAUDE_NEW: Final = 2.7 / _ASCII
_CLAUDE_OLD: Final = re.compile(r"claude-(?:[123]|opus-4(?:-[0156]\b|-2|$)|sonnet-4|haiku-4)")


class TokenCounter:
    """Counts tokens. Owned by one router; keeps the tokenizers that it has loaded.

    A tokenizer is loaded at most once, in a thread of its own, when :meth:`count` or :meth:`load`
    first needs it. Nothing is ever downloaded.
    """

    __slots__ = ("_loaded", "_loader", "_loading", "_lock")

    def __init__(self, loader: Loader = load_encoding) -> None:
        self._loader = loader
        self._loaded: dict[str, Encoding] = {}
        self._loading: dict[str, Future[Encoding | None]] = {}
        self._lock = threading.Lock()

    def estimate(self, request: ChatRequest, model: str) -> TokenCount:
        """The prompt's tokens, with what is at hand now: never waits, never loads.

        ``exact`` only where the model's own tokenizer is loaded and the request is plain text, the
        one form whose overheads are published.
        """
        encoding = self._encoding(model)
        if encoding is None:
            tokens = tokens_of(request, Estimate(model, _by_characters(model)))
            return TokenCount(tokens or 0, exact=False, method="characters")
        tokens = tokens_of(request, Estimate(model, _by(encoding)))
        exact = is_documented(model) and is_plain(request)
        return TokenCount(tokens or 0, exact=exact, method=f"tiktoken:{encoding.name}")

    def estimate_text(self, text: str, model: str) -> int:
        """The tokens of an answer's text, with what is at hand now: never waits, never loads."""
        encoding = self._encoding(model)
        if encoding is None or len(text) > _INLINE_CHARS:
            return _by_characters(model)(text)
        return _by(encoding)(text)

    async def count(self, request: ChatRequest, model: str) -> TokenCount:
        """The prompt's tokens, by the model's tokenizer where there is one.

        The first call for an OpenAI model waits for its tokenizer. Cancelling a call leaves the
        loading to the others.
        """
        await self.load(model)
        if _characters(request) > _INLINE_CHARS and self._encoding(model) is not None:
            return await asyncio.to_thread(self.estimate, request, model)
        return self.estimate(request, model)

    def upper_bound(
        self, request: ChatRequest, model: str, *, context_window: int | None = None
    ) -> int | None:
        """The most tokens that the prompt can be: never less than the vendor will count.

        Text counts by the model's own tokenizer where that is loaded and known to be its own,
        and by bytes of UTF-8 elsewhere, since no token is shorter than one. What is not text counts
        at its documented maximum.

        Args:
            request: The request.
            model: The model as the provider calls it.
            context_window: The model's window, where known: no prompt is longer than it.

        Returns:
            ``None`` where nothing bounds it: a vendor's own tool that reads the web, or a document
            whose text can't be seen from here, with no context window known. A vendor's own tool
            has no bound even so, since its results are billed again in every round.
        """
        if any(tool.native is not None for tool in request.tools):
            return None
        encoding = self._encoding(model) if is_certain(model) else None
        text: Measure = _by(encoding) if encoding is not None else utf8_length
        bound = tokens_of(request, Bound(model, text))
        if bound is None or context_window is None:
            return context_window if bound is None else bound
        return min(bound, context_window)

    async def count_texts(self, texts: Sequence[str], model: str) -> TokenCount:
        """The tokens of texts to embed: no overheads, each text by itself."""
        await self.load(model)
        encoding = self._encoding(model)
        if encoding is None:
            by_characters = _by_characters(model)
            return TokenCount(sum(map(by_characters, texts)), exact=False, method="characters")
        measure = _by(encoding)
        if sum(map(len, texts)) > _INLINE_CHARS:
            tokens = await asyncio.to_thread(lambda: sum(map(measure, texts)))
        else:
            tokens = sum(map(measure, texts))
        return TokenCount(tokens, exact=is_certain(model), method=f"tiktoken:{encoding.name}")

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


def _by(encoding: Encoding) -> Measure:
    return lambda text: len(encoding.encode_ordinary(text))


def _by_characters(model: str) -> Measure:
    scale = 1.0
    if "claude" in model:
        scale = _CLAUDE if _CLAUDE_OLD.search(model) else _CLAUDE_NEW

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


def _characters(request: ChatRequest) -> int:
    return sum(len(message.text) for message in request.messages)
