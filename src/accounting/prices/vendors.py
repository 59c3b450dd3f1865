"""Whose prices a provider's calls are billed at.

Most providers are their plugin: ``anthropic`` has Anthropic's prices. Some plugins speak to many
vendors, though. Then the address tells whose prices they are: each table in ``pricing.toml`` names
its ``hosts``. Behind LiteLLM the vendor is also in the provider's own table, or before the model's
name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from ...config.backend import EQUIVALENTS, LITELLM

if TYPE_CHECKING:
    from ...config import ProviderConfig
    from .table import PriceTable

__all__ = ["Priced", "priced_as", "priced_model", "vendor_of"]


class Priced(NamedTuple):
    """Under which names the prices of a provider's model are looked up.

    Attributes:
        kind: The provider's plugin, or the vendor behind it.
        model: The model, as that vendor calls it.
    """

    kind: str
    model: str


# LiteLLM's names of vendors where the table's are others.
_VENDORS: Final = {
    **{theirs: ours for ours, theirs in EQUIVALENTS.items() if ours != "openai-compatible"},
    "azure_ai": "azure-openai",
    "azure_text": "azure-openai",
    "bedrock_converse": "bedrock",
    "codestral": "mistral",
    "cohere_chat": "cohere",
    "custom_openai": "openai-compatible",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "hosted_vllm": "openai-compatible",
    "llamafile": "openai-compatible",
    "lm_studio": "openai-compatible",
    "meta_llama": "meta",
    "ollama": "ollama",
    "openai_like": "openai-compatible",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai_beta": "vertex",
}

# What LiteLLM takes for these vendors' without being told.
_BARE: Final = (
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"(?:ft:)?(?:gpt-|chatgpt-|o\d)|text-embedding-"), "openai"),
)

# LiteLLM's ways to a model at Bedrock: bedrock/converse/…, bedrock/us-west-2/…
_BEDROCK_WAY: Final = re.compile(r"^(?:[a-z_]+|[a-z]{2}(?:-[a-z]+)+-\d)/")


def vendor_of(plugin: str, base_url: str | None, table: PriceTable, vendor: object = None) -> str:
    """The name under which a provider's prices are looked up in the table.

    A host that the table knows decides, whatever the plugin: DeepSeek costs DeepSeek's prices
    through an Anthropic-compatible address too. At any other address (a proxy, a server of one's
    own) the plugin does. Only a plugin that the table has no prices for may then have none.

    Args:
        plugin: The provider's plugin (``openai-compatible``).
        base_url: The address in its settings; ``None`` is the plugin's own.
        table: The prices in force.
        vendor: LiteLLM's name of the vendor, where the plugin is LiteLLM and its table has one.

    Returns:
        The name of a table, or the plugin. ``litellm`` where only the model's name can tell.
    """
    host = _host(base_url)
    while host:
        if (found := table.hosts.get(host)) is not None:
            return found
        host = host.partition(".")[2]
    if plugin == LITELLM and isinstance(vendor, str) and vendor:
        return _VENDORS.get(vendor, vendor)
    return plugin


def priced_model(vendor: str, model: str, prefix: object = None) -> Priced:
    """A model behind LiteLLM: under which names its prices are looked up.

    Args:
        vendor: What ``vendor_of`` found.
        model: The model as LiteLLM calls it.
        prefix: The vendor that its provider's table names; without one the model's name does.
    """
    if not prefix:
        first, slash, rest = model.partition("/")
        if slash:
            vendor = _VENDORS.get(first, first) if vendor == LITELLM else vendor
            model = rest
        elif vendor == LITELLM:
            vendor = next((name for form, name in _BARE if form.match(model)), vendor)
    if vendor == "bedrock":
        model = _BEDROCK_WAY.sub("", model)
    return Priced(vendor, model)


def priced_as(settings: ProviderConfig, model: str, table: PriceTable) -> Priced:
    """Under which names the prices of a provider's model are looked up.

    Args:
        settings: The provider.
        model: The model as the provider calls it.
        table: The prices in force.
    """
    prefix = settings.options.get("vendor")
    vendor = vendor_of(settings.plugin, settings.base_url, table, prefix)
    if settings.plugin != LITELLM:
        return Priced(vendor, model)
    return priced_model(vendor, model, prefix)


def _host(base_url: str | None) -> str:
    try:
        return (urlsplit(base_url or "").hostname or "").rstrip(".")
    except ValueError:  # an address that no client would take either
        return ""
