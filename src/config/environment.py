"""The configuration that needs no file: ADR-004's groups, from what the environment offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import ConfigError

__all__ = ["AGENTS", "CONFIG_VARIABLE", "OLLAMA_MODEL_VARIABLE", "default_mapping"]

CONFIG_VARIABLE = "SWITCHGEAR_CONFIG"
"""Names a file to load instead."""

OLLAMA_MODEL_VARIABLE = "SWITCHGEAR_OLLAMA_MODEL"
"""The model that a local Ollama answers with, where it is not the default one."""


class _Models(NamedTuple):
    provider: str
    variable: str
    reasoning: str
    small: str


# The one place for default models: on sale in November 2026 and listed by anthropic 2.12.0
# (types/model.py) and openai 3.54.0 (types/shared/chat_model.py), without an announced end.
# For reasoning the vendor's large model for everyday use, not its dearest; small is its cheapest.
_VENDORS = (
    _Models("anthropic", "ANTHROPIC_API_KEY", "claude-opus-5-5", "claude-haiku-5-5"),
    _Models("openai", "OPENAI_API_KEY", "gpt-6.2-sol", "gpt-6-luna"),
)
_OLLAMA_MODEL = "llama3.1"  # the ADR's Llama 3 in the first release that can use tools

AGENTS: dict[str, str] = {
    "Product Owner": "high-reasoning",
    "Software Architect": "high-reasoning",
    "Software Engineer": "high-reasoning",
    "QA Engineer": "fast-response",
    "DevOps Engineer": "fast-response",
    "Project Manager": "fast-response",
}
"""ADR-004's agent types and their groups."""

_USES = {
    "high-reasoning": "Complex analysis, architecture",
    "fast-response": "Quick tasks, simple queries",
    "cost-optimized": "High-volume, non-critical",
}


def default_mapping(environ: Mapping[str, str]) -> dict[str, Any]:
    """What a configuration file would say for the providers that the environment configures.

    Raises:
        ConfigError: It configures none.
    """
    vendors = [vendor for vendor in _VENDORS if environ.get(vendor.variable, "").strip()]
    ollama = []
    providers: dict[str, Any] = {
        vendor.provider: {"api_key": f"env:{vendor.variable}"} for vendor in vendors
    }
    if environ.get("OLLAMA_HOST", "").strip():
        ollama = [f"ollama/{environ.get(OLLAMA_MODEL_VARIABLE, '').strip() or _OLLAMA_MODEL}"]
        providers["ollama"] = {}
    if not providers:
        raise ConfigError(_NOTHING, param=_VENDORS[0].variable)
    reasoning = [f"{vendor.provider}/{vendor.reasoning}" for vendor in vendors]
    small = [f"{vendor.provider}/{vendor.small}" for vendor in vendors]
    chains = {
        "high-reasoning": [*reasoning, *ollama],
        "fast-response": [*small, *ollama],
        "cost-optimized": [*ollama, *small],
    }
    return {
        "providers": providers,
        "groups": {name: {"use": _USES[name], "chain": chain} for name, chain in chains.items()},
        "agents": AGENTS,
    }


_NOTHING = f"""no provider is configured. Any one of these will do:
  export ANTHROPIC_API_KEY=...                       Claude
  export OPENAI_API_KEY=...                          GPT
  export OLLAMA_HOST=http://127.0.0.1:11434          models on this machine, through Ollama
  export {CONFIG_VARIABLE}=/path/to/switchgear.toml   a configuration file
To try it with neither key nor server, name the small model that runs inside this process:
  Router.from_dict({{"groups": {{"high-reasoning": {{"chain": ["embedded/smollm2-135m"]}}}}}})"""
