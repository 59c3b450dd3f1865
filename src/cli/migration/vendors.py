"""Which plugin of ours serves what LiteLLM calls ``vendor/model``, and with which options."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from .reading import Section

__all__ = ["Served", "served"]

_NOWHERE: Final = "https://set-me.invalid"
_COMPATIBLE: Final = frozenset(
    {"openai", "hosted_vllm", "vllm", "lm_studio", "llamafile", "openai_like", "custom_openai"}
)
_COMPATIBLE_NAMES: Final = {"openai": "server", "vllm": "vllm", "hosted_vllm": "vllm"}
_OWN_HOSTS: Final = ("openai.com",)

# Bare names go to these, as LiteLLM finds out by its own lists.
_BARE: Final = (
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "vertex_ai"),
    (re.compile(r"command-"), "cohere_chat"),
)
_BEDROCK_WAY: Final = re.compile(r"^(?:converse|invoke|converse_like|claude3?)/")
_BEDROCK_PLACE: Final = re.compile(r"^([a-z]{2}(?:-[a-z]+)+-\d)/")

# Arguments that say how to get to a vendor, as far as no native plugin of ours takes them.
_OF_VENDORS: Final = re.compile(
    r"^(?:aws|azure|vertex|watsonx|gemini|oci|snowflake|sagemaker|anthropic)_(?!batch)"
)
_OF_A_WAY_IN: Final = frozenset(
    {
        "api_type",
        "api_version",
        "client_id",
        "client_secret",
        "organization",
        "project",
        "tenant_id",
        "token",
    }
)

# By LiteLLM's vendor: our plugin, and our names of its arguments.
_NATIVE: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "anthropic": ("anthropic", {}),
    "openai": ("openai", {"organization": "organization"}),
    "azure": ("azure-openai", {"api_version": "api_version", "azure_ad_token": "azure_ad_token"}),
    "bedrock": (
        "bedrock",
        {
            "aws_region_name": "region",
            "region_name": "region",
            "aws_profile_name": "profile",
            "aws_access_key_id": "aws_access_key",
            "aws_secret_access_key": "aws_secret_key",
            "aws_session_token": "aws_session_token",
        },
    ),
    "vertex_ai": (
        "vertex",
        {
            "vertex_project": "project_id",
            "vertex_ai_project": "project_id",
            "vertex_location": "region",
            "vertex_ai_location": "region",
            "region_name": "region",
        },
    ),
    "ollama": ("ollama", {}),
    "ollama_chat": ("ollama", {}),
}

# What LiteLLM reads by itself, where our plugins read other variables: ours, theirs.
_VARIABLES: Final = {
    "azure": (("api_key", "AZURE_API_KEY"),),
    "bedrock": (("region", "AWS_REGION_NAME"),),
    "vertex_ai": (("project_id", "VERTEXAI_PROJECT"), ("region", "VERTEXAI_LOCATION")),
}
_ADDRESSES: Final = {
    "anthropic": "ANTHROPIC_API_BASE",
    "azure": "AZURE_API_BASE",
    "ollama": "OLLAMA_API_BASE",
    "ollama_chat": "OLLAMA_API_BASE",
    "openai": "OPENAI_API_BASE",
}

_SECRET: Final = re.compile(r"access_key_id|secret|password|credential")
"""Names of arguments that hold secrets, beside those that end in a word for one."""

_NO_KEYS: Final = re.compile(
    r"(?:none|null|empty|dummy|fake|any(?:thing)?|no(?:t)?[-_ ]?(?:key|needed|required|used)|"
    r"fake[-_ ]?(?:api[-_ ]?)?key|dummy[-_ ]?(?:api[-_ ]?)?key|lm-?studio|ollama|x+)",
    re.IGNORECASE,
)


class Served(NamedTuple):
    """Where a deployment's calls go.

    Attributes:
        name: What to call the provider.
        settings: Its table, without credentials that stand in the file.
        model: The model as the plugin calls it.
        secrets: By key, a credential that stands in the file, and where.
    """

    name: str
    settings: dict[str, Any]
    model: str
    secrets: dict[str, tuple[str, str]]


def served(params: Section) -> Served | None:
    """Take what says where a deployment's calls go; ``None`` where it names no model."""
    written = params.text("model")
    vendor = params.text("custom_llm_provider")
    if not written:
        params.findings.lose(params.at("model"), "is missing: an entry needs a model")
        return None
    vendor, model = _vendor_of(written, vendor)
    base_url = _address(params, vendor)
    secrets: dict[str, tuple[str, str]] = {}
    key = _credential(params, "api_key", secrets)
    if vendor in _COMPATIBLE and base_url and not _is_openai(base_url):
        return _compatible(params, (vendor, model), base_url, key, secrets)
    native = _native_for(vendor, model)
    known = _NATIVE.get(vendor, ("", {}))[1]
    arguments = [name for name in params.left if _is_argument(name) or name in known]
    if native is not None and set(arguments) <= set(native[1]):
        plugin, names = native
        settings: dict[str, Any] = {"plugin": plugin}
        model = _PREPARE.get(vendor, _as_it_is)(params, model, settings)
        for name in arguments:
            value = _credential(params, name, secrets, names[name])
            if value is not None:
                settings.setdefault(names[name], value)
        name = plugin.removesuffix("-openai")
        key = _usual(params, vendor, settings, key, secrets)
    else:
        settings, name = {"plugin": "litellm", "vendor": vendor}, vendor.replace("_ai", "")
        taken = {name: _credential(params, name, secrets, f"params.{name}") for name in arguments}
        if found := {name: value for name, value in taken.items() if value is not None}:
            settings["params"] = found
    if vendor == "azure" and base_url is None and settings["plugin"] != "litellm":
        params.findings.lose(params.at("api_base"), "is missing: write the resource's address")
        base_url = _NOWHERE
    settings |= {k: v for k, v in (("api_key", key), ("base_url", base_url)) if v}
    return Served(name.replace("_", "-"), settings, model, secrets)


def _vendor_of(written: str, vendor: str | None) -> tuple[str, str]:
    first, slash, rest = written.partition("/")
    if vendor:
        return vendor, rest if slash and first == vendor else written
    if slash:
        return first, rest
    return next((name for form, name in _BARE if form.match(written)), "openai"), written


def _native_for(vendor: str, model: str) -> tuple[str, Mapping[str, str]] | None:
    if vendor in {"bedrock", "vertex_ai"} and "claude" not in model and model != "*":
        return None
    return _NATIVE.get(vendor)


def _is_argument(name: str) -> bool:
    return name in _OF_A_WAY_IN or _OF_VENDORS.match(name) is not None


def _is_openai(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host.endswith(_OWN_HOSTS)


def _address(params: Section, vendor: str) -> str | None:
    """The address, without the path to an endpoint, which our plugins add."""
    place = params.at("api_base")
    given = params.take("api_base", "base_url", "aws_bedrock_runtime_endpoint")
    value = params.source.plain(given, place)
    if value is None and given is not None:
        return _NOWHERE  # reported already: it stands in a variable that is not set
    if value is None and (variable := _ADDRESSES.get(vendor)):
        value = params.source.variable(variable)
        if value is not None:
            params.findings.note(place, f"the value that {variable} has now was written down")
    if value is None:
        return None
    url = str(value).strip().rstrip("/")
    if "://" not in url:
        url = f"http://{url}"
    parts = urlsplit(url)
    if parts.query or "@" in parts.netloc:
        params.findings.lose(place, "its query or password was left out: pass headers instead")
        url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    for ending in _ENDINGS.get(vendor, ("/chat/completions", "/completions")):
        url = url.removesuffix(ending)
    return re.sub(r"/openai/deployments/.*$", "", url) if vendor == "azure" else url


_ENDINGS: Final = {
    "anthropic": ("/messages", "/v1"),
    "ollama": ("/api/generate", "/api/chat", "/api", "/v1"),
    "ollama_chat": ("/api/generate", "/api/chat", "/api", "/v1"),
}


def _credential(
    params: Section, key: str, secrets: dict[str, tuple[str, str]], ours: str | None = None
) -> Any:
    """An option; a credential that stands in the file goes to the secrets instead."""
    from ...config.hiding import names_credential

    place = params.at(key)
    value = params.option(key)
    secret = names_credential(key) or _SECRET.search(key) is not None
    if secret and isinstance(value, str) and not value.startswith("env:"):
        if value.strip():
            secrets[ours or key] = value.strip(), place
        return None
    return value


def _compatible(
    params: Section,
    named: tuple[str, str],
    base_url: str,
    key: Any,
    secrets: dict[str, tuple[str, str]],
) -> Served:
    vendor, model = named
    settings: dict[str, Any] = {"plugin": "openai-compatible", "base_url": base_url}
    literal = secrets.get("api_key")
    if literal is not None and _NO_KEYS.fullmatch(literal[0]):
        del secrets["api_key"]
        params.findings.note(literal[1], "left out: without api_key, none is sent")
    elif key is not None:
        settings["api_key"] = key
    elif literal is None and vendor == "openai":
        params.findings.note(
            params.at("api_key"),
            "none is sent to this address, where LiteLLM sends OPENAI_API_KEY; name it if it is "
            "meant",
        )
    for name in [name for name in params.left if _is_argument(name)]:
        params.take(name)
        params.findings.lose(params.at(name), "an OpenAI-compatible server has no use for it")
    host = (urlsplit(base_url).hostname or "").lower()
    label = next((part for part in reversed(host.split(".")[:-1]) if part != "co"), "")
    known = bool(label) and not re.fullmatch(r"[\d.]+", host) and "." in host
    name = label if known else _COMPATIBLE_NAMES.get(vendor, vendor)
    return Served(name.replace("_", "-"), settings, model, secrets)


def _usual(
    params: Section,
    vendor: str,
    settings: dict[str, Any],
    key: Any,
    secrets: Mapping[str, tuple[str, str]],
) -> Any:
    """What LiteLLM reads from variables of its own is named."""
    for ours, variable in _VARIABLES.get(vendor, ()):
        if ours == "api_key":
            there = key is not None or ours in secrets or "azure_ad_token" in settings
            if not there and "azure_ad_token" not in secrets:
                key = params.findings.reads(variable)
        elif ours not in settings and params.source.variable(variable):
            settings[ours] = params.findings.reads(variable)
    return key


def _as_it_is(params: Section, model: str, settings: dict[str, Any]) -> str:
    del params, settings
    return model


def _bedrock(params: Section, model: str, settings: dict[str, Any]) -> str:
    model = _BEDROCK_WAY.sub("", model)
    if place := _BEDROCK_PLACE.match(model):
        settings["region"] = place[1]
        model = model[place.end() :]
    if "*" not in model and not model.startswith("arn:") and "/" in model:
        params.findings.note(params.at("model"), f"taken for the model {model!r}: check it")
    return model


def _azure(params: Section, model: str, settings: dict[str, Any]) -> str:
    if "api_version" not in params.left:
        if (version := params.source.variable("AZURE_API_VERSION")) is not None:
            settings["api_version"] = version
        else:
            params.findings.note(
                params.at("api_version"), "not set: the API without dates (/openai/v1) is used"
            )
    return model


def _ollama(params: Section, model: str, settings: dict[str, Any]) -> str:
    keys = ("num_ctx", "num_gpu", "num_thread", "repeat_last_n", "repeat_penalty", "mirostat")
    options = {key: params.option(key) for key in keys}
    if given := {key: value for key, value in options.items() if value is not None}:
        settings["options"] = given
    if (kept := params.option("keep_alive")) is not None:
        settings["keep_alive"] = kept
    return model


_PREPARE: Final[Mapping[str, Callable[[Section, str, dict[str, Any]], str]]] = {
    "azure": _azure,
    "bedrock": _bedrock,
    "ollama": _ollama,
    "ollama_chat": _ollama,
}
