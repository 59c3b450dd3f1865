"""The vendors' side: seeded answers and faults, in real bytes.

The bodies are those of ``switchgear.testing``; here they are only drawn, cut and delayed.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import random
from typing import Any

import msgspec

from switchgear.testing.answers import Answer, TokenUsage, ToolCall
from switchgear.testing.anthropic.wire import AnthropicWire
from switchgear.testing.faults import ErrorReply, Fault
from switchgear.testing.openai.wire import CompatibleWire
from switchgear.testing.records import RecordedRequest
from switchgear.testing.rendering import Reply
from switchgear.testing.wire import Settings, Wire

from .records import Exchange
from .scenario import WEATHERS, ProviderPlan

__all__ = ["EPOCH", "Script", "Vendor"]

EPOCH = 1_790_000_000.0
"""What the wall clock says when the loop's time is 0."""

_FAULTS: dict[str, tuple[ErrorReply, str]] = {
    "rate_limit": (Fault.rate_limit(), "RateLimitError"),
    "server_error": (Fault.server_error(), "ServerError"),
    "overloaded": (Fault.overloaded(), "OverloadedError"),
    "unavailable": (Fault.unavailable(), "OverloadedError"),
    "bad_gateway": (Fault.bad_gateway(), "ServerError"),
    "gateway_timeout": (Fault.gateway_timeout(), "ProviderTimeoutError"),
    "request_timeout": (Fault.request_timeout(), "ProviderTimeoutError"),
    "authentication": (Fault.authentication(), "AuthenticationError"),
    "permission": (Fault.permission(), "PermissionDeniedError"),
    "model_not_found": (Fault.model_not_found(), "ModelNotFoundError"),
    "credit_balance": (Fault.credit_balance(), "QuotaExceededError"),
    "insufficient_quota": (Fault.insufficient_quota(), "QuotaExceededError"),
    "invalid_request": (Fault.invalid_request(), "InvalidRequestError"),
    "context_length": (Fault.context_length(), "ContextWindowExceededError"),
    "content_filter": (Fault.content_filter(), "ContentFilterError"),
    "too_large": (Fault.too_large(), "ContextWindowExceededError"),
    "conflict": (Fault.conflict(), "ProviderError"),
}
_INSIDE = ("overloaded", "server_error", "rate_limit")
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_BROKEN = {
    "anthropic": b'event: content_block_delta\ndata: {"type":"content_block_d\n\n',
    "compatible": b'data: {"id":"chatcmpl-1","cho\n\n',
}
_CONNECTION = frozenset({"ProviderConnectionError"})
_TIMEOUT = frozenset({"ProviderTimeoutError"})
_MALFORMED = frozenset({"MalformedResponseError"})


class Script(msgspec.Struct, kw_only=True, eq=False):
    """What one request meets.

    Attributes:
        latency: Seconds before anything.
        transport: The connection fails so, in the words of httpx's exceptions.
        status: Of the answer.
        pieces: The body, each piece with the seconds before it.
        ending: After the last piece: ``end``, ``reset`` or ``hang``.
    """

    latency: float
    exchange: Exchange
    transport: str | None = None
    status: int = 200
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    pieces: list[tuple[float, bytes]] = msgspec.field(default_factory=list)
    ending: str = "end"


class Vendor:
    """One vendor of the world.

    Args:
        plan: Its kind and its weather.
        seed: The scenario's.
    """

    def __init__(self, plan: ProviderPlan, seed: int) -> None:
        self.plan = plan
        self.draw = random.Random(f"vendor {seed} {plan.name}")
        self._wire: Wire = (AnthropicWire if plan.kind == "anthropic" else CompatibleWire)(
            plan.name, Settings()
        )
        self._requests = 0

    def behaviour(self, at: float) -> str:
        """What the next request meets, by the weather at a moment (seconds from the start)."""
        chances = WEATHERS[self.plan.weather(at)]
        return self.draw.choices(list(chances), list(chances.values()))[0]

    def answer(self, number: int, *, tools: bool, schema: bool) -> Answer:
        """A whole answer, unlike any other."""
        draw, name = self.draw, f"{self.plan.name}:{number}:{self._requests}"
        words = draw.choice((1, 3, 8))
        text = " ".join(
            f"{name}-{i}{draw.choice(('', '', 'é', '漢字', '🙂'))}" for i in range(words)
        )
        calls: tuple[ToolCall, ...] = ()
        if schema:
            text = msgspec.json.encode({"answer": text}).decode()
        elif tools and draw.random() < 0.7:
            calls = tuple(
                ToolCall(name="lookup", arguments={"query": f"{text} {i}"}, id=f"call{number}x{i}")
                for i in range(draw.randint(1, 2))
            )
            text = draw.choice((text, ""))
        return Answer(
            text=text or None,
            tool_calls=calls,
            usage=TokenUsage(
                input_tokens=draw.randint(5, 500),
                output_tokens=draw.randint(1, 50),
                reasoning_tokens=0,
            ),
            id=f"msg-{name}",
            model=f"answered-by-{self.plan.name}",
            pings=draw.random() < 0.5,
        )

    def script(self, path: str, body: dict[str, Any], number: int, at: float) -> Script:
        """What a request meets.

        Args:
            path: Where it was sent.
            body: Its JSON.
            number: The call that it belongs to.
            at: Seconds from the start.
        """
        self._requests += 1
        draw, behaviour = self.draw, self.behaviour(at)
        request_id = f"req-{self.plan.name}-{self._requests}"
        call = _recorded(path, body, request_id)
        self._wire.route(call)
        call.request_id = request_id
        exchange = Exchange(
            number=number,
            provider=self.plan.name,
            model=str(body["model"]),
            behaviour=behaviour,
            request_id=request_id,
            streamed=call.stream,
        )
        script = Script(latency=draw.uniform(0.5, 1.5) * self.plan.latency, exchange=exchange)
        if behaviour in _FAULTS:
            self._refuse(script, call, behaviour, at)
        elif behaviour in {"refused", "blackhole", "reset", "hang"}:
            _disconnect(script, behaviour)
        else:
            self._answer(script, call, number, at)
        return script

    def _refuse(self, script: Script, call: RecordedRequest, behaviour: str, at: float) -> None:
        fault, error = _FAULTS[behaviour]
        reply = self._wire.error(call, fault)
        script.status = reply.status
        script.headers = {"request-id": call.request_id, "content-type": "application/json"}
        body = _HTML if behaviour == "bad_gateway" else b"".join(f.data for f in reply.frames)
        script.pieces = [(0.0, body)]
        exchange = script.exchange
        exchange.errors, exchange.status = frozenset({error}), reply.status
        if behaviour == "rate_limit" or (behaviour == "overloaded" and self.draw.random() < 0.3):
            self._name_time(script, at + script.latency)

    def _name_time(self, script: Script, at: float) -> None:
        draw, headers = self.draw, script.headers
        wait = draw.choice((0.3, 2.0, 7.0, 30.0, 600.0))
        form = draw.choice(("none", "seconds", "seconds", "ms", "date", "past", "nonsense"))
        said: float | None = wait
        match form:
            case "seconds":
                headers["retry-after"] = f"{wait:g}"
            case "ms":
                headers["retry-after-ms"] = str(int(wait * 1000))
            case "date":
                moment = int(EPOCH + at + wait) + 1
                headers["retry-after"] = email.utils.formatdate(moment, usegmt=True)
                script.exchange.retry_at = moment - EPOCH
                said = None
            case "past":
                headers["retry-after"] = email.utils.formatdate(EPOCH - 1000, usegmt=True)
                said = 0.0
            case "nonsense":
                headers["retry-after"] = draw.choice(("soon", "-5", "1e12", "nan"))
                said = None
            case _:
                said = None
        if said is None and script.exchange.retry_at is None:
            said = self._hint(script)
        script.exchange.retry_after = said

    def _hint(self, script: Script) -> float | None:
        """Where no header counts, OpenAI's words do: "Please try again in 120ms"."""
        said = b"try again in 120ms" in script.pieces[0][1]
        return 0.12 if said else None

    def _answer(self, script: Script, call: RecordedRequest, number: int, at: float) -> None:
        draw, exchange = self.draw, script.exchange
        behaviour = exchange.behaviour
        ask = self._wire.ask(call)
        forced = ask.forced_tool
        schema = ask.schema is not None or (forced is not None and forced != "lookup")
        answer = self.answer(number, tools=bool(ask.tools), schema=schema)
        said = answer
        if forced is not None and schema:
            # The schema came as a tool that must be used: its arguments are the answer.
            arguments = msgspec.json.decode(answer.text or "{}")
            tool = ToolCall(name=forced, arguments=arguments, id="answer-1")
            answer = msgspec.structs.replace(answer, text=None, tool_calls=(tool,))
        script.headers = self._headers(call.request_id, at)
        if behaviour == "refusal":
            said = msgspec.structs.replace(said, stop_reason="content_filter")
            answer = msgspec.structs.replace(answer, stop_reason="content_filter")
        elif behaviour == "lie":
            script.headers["retry-after"] = "3600"
            extra = {"surprise": {"new": ["field"]}}
            answer = msgspec.structs.replace(answer, send_usage=False, extra=extra)
            if self.plan.kind == "compatible":
                said = msgspec.structs.replace(said, usage=None)
        if call.endpoint == "embeddings":
            inputs = call.body["input"]
            vectors = tuple((number / 8, i / 4, self._requests / 2) for i in range(len(inputs)))
            said = answer = msgspec.structs.replace(answer, embeddings=vectors, extra={})
        if behaviour == "slow":
            script.latency = draw.uniform(2, 40)
        exchange.said = said
        reply = self._wire.render(call, answer)
        if reply.stream:
            self._stream(script, call, reply)
        else:
            self._whole(script, b"".join(frame.data for frame in reply.frames))

    def _whole(self, script: Script, body: bytes) -> None:
        exchange = script.exchange
        script.headers["content-type"] = "application/json"
        match exchange.behaviour:
            case "malformed" | "broken_event":
                body, exchange.errors = body[: len(body) // 2], _MALFORMED
            case "html":
                body, exchange.errors = _HTML, _MALFORMED
            case "empty":
                body, exchange.errors = b"", _MALFORMED
            case "cut" | "tear" | "stream_error":
                script.ending, exchange.errors = "reset", _CONNECTION
                body = body[: len(body) // 2]
            case "stall":
                script.ending, exchange.errors = "hang", _TIMEOUT
                body = body[: len(body) // 2]
            case "drip":
                script.latency = self.draw.uniform(1, 6)
        script.pieces = [(0.0, body)]
        exchange.complete_from = len(body)

    def _stream(self, script: Script, call: RecordedRequest, reply: Reply) -> None:
        draw, exchange = self.draw, script.exchange
        script.headers["content-type"] = "text/event-stream"
        frames = [frame.data for frame in reply.frames]
        last = self._last_needed(frames)
        exchange.complete_from = sum(map(len, frames[: last + 1]))
        behaviour = exchange.behaviour
        if behaviour in {"stream_error", "broken_event"}:
            place = draw.randint(0, last)
            if behaviour == "broken_event":
                frames.insert(place, _BROKEN[self.plan.kind])
                exchange.errors = _MALFORMED
            else:
                reason = draw.choice(_INSIDE)
                fault, error = _FAULTS[reason]
                if reason == "overloaded" and self.plan.kind == "compatible":
                    error = "ServerError"  # its word for both is server_error
                frames[place:] = [self._wire.stream_error(call, fault, place).data]
                exchange.errors = frozenset({error})
            exchange.complete_from = sum(map(len, frames)) + 1
        body = b"".join(frames)
        match behaviour:
            case "cut" | "tear" | "stall":
                body = body[: draw.randint(0, len(body) - 1)]
                script.ending = {"cut": "end", "tear": "reset", "stall": "hang"}[behaviour]
                exchange.errors = _TIMEOUT if behaviour == "stall" else _CONNECTION
            case "linger":
                script.ending = "hang"
            case "malformed":
                body, exchange.errors = body[::-1], _MALFORMED | _CONNECTION
                exchange.complete_from = len(body) + 1
            case "html" | "empty":
                body = _HTML if behaviour == "html" else b""
                exchange.errors, exchange.complete_from = _MALFORMED | _CONNECTION, len(_HTML) + 1
        slow = behaviour == "drip"
        script.pieces = _pieces(draw, body, gap=draw.choice((0.1, 1.3)) if slow else 0.01)

    def _last_needed(self, frames: list[bytes]) -> int:
        """The frame after which nobody can tell that anything is missing."""
        if self.plan.kind == "anthropic" or self.plan.done_marker:
            return len(frames) - 1
        return next(i for i, data in enumerate(frames) if b'"finish_reason":"' in data)

    def _headers(self, request_id: str, at: float) -> dict[str, str]:
        left = self.draw.choice(("0", "17", "17", "17", "-3"))
        seconds = self.draw.choice((0.5, 4.0, 90.0))
        if not self.plan.rate_headers:
            return {"request-id": request_id}
        if self.plan.kind == "anthropic":
            return {
                "request-id": request_id,
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": left,
                "anthropic-ratelimit-requests-reset": _rfc3339(EPOCH + at + seconds),
            }
        return {
            "x-request-id": request_id,
            "x-ratelimit-limit-requests": "50",
            "x-ratelimit-remaining-requests": left,
            "x-ratelimit-reset-requests": f"{seconds:g}s",
        }


def _rfc3339(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _disconnect(script: Script, behaviour: str) -> None:
    script.transport, script.exchange.errors = {
        "refused": ("ConnectError", _CONNECTION),
        "reset": ("ReadError", _CONNECTION),
        "blackhole": ("ConnectTimeout", _TIMEOUT),
        "hang": ("ReadTimeout", _TIMEOUT),
    }[behaviour]
    if behaviour == "refused":
        script.latency /= 10


def _pieces(draw: random.Random, body: bytes, *, gap: float) -> list[tuple[float, bytes]]:
    """The body cut at random places."""
    pieces: list[tuple[float, bytes]] = []
    at, size = 0, draw.choice((7, 60, 400, 4000))
    while at < len(body):
        end = at + draw.randint(1, max(size, len(body) // 25))
        pieces.append((draw.uniform(0, 2 * gap), body[at:end]))
        at = end
    return pieces


def _recorded(path: str, body: dict[str, Any], request_id: str) -> RecordedRequest:
    path = path if path.startswith("/v1") else f"/v1{path}"
    return RecordedRequest(
        vendor="",
        kind="",
        method="POST",
        path=path,
        full_path=path,
        query={},
        headers={},
        raw=b"",
        received_at=0.0,
        body=body,
        request_id=request_id,
    )
