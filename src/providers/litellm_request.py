"""A call in LiteLLM's words: what its table may say, and the arguments of one call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from ..config.hiding import names_credential
from ..credentials import Secret
from ..errors import ConfigError, InvalidRequestError
from .base import Call, Capabilities, EmbedCall, ProviderSettings
from .dialects import Encoded
from .dialects.anthropic_schema import InexpressibleError, closed
from .dialects.openai_chat_encode import encode
from .dialects.openai_chat_messages import add_instruction
from .litellm_models import (
    Family,
    capabilities_of,
    default_max_tokens,
    family_of,
    is_local,
    quirks_of,
)
from .options import ModelOptions, capabilities_for, check_options
from .unsupported import Unexpressed

__all__ = ["Asked", "Options", "Table", "without_unsupported"]

_CAPABILITIES = (*ModelOptions.__struct_fields__, "prompt_cache")

_RETRIES = "the router repeats, and counts what it repeats"
_FALLBACKS = "the router chooses who answers"
_CACHE = "the router has a cache of its own, which knows whose answer it keeps"
_TELLS = "hooks are the router's"
_OURS = "it comes from the table or the call"
_DROPS = "nothing is dropped without a word; see unsupported"
_HTTP = "the HTTP client is ours"
_FORM = "it would change the answer's form"
_PRICES = "prices are the price table's"

_REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("max_retries", "num_retries", "retry_policy", "retry_strategy", "cooldown_time"), _RETRIES
    ),
    **dict.fromkeys(
        (
            "allowed_fails",
            "content_policy_fallbacks",
            "context_window_fallback_dict",
            "context_window_fallbacks",
            "default_fallbacks",
            "deployment_id",
            "fallbacks",
            "model_list",
            "router",
            "use_litellm_proxy",
        ),
        _FALLBACKS,
    ),
    **dict.fromkeys(("cache", "cache_key", "caching", "preset_cache_key", "ttl"), _CACHE),
    **dict.fromkeys(
        (
            "callbacks",
            "failure_callback",
            "guardrails",
            "input_callback",
            "logger_fn",
            "metadata",
            "no-log",
            "prompt_id",
            "prompt_variables",
            "proxy_server_request",
            "service_callback",
            "set_verbose",
            "success_callback",
            "verbose",
        ),
        _TELLS,
    ),
    **dict.fromkeys(
        (
            "api_base",
            "api_key",
            "base_url",
            "custom_llm_provider",
            "extra_headers",
            "force_timeout",
            "headers",
            "messages",
            "model",
            "provider_specific_header",
            "request_timeout",
            "stream",
            "stream_timeout",
            "timeout",
        ),
        _OURS,
    ),
    **dict.fromkeys(("additional_drop_params", "drop_params", "modify_params"), _DROPS),
    **dict.fromkeys(("client", "shared_session", "ssl_verify"), _HTTP),
    **dict.fromkeys(
        (
            "acompletion",
            "aembedding",
            "complete_response",
            "enable_json_schema_validation",
            "merge_reasoning_content_in_choices",
        ),
        _FORM,
    ),
    **dict.fromkeys(
        (
            "cost_per_second",
            "input_cost_per_second",
            "input_cost_per_token",
            "output_cost_per_second",
            "output_cost_per_token",
        ),
        _PRICES,
    ),
}
"""Arguments of LiteLLM that are not passed on, and why."""

_REFUSED_STARTS = {"mock_": "it invents answers", "litellm_": _TELLS, "_": "it is LiteLLM's own"}

_ONE_OBJECT = "Answer with one JSON object, and with nothing else."

_KNOBS = (
    "temperature",
    "top_p",
    "stop",
    "seed",
    "reasoning_effort",
    "parallel_tool_calls",
)
_MEANINGS = ("tools", "tool_choice", "response_format")


class Options(ModelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of ``[providers.NAME]`` with the plugin ``litellm``.

    Attributes:
        vendor: LiteLLM's name of the vendor (``anthropic``, ``bedrock``, ``gemini``, ``groq``);
            without it the model says it: ``litellm/groq/llama-3.3-70b-versatile``.
        headers: Headers of every request.
        params: Further arguments of LiteLLM's, such as ``api_version``, ``aws_region_name`` or
            ``vertex_project``.
        schema: How an answer is kept to a schema: by the vendor, by a forced tool, or not at all.
        local: It runs on this machine, and sends nothing on.
        prompt_cache: Cache marks mean something to its models.

    What else its models can do is said as in ``ModelOptions``.
    """

    vendor: str | None = None
    headers: Mapping[str, str] = {}
    params: Mapping[str, Any] = {}
    schema: Literal["native", "tool", "none"] | msgspec.UnsetType | None = msgspec.UNSET
    local: bool | None = None
    prompt_cache: bool | None = None


class _Unshown(str):
    """A credential that can be sent and not shown: the frames of LiteLLM hold it as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Asked(msgspec.Struct, frozen=True):
    """A model, and who is asked for it.

    Attributes:
        vendor: LiteLLM's name of the vendor; empty where only LiteLLM can tell.
        model: The model without the vendor.
        full: Both, as LiteLLM takes them.
        family: By whose knowledge it is judged.
    """

    vendor: str
    model: str
    full: str
    family: Family


class Table:
    """What one provider's table says.

    Args:
        settings: The table.

    Raises:
        ConfigError: An option is unknown or wrong, or turns on what has to be off.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        self.options = check_options(settings, Options)
        self.vendor = (self.options.vendor or "").strip("/")
        for name in self.options.params:
            if (why := _refused(name)) is not None:
                param = f"providers.{settings.name}.params.{name}"
                raise ConfigError(f"{param}: not to be set: {why}", param=param)
        self.secrets = tuple(
            Secret(value)
            for given in (self.options.params, self.options.headers)
            for name, value in given.items()
            if isinstance(value, str) and names_credential(name)
        )

    def asked(self, model: str) -> Asked:
        """Whose model that is."""
        vendor, name = self.vendor, model
        if not vendor and "/" in model:
            vendor, _, name = model.partition("/")
        full = f"{self.vendor}/{model}" if self.vendor else model
        return Asked(vendor, name, full, family_of(vendor, name, self.settings.base_url))

    def capabilities(self, model: str) -> Capabilities:
        """What a model can do, the table's own word included."""
        asked, options = self.asked(model), self.options
        declared = capabilities_of(asked.family, asked.model)
        changes = {
            name: value for name in _CAPABILITIES if (value := getattr(options, name)) is not None
        }
        changes["local"] = (
            options.local
            if options.local is not None
            else is_local(asked.family, asked.model, self.settings.base_url)
        )
        if options.schema is not msgspec.UNSET:
            changes["schema"] = None if options.schema == "none" else options.schema
        window = options.params.get("num_ctx")
        if asked.family == "ollama" and isinstance(window, int) and window > 0:
            changes.setdefault("context_window", window)
        declared = msgspec.structs.replace(declared, **changes)
        return capabilities_for(self.settings, model, declared)

    def encode(self, call: Call, *, stream: bool) -> Encoded:
        """The request's body.

        Raises:
            InvalidRequestError: ``extra`` names what has to be off.
            UnsupportedParameterError: Something can't be expressed and may not be dropped.
        """
        name = self.settings.name
        _check_extra(call, name)
        asked = self.asked(call.model)
        capabilities = self.capabilities(call.model)
        quirks = quirks_of(asked.family, asked.model)
        encoded = encode(call, capabilities, quirks, provider=name, stream=stream)
        if asked.family == "claude":
            encoded = _claudes_form(encoded, call, name)
        body = {**encoded.body, "model": asked.full}
        longest = default_max_tokens(asked.family, asked.model)
        if longest is not None and "max_tokens" not in body:
            body["max_tokens"] = longest
        return msgspec.structs.replace(encoded, body=body)

    def arguments(self, call: Call | EmbedCall) -> dict[str, Any]:
        """The arguments beside the body, with everything off that the router does itself."""
        key = call.credential or self.settings.api_key
        headers = {**self.options.headers, **call.headers}
        given: dict[str, Any] = {
            **self.options.params,
            "timeout": call.timeout,
            "num_retries": 0,
            "max_retries": 0,
            "caching": False,
            "cache": {"no-cache": True, "no-store": True},
            "drop_params": False,
        }
        if key is not None:
            given["api_key"] = _Unshown(key.reveal())
        if self.settings.base_url is not None:
            given["api_base"] = self.settings.base_url
        if headers:
            given["extra_headers"] = headers
        return given


def without_unsupported(
    encoded: Encoded, supported: Collection[str] | None, call: Call, provider: str
) -> Encoded:
    """The body without what LiteLLM can't express for this vendor, noted as everywhere.

    LiteLLM itself knows only all or nothing: an error, or dropping without a word.

    Args:
        encoded: The body.
        supported: The parameters that LiteLLM has for the vendor's model; ``None``: unknown.
        call: The call.
        provider: The provider's name in the configuration.

    Raises:
        UnsupportedParameterError: It may not be dropped.
    """
    if supported is None:
        return encoded
    asked_by_hand = call.extra
    notes = Unexpressed(call.unsupported, provider, call.model)
    body = dict(encoded.body)
    for name in (*_KNOBS, *_MEANINGS):
        if name not in body or name in supported or name in asked_by_hand:
            continue
        why = f"LiteLLM has no {name} for {call.model}"
        if name in _KNOBS:
            notes.knob(name, why)
        elif not (name == "tool_choice" and body[name] == "auto"):
            notes.meaning(name, why)
        del body[name]
    if not notes.warnings and body.keys() == encoded.body.keys():
        return encoded
    return Encoded(body, (*encoded.warnings, *notes.warnings), encoded.answer_tool)


def _claudes_form(encoded: Encoded, call: Call, provider: str) -> Encoded:
    """The form of an answer as our own adapter asks Claude for it.

    LiteLLM asks for any JSON object by not saying anything, and takes out of a schema what Claude's
    constrained decoding does not know.
    """
    form = encoded.body.get("response_format")
    if form is None or "response_format" in call.extra:
        return encoded
    notes = Unexpressed(call.unsupported, provider, call.model)
    body = dict(encoded.body)
    warnings = encoded.warnings
    if form["type"] == "json_object":
        del body["response_format"]
        add_instruction(body["messages"], _ONE_OBJECT, "system")
        warnings = tuple(line for line in warnings if not line.startswith("response_format: JSON"))
        notes.approximate("response_format", "asked for in words: there is no mode for any object")
    else:
        wanted = form["json_schema"]
        try:
            schema, lost = closed(wanted["schema"])
        except InexpressibleError:
            return encoded  # LiteLLM takes the road by a forced tool then
        if lost:
            notes.approximate("response_format", f"not enforced, only told: {', '.join(lost)}")
        body["response_format"] = {**form, "json_schema": {**wanted, "schema": schema}}
    return Encoded(body, (*warnings, *notes.warnings), encoded.answer_tool)


def _check_extra(call: Call, provider: str) -> None:
    for name in call.extra:
        if (why := _refused(name)) is not None and name != "stream":
            raise InvalidRequestError(
                f"{provider}: extra.{name}: not to be set for LiteLLM: {why}",
                provider=provider,
                model=call.model,
                param=f"extra.{name}",
            )


def _refused(name: str) -> str | None:
    """Why an argument of LiteLLM's is not passed on."""
    if name in _REFUSED:
        return _REFUSED[name]
    return next((why for start, why in _REFUSED_STARTS.items() if name.startswith(start)), None)
