"""The HTTP client under the SDKs: httpx2's own, with a short way for what an adapter sends.

``post(..., cast_to=Response)`` of an SDK has its HTTP client parse the address once more, merge
headers, and walk through redirects, authentication, hooks and cookies that are not there.
:class:`LeanClient` leaves that out for requests that ask for none of it, and is
``httpx2.AsyncClient`` for all others. Both ways end at one aiohttp session.

It imports httpx2 and aiohttp: import it where an SDK's client is made, in a thread.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx2
from multidict import CIMultiDict

from .aio_sender import AioSender
from .headers import SECRET_HEADERS, Unshown
from .silence import Silence

__all__ = ["LeanClient", "LeanResponse", "LeanStream"]

_log = logging.getLogger("httpx2")  # whose line about each request is kept

# As the SDKs' own clients.
_TIMEOUT = httpx2.Timeout(600.0, connect=5.0)

_USUAL = httpx2.USE_CLIENT_DEFAULT
_MOST_ADDRESSES = 64
_OF_COMPRESSED = (b"content-encoding", b"content-length")
_SECRET = frozenset(name.encode() for name in SECRET_HEADERS)


class LeanClient(httpx2.AsyncClient):
    """An ``httpx2.AsyncClient`` over aiohttp, to be an SDK's ``http_client``.

    A request takes the short way if it was built of bytes and is sent with
    ``follow_redirects=False``, with neither parameters nor cookies, hooks or authentication of
    this client's.

    Args:
        sender: Sends the requests; by default a new one, whose making reads certificates. It is
            closed with this client.
        placeholder: An ``Authorization`` that the SDK insists on and nobody wants: left out.
        options: Those of ``httpx2.AsyncClient`` but ``transport`` and ``trust_env``.
    """

    def __init__(
        self, *, sender: AioSender | None = None, placeholder: str | None = None, **options: Any
    ) -> None:
        self._sender = sender or AioSender()
        self._placeholder = placeholder
        self._addresses: dict[str, httpx2.URL] = {}
        # What httpx2 and aiohttp both know, whatever else is installed: each decompresses here.
        options["headers"] = {"Accept-Encoding": "gzip, deflate"} | dict(
            options.get("headers") or {}
        )
        options.setdefault("timeout", _TIMEOUT)
        options.setdefault("follow_redirects", True)
        # The sender knows the environment's proxies, so this client need not.
        super().__init__(transport=_Transport(self._sender), trust_env=False, **options)

    def build_request(
        self,
        method: str,
        url: httpx2.URL | str,
        *,
        content: Any = None,
        params: Any = None,
        files: Any = None,
        headers: Any = None,
        timeout: Any = _USUAL,
        **more: Any,
    ) -> httpx2.Request:
        """Build a request with what this client adds to each."""
        address = self._address(url)
        if (
            type(content) is bytes
            and type(timeout) is httpx2.Timeout
            and address is not None
            and not (more or params or files or self.params or self.cookies)
        ):
            request = httpx2.Request(
                method,
                address,
                headers=self._with_defaults(headers, address, content),
                stream=httpx2.ByteStream(content),
                extensions={"timeout": timeout.as_dict()},
            )
            request.read()
        else:
            request = super().build_request(
                method,
                url,
                content=content,
                params=params,
                files=files,
                headers=headers,
                timeout=timeout,
                **more,
            )
        if self._placeholder and request.headers.get("authorization") == self._placeholder:
            del request.headers["authorization"]
        return request

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: Any = _USUAL,
        follow_redirects: Any = _USUAL,
    ) -> httpx2.Response:
        """Send a request.

        Raises:
            httpx2.RequestError: No connection, or no answer.
        """
        if follow_redirects is not False or auth is not _USUAL or not self._is_plain(request):
            return await super().send(
                request, stream=stream, auth=auth, follow_redirects=follow_redirects
            )
        got = await _sent(request, self._sender, decompress=True)
        response: LeanResponse | LeanStream
        if stream:
            response = LeanStream(got, request)
        else:
            try:
                response = LeanResponse(got, request, await got.read())
            except (aiohttp.ClientError, OSError) as exc:
                raise _told(exc, request) from exc
        if "set-cookie" in got.headers:
            self.cookies.extract_cookies(response)
        if _log.isEnabledFor(logging.INFO):
            said = f"{response.http_version} {response.status_code} {response.reason_phrase}"
            _log.info('HTTP Request: %s %s "%s"', request.method, request.url, said)
        return response

    def _is_plain(self, request: httpx2.Request) -> bool:
        """There is nothing to be done to the request, nor to its answer."""
        hooks = self.event_hooks
        return (
            not self.is_closed
            and self.auth is None
            and not (hooks["request"] or hooks["response"])
            and not request.url.userinfo
            and isinstance(request.stream, httpx2.ByteStream)
        )

    def _address(self, url: httpx2.URL | str) -> httpx2.URL | None:
        """The address, parsed once; ``None`` if it stands under a base that this client adds."""
        if isinstance(url, httpx2.URL):
            return None if url.is_relative_url else url
        address = self._addresses.get(url)
        if address is None:
            address = httpx2.URL(url)
            if address.is_relative_url:
                return None
            if len(self._addresses) >= _MOST_ADDRESSES:
                self._addresses.clear()
            self._addresses[url] = address
        return address

    def _with_defaults(self, given: Any, address: httpx2.URL, content: bytes) -> Any:
        """The headers of a request, and those of this client that it does not have."""
        if isinstance(given, httpx2.Headers):
            pairs: list[Any] = given.raw
        else:
            named = given.items() if hasattr(given, "items") else given or ()
            pairs = [
                (name.encode("ascii") if isinstance(name, str) else name, value)
                for name, value in named
            ]
        names = {name.lower() for name, _ in pairs}
        own = [pair for pair in self.headers.raw if pair[0].lower() not in names]
        if b"host" not in names:
            own.append((b"Host", address.netloc))
        if b"content-length" not in names and b"transfer-encoding" not in names:
            own.append((b"Content-Length", b"%d" % len(content)))
        return own + pairs


class LeanResponse(httpx2.Response):
    """An answer on the short way, its body there.

    Attributes:
        got: aiohttp's own.
    """

    def __init__(self, got: aiohttp.ClientResponse, request: httpx2.Request, body: bytes) -> None:
        super().__init__(
            got.status,
            headers=_decompressed(got),
            stream=httpx2.ByteStream(body),
            request=request,
            extensions=_extensions(got),
        )
        self.got = got
        self._body = body

    @property
    def content(self) -> bytes:
        """The body."""
        return self._body

    def read(self) -> bytes:
        """The body."""
        return self._body

    async def aread(self) -> bytes:
        """The body."""
        return self._body


class LeanStream(httpx2.Response):
    """An answer on the short way, its body to come.

    Attributes:
        got: aiohttp's own.
    """

    def __init__(self, got: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        super().__init__(
            got.status,
            headers=_decompressed(got),
            stream=_Body(got, request),
            request=request,
            extensions=_extensions(got),
        )
        self.got = got


async def _sent(
    request: httpx2.Request, sender: AioSender, *, decompress: bool
) -> aiohttp.ClientResponse:
    limits = request.extensions.get("timeout", {})
    headers = CIMultiDict(
        [
            (
                name.decode("latin-1"),
                Unshown(value, "latin-1") if name.lower() in _SECRET else value.decode("latin-1"),
            )
            for name, value in request.headers.raw
        ]
    )
    body: Any
    if isinstance(request.stream, httpx2.ByteStream):
        body = request.read() or None
    else:
        body = request.stream
        headers.popall("transfer-encoding", None)  # aiohttp sees to that
    # Whom the address names is in the headers by now.
    url = request.url.copy_with(userinfo=b"") if request.url.userinfo else request.url
    try:
        return await sender.send(
            request.method,
            sender.route(str(url)),
            headers=headers,
            body=body,
            timeout=sender.timeout(limits.get("read"), limits.get("connect"), limits.get("pool")),
            decompress=decompress,
            server_hostname=request.extensions.get("sni_hostname"),
        )
    except (aiohttp.ClientError, OSError) as exc:
        raise _told(exc, request) from exc


def _decompressed(got: aiohttp.ClientResponse) -> Any:
    """The headers as they fit a body that aiohttp has decompressed."""
    if "content-encoding" not in got.headers:
        return got.raw_headers
    return [pair for pair in got.raw_headers if pair[0].lower() not in _OF_COMPRESSED]


def _extensions(got: aiohttp.ClientResponse) -> dict[str, Any]:
    found: dict[str, Any] = {"http_version": b"HTTP/1.1"}
    if got.reason:
        found["reason_phrase"] = got.reason.encode("latin-1", "replace")
    return found


class _Body(httpx2.AsyncByteStream):
    """The body of an answer as it arrives."""

    def __init__(self, got: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._got = got
        self._request = request
        self._silence = Silence(got, request.extensions.get("timeout", {}).get("read"))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content, silence = self._got.content, self._silence
        try:
            while True:
                silence.begin()
                chunk = await content.readany()
                silence.end()
                if not chunk:
                    return
                yield chunk
        except (aiohttp.ClientError, OSError) as exc:
            raise _told(exc, self._request) from exc
        finally:
            silence.stop()

    async def aclose(self) -> None:
        self._silence.stop()
        # Drops the connection, unless the body was read to its end: then it has been released.
        self._got.close()


class _Transport(httpx2.AsyncBaseTransport):
    """The long way: any request that ``httpx2.AsyncClient`` makes, over the same session."""

    def __init__(self, sender: AioSender) -> None:
        self._sender = sender

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        got = await _sent(request, self._sender, decompress=False)
        return httpx2.Response(
            got.status,
            headers=got.raw_headers,
            stream=_Body(got, request),
            request=request,
            extensions=_extensions(got),
        )

    async def aclose(self) -> None:
        await self._sender.aclose()


_MEANINGS: tuple[tuple[type[Exception], type[httpx2.RequestError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx2.ReadTimeout),
    (aiohttp.ClientProxyConnectionError, httpx2.ProxyError),
    (aiohttp.ClientHttpProxyError, httpx2.ProxyError),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.InvalidURL, httpx2.UnsupportedProtocol),
    (aiohttp.ServerDisconnectedError, httpx2.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx2.RemoteProtocolError),
    (aiohttp.ClientError, httpx2.ReadError),
    (TimeoutError, httpx2.ReadTimeout),
    (OSError, httpx2.ReadError),
)
"""aiohttp's exceptions in the words of httpx2, which the SDKs understand; the first that fits."""


def _told(exc: Exception, request: httpx2.Request) -> httpx2.RequestError:
    cls = next(meaning for known, meaning in _MEANINGS if isinstance(exc, known))
    return cls(str(exc), request=request)
