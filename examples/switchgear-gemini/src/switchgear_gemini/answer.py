"""Answers of ``generateContent``, whole and streamed: the same object, once or piece by piece."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from switchgear import (
    FinishReason,
    MalformedResponseError,
    Native,
    StreamEvent,
    Usage,
)
from switchgear.providers import (
    Call,
    Reply,
    ResponseMeta,
    SseDecoder,
    WireResponse,
    stream_error,
)

from .contents import AUTHOR

__all__ = ["GeminiDecoder", "decode"]

_FINISH: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "LANGUAGE": "error",
    "OTHER": "error",
}


class _FunctionCall(msgspec.Struct):
    name: str = ""
    id: str = ""
    args: dict[str, Any] | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: _FunctionCall | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Modality(msgspec.Struct, rename="camel"):
    modality: Any = ""
    token_count: Any = 0


class _Counts(msgspec.Struct, rename="camel"):
    """Any kind of value: a count that is none must not cost the answer it came with."""

    prompt_token_count: Any = None
    cached_content_token_count: Any = None
    candidates_token_count: Any = None
    thoughts_token_count: Any = None
    tool_use_prompt_token_count: Any = None
    prompt_tokens_details: list[_Modality] | None = None


class _Answer(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Counts | None = None
    model_version: str = ""
    response_id: str = ""
    error: Any = None


_READER = msgspec.json.Decoder(_Answer)


class GeminiDecoder(SseDecoder):
    """Reads a stream: each event is a whole object that holds the next pieces.

    The API marks no event as the last one. The answer is complete when the body ends in good order
    after an event that says why the answer ended.
    """

    def __init__(self, call: Call, warnings: tuple[str, ...], *, provider: str) -> None:
        super().__init__(provider=provider, model=call.model)
        self._warnings = warnings
        self._reason: str | None = None
        self._counts: _Counts | None = None
        self._id = ""
        self._answered_by = ""
        self._block = 0
        self._kind = ""
        self._calls = 0

    def end(self) -> Sequence[StreamEvent]:
        """The body is at its end."""
        self.finished = self._reason is not None
        return ()

    def snapshot(self, meta: ResponseMeta) -> Reply:
        """What has arrived so far."""
        finish = _FINISH.get(self._reason or "", "error")
        if finish == "stop" and self._calls:
            finish = "tool_calls"
        return Reply(
            parts=self.assembler.parts(),
            finish_reason=finish,
            native_finish_reason=self._reason,
            # Every piece counts what came so far: only the last one's count is that of the answer.
            usage=_usage(self._counts) if self._counts and self._reason else None,
            id=self._id,
            model=self._answered_by or self.model,
            meta=meta,
            warnings=self._warnings,
        )

    def read(self, payload: bytes, events: list[StreamEvent]) -> None:
        """Take in one object, and add the deltas that it holds.

        Raises:
            SwitchgearError: It says that the call failed, or is not what the API promises.
        """
        try:
            answer = _READER.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self.malformed(str(exc)) from exc
        if answer.error:
            raise stream_error(answer.error, provider=self.provider, model=self.model)
        self._id = answer.response_id or self._id
        self._answered_by = answer.model_version or self._answered_by
        self._counts = answer.usage_metadata or self._counts
        feedback = answer.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            self._reason = "PROHIBITED_CONTENT"
        for candidate in (answer.candidates or [])[:1]:
            for part in (candidate.content and candidate.content.parts) or []:
                self._part(part, events)
            self._reason = candidate.finish_reason or self._reason

    def _event(self, name: bytes, payload: bytes, events: list[StreamEvent]) -> None:
        del name
        self.read(payload, events)

    def _part(self, part: _Part, events: list[StreamEvent]) -> None:
        event: StreamEvent | None = None
        if part.function_call is not None:
            call = part.function_call
            key = self._begin("tool")
            self._calls += 1
            event = self.assembler.tool_call(
                key,
                id=call.id,
                name=call.name,
                arguments=json.dumps(call.args or {}, ensure_ascii=False, separators=(",", ":")),
            )
        elif part.text is not None:
            kind = "reasoning" if part.thought else "text"
            key = self._block if kind == self._kind else self._begin(kind)
            add = self.assembler.reasoning if part.thought else self.assembler.text
            event = add(key, part.text)
        if event is not None:
            events.append(event)
        if part.thought_signature and self._kind:
            native = Native(AUTHOR, {"thoughtSignature": part.thought_signature})
            self.assembler.set_native(self._kind, self._block, native)
            if self._kind != "tool":
                self._kind = ""  # what follows a signature is a part of its own

    def _begin(self, kind: str) -> int:
        self._kind = kind
        self._block += 1
        return self._block


def decode(
    response: WireResponse, call: Call, warnings: tuple[str, ...], *, provider: str
) -> Reply:
    """Read a whole answer.

    Raises:
        SwitchgearError: It says that the call failed, or is not what the API promises.
    """
    decoder = GeminiDecoder(call, warnings, provider=provider)
    decoder.read(response.body, [])
    decoder.end()
    if not decoder.finished:
        raise MalformedResponseError(
            f"{provider}: malformed answer: no candidate with a finishReason",
            provider=provider,
            model=call.model,
            request_id=response.meta.request_id,
        )
    return msgspec.structs.replace(decoder.snapshot(response.meta), body=response.body)


def _usage(counts: _Counts) -> Usage | None:
    """Google's counts; ``None`` where it did not count the prompt."""
    if type(counts.prompt_token_count) is not int:
        return None
    thoughts = _count(counts.thoughts_token_count)
    spoken = [
        _count(each.token_count)
        for each in counts.prompt_tokens_details or []
        if each.modality == "AUDIO"
    ]
    # What a tool of Google's put into the prompt is billed as prompt, thoughts as answer.
    return Usage(
        input_tokens=counts.prompt_token_count + _count(counts.tool_use_prompt_token_count),
        cache_read_tokens=_count(counts.cached_content_token_count),
        audio_input_tokens=sum(spoken),
        output_tokens=_count(counts.candidates_token_count) + thoughts,
        reasoning_tokens=thoughts,
    )


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
