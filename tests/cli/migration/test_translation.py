"""A LiteLLM proxy's file becomes ours: same candidates, same order, same limits, no secrets."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest

from switchgear import ConfigError
from tests.cli.migration.values import (
    ODD,
    SECRETS,
    STARTUP,
    TEAM,
    as_mapping,
    chain,
    loaded,
    migrated,
)

BEDROCK = "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def remarks(found: Iterable[object]) -> str:
    return "\n".join(map(str, found))


def test_deployments_of_one_name_are_a_pool_and_keep_their_weights() -> None:
    config = loaded(migrated(TEAM))
    [pool] = config.group("smart-alone").chain
    assert pool.strategy == "weighted"
    assert {str(each): each.weight for each in pool.candidates} == {
        "azure/gpt4o-west": 3.0,
        "openai/gpt-4o": 1.0,
    }
    assert pool.candidates[1].attempt_timeout == 20


def test_fallbacks_are_the_rest_of_the_chain_also_where_they_go_round_in_a_circle() -> None:
    config = loaded(migrated(TEAM))
    smart, careful = ["azure/gpt4o-west", "openai/gpt-4o"], "anthropic/claude-sonnet-4-5"
    assert chain(config, "smart") == [smart, [careful], [BEDROCK], ["ollama/llama3.1"]]
    assert chain(config, "careful") == [[careful], [BEDROCK], smart, ["ollama/llama3.1"]]
    assert chain(config, "gpt-4") == chain(config, "smart")


def test_an_order_makes_steps() -> None:
    config = loaded(migrated(TEAM))
    assert chain(config, "careful-alone") == [["anthropic/claude-sonnet-4-5"], [BEDROCK]]
    assert config.group("careful").candidates[0].max_tokens == 2000


def test_limits_retries_and_time_outs_are_kept() -> None:
    config = loaded(migrated(TEAM))
    limits = {rule.pattern: (rule.rpm, rule.tpm) for rule in config.limits}
    assert limits == {"azure/gpt4o-west": (600, None), "openai/gpt-4o": (200, 100_000)}
    assert config.retry.num_retries == 2
    assert (config.attempt_timeout, config.timeout) == (45, 600)
    assert config.breaker.consecutive_failures == 4
    assert (config.breaker.open_seconds, config.breaker.longest_open) == (400, 400)
    assert config.unsupported == "warn"


def test_native_plugins_serve_where_there_is_one() -> None:
    config = loaded(migrated(TEAM))
    plugins = {name: provider.plugin for name, provider in config.providers.items()}
    assert plugins == {
        "azure": "azure-openai",
        "openai": "openai",
        "anthropic": "anthropic",
        "bedrock": "bedrock",
        "ollama": "ollama",
    }
    azure = config.providers["azure"]
    assert azure.base_url == "https://acme-west.openai.azure.com"
    assert azure.options == {"api_version": "2024-10-21", "deployments": {"gpt4o-west": "gpt-4o"}}
    assert azure.key_source == "env:AZURE_WEST_KEY"
    assert config.providers["bedrock"].options == {"region": "us-east-1"}
    assert config.providers["ollama"].options == {"options": {"num_ctx": 8192}}


def test_all_other_vendors_are_served_by_litellm() -> None:
    config = loaded(migrated(STARTUP))
    gemini, nova = config.providers["gemini"], config.providers["bedrock"]
    assert (gemini.plugin, gemini.options["vendor"]) == ("litellm", "gemini")
    assert (nova.plugin, nova.options["vendor"]) == ("litellm", "bedrock")
    assert nova.options["params"]["aws_region_name"] == "eu-west-1"
    assert chain(config, "nova") == [["bedrock/us.amazon.nova-pro-v1:0"], ["gemini/gemini-2.5-pro"]]


def test_claude_at_google_is_served_natively() -> None:
    judge = loaded(migrated(STARTUP)).providers["vertex"]
    assert judge.plugin == "vertex"
    assert judge.options == {"project_id": "placeholder", "region": "europe-west1"}


def test_a_server_of_ones_own_keeps_its_address_prices_and_abilities() -> None:
    found = migrated(STARTUP)
    config = loaded(found)
    server = config.providers["vllm"]
    assert (server.plugin, server.base_url) == ("openai-compatible", "http://10.0.0.5:8000/v1")
    assert server.models == {
        "Qwen/Qwen3-32B": {"images": False, "tools": True, "context_window": 32768}
    }
    assert as_mapping(found)["pricing"]["prices"]["vllm"] == {
        "hosts": ["10.0.0.5"],
        "models": {
            "Qwen/Qwen3-32B": {"prices": {"input": Decimal("0.2"), "output": Decimal("0.6")}}
        },
    }
    assert [rule.concurrency for rule in config.limits] == [4]


def test_names_that_no_group_can_have_are_changed_and_said() -> None:
    found = migrated(STARTUP)
    assert "team-qwen-32b" in loaded(found).groups
    assert "is asked for as 'team-qwen-32b'" in remarks(found.findings.notes)


def test_a_wildcard_is_a_provider_whose_models_are_named_directly() -> None:
    found = migrated(STARTUP)
    config = loaded(found)
    assert config.providers["anthropic"].plugin == "anthropic"
    assert "every model of this provider is asked for as anthropic/MODEL" in remarks(
        found.findings.notes
    )


def test_default_fallbacks_stand_in_for_everybody_but_themselves() -> None:
    config = loaded(migrated(STARTUP))
    assert chain(config, "gem") == [["gemini/gemini-2.5-pro"]]
    assert chain(config, "judge")[-1] == ["gemini/gemini-2.5-pro"]


def test_budgets_are_by_the_calendar() -> None:
    [whole] = loaded(migrated(TEAM)).budgets
    assert (whole.scope, whole.usd, whole.period) == ("global", Decimal(100), "month")
    [own] = loaded(migrated(STARTUP)).budgets
    assert (own.scope, own.period) == ("model:vertex/claude-opus-4-5@20251101", "day")


def test_redis_is_named_where_a_password_belongs_to_it() -> None:
    found = migrated(TEAM)
    assert as_mapping(found)["state"] == {"url": "env:SWITCHGEAR_STATE_URL"}
    assert "REDIS_PASSWORD" in found.findings.unset["SWITCHGEAR_STATE_URL"]
    assert as_mapping(found)["cache"] == {"url": "redis://cache.internal:6380/0", "ttl": 600}


@pytest.mark.parametrize("text", [TEAM, STARTUP, ODD])
def test_no_secret_of_the_file_comes_out(text: str) -> None:
    found = migrated(text)
    said = found.text + remarks(found.findings.lost) + remarks(found.findings.notes)
    assert [secret for secret in SECRETS if secret in said] == []


def test_a_secret_field_of_the_request_is_asked_for_too() -> None:
    found = migrated(
        ODD.replace(
            "      max_retries: 4",
            "      extra_body: {access_token: hidden-1, nested: {password: hidden-2, top_k: 3}}",
        )
    )
    assert "hidden" not in found.text
    [group] = as_mapping(found)["groups"].values()
    assert group["chain"][0]["extra"] == {
        "access_token": "env:OPENAI_GPT_4O_MINI_ACCESS_TOKEN",
        "nested": {"password": "env:OPENAI_GPT_4O_MINI_NESTED_PASSWORD", "top_k": 3},
    }
    assert loaded(found).groups


def test_a_secret_is_asked_for_under_a_name_of_its_own() -> None:
    found = migrated(
        ODD.replace("general_settings:", "general_settings:\n  x: os.environ/OPENAI_API_KEY")
    )
    # The file means another key by that name.
    assert as_mapping(found)["providers"]["openai"]["api_key"] == "env:OPENAI_API_KEY_2"
    assert set(found.findings.unset) == {"OPENAI_API_KEY_2", "SWITCHGEAR_STATE_URL"}


def test_nothing_is_dropped_silently() -> None:
    found = migrated(ODD)
    assert not found.whole
    assert [remark.path for remark in found.findings.lost] == [
        "environment_variables.LANGFUSE_SECRET_KEY",
        "model_list[0]",
        "model_list[1].litellm_params.max_retries",
        "model_list[1].litellm_params.tags",
        "model_list[1].litellm_params.something_new",
        "router_settings.routing_strategy",
        "router_settings.retry_policy",
        "litellm_settings.budget_duration",
        "litellm_settings.success_callback",
        "general_settings.master_key",
        "general_settings.database_url",
        "general_settings.brand_new_switch",
        "guardrails",
        "router_settings.fallbacks[0].chat",
    ]
    assert all(remark.text for remark in found.findings.lost)


def test_what_a_file_says_wholly_in_our_words_has_no_remarks_but_differences() -> None:
    found = migrated(TEAM)
    assert found.whole
    assert found.findings.lost == []


def test_the_remarks_stand_at_the_head_of_the_file() -> None:
    head = migrated(ODD).text.partition("\n\n")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    assert "#   router_settings.retry_policy: " in head


def test_an_address_in_a_variable_is_written_down() -> None:
    text = (
        "model_list: [{model_name: a, litellm_params: {model: openai/m, api_base: os.environ/U}}]"
    )
    there = migrated(text, U="http://10.1.1.1:9/v1")
    assert loaded(there).providers["server"].base_url == "http://10.1.1.1:9/v1"
    absent = migrated(text)
    assert [remark.path for remark in absent.findings.lost] == [
        "model_list[0].litellm_params.api_base"
    ]


def test_the_same_model_twice_in_a_pool_stays_two_deployments() -> None:
    entry = "{model_name: a, litellm_params: {model: openai/gpt-4o, weight: %d}}"
    config = loaded(migrated(f"model_list: [{entry % 2}, {entry % 1}]"))
    assert chain(config, "a") == [["openai/gpt-4o", "openai-2/gpt-4o"]]


def test_a_shuffle_without_weights_goes_by_the_rate_limits() -> None:
    entry = "{model_name: a, litellm_params: {model: %s, rpm: %d}}"
    text = f"model_list: [{entry % ('openai/x', 90)}, {entry % ('anthropic/y', 30)}]"
    weights = [each.weight for each in loaded(migrated(text)).group("a").candidates]
    assert weights == [90, 30]


def test_credentials_by_name_are_found() -> None:
    found = migrated(
        """
model_list:
  - model_name: a
    litellm_params: {model: openai/gpt-4o, litellm_credential_name: team}
credential_list:
  - credential_name: team
    credential_values: {api_key: os.environ/TEAM_KEY}
    credential_info: {description: ours}
"""
    )
    assert loaded(found).providers["openai"].key_source == "env:TEAM_KEY"
    assert found.whole


@pytest.mark.parametrize(
    "text",
    [
        "model_list: 3",
        "model_list: [3]",
        "model_list: [{model_name: a}]",
        "router_settings: []",
        "litellm_settings: {fallbacks: nonsense, cache: true, cache_params: {type: s3}}",
        "router_settings: {timeout: soon, num_retries: many, cooldown_time: -1}",
        "credential_list: {a: b}",
        "router_settings: {model_group_alias: [1], provider_budget_config: 7}",
    ],
)
def test_what_makes_no_sense_is_said_and_left_out(text: str) -> None:
    found = migrated(text)
    assert not found.whole
    loaded(found)


def test_what_our_reader_refuses_is_never_handed_out() -> None:
    with pytest.raises(ConfigError):
        migrated("model_list: [{model_name: a, litellm_params: {model: 'openai/ '}}]")
