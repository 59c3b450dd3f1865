"""OpenAI, by Chat Completions or Responses, whichever suits the model."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ..credentials import Secret
from . import openai_models
from .base import Call, Capabilities, ProviderSettings
from .dialects.openai_chat import ChatQuirks
from .openai_family import (
    Api,
    FamilyProvider,
    Transport,
    bearer,
    http_client,
    list_models,
    wants_responses,
)
from .options import check_options
from .roads import Road, wire_for

__all__ = ["OpenAIProvider", "create", "region_of"]

_KEY = "OPENAI_API_KEY"
# Data residency has hosts of its own: eu.api.openai.com.
_REGIONAL = re.compile(r"([a-z]{2,})\.api\.openai\.com$")


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of the provider's table beyond the common ones.

    Attributes:
        api: Which API answers. ``auto``: Responses where a model exists only there or reasons
            with tools, else Chat Completions.
        organization: Who pays, where a key belongs to several; default ``OPENAI_ORG_ID``.
        project: The same; default ``OPENAI_PROJECT_ID``.
        headers: Headers of every request.
        transport: The HTTP client under the SDK.
        wire: ``direct`` sends past the SDK, with its client's headers and address: cheaper.
    """

    api: Api = "auto"
    organization: str | None = None
    project: str | None = None
    headers: Mapping[str, str] = {}
    transport: Transport = "aiohttp"
    wire: Road = "sdk"


class OpenAIProvider(FamilyProvider):
    """One OpenAI account."""

    def __init__(self, settings: ProviderSettings, options: _Options) -> None:
        self._options = options
        key = settings.api_key or _from_environment()
        wire = wire_for(
            options.wire,
            provider=settings.name,
            transport=options.transport,
            make_client=lambda http: _client(settings, options, key, http),
            auth_headers=bearer,
            secret=key,
        )
        where = f'api_key = "env:{_KEY}" in [providers.{settings.name}]'
        missing = None if key is not None else f"set {_KEY}, or {where}"
        super().__init__(settings, wire, missing_key=missing)
        self._region = region_of(settings.base_url or os.environ.get("OPENAI_BASE_URL") or "")

    async def list_models(self) -> Sequence[str]:
        """The models of this account."""
        return await list_models(self._wire, self.name, self._missing_key)

    def _declared(self, model: str) -> Capabilities:
        can = openai_models.facts(model).capabilities
        if self._options.api != "responses":
            return can
        return msgspec.structs.replace(can, sampling=can.sampling - {"seed", "stop"})

    def _quirks(self, model: str) -> ChatQuirks:
        return _quirks_of(model)

    def _uses_responses(self, call: Call) -> bool:
        return wants_responses(self._options.api, call, call.model)


def create(settings: ProviderSettings) -> OpenAIProvider:
    """Make the provider ``openai``.

    Raises:
        ConfigError: The table is wrong.
    """
    return OpenAIProvider(settings, check_options(settings, _Options))


@functools.lru_cache(maxsize=256)
def _quirks_of(model: str) -> ChatQuirks:
    known = openai_models.facts(model)
    return ChatQuirks(
        max_tokens_field="max_completion_tokens",
        system_role="developer" if known.reasoning else "system",
        done_marker=True,
        strict=True,
        file_ids=True,
        cache_breakpoints=known.cache_breakpoints,
        openai_models=True,
    )


def region_of(address: str) -> str | None:
    """The region of an address that keeps data in one (``https://eu.api.openai.com/v1``)."""
    regional = _REGIONAL.match(urlsplit(address).hostname or "")
    return regional[1] if regional is not None else None


def _from_environment() -> Secret | None:
    key = os.environ.get(_KEY)
    return Secret(key) if key else None


def _client(settings: ProviderSettings, options: _Options, key: Secret | None, http: Any) -> Any:
    import openai

    return openai.AsyncOpenAI(
        # Without a key of its own the client serves calls that bring theirs.
        api_key=key.reveal() if key is not None else "the call brings its own",
        organization=options.organization,
        project=options.project,
        base_url=settings.base_url,
        default_headers=options.headers or None,
        max_retries=0,
        http_client=http or http_client(options.transport),
    )
