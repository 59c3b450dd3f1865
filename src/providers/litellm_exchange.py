"""What a call of LiteLLM's looks like on the wire, since LiteLLM itself does not tell it all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from ..errors import MalformedResponseError
from .base import ResponseMeta
from .closing import to_the_end
from .headers import request_id
from .sse import LineParser, SseParser

__all__ = ["Exchange"]

_ENDS = frozenset({"message_stop", "response.completed", "response.incomplete", "response.failed"})
_DONE = b"[DONE]"
_LONGEST_KEPT = 1024 * 1024


class _Event(msgspec.Struct):
    """What tells of an event whether it is the last, or an error, or why the answer ended."""

    type: Any = None
    done: Any = None
    error: Any = None
    delta: msgspec.Raw = msgspec.Raw(b"null")
    response: msgspec.Raw = msgspec.Raw(b"null")


class _Answer(msgspec.Struct):
    """Who answers, in an event or in the answer that it holds."""

    id: Any = None
    model: Any = None
    message: msgspec.Raw = msgspec.Raw(b"null")
    response: msgspec.Raw = msgspec.Raw(b"null")


class _Ended(msgspec.Struct):
    """The part of an event, or the whole of an answer, that says how it ended."""

    stop_reason: str | None = None
    error: Any = None


_read_event = msgspec.json.Decoder(_Event).decode
_read_answer = msgspec.json.Decoder(_Answer | None).decode
_read_end = msgspec.json.Decoder(_Ended | None).decode


class _Lines:
    """A body of JSON lines, cut as server-sent events are."""

    __slots__ = ("_parser",)

    def __init__(self) -> None:
        self._parser = LineParser()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        return [(b"", line) for line in self._parser.feed(data) if line.strip()]


class Exchange:
    """What went over the wire for one call, of several requests the last.

    Attributes:
        begun: A request was handed to the HTTP client.
        abandoned: Nobody waits for the answer any more: a request that has not begun must not.
        status: Of the answer; ``None`` where none came.
        meta: Its headers.
        body: The body of an answer that is an error, or that came in one piece and is not long.
        id: The vendor's id of the answer; empty where it gave none.
        model: The model that answered, in the vendor's word.
        stop_reason: Why Claude stopped, in its own word, which LiteLLM does not hand on.
        failure: What the transport raised.
        damaged: What of a stream can't be read.
    """

    def __init__(self) -> None:
        self.begun = False
        self.abandoned = False
        self.status: int | None = None
        self.meta = ResponseMeta()
        self.body = b""
        self.failure: Exception | None = None
        self.damaged: str | None = None
        self.id = ""
        self.model = ""
        self.stop_reason: str | None = None
        self.error: bytes | None = None  # what of a stream or an answer is an error
        self._response: Any = None
        self._body: AsyncIterator[bytes] | None = None
        self._parser: SseParser | _Lines | None = None
        self._typed = False
        self._ended = False

    @property
    def finished(self) -> bool | None:
        """The vendor said that the stream is complete; ``None`` where its format can't say so."""
        if self.failure is not None or self.damaged is not None:
            return False
        if self._ended:
            return True
        return False if self._typed else None

    @property
    def streamed(self) -> bool:
        """The answer comes as events."""
        return self._parser is not None

    def begin(self, response: Any) -> None:
        """An answer's headers have come."""
        self.body, self.error, self._parser = b"", None, None
        self._typed = self._ended = False
        self.status = response.status_code
        headers = dict(response.headers.items())
        self.meta = ResponseMeta(request_id(headers), headers)
        self._response = response
        kind = headers.get("content-type", "")
        if "event-stream" in kind:
            self._parser = SseParser()
        elif "ndjson" in kind:
            self._parser = _Lines()

    def follow(self, body: AsyncIterator[bytes]) -> None:
        """The answer's body, on its way to LiteLLM."""
        self._body = body if self._parser is not None else None

    def saw(self, data: bytes) -> None:
        """A piece of a body has come."""
        if self._parser is None:
            if len(self.body) <= _LONGEST_KEPT:
                self.body += data
            return
        if self.damaged is not None:
            return
        try:
            for name, payload in self._parser.feed(data):
                self._event(name, payload.strip())
        except MalformedResponseError as exc:
            self.damaged = str(exc)

    def look(self) -> None:
        """Look into an answer that came in one piece."""
        if self._parser is None and self.status is not None and self.status < 300:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                self._note(_read_end(self.body), self.body)
            self._meet(self.body)

    async def read_on(self) -> None:
        """Read up to the vendor's last event, or the end. What fails is noted, not raised."""
        while self._body is not None and not (self._ended or self.failure or self.damaged):
            try:
                await anext(self._body)
            except StopAsyncIteration:
                self._body = None
            except Exception:  # noqa: BLE001 - that of the transport is in `failure`
                self._body = None

    async def aclose(self) -> None:
        """Let go of the connection, whatever LiteLLM did with it. Safe to call twice."""
        self.abandoned = True
        response, self._response = self._response, None
        if response is not None and not response.is_closed:
            await to_the_end(response.aclose())

    def _event(self, name: bytes, payload: bytes) -> None:
        if payload == _DONE:
            self._ended = True
            return
        if not payload:
            return
        try:
            event = _read_event(payload)
        except msgspec.ValidationError:
            return  # not an object: some vendor's own framing
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            self.damaged = str(exc)
            return
        if event.error or event.type == "error" or name == b"error":
            self.error = payload
        elif event.type == "message_delta":
            self._note(_read_end(event.delta), event.delta)
        elif event.type == "response.failed":
            self._note(_read_end(event.response), event.response)
        if not self.model:
            self._meet(payload)
        # Anthropic's and Responses' events have a type, Ollama's lines say whether they are done.
        self._typed = self._typed or isinstance(event.type, str) or isinstance(event.done, bool)
        self._ended = self._ended or event.done is True or event.type in _ENDS

    def _note(self, end: _Ended | None, text: bytes | msgspec.Raw) -> None:
        if end is not None:
            self.stop_reason = end.stop_reason or self.stop_reason
            if end.error:
                self.error = bytes(text)

    def _meet(self, text: bytes | msgspec.Raw) -> None:
        """Look for who answers."""
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            found = _read_answer(text)
            if found is None:
                return
            if isinstance(found.model, str) and found.model:
                self.model = found.model
                self.id = found.id if isinstance(found.id, str) else ""
                return
            for inner in (found.message, found.response):
                self._meet(inner)
