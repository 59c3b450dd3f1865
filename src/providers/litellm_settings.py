"""A provider's own table in LiteLLM's words, for a router whose backend is LiteLLM.

Every option of a built-in plugin either has an equivalent or a warning. What a plugin's SDK would
have read from the environment is passed on explicitly: LiteLLM's variables have other names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from ..config.backend import EQUIVALENTS, LITELLM
from ..config.hiding import names_credential
from ..config.values import FrozenDict
from ..credentials import Secret
from .base import ProviderSettings
from .options import ModelOptions

__all__ = ["as_litellm"]

_NO_KEY: Final = "no-key"
"""What a server without keys is sent: LiteLLM would otherwise send it OpenAI's."""

# What both understand under the same name.
_SAME: Final = frozenset({"headers", *ModelOptions.__struct_fields__})

_OLLAMA_PORT: Final = 11434

_CHOSEN_FOR: Final = "LiteLLM chooses that by itself"


class _Translation:
    """One table on its way.

    Attributes:
        given: The options that nobody has taken yet.
        key: The credential.
        url: The address.
        options: Options of the plugin ``litellm``.
        params: LiteLLM's own arguments.
        warnings: What has no equivalent.
    """

    def __init__(self, settings: ProviderSettings, environ: Mapping[str, str]) -> None:
        self._table = f"providers.{settings.name}"
        self._environ = environ
        self.given = dict(settings.options)
        self.key = settings.api_key
        self.url = settings.base_url
        self.options: dict[str, Any] = {"vendor": EQUIVALENTS[settings.plugin]}
        self.params: dict[str, Any] = {}
        self.warnings: list[str] = []
        for name in [name for name in self.given if name in _SAME]:
            self.options[name] = self.given.pop(name)
        if self.given.pop("transport", "aiohttp") != "aiohttp":
            self.lost("transport", "LiteLLM has a transport of its own")
        if self.given.pop("wire", "sdk") != "sdk":
            self.lost("wire", "LiteLLM has a road of its own")

    def lost(self, option: str, why: str = _CHOSEN_FOR) -> None:
        """Note an option without an equivalent."""
        self.warnings.append(f"{self._table}.{option}: has no effect with LiteLLM: {why}")

    def lose(self, **why: str) -> None:
        """Take options that have no equivalent, each with the reason."""
        for option, reason in why.items():
            if self.given.pop(option, None) is not None:
                self.lost(option, reason)

    def param(self, option: str, name: str, *variables: str) -> None:
        """Pass an option on under LiteLLM's name, else what the SDK would have read."""
        value = self.given.pop(option, None)
        if value is None:
            value = self.read(*variables)
        if value is not None:
            self.params[name] = value.reveal() if isinstance(value, Secret) else value

    def header(self, name: str, value: str | None) -> None:
        """Add a header of every request, unless the table has it."""
        headers = self.options.get("headers", {})
        if value and name.lower() not in {each.lower() for each in headers}:
            added = {**headers, name: value}
            self.options["headers"] = FrozenDict(added, frozenset(filter(names_credential, added)))

    def read(self, *variables: str) -> str | None:
        """The first variable that is set."""
        return next((self._environ[name] for name in variables if self._environ.get(name)), None)

    def read_key(self, *variables: str) -> None:
        """Take the credential from the environment, where the table has none."""
        if self.key is None and (value := self.read(*variables)):
            self.key = Secret(value)

    def read_url(self, *variables: str) -> None:
        """Take the address from the environment, where the table has none."""
        self.url = self.url or self.read(*variables)


def as_litellm(
    settings: ProviderSettings, environ: Mapping[str, str] | None = None
) -> tuple[ProviderSettings, tuple[str, ...]]:
    """The settings with which the plugin ``litellm`` serves a provider in its own plugin's place.

    Args:
        settings: The provider's, of a plugin that has an equivalent.
        environ: Environment variables in place of the process's own.

    Returns:
        The settings, and a line for each option that has no equivalent.
    """
    doing = _Translation(settings, os.environ if environ is None else environ)
    _PLUGINS[settings.plugin](doing)
    # What its own plugin does not know either: to be refused by the one that serves.
    doing.options.update(doing.given)
    if doing.params:
        masked = frozenset(filter(names_credential, doing.params))
        doing.options["params"] = FrozenDict(doing.params, masked)
    translated = msgspec.structs.replace(
        settings,
        plugin=LITELLM,
        api_key=doing.key,
        base_url=doing.url,
        options=FrozenDict(doing.options),
    )
    return translated, tuple(doing.warnings)


def _anthropic(doing: _Translation) -> None:
    token = doing.given.pop("auth_token", None)
    if token is None:
        doing.read_key("ANTHROPIC_API_KEY")
    if doing.key is None:
        token = token or doing.read("ANTHROPIC_AUTH_TOKEN")
        if token is not None:
            # LiteLLM sends what does not look like a token of Anthropic's as an API key.
            doing.key = token if isinstance(token, Secret) else Secret(token)
            doing.header("Authorization", f"Bearer {doing.key.reveal()}")
    doing.lose(
        profile="it does not read the vendor's profiles; set api_key",
        thinking_display="set it in a call's extra, as a part of thinking",
    )
    doing.read_url("ANTHROPIC_BASE_URL")


def _openai(doing: _Translation) -> None:
    doing.read_key("OPENAI_API_KEY")
    doing.read_url("OPENAI_BASE_URL")
    if doing.given.pop("api", "auto") == "responses":
        doing.lost("api", "models are asked by Chat Completions")
    doing.param("organization", "organization", "OPENAI_ORG_ID")
    project = doing.given.pop("project", None) or doing.read("OPENAI_PROJECT_ID")
    doing.header("OpenAI-Project", project)


def _azure(doing: _Translation) -> None:
    doing.read_url("AZURE_OPENAI_ENDPOINT")
    if doing.key is None and not doing.given.get("azure_ad_token_provider"):
        doing.param("azure_ad_token", "azure_ad_token", "AZURE_OPENAI_AD_TOKEN")
        if "azure_ad_token" not in doing.params:
            doing.read_key("AZURE_OPENAI_API_KEY")
    doing.given.pop("azure_ad_token", None)
    doing.param("azure_ad_token_provider", "azure_ad_token_provider")
    doing.param("api_version", "api_version", "OPENAI_API_VERSION")
    if (doing.url or "").rstrip("/").endswith("/openai/v1"):
        doing.url = (doing.url or "").rstrip("/").removesuffix("/openai/v1")
        doing.params["api_version"] = "v1"
    doing.params.setdefault("api_version", "v1")  # the API without dates, as our own adapter's
    if doing.given.pop("api", "chat") == "responses":
        doing.lost("api", "models are asked by Chat Completions")
    if doing.given.pop("entra_id", False):
        doing.lost("entra_id", "pass azure_ad_token or, from Python, azure_ad_token_provider")
    doing.lose(deployments="say what a deployment can do in the provider's models table")
    if doing.given.pop("stream_usage", True) is False:
        doing.lost("stream_usage")


def _bedrock(doing: _Translation) -> None:
    doing.param("region", "aws_region_name", "AWS_REGION", "AWS_DEFAULT_REGION")
    doing.param("profile", "aws_profile_name")
    doing.param("aws_access_key", "aws_access_key_id")
    doing.param("aws_secret_key", "aws_secret_access_key")
    doing.param("aws_session_token", "aws_session_token")
    doing.lose(thinking_display="set it in a call's extra, as a part of thinking")


def _vertex(doing: _Translation) -> None:
    doing.param("region", "vertex_location", "CLOUD_ML_REGION")
    doing.param("project_id", "vertex_project", "ANTHROPIC_VERTEX_PROJECT_ID")
    doing.lose(thinking_display="set it in a call's extra, as a part of thinking")
    if doing.key is not None:
        doing.key = None
        doing.lost("api_key", "Google's application default credentials are used instead")


def _ollama(doing: _Translation) -> None:
    doing.read_url("OLLAMA_HOST")
    if doing.url and "://" not in doing.url:
        # As Ollama's own clients read it.
        parts = urlsplit(f"http://{doing.url}")
        doing.url = parts.geturl() if parts.port else f"http://{parts.hostname}:{_OLLAMA_PORT}"
    doing.read_key("OLLAMA_API_KEY")
    doing.params.update(doing.given.pop("options", {}))
    doing.param("keep_alive", "keep_alive")
    if doing.given.pop("truncate", None) is False:
        doing.lost("truncate", "Ollama's own default holds: too long a prompt is cut, silently")


def _compatible(doing: _Translation) -> None:
    if doing.key is None:
        doing.key = Secret(_NO_KEY)
    schema = doing.given.pop("schema", None)
    if schema == "none":
        doing.options["schema"] = None
    elif schema is not None:
        doing.options["schema"] = "tool" if schema == "tool" else "native"
        if schema == "json_object":
            doing.lost("schema", "a schema is sent as such")
    doing.lose(
        **dict.fromkeys(
            (
                "stream_usage",
                "done_marker",
                "max_tokens_field",
                "system_role",
                "strict",
                "reasoning_field",
                "reasoning_details",
                "tool_call_ids",
                "extra_fields",
                "file_ids",
                "embedding_format",
            ),
            _CHOSEN_FOR,
        )
    )


_PLUGINS: Final[Mapping[str, Callable[[_Translation], None]]] = {
    "anthropic": _anthropic,
    "azure-openai": _azure,
    "bedrock": _bedrock,
    "ollama": _ollama,
    "openai": _openai,
    "openai-compatible": _compatible,
    "vertex": _vertex,
}
