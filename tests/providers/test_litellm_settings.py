"""A table of a built-in plugin in LiteLLM's words; what has none is said, and nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from switchgear.config.backend import EQUIVALENTS
from switchgear.credentials import Secret
from switchgear.providers import (
    anthropic,
    azure,
    bedrock,
    ollama,
    openai,
    openai_compatible,
    vertex,
)
from switchgear.providers.base import ProviderSettings
from switchgear.providers.litellm_regions import region_of
from switchgear.providers.litellm_settings import as_litellm

STRUCTS: dict[str, type[msgspec.Struct]] = {
    "anthropic": anthropic._Options,
    "azure-openai": azure._Options,
    "bedrock": bedrock._Options,
    "ollama": ollama._Options,
    "openai": openai._Options,
    "openai-compatible": openai_compatible._Options,
    "vertex": vertex._Options,
}


def table(plugin: str, *, key: str = "", base_url: str | None = None, **options: Any) -> Any:
    return ProviderSettings(
        name="p",
        plugin=plugin,
        api_key=Secret(key) if key else None,
        base_url=base_url,
        options=options,
    )


def translated(
    settings: ProviderSettings, environ: Mapping[str, str] | None = None
) -> tuple[ProviderSettings, tuple[str, ...]]:
    found, warnings = as_litellm(settings, environ or {})
    assert found.plugin == "litellm"
    assert found.options["vendor"] == EQUIVALENTS[settings.plugin]
    return found, warnings


def key(settings: ProviderSettings) -> str | None:
    return settings.api_key.reveal() if settings.api_key is not None else None


def test_every_plugin_with_an_equivalent_is_looked_at() -> None:
    assert set(STRUCTS) == set(EQUIVALENTS)


@pytest.mark.parametrize("plugin", STRUCTS)
def test_every_option_is_translated_or_warned_about(plugin: str) -> None:
    # None of them may get to LiteLLM's plugin under a name that it does not know.
    from switchgear.providers.litellm_request import Options

    samples: dict[str, Any] = {
        "api": "responses", "audio": True, "context_window": 1000, "deployments": {"a": "b"},
        "done_marker": True, "embedding_format": "float", "entra_id": True, "extra_fields": False,
        "file_ids": True, "files": True, "headers": {"X-Team": "a"}, "images": True,
        "json_object": True, "keep_alive": "10m", "max_output_tokens": 10,
        "max_tokens_field": "max_tokens", "options": {"num_ctx": 4096},
        "parallel_tool_calls": False, "reasoning": True, "reasoning_details": True,
        "reasoning_field": "reasoning", "sampling": frozenset({"seed"}), "schema": "json_object",
        "stream_usage": False, "strict": True, "system_role": "developer",
        "thinking_display": "omitted", "tool_call_ids": "nine", "tool_choice": False,
        "tools": True, "transport": "httpx", "truncate": False, "wire": "direct",
    }  # fmt: skip
    known = {field.encode_name for field in msgspec.structs.fields(Options)}
    for field in msgspec.structs.fields(STRUCTS[plugin]):
        name = field.encode_name
        if name == "local":
            continue  # the configuration takes it before any plugin sees it
        plain, _ = translated(table(plugin))
        found, warnings = translated(table(plugin, **{name: samples.get(name, "x")}))
        assert set(found.options) <= known
        same = found.options == plain.options and found.api_key == plain.api_key
        assert warnings or not same, name
        assert all(line.startswith(f"providers.p.{name}: ") for line in warnings)


def test_a_plain_table_has_no_warnings() -> None:
    for plugin in STRUCTS:
        assert (
            translated(table(plugin, key="k", transport="aiohttp", wire="sdk"))[1] == ()
            or plugin == "vertex"
        )


@pytest.mark.parametrize(
    ("plugin", "environ", "api_key", "base_url"),
    [
        (
            "anthropic",
            {"ANTHROPIC_API_KEY": "a", "ANTHROPIC_BASE_URL": "http://x"},
            "a",
            "http://x",
        ),
        ("openai", {"OPENAI_API_KEY": "o", "OPENAI_BASE_URL": "http://y/v1"}, "o", "http://y/v1"),
        (
            "azure-openai",
            {"AZURE_OPENAI_API_KEY": "z", "AZURE_OPENAI_ENDPOINT": "https://r.example"},
            "z",
            "https://r.example",
        ),
        ("ollama", {"OLLAMA_HOST": "10.0.0.9"}, None, "http://10.0.0.9:11434"),
        ("ollama", {"OLLAMA_HOST": "10.0.0.9:1234"}, None, "http://10.0.0.9:1234"),
    ],
)
def test_what_the_sdk_would_have_read_is_passed_on(
    plugin: str, environ: dict[str, str], api_key: str | None, base_url: str
) -> None:
    found, _ = translated(table(plugin), environ)
    assert (key(found), found.base_url) == (api_key, base_url)


def test_the_tables_own_word_goes_before_the_environment() -> None:
    settings = table("openai", key="mine", base_url="http://here/v1")
    found, _ = translated(settings, {"OPENAI_API_KEY": "o", "OPENAI_BASE_URL": "http://y/v1"})
    assert (key(found), found.base_url) == ("mine", "http://here/v1")


def test_clouds_get_their_regions_and_keys() -> None:
    settings = table(
        "bedrock", region="eu-central-1", aws_access_key="i", aws_secret_key="s", profile="w"
    )
    assert translated(settings)[0].options["params"] == {
        "aws_region_name": "eu-central-1",
        "aws_access_key_id": "i",
        "aws_secret_access_key": "s",
        "aws_profile_name": "w",
    }
    found, _ = translated(table("bedrock"), {"AWS_DEFAULT_REGION": "us-east-1"})
    assert found.options["params"] == {"aws_region_name": "us-east-1"}
    found, _ = translated(table("vertex", project_id="p"), {"CLOUD_ML_REGION": "global"})
    assert found.options["params"] == {"vertex_location": "global", "vertex_project": "p"}


def test_azure_without_a_version_is_the_api_without_dates() -> None:
    here = table("azure-openai", key="k", base_url="https://r.example/openai/v1/")
    found, _ = translated(here)
    assert (found.base_url, found.options["params"]) == ("https://r.example", {"api_version": "v1"})
    dated = table("azure-openai", key="k", base_url="https://r.example", api_version="2024-10-21")
    assert translated(dated)[0].options["params"] == {"api_version": "2024-10-21"}


def test_a_token_in_place_of_a_key_stays_one() -> None:
    found, warnings = translated(table("anthropic", auth_token="t-1"))
    assert found.options["headers"] == {"Authorization": "Bearer t-1"}
    assert warnings == ()
    azure_found, _ = translated(table("azure-openai", azure_ad_token="t-2", base_url="https://r"))
    assert azure_found.options["params"]["azure_ad_token"] == "t-2"
    assert "t-1" not in repr(found) + repr(azure_found)
    assert "t-2" not in repr(azure_found)


def test_a_server_without_a_key_never_gets_openais() -> None:
    settings = table("openai-compatible", base_url="http://10.0.0.5/v1")
    found, _ = translated(settings, {"OPENAI_API_KEY": "sk-openai"})
    assert key(found) == "no-key"


def test_what_models_can_do_goes_along() -> None:
    settings = msgspec.structs.replace(
        table("openai-compatible", base_url="http://h/v1", tools=False, schema="none"),
        models={"m": {"context_window": 5}},
    )
    found, warnings = translated(settings)
    assert (found.options["tools"], found.options["schema"]) == (False, None)
    assert found.models == {"m": {"context_window": 5}}
    assert warnings == ()


@pytest.mark.parametrize(
    ("plugin", "model", "options"),
    [
        ("bedrock", "us.anthropic.claude-opus-4-5-20251101-v1:0", {}),
        ("bedrock", "anthropic.claude-opus-4-5-20251101-v1:0", {"region": "eu-central-1"}),
        ("vertex", "claude-opus-4-5@20251101", {"region": "global"}),
        ("vertex", "claude-opus-4-5@20251101", {"region": "europe-west1"}),
    ],
)
def test_where_a_model_is_run_costs_the_same(
    plugin: str, model: str, options: dict[str, str]
) -> None:
    module = {"bedrock": bedrock, "vertex": vertex}[plugin]
    native: Any = module.create(table(plugin, **options))
    found, _ = translated(table(plugin, **options))
    region = region_of(found.options["vendor"], model, None, found.options.get("params", {}))
    assert region == native._region(model)
