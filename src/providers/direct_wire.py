"""The road past an official SDK: its credentials, endpoint and headers, and no more of it.

Half of what a request through an SDK costs is the building of it: addresses parsed, headers merged
and options copied that are the same for every call. This road asks the SDK's client for them by its
public properties and sends the body itself, over aiohttp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..credentials import Secret
from ..errors import AuthenticationError, ConfigError, ProviderError, SwitchgearError
from . import faults
from .aio_sender import AioBody, AioSender, Route, answer_meta
from .headers import Unshown, lowered
from .lazy import LazyClient
from .wire import CONNECT_SECONDS, WireRequest, WireResponse, WireStream, encode_body

if TYPE_CHECKING:
    import aiohttp
    from multidict import CIMultiDict

__all__ = ["MISSING_KEY", "DirectWire"]

MISSING_KEY = "missing_api_key"
"""The code of the error where neither the client nor the call has a credential."""

_PLAIN = ("accept", "anthropic-version", "content-type", "user-agent", "x-stainless-")
"""What the SDKs say of themselves. Any other header may hold a secret."""

_CREDENTIALS = ("authorization", "api-key", "x-api-key")
_MOST_ROUTES = 64


class DirectWire:
    """The road beside ``AsyncOpenAI`` and ``AsyncAnthropic``, where these do not sign requests.

    What the client knows is asked of it once: its default headers, and its address. Its key is
    looked at for each request, since it may be exchanged at any time (``client.api_key = ...``).

    Args:
        provider: The provider's name in the configuration, for errors.
        make_client: Makes the SDK's client over an HTTP client; it imports the SDK, which takes a
            second, so it is called once, on first use, in a thread.
        auth_headers: Headers that put a credential in place of the client's own.
        secret: The client's own credential, to keep it out of error messages.
        placeholder: The ``Authorization`` by which the client is known to have no credential and
            to need none: never sent.
    """

    def __init__(
        self,
        *,
        provider: str,
        make_client: Callable[[Any], Any],
        auth_headers: Callable[[Secret], Mapping[str, str]],
        secret: Secret | None = None,
        placeholder: str | None = None,
    ) -> None:
        self._provider = provider
        self._auth_headers = auth_headers
        self._secret = secret
        self._road = LazyClient(provider, lambda: _Road(provider, make_client, placeholder))

    @property
    def client(self) -> Any:
        """The SDK's client. Made here and now if need be, which blocks for up to a second."""
        return self._road.get().client

    async def send(self, request: WireRequest) -> WireResponse:
        """Send, and read the whole answer."""
        response = await self._request(request)
        try:
            body = await response.read()
        except Exception as exc:
            raise self._error(exc, request) from exc
        return WireResponse(body, answer_meta(response))

    async def open(self, request: WireRequest) -> WireStream:
        """Send, and hand over the open body."""
        response = await self._request(request)
        return AioBody(response, request.timeout, self._provider, request.model)

    async def aclose(self) -> None:
        """Close every connection, and the SDK's client."""
        await self._road.aclose()

    async def _request(self, request: WireRequest) -> aiohttp.ClientResponse:
        """The open answer to a request, its status a good one."""
        unwritten: str | None = None
        try:
            road: _Road = await self._road.ready()
            seconds = request.timeout
            body = None if request.body is None else encode_body(request.body)
            response = await road.sender.send(
                "GET" if body is None else "POST",
                road.route(request.path),
                headers=self._headers(road, request),
                body=body,
                timeout=road.sender.timeout(seconds, min(seconds, CONNECT_SECONDS), seconds),
            )
        except (ValueError, TypeError) as exc:
            if isinstance(exc, _transport_errors()):
                raise self._error(exc, request) from exc
            unwritten = type(exc).__name__
        except Exception as exc:
            raise self._error(exc, request) from exc
        if unwritten is not None:
            # Out here, so that it has no context: what could not be written may be the credential.
            message = f"{self._provider}: the request can't be written as HTTP: {unwritten}"
            raise ProviderError(message, provider=self._provider, model=request.model)
        if 200 <= response.status < 300:
            return response
        raise await self._refusal(response, request)

    def _headers(self, road: _Road, request: WireRequest) -> CIMultiDict[str]:
        prepared = road.headers(has_body=request.body is not None)
        credential = request.credential
        if credential is None:
            if not road.may_send:
                raise AuthenticationError(
                    f"{self._provider}: no credential",
                    provider=self._provider,
                    model=request.model,
                    code=MISSING_KEY,
                )
            if not request.headers:
                return prepared
        headers = prepared.copy()
        for name, value in request.headers.items():
            headers[name] = value
        if credential is not None:
            for name, value in self._auth_headers(credential).items():
                headers[name] = Unshown(value)
        return headers

    async def _refusal(
        self, response: aiohttp.ClientResponse, request: WireRequest
    ) -> SwitchgearError:
        try:
            body = await response.read()
        except Exception as exc:
            raise self._error(exc, request) from exc
        error = faults.response_error(
            response.status,
            lowered(response.headers.items()),
            body,
            provider=self._provider,
            model=request.model,
            secret=request.credential or self._secret,
        )
        error.__cause__ = _status_error(response)
        return error

    def _error(self, exc: Exception, request: WireRequest) -> SwitchgearError:
        if isinstance(exc, SwitchgearError):
            return exc
        if isinstance(exc, _transport_errors()):
            return faults.transport_error(exc, provider=self._provider, model=request.model)
        return faults.unknown_error(
            exc,
            provider=self._provider,
            model=request.model,
            secret=request.credential or self._secret,
        )


class _Road:
    """What was asked of the SDK's client, ready for use. Made in a thread, with the client."""

    def __init__(
        self, provider: str, make_client: Callable[[Any], Any], placeholder: str | None
    ) -> None:
        from .lean_client import LeanClient

        self.sender = AioSender()
        # Whoever uses the client itself shares the connections.
        http = LeanClient(sender=self.sender, placeholder=placeholder)
        self.client = client = make_client(http)
        self._placeholder = placeholder
        self._check(provider)
        # What it says of this machine is found out here, once and for all, off the loop.
        _ = client.default_headers
        self._auth: dict[str, Any] | None = None
        self._base: Any = None
        self._routes: dict[str, Route] = {}
        self.may_send = False

    async def close(self) -> None:
        await self.client.close()  # with the sender

    def headers(self, *, has_body: bool) -> CIMultiDict[str]:
        """What every request carries. Not to be changed."""
        auth = self.client.auth_headers
        if auth != self._auth:
            self._prepare(auth)
        return self._with_body if has_body else self._without_body

    def route(self, path: str) -> Route:
        """The way to a path under the client's address."""
        base = self.client.base_url
        if base is not self._base:
            self._base = base
            self._routes.clear()
        route = self._routes.get(path)
        if route is None:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            route = self.sender.route(f"{str(base).rstrip('/')}/{path.lstrip('/')}")
            self._routes[path] = route
        return route

    def _check(self, provider: str) -> None:
        """A client that does more to a request than adding headers can't be done without."""
        client = self.client
        why = None
        if getattr(client, "custom_auth", None) is not None:
            why = "the client fetches its credential anew for requests (a profile or an identity)"
        elif client.base_url.userinfo:
            why = "the address has a user name, with which the client signs in"
        elif client.default_query or client.base_url.query:
            why = "parameters belong to each address, which the client adds"
        if why is not None:
            param = f"providers.{provider}.wire"
            raise ConfigError(f'{param}: not "direct": {why}; leave it out', param=param)

    def _prepare(self, auth: dict[str, Any]) -> None:
        from multidict import CIMultiDict

        headers: CIMultiDict[str] = CIMultiDict()
        for layer in (auth, self.client.default_headers):
            for name, value in layer.items():
                if isinstance(value, str) and value != self._placeholder:
                    shown = name.lower().startswith(_PLAIN)
                    headers[name] = str(value) if shown else Unshown(value)
                else:  # the SDK's mark for a header that is left out, among others
                    headers.popall(name, None)
        self._with_body = headers
        self._without_body = headers.copy()
        self._without_body.popall("content-type", None)
        has_key = any(name in headers for name in _CREDENTIALS)
        self.may_send = has_key or self._placeholder is not None
        self._auth = auth


def _status_error(response: aiohttp.ClientResponse) -> Exception:
    """What aiohttp raises for a status, without the request's headers, which hold the key."""
    from aiohttp import ClientResponseError, RequestInfo
    from multidict import CIMultiDict, CIMultiDictProxy

    nothing: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
    asked = RequestInfo(response.url, response.method, nothing, response.url)
    return ClientResponseError(
        asked, (), status=response.status, message=response.reason or "", headers=response.headers
    )


def _transport_errors() -> tuple[type[Exception], ...]:
    import aiohttp

    return (OSError, aiohttp.ClientError)
