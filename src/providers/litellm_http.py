"""The HTTP under LiteLLM: a client of our own, in which every byte of a call can be seen.

LiteLLM hides what happened: it invents a finish reason where a stream merely stops, passes over
events that it can't read, connects again by itself, and turns errors into exceptions of its own
without the vendor's headers. Here the call's own ``Exchange`` keeps what the vendor said.

LiteLLM takes a client as an argument, but not everywhere. For the rest there is
:func:`guard_clients`: inside our calls, LiteLLM's cache of clients answers with ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import httpx

from .closing import to_the_end
from .litellm_exchange import Exchange

__all__ = ["Kept", "current_call", "guard_clients", "handler_of", "make_http", "observed"]

_CONNECT_SECONDS = 10.0
_DRAIN_SECONDS = 0.05
_HTTPX_CACHE = "async_httpx_client"
"""How LiteLLM's keys of clients for vendors without an SDK begin."""
_MOST_KEPT = 64


class _Unreached(httpx.NetworkError):
    """No connection. Not httpx's own error for it: LiteLLM would take that as leave to retry."""


class _Transport(httpx.AsyncBaseTransport):
    """Hands one call's requests to the provider's client, and notes what becomes of them."""

    def __init__(self, client: httpx.AsyncClient, exchange: Exchange) -> None:
        self._client = client
        # LiteLLM keeps this for as long as there is the answer, and a failure in the exchange may
        # hold the answer: without a weak reference, neither would ever go.
        self._exchange = weakref.ref(exchange)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        ours = _call.get()
        # What LiteLLM kept of one call may serve another.
        exchange = ours.exchange if ours is not None else self._exchange()
        if exchange is None or exchange.abandoned:
            raise _Unreached("the call was cancelled before it was sent", request=request)
        exchange.begun = True
        timeout = dict(request.extensions.get("timeout") or {})
        timeout["connect"] = min(timeout.get("connect") or _CONNECT_SECONDS, _CONNECT_SECONDS)
        request.extensions["timeout"] = timeout
        try:
            response = await self._client.send(request, stream=True)
            exchange.begin(response)
            if response.status_code >= 300:
                exchange.body = await response.aread()
                await response.aclose()
        except Exception as exc:
            exchange.failure = exc
            if isinstance(exc, httpx.ConnectError):
                raise _Unreached(str(exc), request=request) from exc
            raise
        # The body is decoded on its way, so these two would be wrong of what is handed on.
        headers = [
            (name, value)
            for name, value in response.headers.raw
            if name.lower() not in {b"content-encoding", b"content-length"}
        ]
        stream: httpx.AsyncByteStream
        if response.status_code >= 300:
            stream = httpx.ByteStream(exchange.body)
        else:
            stream = _Body(response, exchange)
            exchange.follow(stream)
        return httpx.Response(response.status_code, headers=headers, stream=stream, request=request)


class _Body(httpx.AsyncByteStream):
    """A body on its way through."""

    def __init__(self, response: httpx.Response, exchange: Exchange) -> None:
        self._response = response
        self._exchange = exchange
        self._pieces = response.aiter_bytes()

    # Not a generator: one that is left in the middle is closed by a task of its own, at any time.
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            raise
        except Exception as exc:
            self._exchange.failure = exc
            raise
        self._exchange.saw(piece)
        return piece

    async def aclose(self) -> None:
        if not self._response.is_closed:
            await to_the_end(self._close())

    async def _close(self) -> None:
        if self._exchange.finished:
            # Read up to the end, so that the connection can serve the next request.
            with contextlib.suppress(httpx.HTTPError, TimeoutError, RuntimeError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    async for _ in self._pieces:
                        pass
        with contextlib.suppress(RuntimeError):
            await self._pieces.aclose()  # type: ignore[attr-defined]
        await self._response.aclose()


def make_http() -> httpx.AsyncClient:
    """The client that carries all calls of one provider. Blocks a moment: it reads certificates."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    return httpx.AsyncClient(limits=limits, timeout=None, follow_redirects=False)  # noqa: S113


def observed(client: httpx.AsyncClient, exchange: Exchange) -> httpx.AsyncClient:
    """A client for one call. It need not be closed: it has no connections of its own."""
    return httpx.AsyncClient(
        transport=_Transport(client, exchange),
        timeout=None,  # noqa: S113 - each request has its own
        follow_redirects=False,
        trust_env=False,
    )


def handler_of(client: httpx.AsyncClient, exchange: Exchange) -> Any:
    """The same in the form in which LiteLLM takes it for vendors without an SDK."""
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    handler = AsyncHTTPHandler(transport=_Transport(client, exchange), follow_redirects=False)
    handler.client = observed(client, exchange)  # given, and so not its own to close
    return handler


class Kept:
    """The clients that LiteLLM made for one provider's calls, and would keep in its own cache."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """A client, if it is there."""
        return self._clients.get(key)

    def put(self, key: str, client: Any) -> None:
        """Keep a client. The oldest goes: LiteLLM makes one for each time-out that there is."""
        self._clients[key] = client
        while len(self._clients) > _MOST_KEPT:
            # It may be in use. Nobody else holds it, so what is open in it ends with its last use.
            del self._clients[next(iter(self._clients))]

    async def aclose(self) -> None:
        """Close them all."""
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            close = getattr(client, "aclose", None) or getattr(client, "close", None)
            with contextlib.suppress(Exception):
                closing = close() if close is not None else None
                if inspect.isawaitable(closing):
                    await closing


class _Ours(NamedTuple):
    """What LiteLLM's cache of clients holds inside one of our calls."""

    handler: Any
    kept: Kept
    exchange: Exchange

    def get(self, key: str) -> Any:
        return self.handler if key.startswith(_HTTPX_CACHE) else self.kept.get(key)

    def put(self, key: str, client: Any) -> None:
        if not key.startswith(_HTTPX_CACHE):
            self.kept.put(key, client)


_call: contextvars.ContextVar[_Ours | None] = contextvars.ContextVar("litellm_call", default=None)


@contextlib.contextmanager
def current_call(handler: Any, kept: Kept, exchange: Exchange) -> Iterator[None]:
    """For the tasks and threads that the work inside starts, the cache holds these clients."""
    token = _call.set(_Ours(handler, kept, exchange))
    try:
        yield
    finally:
        _call.reset(token)


class _Guarded:
    """LiteLLM's one client for everything else, as it is for everybody but us."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def __getattr__(self, name: str) -> Any:
        ours = _call.get()
        return getattr(self._theirs if ours is None else ours.handler, name)


def guard_clients(litellm: Any) -> None:
    """Put the guards before LiteLLM's cache of clients and its one asynchronous client, once."""
    theirs = litellm.in_memory_llm_clients_cache
    if not getattr(theirs, "guards_switchgear", False):
        litellm.in_memory_llm_clients_cache = _guard_class()(theirs)
    one = litellm.module_level_aclient
    if not isinstance(one, _Guarded):
        litellm.module_level_aclient = _Guarded(one)


def _guard_class() -> type[Any]:
    from litellm.caching.llm_caching_handler import LLMClientCache

    class GuardedCache(LLMClientCache):
        """LiteLLM's cache, as it is for everybody but us."""

        guards_switchgear = True

        def __init__(self, theirs: Any) -> None:
            self.__dict__ = theirs.__dict__

        def get_cache(self, key: str, *args: Any, **kwargs: Any) -> Any:
            """A client."""
            ours = _call.get()
            return super().get_cache(key, *args, **kwargs) if ours is None else ours.get(key)

        def set_cache(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
            """Keep a client."""
            ours = _call.get()
            if ours is None:
                super().set_cache(key, value, *args, **kwargs)
            else:
                ours.put(key, value)

    return GuardedCache
