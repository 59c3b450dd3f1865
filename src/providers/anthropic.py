"""Anthropic's own platform, through ``AsyncAnthropic``.

Where OpenTelemetry is installed, the SDK emits a client span for each call by itself. That is left
at the SDK's default, so whoever instruments this library should not add a second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from ..credentials import Secret
from .anthropic_base import AnthropicFamily, CommonOptions, bearer, http_client
from .base import Call, Provider, ProviderSettings
from .dialects.anthropic_decode import decode_models
from .options import check_options
from .roads import only_sdk, wire_for
from .wire import WireRequest

__all__ = ["Anthropic", "create"]

_PAGE = 1000
_MOST_PAGES = 100


class _Options(CommonOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``[providers.NAME]`` with the plugin ``anthropic``.

    Attributes:
        auth_token: An OAuth token in place of an API key.
        profile: A profile of the vendor's command-line tool, which holds credentials.
    """

    auth_token: str | None = None
    profile: str | None = None


class Anthropic(AnthropicFamily):
    """Serves Claude at its vendor's, and any server that speaks the Messages API."""

    async def count_tokens(self, call: Call) -> int:
        """The input tokens that this call would have, as the vendor counts."""
        return await self._count(call)

    async def list_models(self) -> Sequence[str]:
        """All models that the key can use, newest first."""
        names: list[str] = []
        query: dict[str, Any] = {"limit": _PAGE}
        for _ in range(_MOST_PAGES):
            response = await self._send(WireRequest(path=f"/v1/models?{urlencode(query)}"))
            page, last = decode_models(response.body, provider=self.name, meta=response.meta)
            names += page
            if last is None:
                break
            query["after_id"] = last
        return names


def create(settings: ProviderSettings) -> Provider:
    """Make the provider. No I/O, and no import of the SDK."""
    options = check_options(settings, _Options)
    token = Secret(options.auth_token) if options.auth_token else None
    if options.profile is not None:
        why = "a profile's credential is fetched anew by the SDK's client"
        only_sdk(options.wire, provider=settings.name, why=why)
    wire = wire_for(
        options.wire,
        provider=settings.name,
        transport=options.transport,
        make_client=partial(_make_client, settings, options),
        auth_headers=bearer,
        secret=settings.api_key or token,
    )
    no_key = (
        "set the environment variable ANTHROPIC_API_KEY, or "
        f'providers.{settings.name}.api_key = "env:NAME" in the configuration'
    )
    return Anthropic(settings, options=options, wire=wire, platform="anthropic", no_key=no_key)


def _make_client(settings: ProviderSettings, options: _Options, http: Any) -> Any:
    import anthropic

    credential: dict[str, Any] = {}
    if settings.api_key is not None:
        credential["api_key"] = settings.api_key.reveal()
    elif options.auth_token is not None:
        credential["auth_token"] = options.auth_token
    elif options.profile is not None:
        credential["profile"] = options.profile
    return anthropic.AsyncAnthropic(
        **credential,
        base_url=settings.base_url,
        max_retries=0,
        http_client=http or http_client(options.transport),
        default_headers=options.headers or None,
    )
