"""The road for a vendor without an SDK: plain HTTP through a client of our own.

It gives an adapter of another package what ``SdkWire`` gives those here: requests that carry a
credential which is never shown, failures that are errors of ours, and connections that are let go
of whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..credentials import Secret
from ..errors import ConfigError, ProviderError
from . import faults
from .lazy import LazyClient
from .wire import ResponseStream, WireRequest, WireResponse, WireStream, encode_body, meta_of

__all__ = ["HttpWire"]

_CONNECT_SECONDS = 10.0
_CONNECTIONS = 1000
"""At once. How many calls a provider may be asked for is the limiter's business, not the pool's."""


class HttpWire:
    """JSON over HTTP (a ``Wire``).

    Args:
        provider: The provider's name in the configuration, for errors.
        base_url: What stands before each request's path.
        auth_headers: The headers that carry a credential.
        secret: The provider's own credential; ``None`` where it has none.
        headers: Headers of every request.

    Raises:
        ConfigError: The address is none.
    """

    def __init__(
        self,
        *,
        provider: str,
        base_url: str,
        auth_headers: Callable[[Secret], Mapping[str, str]],
        secret: Secret | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            param = f"providers.{provider}.base_url"
            raise ConfigError(f"{param}: must begin with http:// or https://", param=param)
        self._provider = provider
        self._base_url = base_url.rstrip("/")
        self._auth_headers = auth_headers
        self._secret = secret
        self._headers = dict(headers or {})
        self._client = LazyClient(provider, _Client)

    @property
    def client(self) -> Any:
        """The ``httpx2.AsyncClient`` behind it, made on first use. It knows no credential."""
        return self._client.get().http

    async def send(self, request: WireRequest) -> WireResponse:
        """Send, and wait for the whole answer.

        Raises:
            SwitchgearError: No connection, no answer in time, or a status outside 200-299.
        """
        response = await self._request(request)
        try:
            body = await response.aread()
        except Exception as exc:
            raise self._broken(exc, request) from exc
        finally:
            await response.aclose()
        return WireResponse(body, meta_of(response))

    async def open(self, request: WireRequest) -> WireStream:
        """Send, and wait for the headers of the answer.

        Raises:
            SwitchgearError: No connection, no answer in time, or a status outside 200-299.
        """
        response = await self._request(request)
        error = partial(faults.transport_error, provider=self._provider, model=request.model)
        return ResponseStream(response, error)

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""
        await self._client.aclose()

    async def _request(self, request: WireRequest) -> Any:
        """The open answer to a request, its status a good one."""
        import httpx2

        client = (await self._client.ready()).http
        credential = request.credential or self._secret
        headers = {**self._headers, "content-type": "application/json", **request.headers}
        if credential is not None:
            headers.update(self._auth_headers(credential))
        unwritten: str | None = None
        try:
            wanted = client.build_request(
                "GET" if request.body is None else "POST",
                self._base_url + request.path,
                content=None if request.body is None else encode_body(request.body),
                headers=headers,
                timeout=httpx2.Timeout(
                    request.timeout, connect=min(request.timeout, _CONNECT_SECONDS)
                ),
            )
            response = await client.send(wanted, stream=True)
            if not response.is_success:
                try:
                    body = await response.aread()
                finally:
                    await response.aclose()
        except (OSError, httpx2.HTTPError) as exc:
            raise self._broken(exc, request) from exc
        except (ValueError, TypeError, httpx2.InvalidURL) as exc:
            unwritten = type(exc).__name__
        if unwritten is not None:
            # Out here, so that it has no context: what could not be written may be the credential.
            message = f"{self._provider}: the request can't be written as HTTP: {unwritten}"
            raise ProviderError(message, provider=self._provider, model=request.model)
        if response.is_success:
            return response
        status = response.status_code
        cause = httpx2.HTTPStatusError(str(status), request=wanted, response=response)
        raise faults.response_error(
            status,
            response.headers,
            body,
            provider=self._provider,
            model=request.model,
            secret=credential,
        ) from cause

    def _broken(self, exc: Exception, request: WireRequest) -> Exception:
        return faults.transport_error(exc, provider=self._provider, model=request.model)


class _Client:
    """What ``LazyClient`` makes and closes: importing and making the HTTP client takes a while."""

    def __init__(self) -> None:
        import httpx2

        limits = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=100)
        self.http = httpx2.AsyncClient(limits=limits, follow_redirects=False)

    async def close(self) -> None:
        await self.http.aclose()
