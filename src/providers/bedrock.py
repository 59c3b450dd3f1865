"""Claude on Amazon Bedrock, through ``AsyncAnthropicBedrock``.

Models go by Bedrock's own names (``anthropic.claude-opus-4-6-v1``, with ``us.`` and the like before
them for a profile across regions, or an ARN). Bedrock neither counts tokens for us nor lists its
models by this road.
"""

from __future__ import annotations

import os
import re
from functools import partial
from typing import Any

from ..credentials import Secret
from ..errors import ConfigError, ProviderError
from .anthropic_base import AnthropicFamily, CommonOptions, bearer, http_client
from .base import Provider, ProviderSettings
from .options import check_options
from .roads import only_sdk
from .wire import SdkWire

__all__ = ["Bedrock", "create", "region_of"]

# us.anthropic.claude-opus-5: a profile across regions; anthropic.claude-opus-5: none.
_PROFILE = re.compile(r"(?:^|/)([a-z-]+)\.(?=anthropic\.)")
_ARN = re.compile(r"^arn:[\w-]+:bedrock:([\w-]+):")


class _Options(CommonOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``[providers.NAME]`` with the plugin ``bedrock``.

    Without keys and profile, boto3 looks where it always looks: its environment variables, its
    files, the machine's role. ``api_key`` of the table is Bedrock's bearer token.

    Attributes:
        region: The AWS region; else ``AWS_REGION``, ``AWS_DEFAULT_REGION`` or the profile's.
        profile: A profile of the AWS configuration files.
        aws_access_key: The id of an access key.
        aws_secret_key: The key itself (``"env:NAME"`` in the configuration).
        aws_session_token: For temporary keys.
    """

    region: str | None = None
    profile: str | None = None
    aws_access_key: str | None = None
    aws_secret_key: str | None = None
    aws_session_token: str | None = None


class Bedrock(AnthropicFamily):
    """Serves Claude on Amazon Bedrock, where a region or a group of them costs more than all."""

    def _region(self, model: str) -> str | None:
        options = self._options
        named = options.region if isinstance(options, _Options) else None
        return region_of(model, named)


def region_of(model: str, region: str | None) -> str:
    """Where a model is run: in its profile's group of regions, else in a region.

    Args:
        model: The model as Bedrock calls it.
        region: The region that is configured; else AWS's variables say it.
    """
    profile = _PROFILE.search(model)
    if profile is not None:
        return profile[1]
    arn = _ARN.match(model)
    named = arn[1] if arn is not None else region
    found = named or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    # The SDK's profile may name it. Whichever it is, it is one and not all of them.
    return found or "regional"


def create(settings: ProviderSettings) -> Provider:
    """Make the provider. No I/O, and no import of the SDK."""
    options = check_options(settings, _Options)
    table = f"providers.{settings.name}"
    if (options.aws_access_key is None) != (options.aws_secret_key is None):
        missing = "aws_secret_key" if options.aws_secret_key is None else "aws_access_key"
        message = f"{table}.{missing}: aws_access_key and aws_secret_key belong together"
        raise ConfigError(message, param=f"{table}.{missing}")
    if settings.api_key is not None and (options.aws_access_key or options.profile):
        message = f"{table}.api_key: either the bearer token or AWS keys or a profile"
        raise ConfigError(message, param=f"{table}.api_key")
    only_sdk(options.wire, provider=settings.name, why="AWS wants each request signed")
    secret = Secret(options.aws_secret_key) if options.aws_secret_key else settings.api_key
    wire = SdkWire(
        provider=settings.name,
        make_client=partial(_make_client, settings, options),
        auth_headers=bearer,
        rewrites_body=True,
        secret=secret,
    )
    no_key = (
        f"set {table}.aws_access_key and aws_secret_key, {table}.profile, or what boto3 reads "
        "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, the machine's role)"
    )
    return Bedrock(settings, options=options, wire=wire, platform="bedrock", no_key=no_key)


def _client_class() -> Any:
    """The SDK's client, which would put its own credential in place of a call's."""
    import anthropic

    class Client(anthropic.AsyncAnthropicBedrock):
        async def _prepare_request(self, request: Any) -> None:
            if "Authorization" not in request.headers:
                await super()._prepare_request(request)

    return Client


def _make_client(settings: ProviderSettings, options: _Options) -> Any:
    try:
        import boto3  # noqa: F401
    except ImportError as exc:
        message = f"{settings.name}: boto3 is missing: pip install 'switchgear[bedrock]'"
        raise ConfigError(message, param=f"providers.{settings.name}.plugin") from exc
    try:
        return _client_class()(
            aws_access_key=options.aws_access_key,
            aws_secret_key=options.aws_secret_key,
            aws_session_token=options.aws_session_token,
            aws_region=options.region,
            aws_profile=options.profile,
            api_key=settings.api_key.reveal() if settings.api_key is not None else None,
            base_url=settings.base_url,
            max_retries=0,
            http_client=http_client(options.transport),
            default_headers=options.headers or None,
        )
    except ValueError as exc:
        param = f"providers.{settings.name}.region"
        raise ConfigError(f"{param}: no AWS region: set it, or AWS_REGION", param=param) from exc
    except Exception as exc:
        # Botocore has its own errors for a profile that is not there and the like.
        raise ProviderError(f"{settings.name}: {exc}", provider=settings.name) from exc
