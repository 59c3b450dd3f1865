"""An aiohttp session as the roads to a provider want it.

No cookies, since a session may carry the keys of many callers; no redirects, which would carry a
key elsewhere; no limit of connections, which is the limiter's business; no repeating.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from . import faults
from .base import ResponseMeta
from .headers import lowered, request_id
from .proxies import EnvironmentProxies
from .silence import Silence

if TYPE_CHECKING:
    import aiohttp
    from multidict import CIMultiDict
    from yarl import URL

__all__ = ["AioBody", "AioSender", "Route", "answer_meta", "rounded_up"]

_KEEPALIVE_SECONDS = 5.0
"""As the SDKs' clients. Uvicorn, under most servers of open models, hangs up after that time."""

_LARGE_BODY = 1 << 20
"""Bytes. aiohttp writes a larger one in one go only under protest, and in pieces from a file."""

_COARSE_SECONDS = 5.0
"""From here on aiohttp rounds a timer up to the next whole second."""

_MOST_TIMEOUTS = 256
_MOST_ROUTES = 256


class Route:
    """Where requests go: an address, and the proxy before it."""

    __slots__ = ("proxy", "url")

    def __init__(self, url: URL, proxy: URL | None) -> None:
        self.url = url
        self.proxy = proxy


class AioSender:
    """Sends requests over one ``aiohttp.ClientSession``, made in the loop that sends first.

    Making the sender reads certificates: do it in a thread.
    """

    def __init__(self) -> None:
        import httpx2

        # What the SDKs trust, SSL_CERT_FILE and SSL_CERT_DIR included.
        self._tls = httpx2.create_ssl_context()
        self._proxies = EnvironmentProxies()
        self._session: aiohttp.ClientSession | None = None
        self._routes: dict[str, Route] = {}
        self._timeouts: dict[object, aiohttp.ClientTimeout] = {}
        self._closed = False

    def route(self, address: str) -> Route:
        """The way to an address, which is taken as it is: escape in it what must be.

        Raises:
            ConfigError: The environment wants a proxy of a kind that aiohttp does not speak to.
        """
        found = self._routes.get(address)
        return found if found is not None else self._new_route(address)

    def _new_route(self, address: str) -> Route:
        from yarl import URL

        url = URL(address, encoded=True)
        proxy = self._proxies.of(url.scheme, url.host or "", url.explicit_port)
        if proxy is not None and not proxy.startswith(("http://", "https://")):
            scheme = proxy.partition("://")[0]
            raise ConfigError(
                f"the environment's proxy for {url.host} is of the kind {scheme}, which aiohttp "
                "does not know: name the host in NO_PROXY, or choose an http proxy"
            )
        if len(self._routes) >= _MOST_ROUTES:
            self._routes.clear()
        route = Route(url, URL(proxy) if proxy is not None else None)
        self._routes[address] = route
        return route

    async def send(
        self,
        method: str,
        route: Route,
        *,
        headers: CIMultiDict[str],
        body: Any,
        timeout: aiohttp.ClientTimeout,
        decompress: bool = True,
        server_hostname: str | None = None,
    ) -> aiohttp.ClientResponse:
        """Send, and wait for the headers of the answer, whatever its status.

        Args:
            method: The method.
            route: Where to.
            headers: All of them, those aside that aiohttp knows: of the host and the length.
            body: Bytes, or whatever aiohttp takes; ``None`` for none.
            timeout: From :meth:`timeout`.
            decompress: The answer's body is to be what was compressed.
            server_hostname: The name in TLS, where it is not that of the address.

        Raises:
            aiohttp.ClientError: No connection, or no answer that is HTTP.
            OSError: The connection broke, or a time-out.
            RuntimeError: It has been closed.
        """
        session = self._session
        if session is None:
            session = self._open()
        if type(body) is bytes and len(body) > _LARGE_BODY:
            body = io.BytesIO(body)
        return await session.request(
            method,
            route.url,
            data=body,
            headers=headers,
            allow_redirects=False,
            proxy=route.proxy,
            timeout=timeout,
            auto_decompress=decompress,
            server_hostname=server_hostname,
        )

    def timeout(
        self, silence: float | None, connect: float | None, pool: float | None
    ) -> aiohttp.ClientTimeout:
        """The time-outs of a request, in seconds, ``None`` for none; long ones are rounded up.

        Args:
            silence: Without a byte.
            connect: Until there is a connection to an address.
            pool: Until there is a connection, the asking for the address included.
        """
        key = (rounded_up(silence), rounded_up(connect), rounded_up(pool))
        found = self._timeouts.get(key)
        return found if found is not None else self._new_timeout(*key)

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _new_timeout(
        self, silence: float | None, connect: float | None, pool: float | None
    ) -> aiohttp.ClientTimeout:
        from aiohttp import ClientTimeout

        if len(self._timeouts) >= _MOST_TIMEOUTS:
            self._timeouts.clear()
        made = ClientTimeout(sock_read=silence, sock_connect=connect, connect=pool)
        self._timeouts[silence, connect, pool] = made
        return made

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._closed:
            raise RuntimeError("closed")
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=_KEEPALIVE_SECONDS, ssl=self._tls
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


class AioBody:
    """The open body of an answer (a ``WireStream``).

    Args:
        response: The answer, its headers read.
        silence: The longest time without a byte, seconds.
        provider: For errors, as ``model``.
    """

    __slots__ = ("_content", "_model", "_provider", "_response", "_silence", "meta")

    def __init__(
        self, response: aiohttp.ClientResponse, silence: float, provider: str, model: str | None
    ) -> None:
        self._response = response
        self._content = response.content
        self._silence = Silence(response, silence)
        self._provider = provider
        self._model = model
        self.meta = answer_meta(response)

    async def read(self) -> bytes:
        """The next bytes as they arrive; ``b""`` at the end of the body."""
        silence = self._silence
        silence.begin()
        try:
            found = await self._content.readany()
        except Exception as exc:
            await self.aclose()
            error = faults.transport_error(exc, provider=self._provider, model=self._model)
            raise error from exc
        finally:
            silence.end()
        if not found:
            silence.stop()
        return found

    async def aclose(self) -> None:
        """Drop the connection, unless the body was read to its end: then it has been released."""
        self._silence.stop()
        self._response.close()


def answer_meta(response: aiohttp.ClientResponse) -> ResponseMeta:
    """What an answer's headers say."""
    headers = lowered(response.headers.items())
    return ResponseMeta(request_id(headers), headers)


def rounded_up(seconds: float | None) -> float | None:
    """A long time-out in whole seconds, which aiohttp makes of it anyway.

    A call gets what its deadline leaves, never the same twice; so few different ones are kept.
    """
    if seconds is None or seconds <= _COARSE_SECONDS:
        return seconds
    return math.ceil(seconds) if seconds < math.inf else None
