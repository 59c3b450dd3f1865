"""The small port between an adapter and the network, and its road through an official SDK.

An adapter speaks its vendor's dialect; a wire carries the bytes. :class:`SdkWire` sends through the
SDK's client, which knows credentials, endpoints, headers and signing, by its documented raw road
(``post(..., cast_to=Response)``): no response ever becomes one of the SDK's models.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Any, Protocol

import msgspec

from ..credentials import Secret
from ..errors import InvalidRequestError, SwitchgearError
from . import faults
from .aio_sender import AioBody, answer_meta, rounded_up
from .base import ResponseMeta
from .closing import to_the_end
from .headers import Unshown, lowered, request_id
from .lazy import LazyClient

__all__ = [
    "ResponseStream",
    "SdkWire",
    "Wire",
    "WireRequest",
    "WireResponse",
    "WireStream",
    "encode_body",
    "meta_of",
]

CONNECT_SECONDS = 10.0
"""Until there is a connection."""

_MOST_OPTIONS = 256


class WireRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request, without what the client adds by itself.

    Attributes:
        path: Under the client's base URL.
        body: The JSON body; ``None`` sends a GET.
        model: For error messages.
        headers: Additional headers.
        timeout: Seconds without a byte after which the socket is given up.
        credential: A key in place of the client's own.
    """

    path: str
    body: Mapping[str, Any] | None = None
    model: str | None = None
    headers: Mapping[str, str] = {}
    timeout: float = 600.0
    credential: Secret | None = None


class WireResponse(msgspec.Struct, frozen=True, gc=False):
    """A whole answer with a status of 2xx."""

    body: bytes
    meta: ResponseMeta


class WireStream(Protocol):
    """An answer with a status of 2xx, its body on the way (a ``ByteSource``)."""

    meta: ResponseMeta

    async def read(self) -> bytes:
        """The next bytes as they arrive; ``b""`` at the end of the body."""

    async def aclose(self) -> None:
        """Let go of the connection. Safe to call twice."""


class Wire(Protocol):
    """Sends requests. Every failure is one of our errors, the original as its cause."""

    @property
    def client(self) -> Any:
        """The official client behind it, made on first use."""

    async def send(self, request: WireRequest) -> WireResponse:
        """Send, and wait for the whole answer."""

    async def open(self, request: WireRequest) -> WireStream:
        """Send, and wait for the headers of the answer."""

    async def aclose(self) -> None:
        """Close every connection."""


class SdkWire:
    """The road through ``AsyncOpenAI``, ``AsyncAnthropic`` and their kin.

    Args:
        provider: The provider's name in the configuration, for errors.
        make_client: Makes the SDK's client; it imports the SDK, which takes a second, so it is
            called once, on first use, in a thread.
        auth_headers: Headers that put a credential in place of the client's own.
        rewrites_body: The client changes or signs the body (Bedrock, Vertex, Azure deployments):
            it then gets the JSON as a dict and encodes it itself.
        secret: The client's own credential, to keep it out of error messages.
    """

    def __init__(
        self,
        *,
        provider: str,
        make_client: Callable[[], Any],
        auth_headers: Callable[[Secret], Mapping[str, Any]],
        rewrites_body: bool = False,
        secret: Secret | None = None,
    ) -> None:
        self._provider = provider
        self._client = LazyClient(provider, make_client)
        self._auth_headers = auth_headers
        self._rewrites_body = rewrites_body
        self._secret = secret
        self._options: dict[float | None, dict[str, Any]] = {}
        self._addresses: dict[str, str] = {}
        self._base: Any = None

    @property
    def client(self) -> Any:
        """The SDK's client. Made here and now if need be, which blocks for up to a second."""
        return self._client.get()

    async def send(self, request: WireRequest) -> WireResponse:
        """Send through the SDK and read the whole answer."""
        response = await self._request(request, stream=False)
        return WireResponse(response.content, meta_of(response))

    async def open(self, request: WireRequest) -> WireStream:
        """Send through the SDK and hand over the open body."""
        response = await self._request(request, stream=True)
        got = getattr(response, "got", None)
        if got is not None:
            return AioBody(got, request.timeout, self._provider, request.model)
        error = partial(faults.transport_error, provider=self._provider, model=request.model)
        return ResponseStream(response, error)

    async def aclose(self) -> None:
        """Close the SDK's client."""
        await self._client.aclose()

    async def _request(self, request: WireRequest, *, stream: bool) -> Any:
        try:
            client = await self._client.ready()
            return await self._sent(client, request, stream=stream)
        except Exception as exc:
            raise self._error(exc, request) from exc

    async def _sent(self, client: Any, request: WireRequest, *, stream: bool) -> Any:
        # Not before the client is there: its making has imported this as well, in a thread.
        import httpx2

        options = self._options.get(rounded_up(request.timeout))
        if options is None:
            options = self._new_options(rounded_up(request.timeout))
        if request.headers or request.credential is not None:
            options = {**options, "headers": self._headers(request)}
        if request.body is None:
            return await client.get(request.path, cast_to=httpx2.Response, options=options)
        path = request.path
        payload: dict[str, Any]
        if self._rewrites_body:
            payload = {"body": request.body}
        else:
            payload = {"content": encode_body(request.body)}
            path = self._address(client, path)
        if stream:
            payload |= {"stream": True, "stream_cls": None}
        return await client.post(path, cast_to=httpx2.Response, options=options, **payload)

    def _headers(self, request: WireRequest) -> dict[str, Any]:
        """What a request adds to the client's headers."""
        headers: dict[str, Any] = dict(request.headers)
        if request.credential is not None:
            credential = self._auth_headers(request.credential)
            for name, value in credential.items():
                # Else the SDK's mark for a header that is left out.
                headers[name] = Unshown(value) if isinstance(value, str) else value
        return headers

    def _new_options(self, seconds: float | None) -> dict[str, Any]:
        """The options of a request with that time-out, which the SDKs copy."""
        import httpx2

        connect = CONNECT_SECONDS if seconds is None else min(seconds, CONNECT_SECONDS)
        options = {
            "timeout": httpx2.Timeout(seconds, connect=connect),
            "max_retries": 0,
            "follow_redirects": False,
        }
        if len(self._options) >= _MOST_OPTIONS:
            self._options.clear()
        self._options[seconds] = options
        return options

    def _address(self, client: Any, path: str) -> str:
        """The path with the client's address before it: the SDKs join the two in three parsings."""
        base = getattr(client, "base_url", None)
        if base is not self._base:
            self._base = base
            self._addresses.clear()
        address = self._addresses.get(path)
        if address is None:
            address = path
            if base is not None and not base.query:
                address = f"{str(base).rstrip('/')}/{path.lstrip('/')}"
            if len(self._addresses) >= _MOST_OPTIONS:
                self._addresses.clear()
            self._addresses[path] = address
        return address

    def _error(self, exc: Exception, request: WireRequest) -> SwitchgearError:
        """What an exception of either SDK means; both are built alike."""
        if isinstance(exc, SwitchgearError):
            return exc
        if isinstance(exc.__cause__, SwitchgearError):
            return exc.__cause__  # of the HTTP client under the SDK
        response = getattr(exc, "response", None)
        if response is not None:
            return faults.response_error(
                response.status_code,
                response.headers,
                response.content,
                provider=self._provider,
                model=request.model,
                secret=request.credential or self._secret,
            )
        import aiohttp
        import httpx2

        # The SDKs wrap transport errors in classes of their own, with the transport's as cause.
        transport = (OSError, httpx2.HTTPError, aiohttp.ClientError)
        if isinstance(exc, transport) or isinstance(exc.__cause__, transport):
            return faults.transport_error(exc, provider=self._provider, model=request.model)
        return faults.unknown_error(
            exc,
            provider=self._provider,
            model=request.model,
            secret=request.credential or self._secret,
        )


class ResponseStream:
    """The open body of a response of httpx or httpx2 (a ``WireStream``).

    Args:
        response: The response, its headers read.
        error: What an exception of its transport means.
    """

    __slots__ = ("_chunks", "_closed", "_error", "_response", "meta")

    def __init__(self, response: Any, error: Callable[[Exception], SwitchgearError]) -> None:
        self._response = response
        self._chunks: AsyncGenerator[bytes, None] = response.aiter_bytes()
        self._error = error
        self._closed = False
        self.meta = meta_of(response)

    async def read(self) -> bytes:
        """The next bytes as they arrive."""
        try:
            while (chunk := await anext(self._chunks, None)) is not None:
                if chunk:
                    return chunk
        except Exception as exc:
            raise self._error(exc) from exc
        return b""

    async def aclose(self) -> None:
        """Release the connection, or drop it where the body was not read to its end."""
        if self._closed:
            return
        self._closed = True
        if self._response.is_closed:
            await self._close()
        else:
            await to_the_end(self._close())

    async def _close(self) -> None:
        # The generator first: left to the garbage collector, it would be closed by a task of its
        # own at any later time. It can't be while another task still reads.
        with contextlib.suppress(RuntimeError):
            await self._chunks.aclose()
        await self._response.aclose()


def meta_of(response: Any) -> ResponseMeta:
    """What a response's headers say."""
    got = getattr(response, "got", None)  # aiohttp's, if a LeanClient sent the request
    if got is not None:
        return answer_meta(got)
    headers = lowered(response.headers.multi_items())
    return ResponseMeta(request_id(headers), headers)


def encode_body(body: Mapping[str, Any]) -> bytes:
    """The JSON of a request.

    Raises:
        InvalidRequestError: Something in it, out of ``extra``, has no JSON form.
    """
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError) as exc:
        raise InvalidRequestError(f"the request can't be written as JSON: {exc}") from exc
