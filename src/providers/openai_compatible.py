"""Any server that speaks Chat Completions: vLLM, llama.cpp, OpenRouter, Groq, DeepSeek, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from ..credentials import Secret
from ..errors import ConfigError
from .base import SAMPLING_KNOBS, Capabilities, ProviderSettings
from .dialects.openai_chat import ChatQuirks
from .openai_family import (
    FamilyProvider,
    Transport,
    bearer,
    http_client,
    list_models,
    own_headers,
)
from .options import ModelOptions, check_options
from .roads import Road, wire_for

__all__ = ["CompatibleProvider", "create"]


class _Options(ModelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of the provider's table beyond the common ones.

    The first ones are the server's accent, see ``ChatQuirks``; ``None`` leaves them to what is
    known of the host, or else to what most servers understand. What its models can do is said as in
    ``ModelOptions``.

    Attributes:
        headers: Headers of every request.
        transport: The HTTP client under the SDK.
        wire: ``direct`` sends past the SDK, with its client's headers and address: cheaper.
        embedding_format: How vectors are asked for; ``float`` for a server that refuses base64.
        local: It runs on this machine, and sends nothing on.
    """

    stream_usage: bool | None = None
    done_marker: bool | None = None
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    system_role: Literal["system", "developer"] | None = None
    schema: Literal["native", "json_object", "tool", "none"] | None = None
    strict: bool | None = None
    reasoning_field: Literal["reasoning_content", "reasoning"] | None = None
    reasoning_details: bool | None = None
    tool_call_ids: Literal["any", "nine"] | None = None
    extra_fields: bool | None = None
    file_ids: bool | None = None

    headers: Mapping[str, str] = {}
    transport: Transport = "aiohttp"
    wire: Road = "sdk"
    embedding_format: Literal["base64", "float"] = "base64"
    local: bool = False


_NO_KEY = "no-key"

_QUIRKS = frozenset(ChatQuirks.__struct_fields__)
_CAPABILITIES = frozenset(Capabilities.__struct_fields__) - {"schema"}

# What a server takes that nobody has described: it may well read images or reason, but a router
# that believes so without being told would send it what it refuses.
_USUAL = Capabilities(images=False, files=False)

# From the vendors' API references as public copies and issue threads quote them; not every field
# was tried. The table's keys win over these.
_HOSTS: dict[str, dict[str, Any]] = {
    # JSON mode without schemas; refuses a history of calls without the reasoning before them.
    "api.deepseek.com": {
        "schema": "json_object",
        "reasoning_field": "reasoning_content",
        "reasoning": True,
    },
    # Gemini's thought signatures come and go as `extra_content` of the tool calls.
    "generativelanguage.googleapis.com": {"images": True, "audio": True, "reasoning": True},
    # Few of its models keep to a schema, all have JSON mode.
    "api.groq.com": {
        "max_tokens_field": "max_completion_tokens",
        "schema": "json_object",
        "extra_fields": False,
    },
    # Calls its seed otherwise, and always sends usage in a stream.
    "api.mistral.ai": {
        "stream_usage": False,
        "tool_call_ids": "nine",
        "extra_fields": False,
        "sampling": SAMPLING_KNOBS - {"seed"},
    },
    # Finds a provider that can do what a request asks for, and parses PDFs for those that can't.
    "openrouter.ai": {
        "reasoning_field": "reasoning",
        "reasoning_details": True,
        "images": True,
        "files": True,
        "reasoning": True,
    },
}


class CompatibleProvider(FamilyProvider):
    """One server that speaks Chat Completions."""

    def __init__(self, settings: ProviderSettings, options: _Options) -> None:
        self._options = options
        host = urlsplit(settings.base_url or "").hostname or ""
        chosen = {**_HOSTS.get(host, {}), **_given(options)}
        self._accent = ChatQuirks(**{k: v for k, v in chosen.items() if k in _QUIRKS})
        self._usual = _usual(chosen, self._accent, local=options.local)
        wire = wire_for(
            options.wire,
            provider=settings.name,
            transport=options.transport,
            make_client=lambda http: _client(settings, options, http),
            auth_headers=bearer,
            secret=settings.api_key,
            placeholder=_placeholder(settings),
        )
        super().__init__(settings, wire)

    async def list_models(self) -> Sequence[str]:
        """The models that the server offers."""
        return await list_models(self._wire, self.name, None)

    def _declared(self, model: str) -> Capabilities:
        del model
        return self._usual

    def _quirks(self, model: str) -> ChatQuirks:
        del model
        return self._accent

    def _embeds_base64(self) -> bool:
        return self._options.embedding_format == "base64"


def create(settings: ProviderSettings) -> CompatibleProvider:
    """Make a provider of the plugin ``openai-compatible``.

    Raises:
        ConfigError: The table is wrong, or has no ``base_url``.
    """
    param = f"providers.{settings.name}.base_url"
    if not settings.base_url:
        raise ConfigError(
            f'{param}: missing: say where the server is, as "http://127.0.0.1:8000/v1"',
            param=param,
        )
    parts = urlsplit(settings.base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(
            f"{param}: must be an address such as http://127.0.0.1:8000/v1", param=param
        )
    return CompatibleProvider(settings, check_options(settings, _Options))


def _given(options: _Options) -> dict[str, Any]:
    fields = (*_QUIRKS, *_CAPABILITIES)
    return {
        field: value
        for field in fields
        if (value := getattr(options, field, None)) is not None and field != "local"
    }


def _usual(chosen: Mapping[str, Any], accent: ChatQuirks, *, local: bool) -> Capabilities:
    """What its models can do where the ``models`` table does not say otherwise.

    JSON mode with the schema as an instruction counts as keeping to it: whoever chose it knows.
    """
    schemas: dict[str, Literal["native", "tool"] | None] = {
        "native": "native",
        "json_object": "native",
        "tool": "tool",
        "none": None,
    }
    changes = {key: value for key, value in chosen.items() if key in _CAPABILITIES}
    return msgspec.structs.replace(_USUAL, **changes, schema=schemas[accent.schema], local=local)


def _client(settings: ProviderSettings, options: _Options, http: Any) -> Any:
    import openai

    key = settings.api_key or Secret(_NO_KEY)
    return openai.AsyncOpenAI(
        api_key=key.reveal(),
        base_url=settings.base_url,
        default_headers=own_headers(options.headers, key),
        max_retries=0,
        http_client=http or http_client(options.transport, placeholder=_placeholder(settings)),
    )


def _placeholder(settings: ProviderSettings) -> str | None:
    """What the SDK is given where there is no key, since it insists on one; it is not sent."""
    return f"Bearer {_NO_KEY}" if settings.api_key is None else None
