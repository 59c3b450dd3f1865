"""Deliberately broken adapters: what they are, and what they say and hear."""

from __future__ import annotations

import json
import threading
from typing import Any

import msgspec

from switchgear.completion import StreamEvent
from switchgear.errors import (
    MalformedResponseError,
)
from switchgear.messages import (
    Message,
    Native,
    NativeBlock,
    Part,
    Reasoning,
    Text,
    ToolCall,
)
from switchgear.providers.base import (
    Call,
    Capabilities,
    Provider,
    ProviderSettings,
    Reply,
    ResponseMeta,
)
from tests.testing.conformance.sabotage import AnthropicAdapter, calls, fails, texts
from tests.testing.conformance.wrapped import Wrapped, WrappedStream, with_request, without

# ── What it is and how it is made ───────────────────────────────────────────────────────────────


@fails("protocol")
class KnowsItsOwnName(Wrapped):
    @property
    def name(self) -> str:
        return "the one and only"


@fails("protocol")
class AnswersWithoutAwait(Wrapped):
    def complete(self, call: Call) -> Any:
        return super().complete(call)


@fails("protocol")
class ForgetsTheModels(Wrapped):
    def capabilities(self, model: str) -> Capabilities:
        if model != "some-model":
            raise KeyError(model)
        return super().capabilities(model)


@fails("made_without_io")
class ImportsItsSdk(Wrapped):
    def make(self, settings: ProviderSettings) -> Provider:
        import openai  # noqa: F401

        return super().make(settings)


@fails("made_without_io")
class StartsAThread(Wrapped):
    def make(self, settings: ProviderSettings) -> Provider:
        self.going = threading.Event()
        threading.Thread(target=self.going.wait, args=(0.5,), name="warming up").start()
        return super().make(settings)


@fails("made_without_io")
class LooksUpItsHost(Wrapped):
    def capabilities(self, model: str) -> Capabilities:
        import socket

        socket.getaddrinfo("127.0.0.1", 80)
        return super().capabilities(model)


# ── Text there and back ─────────────────────────────────────────────────────────────────────────


@fails("text_round_trip")
class SpeaksLatin(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        return texts(reply, lambda text: text.encode("latin-1", "replace").decode("latin-1"))


@fails("text_round_trip")
class WarnsOfNothing(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        return msgspec.structs.replace(reply, warnings=("temperature: left out",))


@fails("conversation_arrives")
class LosesTheSystemPrompt(Wrapped):
    def asked(self, call: Call) -> Call:
        turns = tuple(each for each in call.request.messages if each.role != "system")
        return with_request(call, messages=turns)


@fails("conversation_arrives")
class AsksAnotherModel(Wrapped):
    def asked(self, call: Call) -> Call:
        return msgspec.structs.replace(call, model="the-cheap-one")


@fails("unknown_words")
class FearsNews(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        if reply.native_finish_reason not in {None, "stop", "length"}:
            raise MalformedResponseError(f"unknown finish {reply.native_finish_reason}")
        return reply


@fails("unknown_words")
class PassesNewsOn(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        native: Any = reply.native_finish_reason or "stop"
        return msgspec.structs.replace(reply, finish_reason=native)


@fails("headers_come_back")
class LosesTheHeaders(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        return msgspec.structs.replace(reply, meta=ResponseMeta())


class _HeadersAtTheEnd(WrappedStream):
    @property
    def meta(self) -> ResponseMeta:
        return self.inner.meta if self.inner.finished else ResponseMeta()


@fails("headers_come_back")
class KnowsTheHeadersTooLate(Wrapped):
    stream_class = _HeadersAtTheEnd


# ── Tools ───────────────────────────────────────────────────────────────────────────────────────


@fails("tool_round_trip")
class StopsAtTools(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        return msgspec.structs.replace(reply, finish_reason="stop")


@fails("tool_round_trip")
class CountsInFloats(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        def rounded(call: ToolCall) -> ToolCall:
            arguments = json.dumps(json.loads(call.arguments, parse_int=float))
            return msgspec.structs.replace(call, arguments=arguments)

        return calls(reply, rounded)


@fails("tool_round_trip")
class LosesTheResult(Wrapped):
    def asked(self, call: Call) -> Call:
        def emptied(message: Message) -> Message:
            tool = message.role == "tool"
            return msgspec.structs.replace(message, content="") if tool else message

        return with_request(call, messages=tuple(map(emptied, call.request.messages)))


@fails("several_tool_calls")
class HasOneId(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        return calls(reply, lambda call: msgspec.structs.replace(call, id="call_0"))


@fails("several_tool_calls")
class KeepsTheLastCall(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        made = [part for part in reply.parts if isinstance(part, ToolCall)]
        parts = tuple(p for p in reply.parts if not isinstance(p, ToolCall) or p is made[-1])
        return msgspec.structs.replace(reply, parts=parts)


class _OneIndex(WrappedStream):
    async def __anext__(self) -> StreamEvent:
        event = await super().__anext__()
        if event.tool_call is None:
            return event
        return StreamEvent(tool_call=msgspec.structs.replace(event.tool_call, index=0))


@fails("several_tool_calls")
class NumbersAllCallsAlike(Wrapped):
    stream_class = _OneIndex


@fails("empty_arguments")
class LeavesArgumentsOut(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        def emptied(call: ToolCall) -> ToolCall:
            bare = call.arguments.strip() in {"", "{}"}
            return msgspec.structs.replace(call, arguments="") if bare else call

        return calls(reply, emptied)


@fails("tool_choice")
class ChoosesFreely(Wrapped):
    def asked(self, call: Call) -> Call:
        return with_request(call, tool_choice=None)


@fails("parallel_tool_calls")
class WorksInParallel(Wrapped):
    def asked(self, call: Call) -> Call:
        return with_request(call, parallel_tool_calls=None)


# ── Histories ───────────────────────────────────────────────────────────────────────────────────


@fails("foreign_histories")
class ForgetsInSilence(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        return msgspec.structs.replace(reply, warnings=())


@fails("foreign_histories")
class ShowsEverythingToEverybody(Wrapped):
    def asked(self, call: Call) -> Call:
        def shown(part: Part) -> Part:
            native: Native | None = getattr(part, "native", None)
            seen = isinstance(part, Reasoning | NativeBlock) and native is not None
            return Text(json.dumps(native.data)) if seen and native is not None else part

        turns = tuple(
            msgspec.structs.replace(each, content=tuple(map(shown, each.parts)))
            if each.role == "assistant"
            else each
            for each in call.request.messages
        )
        return with_request(call, messages=turns)


@fails("own_history")
class SaysNothingBesideCalls(Wrapped):
    def asked(self, call: Call) -> Call:
        turns = tuple(
            msgspec.structs.replace(each, content=each.tool_calls) if each.tool_calls else each
            for each in call.request.messages
        )
        return with_request(call, messages=turns)


@fails("own_history")
class LosesItsSignatures(AnthropicAdapter):
    def asked(self, call: Call) -> Call:
        return without(call, Reasoning)


@fails("odd_tool_ids", "tool_results")
class SortsTheResults(Wrapped):
    def asked(self, call: Call) -> Call:
        turns = list(call.request.messages)
        places = [place for place, each in enumerate(turns) if each.role == "tool"]
        for place, turn in zip(places, [turns[place] for place in reversed(places)], strict=True):
            turns[place] = msgspec.structs.replace(
                turn, tool_call_id=turns[place].tool_call_id, is_error=False
            )
        return with_request(call, messages=tuple(turns))


@fails("tool_results")
class CallsFailureSuccess(Wrapped):
    def asked(self, call: Call) -> Call:
        turns = (msgspec.structs.replace(each, is_error=False) for each in call.request.messages)
        return with_request(call, messages=tuple(turns))
