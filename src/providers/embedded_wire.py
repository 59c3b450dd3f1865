"""The road to embedded models: OpenAI's SDK over a transport that knows where each model listens.

One client serves them all, though each has a server of its own: the transport reads the model's
name in a request, has the pool load it, and sends the request on to its port. So the SDK's client
itself works for users too, without knowing an address.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from ..credentials import Secret
from ..errors import ProviderConnectionError, SwitchgearError
from .embedded_pool import ModelPool, in_thread
from .embedded_server import ModelServer, ServerSpec
from .openai_family import bearer, own_headers
from .wire import SdkWire, WireRequest, WireResponse, WireStream

__all__ = ["EMBEDDINGS", "EmbeddedWire", "FindSpec"]

EMBEDDINGS = "/embeddings"

FindSpec = Callable[[str | None, bool], ServerSpec]
"""What to load for a model's name (``None``: the default one), for embeddings or not."""

# The client wants an address; the transport replaces it. ".invalid" never leads anywhere.
_ADDRESS = "http://embedded.invalid/v1"
_NO_KEY = Secret("none")
# Below the server's threads, each of which is held by an open connection.
_CONNECTIONS = 24


class _Named(msgspec.Struct):
    model: str | None = None


class EmbeddedWire:
    """A ``Wire`` to models in processes of this machine.

    Args:
        provider: The provider's name in the configuration, for errors.
        pool: Loads the models.
        find: Tells what to load.
    """

    def __init__(self, *, provider: str, pool: ModelPool, find: FindSpec) -> None:
        self._provider = provider
        self._pool = pool
        self._find = find
        self._imported = False
        self._sdk = SdkWire(provider=provider, make_client=self._make_client, auth_headers=bearer)

    @property
    def client(self) -> Any:
        """An ``AsyncOpenAI`` that reaches every model by its name and loads it on first use."""
        return self._sdk.client

    async def send(self, request: WireRequest) -> WireResponse:
        """Load the model if need be, send, and wait for the whole answer."""
        async with self._lease(request) as server:
            try:
                return await self._sdk.send(request)
            except SwitchgearError as exc:
                raise self._explained(exc, server) from exc.__cause__

    async def open(self, request: WireRequest) -> WireStream:
        """Load the model if need be, send, and wait for the headers of the answer."""
        async with self._lease(request) as server:
            try:
                return await self._sdk.open(request)
            except SwitchgearError as exc:
                raise self._explained(exc, server) from exc.__cause__

    async def aclose(self) -> None:
        """Close the connections, then end the models."""
        try:
            await self._sdk.aclose()
        finally:
            await self._pool.aclose()

    def _lease(self, request: WireRequest) -> AbstractAsyncContextManager[ModelServer]:
        """The model, loaded.

        Loaded out here, where its errors are still our own: inside the SDK they would come back as
        a failed connection. Meanwhile the SDK is imported, which takes as long.
        """
        if not self._imported:
            self._imported = True
            in_thread(lambda: importlib.import_module("openai"))
        return self._pool.lease(self._find(request.model, request.path == EMBEDDINGS))

    def _explained(self, exc: SwitchgearError, server: ModelServer) -> SwitchgearError:
        if isinstance(exc, ProviderConnectionError) and not server.alive:
            message = f"{self._provider}: the process of {server.spec.name} died; it starts anew"
            return ProviderConnectionError(message, provider=self._provider, model=server.spec.name)
        return exc

    def _make_client(self) -> Any:
        import httpx2
        import openai

        transport = _transport(self._pool, self._find)
        return openai.AsyncOpenAI(
            # Each server has a key of its own, which the transport puts in this one's place.
            api_key=_NO_KEY.reveal(),
            base_url=_ADDRESS,
            default_headers=own_headers({}, _NO_KEY),
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=transport, timeout=600.0),
        )


def _transport(pool: ModelPool, find: FindSpec) -> Any:
    """The transport; a function because its base classes come with the SDK, late."""
    import httpx2

    class Body(httpx2.AsyncByteStream):
        """An answer's body; the model stays loaded until it is closed."""

        def __init__(self, body: Any, server: ModelServer) -> None:
            self._body = body
            self._server: ModelServer | None = server

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self._body:
                yield chunk

        async def aclose(self) -> None:
            try:
                await self._body.aclose()
            finally:
                server, self._server = self._server, None
                if server is not None:
                    pool.give_back(server)

    class Transport(httpx2.AsyncBaseTransport):
        """Sends each request to the server of its model."""

        def __init__(self) -> None:
            # The server closes a connection soon after its answer, now and then just as the next
            # request goes out on it. A new one costs nothing on this machine.
            limits = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=0)
            self._inner = httpx2.AsyncHTTPTransport(limits=limits, trust_env=False)

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            content = await request.aread()
            embeddings = request.url.path.endswith(EMBEDDINGS)
            server = await pool.take(find(_model(content), embeddings))
            try:
                response = await self._inner.handle_async_request(_sent_on(request, server))
            except BaseException:
                pool.give_back(server)
                raise
            response.stream = Body(response.stream, server)
            return response

        async def aclose(self) -> None:
            await self._inner.aclose()

    return Transport()


def _sent_on(request: Any, server: ModelServer) -> Any:
    import httpx2

    facts = server.facts
    if facts is None:  # pragma: no cover - the pool gives loaded servers only
        raise RuntimeError("a model that is not loaded")
    url = request.url.copy_with(scheme="http", host="127.0.0.1", port=httpx2.URL(facts.url).port)
    headers = httpx2.Headers(request.headers)
    headers["host"] = url.netloc.decode("ascii")
    headers["authorization"] = f"Bearer {server.token}"
    return httpx2.Request(
        request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
    )


def _model(content: bytes) -> str | None:
    try:
        return msgspec.json.decode(content, type=_Named).model
    except msgspec.DecodeError:
        return None
