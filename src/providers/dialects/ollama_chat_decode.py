"""An answer of ``/api/chat``: one JSON object, or one a line."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from ...completion import FinishReason, StreamEvent, Usage
from ...errors import MalformedResponseError, SwitchgearError
from ...messages import Message, Part, Reasoning, Text, ToolCall
from ..assemble import Assembler
from ..base import Call, Reply, ResponseMeta
from ..faults import stream_error
from ..sse import LineParser
from ..wire import WireResponse
from . import Encoded
from .counts import Count, count

__all__ = ["ChatDecoder", "decode"]

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    # The model was loaded, or unloaded, and nothing was asked of it.
    "load": "stop",
    "unload": "stop",
}
_CHARACTERS_A_TOKEN = 4


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw(b"")


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct):
    model: str | None = None
    created_at: str | None = None
    message: _Said | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: Count = None
    eval_count: Count = None
    error: Any = None


_DECODER = msgspec.json.Decoder(_Line)


def decode(response: WireResponse, call: Call, encoded: Encoded, *, provider: str) -> Reply:
    """Read a whole answer.

    Raises:
        MalformedResponseError: It is not what the API promises.
        SwitchgearError: It is an error in spite of its status.
    """
    line = _read(response.body, provider, call.model, "answer")
    if line.error:
        raise stream_error(
            {"error": line.error}, provider=provider, model=call.model, where="the answer"
        )
    if line.message is None:
        raise _malformed("answer: message: missing", provider, call.model)
    if not line.done:
        raise _malformed("answer: done: not true", provider, call.model)
    said = line.message
    parts: list[Part] = []
    if said.thinking:
        parts.append(Reasoning(said.thinking))
    if said.content:
        parts.append(Text(said.content))
    calls = [
        ToolCall(*_call(item, index, line, provider, call.model))
        for index, item in enumerate(said.tool_calls or ())
    ]
    return Reply(
        parts=(*parts, *calls),
        finish_reason=_finish_reason(line.done_reason, calls=bool(calls)),
        native_finish_reason=line.done_reason,
        usage=_usage(line, call),
        model=line.model or call.model,
        meta=response.meta,
        warnings=encoded.warnings,
        body=response.body,
    )


class ChatDecoder:
    """Reads a stream of JSON lines (a ``Decoder``). The line with ``done: true`` ends it.

    Args:
        call: The request, for its model and, where the server did not count, its prompt.
        encoded: What was sent.
        provider: The provider's name in the configuration.
    """

    def __init__(self, call: Call, encoded: Encoded, *, provider: str) -> None:
        self.finished = False
        self.error: SwitchgearError | None = None
        self._call = call
        self._warnings = encoded.warnings
        self._provider = provider
        self._lines = LineParser()
        self._assembler = Assembler()
        self._last: _Line | None = None
        self._model = call.model

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        """The events that these bytes complete."""
        try:
            return self._take(self._lines.feed(data))
        except SwitchgearError as exc:
            self.error = exc
            return ()

    def end(self) -> Sequence[StreamEvent]:
        """What came without an end of line before the end of the body, if it is a whole line.

        Half an object is a cut, which the stream says itself: only a whole one is given.
        """
        rest = self._lines.rest()
        if self.finished or not _whole(rest):
            return ()
        return self._take([rest])

    def snapshot(self, meta: ResponseMeta) -> Reply:
        """What has arrived so far."""
        last = self._last
        native = last.done_reason if last is not None else None
        return Reply(
            parts=self._assembler.parts(),
            finish_reason=_finish_reason(native, calls=self._assembler.calls > 0),
            native_finish_reason=native,
            usage=_usage(last, self._call) if last is not None else None,
            model=self._model,
            meta=meta,
            warnings=self._warnings,
        )

    def _take(self, lines: Sequence[bytes]) -> Sequence[StreamEvent]:
        events: list[StreamEvent] = []
        try:
            for line in lines:
                if self.finished:
                    break
                if line and not line.isspace():
                    self._line(line, events)
        except SwitchgearError as exc:
            self.error = exc
        return events

    def _line(self, data: bytes, events: list[StreamEvent]) -> None:
        line = _read(data, self._provider, self._call.model, "stream")
        if line.error:
            raise stream_error(
                {"error": line.error}, provider=self._provider, model=self._call.model
            )
        self._model = line.model or self._model
        if line.message is not None:
            self._said(line.message, line, events)
        elif not line.done:
            raise _malformed("stream: message: missing", self._provider, self._call.model)
        if line.done:
            self._last = line
            self.finished = True

    def _said(self, said: _Said, line: _Line, events: list[StreamEvent]) -> None:
        assembler = self._assembler
        if said.thinking:
            _add(events, assembler.reasoning(0, said.thinking))
        if said.content:
            _add(events, assembler.text(0, said.content))
        for item in said.tool_calls or ():
            index = assembler.calls
            call_id, name, arguments = _call(item, index, line, self._provider, self._call.model)
            _add(events, assembler.tool_call(index, id=call_id, name=name, arguments=arguments))


def _add(events: list[StreamEvent], event: StreamEvent | None) -> None:
    if event is not None:
        events.append(event)


def _read(data: bytes, provider: str, model: str, where: str) -> _Line:
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _malformed(f"{where}: {exc}", provider, model) from exc


def _whole(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _call(item: _Call, index: int, line: _Line, provider: str, model: str) -> tuple[str, str, str]:
    """Id, name and arguments (JSON text) of a tool call."""
    name = item.function.name
    if not name:
        raise _malformed("message.tool_calls: a call without a name", provider, model)
    arguments = bytes(item.function.arguments)
    if arguments[:1] == b'"':
        # Some servers that speak this API write the object as a string, as OpenAI does.
        text = msgspec.json.decode(arguments, type=str)
    else:
        text = arguments.decode() if arguments not in {b"", b"null"} else "{}"
    return item.id or _made_id(index, line, name, text), name, text or "{}"


def _made_id(index: int, line: _Line, name: str, arguments: str) -> str:
    """An id for a call that came without one.

    Made of the call and its moment: another in every turn of a conversation, since histories are
    looked up by it, and the same however the stream was cut.
    """
    seed = f"{line.created_at}\n{index}\n{name}\n{arguments}".encode()
    return f"call_{hashlib.blake2b(seed, digest_size=9).hexdigest()}"


def _finish_reason(native: str | None, *, calls: bool) -> FinishReason:
    reason = _FINISH.get(native or "stop", "stop")
    # Ollama says "stop" beside tool calls as well.
    return "tool_calls" if calls and reason == "stop" else reason


def _usage(line: _Line, call: Call) -> Usage | None:
    """The counts; a prompt that was cached whole is left out by some servers, so it is estimated.

    The answer's count is exact even then; ``estimated`` holds for the whole.
    """
    asked, answer = count(line.prompt_eval_count), count(line.eval_count)
    if answer is None:
        if asked is None or line.eval_count is not None:
            return None
        answer = 0
    if asked is not None:
        return Usage(input_tokens=asked, output_tokens=answer)
    prompt = sum(map(_characters, call.request.messages))
    tokens = max(1, -(-prompt // _CHARACTERS_A_TOKEN))
    return Usage(input_tokens=tokens, output_tokens=answer, estimated=True)


def _characters(message: Message) -> int:
    return len(message.text) + sum(len(call.arguments) for call in message.tool_calls)


def _malformed(what: str, provider: str, model: str) -> MalformedResponseError:
    message = f"{provider}: malformed {what}"
    return MalformedResponseError(message, provider=provider, model=model)
