"""LiteLLM configurations as teams write them, in lines of our own."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import Any

import yaml

from switchgear import Config
from switchgear.cli.migration.litellm import Migration, translate

TEAM = """
model_list:
  - model_name: smart
    litellm_params:
      model: azure/gpt4o-west
      api_base: https://acme-west.openai.azure.com/openai/deployments/gpt4o-west/chat/completions
      api_key: os.environ/AZURE_WEST_KEY
      api_version: "2024-10-21"
      rpm: 600
      weight: 3
    model_info:
      id: west
      base_model: azure/gpt-4o
  - model_name: smart
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      rpm: 200
      tpm: 100_000
      weight: 1
      timeout: 20
  - model_name: careful
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      api_key: os.environ/ANTHROPIC_API_KEY
      max_tokens: 2000
      order: 1
  - model_name: careful
    litellm_params:
      model: bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0
      aws_region_name: us-east-1
      order: 2
  - model_name: cheap
    litellm_params:
      model: ollama_chat/llama3.1
      api_base: http://127.0.0.1:11434
      num_ctx: 8192
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 2
  timeout: 45
  allowed_fails: 3
  cooldown_time: 400
  fallbacks:
    - smart: [careful]
    - careful: [smart, cheap]
  model_group_alias: {gpt-4: smart}
  redis_host: os.environ/REDIS_HOST
  redis_port: 6379
  redis_password: os.environ/REDIS_PASSWORD
litellm_settings:
  drop_params: true
  cache: true
  cache_params: {type: redis, host: cache.internal, port: 6380, ttl: 600}
  max_budget: 100
  budget_duration: 30d
"""

STARTUP = """
model_list:
  - model_name: "anthropic/*"
    litellm_params: {model: "anthropic/*", api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: team/qwen:32b
    litellm_params:
      model: hosted_vllm/Qwen/Qwen3-32B
      api_base: http://10.0.0.5:8000/v1/
      max_parallel_requests: 4
    model_info:
      input_cost_per_token: 2e-7
      output_cost_per_token: 0.0000006
      max_input_tokens: 32768
      supports_vision: false
      supports_function_calling: true
  - model_name: nova
    litellm_params:
      model: bedrock/us.amazon.nova-pro-v1:0
      aws_region_name: eu-west-1
      aws_access_key_id: AKIAEXAMPLE
      aws_secret_access_key: aws-secret-in-the-file
  - model_name: gem
    litellm_params: {model: gemini/gemini-2.5-pro, api_key: os.environ/GEMINI_API_KEY}
  - model_name: judge
    litellm_params:
      model: vertex_ai/claude-opus-4-5@20251101
      vertex_project: os.environ/GCP_PROJECT
      vertex_location: europe-west1
      max_budget: 5
      budget_duration: 1d
litellm_settings:
  default_fallbacks: [gem]
  num_retries: 0
"""

ODD = """
model_list:
  - model_name: paint
    litellm_params: {model: openai/dall-e-3}
    model_info: {mode: image_generation}
  - model_name: chat
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: sk-live-do-not-copy-me
      max_retries: 4
      tags: [blue]
      something_new: 1
router_settings:
  routing_strategy: provider-budget-routing
  retry_policy: {RateLimitErrorRetries: 3}
  fallbacks: [{chat: [nobody]}]
  redis_url: redis://:hunter2@redis.internal:6379/1
litellm_settings:
  success_callback: [langfuse]
  budget_duration: 90d
  max_budget: 12.5
general_settings:
  master_key: sk-master-do-not-copy
  database_url: postgresql://u:pw-do-not-copy@db/x
  brand_new_switch: true
environment_variables:
  LANGFUSE_SECRET_KEY: lf-do-not-copy
guardrails:
  - guardrail_name: pii
"""

SECRETS = (
    "sk-live-do-not-copy-me",
    "hunter2",
    "sk-master-do-not-copy",
    "pw-do-not-copy",
    "lf-do-not-copy",
    "aws-secret-in-the-file",
    "AKIAEXAMPLE",
)


def migrated(text: str, **environ: str) -> Migration:
    """What becomes of a file in an environment."""
    return translate(yaml.safe_load(text), environ)


def as_mapping(found: Migration) -> dict[str, Any]:
    """What came out, as a mapping that may be changed."""
    return tomllib.loads(found.text, parse_float=Decimal)


def loaded(found: Migration) -> Config:
    """What came out, as the configuration that it is."""
    return Config.from_dict(as_mapping(found), environ=found.findings.variables)


def chain(config: Config, group: str) -> list[list[str]]:
    """The steps of a group's chain."""
    return [[str(each) for each in pool.candidates] for pool in config.group(group).chain]
