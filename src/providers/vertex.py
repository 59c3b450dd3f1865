"""Claude on Google Cloud (Vertex AI), through ``AsyncAnthropicVertex``.

Models go by Google's names (``claude-opus-4-6``, ``claude-sonnet-4-5@20250929``).
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from ..errors import ConfigError
from .anthropic_base import AnthropicFamily, CommonOptions, bearer, http_client
from .base import Call, Provider, ProviderSettings
from .options import check_options
from .roads import only_sdk
from .wire import SdkWire

__all__ = ["Vertex", "create"]


class _Options(CommonOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``[providers.NAME]`` with the plugin ``vertex``.

    Without ``api_key``, an access token, Google's application default credentials are used and
    refreshed.

    Attributes:
        region: ``global``, ``us``, ``eu`` or a region's name; else ``CLOUD_ML_REGION``.
        project_id: The project; else ``ANTHROPIC_VERTEX_PROJECT_ID``. The SDK needs it before it
            looks at the credentials, so theirs does not count.
    """

    region: str | None = None
    project_id: str | None = None


class Vertex(AnthropicFamily):
    """Serves Claude on Google Cloud."""

    async def count_tokens(self, call: Call) -> int:
        """The input tokens that this call would have, as the vendor counts."""
        return await self._count(call)

    def _region(self, model: str) -> str | None:
        """The endpoint's region: all but ``global`` cost more."""
        del model
        options = self._options
        named = options.region if isinstance(options, _Options) else None
        return named or os.environ.get("CLOUD_ML_REGION")


def create(settings: ProviderSettings) -> Provider:
    """Make the provider. No I/O, and no import of the SDK."""
    options = check_options(settings, _Options)
    why = "Google's access tokens are fetched, and models put into the address, by the SDK's client"
    only_sdk(options.wire, provider=settings.name, why=why)
    wire = SdkWire(
        provider=settings.name,
        make_client=partial(_make_client, settings, options),
        auth_headers=bearer,
        rewrites_body=True,
        secret=settings.api_key,
    )
    no_key = (
        "run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS, or give "
        f"an access token as providers.{settings.name}.api_key"
    )
    return Vertex(settings, options=options, wire=wire, platform="vertex", no_key=no_key)


def _make_client(settings: ProviderSettings, options: _Options) -> Any:
    import anthropic

    given: dict[str, Any] = {}
    if options.region is not None:
        given["region"] = options.region
    if options.project_id is not None:
        given["project_id"] = options.project_id
    table = f"providers.{settings.name}"
    try:
        client = anthropic.AsyncAnthropicVertex(
            **given,
            access_token=settings.api_key.reveal() if settings.api_key is not None else None,
            base_url=settings.base_url,
            max_retries=0,
            http_client=http_client(options.transport),
            default_headers=options.headers or None,
        )
    except ValueError as exc:
        message = f"{table}.region: no region: set it, or CLOUD_ML_REGION"
        raise ConfigError(message, param=f"{table}.region") from exc
    if client.project_id is None:
        message = f"{table}.project_id: no project: set it, or ANTHROPIC_VERTEX_PROJECT_ID"
        raise ConfigError(message, param=f"{table}.project_id")
    return client
