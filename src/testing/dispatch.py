"""The road of one request: parse, route, authenticate, check, decide, render, deliver."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web

from .answers import Answer
from .delivery import deliver, redirect_reply
from .faults import BrokenReply, ErrorReply, Outcome
from .provider import SimulatedProvider
from .records import RecordedRequest
from .rendering import Reply

__all__ = ["Dispatcher"]


class Dispatcher:
    """The aiohttp handler of all simulated providers."""

    def __init__(
        self, providers: Mapping[str, SimulatedProvider], finished: Callable[[], None]
    ) -> None:
        self._providers = providers
        self._finished = finished
        self.active: set[asyncio.Task[object]] = set()
        self.stopping = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        # From the URL as it was sent: a decoded path could gain a slash.
        name, _, rest = request.url.raw_path.lstrip("/").partition("/")
        provider = self._providers.get(name)
        if provider is None:
            known = ", ".join(sorted(self._providers))
            return web.json_response(
                {"error": f"no simulated provider {name!r} here; there are {known}"}, status=404
            )
        record = await _record_of(request, provider, "/" + rest)
        provider.record(record)
        task = asyncio.current_task()
        if task is not None:
            self.active.add(task)
        try:
            return await self._answer(request, record, provider)
        except (asyncio.CancelledError, ConnectionError) as error:
            # aiohttp cancels the handler when the client leaves; a write that finds it gone raises.
            record.disconnected = not self.stopping
            if isinstance(error, asyncio.CancelledError):
                raise
            return web.Response(status=499)
        finally:
            if task is not None:
                self.active.discard(task)
            record.finished = True
            record.finished_at = time.monotonic()
            self._finished()

    async def _answer(
        self, request: web.Request, record: RecordedRequest, provider: SimulatedProvider
    ) -> web.StreamResponse:
        looping = redirect_reply(record)
        if looping is not None:
            return await deliver(request, record, looping, None)
        reply, fault = await self._reply(record, provider)
        if reply.latency:
            await asyncio.sleep(reply.latency)
        return await deliver(request, record, reply, fault)

    async def _reply(
        self, record: RecordedRequest, provider: SimulatedProvider
    ) -> tuple[Reply, BrokenReply | None]:
        wire = provider.wire
        wire.spent.requests += 1
        problem = _refusal(record, provider)
        if problem is not None:
            record.refused = problem.message or problem.reason
            return _finish(record, provider, wire.error(record, problem), problem.headers), None
        outcome = provider.decide(record)
        if inspect.isawaitable(outcome):
            outcome = await outcome or provider.fallback(record)
        return _render(record, provider, outcome)


def _refusal(record: RecordedRequest, provider: SimulatedProvider) -> ErrorReply | None:
    wire, settings = provider.wire, provider.settings
    if not wire.route(record):
        return ErrorReply(status=404, reason="not_found")
    if settings.require_key is not None or settings.aws_secret_key is not None:
        problem = wire.authenticate(record)
        if problem is not None:
            return problem
    if settings.validate:
        problem = wire.check(record)
        if problem is not None:
            return problem
    if settings.strict_types and isinstance(record.body, dict):
        from .type_checks import TypeCheckError, validate_request

        try:
            validate_request(record.kind, record.body, endpoint=record.endpoint)
        except TypeCheckError as error:
            return ErrorReply(status=400, reason="invalid_request", message=str(error))
    return None


def _render(
    record: RecordedRequest, provider: SimulatedProvider, outcome: Outcome
) -> tuple[Reply, BrokenReply | None]:
    wire = provider.wire
    if isinstance(outcome, ErrorReply):
        reply = _overridden(wire.error(record, outcome), outcome)
        return _finish(record, provider, reply, outcome.headers), None
    fault: BrokenReply | None = None
    if isinstance(outcome, BrokenReply):
        fault = outcome
        fallback = provider.fallback(record) if outcome.answer is None else outcome.answer
        outcome = fallback if isinstance(fallback, Answer) else Answer(text="A good answer.")
    if fault is not None and fault.kind == "stream_error" and fault.error is not None:
        if not record.stream:
            reply = _overridden(wire.error(record, fault.error), fault.error)
            return _finish(record, provider, reply, fault.error.headers), None
        error = fault.error
        reply = wire.render(record, _complete(outcome))
        reply.last_word = lambda sequence: wire.stream_error(record, error, sequence)
    else:
        reply = wire.render(record, _complete(outcome))
    return _finish(record, provider, reply, outcome.headers), fault


def _complete(answer: Answer) -> Answer:
    """An answer given only in pieces is the pieces put together."""
    if isinstance(answer.chunks, tuple) and answer.text is None:
        return msgspec.structs.replace(answer, text="".join(answer.chunks))
    return answer


def _overridden(reply: Reply, problem: ErrorReply) -> Reply:
    if problem.body is not None:
        reply.frames = [msgspec.structs.replace(reply.frames[0], data=problem.body)]
    elif problem.reason == "bad_gateway" or (problem.status == 502 and not problem.message):
        page = (
            f"<html>\r\n<head><title>{problem.status} Bad "
            "Gateway</title></head>\r\n<body>\r\n<center><h1>"
        )
        page += (
            f"{problem.status} Bad "
            "Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
        )
        reply.frames = [msgspec.structs.replace(reply.frames[0], data=page.encode())]
        reply.content_type = "text/html"
    if problem.content_type is not None:
        reply.content_type = problem.content_type
    return reply


def _finish(
    record: RecordedRequest, provider: SimulatedProvider, reply: Reply, extra: Mapping[str, str]
) -> Reply:
    reply.headers = {**provider.wire.headers(record), **reply.headers, **extra}
    return reply


async def _record_of(
    request: web.Request, provider: SimulatedProvider, path: str
) -> RecordedRequest:
    received_at = time.monotonic()
    raw = await request.read()
    body = None
    if raw:
        with contextlib.suppress(msgspec.DecodeError):
            body = msgspec.json.decode(raw)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return RecordedRequest(
        vendor=provider.name,
        kind=provider.kind,
        method=request.method,
        path=path,
        full_path=request.url.raw_path,
        query=dict(request.query),
        headers=headers,
        raw=raw,
        received_at=received_at,
        body=body,
    )
