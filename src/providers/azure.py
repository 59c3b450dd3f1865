"""OpenAI's models on Azure: deployments, or the API that is OpenAI's own (``/openai/v1``)."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from ..credentials import Secret
from ..errors import AuthenticationError, ConfigError
from . import openai_models
from .base import Call, Capabilities, ProviderSettings
from .dialects.openai_chat import ChatQuirks
from .openai_family import (
    Api,
    FamilyProvider,
    Transport,
    bearer,
    http_client,
    own_headers,
    wants_responses,
)
from .options import check_options
from .roads import Road, only_sdk, wire_for
from .wire import SdkWire, Wire

__all__ = ["AzureProvider", "create"]

_KEY = "AZURE_OPENAI_API_KEY"
_TOKEN = "AZURE_OPENAI_AD_TOKEN"  # noqa: S105 - a variable's name
_ENDPOINT = "AZURE_OPENAI_ENDPOINT"
_VERSION = "OPENAI_API_VERSION"
_SCOPE = "https://cognitiveservices.azure.com/.default"
_V1 = "/openai/v1"


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of the provider's table beyond the common ones.

    Attributes:
        api_version: A dated version (``2024-10-21``) chooses the deployments' paths, default
            ``OPENAI_API_VERSION``; without one the ``/openai/v1`` API is used.
        deployments: OpenAI's name of the model behind each deployment, where they differ: what a
            deployment can do is judged by it.
        azure_ad_token: A Microsoft Entra token in place of a key; default
            ``AZURE_OPENAI_AD_TOKEN``.
        azure_ad_token_provider: A callable that gives such tokens, awaitable or not; only where
            the configuration comes from Python.
        entra_id: Get tokens by ``azure.identity.aio.DefaultAzureCredential``, which the package
            ``azure-identity`` brings.
        api: Which API answers. ``chat`` unless told otherwise, since not every region and version
            has Responses; ``auto`` decides by model as for OpenAI.
        stream_usage: Ask for usage in streams; false for versions before ``2024-09-01-preview``.
        headers: Headers of every request.
        transport: The HTTP client under the SDK.
        wire: ``direct`` sends past the SDK, with its client's headers and address: cheaper. Only
            for the ``/openai/v1`` API with a key.
    """

    api_version: str | None = None
    deployments: Mapping[str, str] = {}
    azure_ad_token: Any = None
    azure_ad_token_provider: Any = None
    entra_id: bool = False
    api: Api = "chat"
    stream_usage: bool = True
    headers: Mapping[str, str] = {}
    transport: Transport = "aiohttp"
    wire: Road = "sdk"


class _Access(msgspec.Struct, frozen=True):
    """How requests are authorised: by at most one of these."""

    key: Secret | None = None
    token: Secret | None = None
    tokens: Callable[[], Awaitable[str]] | None = None

    @property
    def missing(self) -> bool:
        return self.key is None and self.token is None and self.tokens is None


class AzureProvider(FamilyProvider):
    """One Azure OpenAI resource; a model is called by its deployment's name."""

    def __init__(self, settings: ProviderSettings, options: _Options, endpoint: str) -> None:
        self._options = options
        version = options.api_version or os.environ.get(_VERSION) or None
        if endpoint.rstrip("/").endswith(_V1):
            version = None
        self._dated = version is not None
        access = _access(settings, options)
        wire = self._wire_to(endpoint, version, access, settings.name)
        where = f'api_key = "env:{_KEY}" in [providers.{settings.name}]'
        missing = f"set {_KEY}, or {where}, or choose entra_id = true" if access.missing else None
        super().__init__(settings, wire, missing_key=missing)

    def _wire_to(self, endpoint: str, version: str | None, access: _Access, provider: str) -> Wire:
        options = self._options
        secret = access.key or access.token
        if version is None and access.tokens is None:
            return wire_for(
                options.wire,
                provider=provider,
                transport=options.transport,
                make_client=lambda http: _client(options, endpoint, version, access, http),
                auth_headers=bearer,
                secret=secret,
            )
        why = "Entra's tokens expire, and the SDK's client gets new ones"
        if version is not None:
            why = "deployments have an address each, which the SDK's client makes"
        only_sdk(options.wire, provider=provider, why=why)
        return SdkWire(
            provider=provider,
            make_client=lambda: _client(options, endpoint, version, access, None),
            auth_headers=bearer if version is None else _dated_headers,
            rewrites_body=version is not None,  # the client makes the path out of the body's model
            secret=secret,
        )

    def _known_as(self, deployment: str) -> str:
        return self._options.deployments.get(deployment, deployment)

    def _declared(self, model: str) -> Capabilities:
        declared = openai_models.facts(self._known_as(model)).capabilities
        return msgspec.structs.replace(declared, prompt_cache=False)

    def _quirks(self, model: str) -> ChatQuirks:
        known_as = self._known_as(model)
        reasoning = openai_models.facts(known_as).reasoning
        return ChatQuirks(
            # Older versions of the API know the new name for reasoning models only.
            max_tokens_field="max_completion_tokens" if reasoning else "max_tokens",
            system_role="developer" if reasoning else "system",
            stream_usage=self._options.stream_usage,
            done_marker=True,
            strict=True,
            file_ids=True,
            openai_models=True,
            known_as=known_as,
        )

    def _uses_responses(self, call: Call) -> bool:
        return wants_responses(self._options.api, call, self._known_as(call.model))


def create(settings: ProviderSettings) -> AzureProvider:
    """Make a provider of the plugin ``azure-openai``.

    Raises:
        ConfigError: The table is wrong, or nothing says where the resource is.
    """
    options = check_options(settings, _Options)
    table = f"providers.{settings.name}"
    endpoint = settings.base_url or os.environ.get(_ENDPOINT)
    if not endpoint:
        raise ConfigError(
            f"{table}.base_url: missing: say where the resource is, as "
            f'"https://NAME.openai.azure.com", or set {_ENDPOINT}',
            param=f"{table}.base_url",
        )
    given = [
        field
        for field in ("azure_ad_token", "azure_ad_token_provider", "entra_id")
        if getattr(options, field)
    ]
    if settings.api_key is not None:
        given.insert(0, "api_key")
    if len(given) > 1:
        message = f"{table}: {' and '.join(given)} exclude each other: choose one"
        raise ConfigError(message, param=f"{table}.{given[-1]}")
    if options.azure_ad_token_provider is not None and not callable(
        options.azure_ad_token_provider
    ):
        param = f"{table}.azure_ad_token_provider"
        raise ConfigError(f"{param}: must be callable; in a file, use entra_id = true", param=param)
    if not isinstance(options.azure_ad_token, str | Secret | None):
        raise ConfigError(f"{table}.azure_ad_token: must be text", param=f"{table}.azure_ad_token")
    return AzureProvider(settings, options, endpoint)


def _access(settings: ProviderSettings, options: _Options) -> _Access:
    """The way in: the table's, else the environment's, where the SDK too prefers the token."""
    if settings.api_key is not None:
        return _Access(key=settings.api_key)
    if options.azure_ad_token:
        token = options.azure_ad_token
        return _Access(token=token if isinstance(token, Secret) else Secret(token))
    if options.azure_ad_token_provider is not None:
        return _Access(tokens=_off_the_loop(options.azure_ad_token_provider))
    if options.entra_id:
        return _Access(tokens=_EntraTokens(settings.name))
    if token := os.environ.get(_TOKEN):
        return _Access(token=Secret(token))
    key = os.environ.get(_KEY)
    return _Access(key=Secret(key) if key else None)


def _off_the_loop(provider: Callable[[], Any]) -> Callable[[], Awaitable[str]]:
    """A token provider that may block, as azure-identity's synchronous one does."""
    if inspect.iscoroutinefunction(provider):
        return provider

    async def token() -> str:
        value = await asyncio.to_thread(provider)
        result: str = await value if inspect.isawaitable(value) else value
        return result

    return token


class _EntraTokens:
    """Tokens from whatever identity this machine has; cached until they expire by the package."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._token: Callable[[], Awaitable[str]] | None = None

    async def __call__(self) -> str:
        if self._token is None:
            self._token = await asyncio.to_thread(self._make)
        return await self._token()

    def _make(self) -> Callable[[], Awaitable[str]]:
        try:
            from azure.identity.aio import (  # type: ignore[import-not-found, unused-ignore]
                DefaultAzureCredential,
                get_bearer_token_provider,
            )
        except ImportError as exc:
            raise AuthenticationError(
                f"{self._provider}: entra_id needs the package azure-identity: install it",
                provider=self._provider,
                code="missing_package",
                param=f"providers.{self._provider}.entra_id",
            ) from exc
        token: Callable[[], Awaitable[str]] = get_bearer_token_provider(
            DefaultAzureCredential(), _SCOPE
        )
        return token


def _dated_headers(credential: Secret) -> Mapping[str, Any]:
    import openai

    # A client that lives on tokens adds one to every request which has no such header.
    return {"api-key": credential.reveal(), "Authorization": openai.omit}


def _client(
    options: _Options, endpoint: str, version: str | None, access: _Access, http: Any
) -> Any:
    import openai

    absent = Secret("the call brings its own")
    secret = access.key or access.token or (absent if access.tokens is None else None)
    headers = own_headers(options.headers, None if version is not None else secret)
    if version is None and headers.get("Authorization") is openai.omit:
        del headers["Authorization"]  # it would keep the client from adding its token
    common: dict[str, Any] = {
        "default_headers": headers,
        "max_retries": 0,
        "http_client": http or http_client(options.transport),
    }
    if version is not None:
        return openai.AsyncAzureOpenAI(
            azure_endpoint=endpoint,
            api_version=version,
            azure_ad_token=access.token.reveal() if access.token is not None else None,
            azure_ad_token_provider=access.tokens,
            api_key=(access.key or absent).reveal() if access.key or access.missing else None,
            **common,
        )
    base_url = endpoint.rstrip("/")
    return openai.AsyncOpenAI(
        api_key=access.tokens if secret is None else secret.reveal(),
        base_url=base_url if base_url.endswith(_V1) else base_url + _V1,
        **common,
    )
