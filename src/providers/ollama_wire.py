"""The road to an Ollama server: the SDK's HTTP client, without the SDK's models.

``ollama.AsyncClient`` knows where the server is (every form of ``OLLAMA_HOST``), which headers it
wants and where the key is. Its methods know less: no timeout for one request, no response headers,
every chunk through pydantic, a refused connection as three different exceptions, an error inside a
stream without a status, and no field that is newer than itself. It has no documented raw road, so
this one borrows the ``httpx.AsyncClient`` that it has configured, in one place (:func:`http_of`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..credentials import Secret
from ..errors import (
    ModelNotFoundError,
    PluginError,
    ProviderConnectionError,
    SwitchgearError,
    UnsupportedParameterError,
)
from . import faults
from .lazy import LazyClient
from .wire import ResponseStream, WireRequest, WireResponse, WireStream, encode_body, meta_of

if TYPE_CHECKING:
    import httpx

__all__ = ["OllamaWire", "http_of"]

_CONNECT_SECONDS = 10.0
# What a template lacks, in the server's words, and what the request calls it.
_LACKS = {"tools": "tools", "thinking": "reasoning_effort", "images": "images"}


def http_of(client: Any) -> httpx.AsyncClient:
    """The HTTP client inside an ``ollama.AsyncClient``.

    A private attribute, which has been there since the SDK's first release; the dependency is
    bounded (``ollama<1``) and a test looks for it.

    Raises:
        PluginError: This SDK keeps it elsewhere.
    """
    http: httpx.AsyncClient | None = getattr(client, "_client", None)
    if http is None:
        raise PluginError("the installed ollama package is not one that this adapter knows: use <1")
    return http


class OllamaWire:
    """A ``Wire`` to one Ollama server.

    Args:
        provider: The provider's name in the configuration, for errors.
        make_client: Makes the ``ollama.AsyncClient``; called once, on first use, in a thread,
            since importing the SDK takes half a second.
        secret: The client's own credential, to keep it out of error messages.
    """

    def __init__(
        self, *, provider: str, make_client: Callable[[], Any], secret: Secret | None = None
    ) -> None:
        self._provider = provider
        self._client = LazyClient(provider, make_client)
        self._secret = secret

    @property
    def client(self) -> Any:
        """The SDK's client. Made here and now if need be, which blocks for half a second."""
        return self._client.get()

    async def send(self, request: WireRequest) -> WireResponse:
        """Send and read the whole answer."""
        response = await self._request(request)
        try:
            body = await response.aread()
        except Exception as exc:
            raise self._transport(exc, request.model) from exc
        finally:
            await response.aclose()
        return WireResponse(body, meta_of(response))

    async def open(self, request: WireRequest) -> WireStream:
        """Send and hand over the open body."""
        response = await self._request(request)
        return ResponseStream(response, partial(self._transport, model=request.model))

    async def aclose(self) -> None:
        """Close the SDK's client."""
        await self._client.aclose()

    async def _request(self, request: WireRequest) -> httpx.Response:
        """The answer with a status of 2xx, its body not yet read."""
        client = await self._client.ready()
        try:
            http = http_of(client)
            built = self._build(http, request)
            response = await http.send(built, stream=True, follow_redirects=False)
        except Exception as exc:
            raise self._transport(exc, request.model) from exc
        if 200 <= response.status_code < 300:
            return response
        try:
            body = await response.aread()
        except Exception as exc:
            raise self._transport(exc, request.model) from exc
        finally:
            await response.aclose()
        raise self._refusal(response, body, request)

    def _build(self, http: httpx.AsyncClient, request: WireRequest) -> httpx.Request:
        import httpx

        headers = dict(request.headers)
        if request.credential is not None:
            headers["Authorization"] = f"Bearer {request.credential.reveal()}"
        timeout = httpx.Timeout(request.timeout, connect=min(request.timeout, _CONNECT_SECONDS))
        if request.body is None:
            return http.build_request("GET", request.path, headers=headers, timeout=timeout)
        content = encode_body(request.body)
        return http.build_request(
            "POST", request.path, content=content, headers=headers, timeout=timeout
        )

    def _refusal(
        self, response: httpx.Response, body: bytes, request: WireRequest
    ) -> SwitchgearError:
        error = faults.response_error(
            response.status_code,
            response.headers,
            body,
            provider=self._provider,
            model=request.model,
            secret=request.credential or self._secret,
        )
        if response.status_code == 400 and "does not support" in error.message:
            return _unsupported(error)
        if isinstance(error, ModelNotFoundError):
            return _not_found(error, body)
        return error

    def _transport(self, exc: Exception, model: str | None) -> SwitchgearError:
        """What an exception of httpx means."""
        if isinstance(exc, SwitchgearError):
            return exc
        error = faults.transport_error(exc, provider=self._provider, model=model)
        if isinstance(error, ProviderConnectionError) and _is_refused(exc):
            return _hinted(
                error, f"is Ollama running at {_address(exc)}? Start it with `ollama serve`"
            )
        return error


def _is_refused(exc: Exception) -> bool:
    import httpx

    return isinstance(exc, httpx.ConnectError)


def _address(refused: Any) -> str:
    url = refused.request.url
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _unsupported(error: SwitchgearError) -> SwitchgearError:
    lacking = error.message.rpartition("does not support")[2].strip(" .\"'")
    return UnsupportedParameterError(
        error.message,
        provider=error.provider,
        model=error.model,
        status=error.status,
        param=_LACKS.get(lacking, lacking or None),
        request_id=error.request_id,
    )


def _not_found(error: ModelNotFoundError, body: bytes) -> SwitchgearError:
    if not body.lstrip().startswith(b"{"):
        # The server's own 404s are JSON; this is a path that it, or something before it, lacks.
        return _hinted(error, "base_url should be the root of an Ollama server, without a path")
    if error.model is None:
        return error
    return _hinted(error, f"fetch it with `ollama pull {error.model}`")


def _hinted(error: SwitchgearError, hint: str) -> SwitchgearError:
    """The same error with the way out at its end."""
    error.message = f"{error.message}; {hint}"
    error.args = (error.message,)
    return error
