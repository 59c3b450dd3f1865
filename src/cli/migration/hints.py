"""What has no equivalent, and what to do instead: a line for each key that is in wide use."""

from __future__ import annotations

from typing import Final

__all__ = ["CACHE", "GENERAL", "INFO", "LITELLM", "OF_THE_PROXY", "PARAMS", "ROUTER", "TOP"]

_GATEWAY: Final = "there is no HTTP gateway in this version: call the router from your program"
OF_THE_PROXY: Final = f"a setting of the proxy itself: {_GATEWAY}"
"""What is said of any other key of ``general_settings``."""

_KEYS: Final = (
    "there are no virtual keys in this version; budgets go by project, agent, run and tag: see "
    "[[budgets]]"
)
_CALLBACKS: Final = (
    "no such callback comes with it: a hook of one's own hears of every attempt and its cost: "
    "[hooks.NAME], docs/extending.md"
)
_LOGS: Final = "logs go through Python's logging, logger 'switchgear': set its level there"
_GUARD: Final = (
    "no guardrail comes with it: a hook's before_attempt sees every request and may refuse it: "
    "[hooks.NAME], docs/extending.md"
)
_ENDPOINT: Final = "Switchgear serves chat and embeddings only: use the vendor's own SDK"
_ALERTS: Final = "a hook's on_state_change hears of circuits, cooldowns and budgets: [hooks.NAME]"
_TAGS: Final = "candidates are not chosen by tags: make a group for each tag"
_ONE_RETRY: Final = "retries are set once for all calls: [retry] num_retries"
_AUTOMATIC: Final = "nothing chooses a model by the prompt: choose the group in your program"
_BATCH: Final = "there are no batches or files: use the vendor's own SDK"
_TESTS: Final = "for tests there is switchgear.testing.SimulatedProviders"
_AFFINITY: Final = "a conversation stays where its cache is warm by itself: pass session_id"

TOP: Final = {
    "assistant_settings": _ENDPOINT,
    "callback_settings": _CALLBACKS,
    "files_settings": _BATCH,
    "finetune_settings": _ENDPOINT,
    "guardrails": _GUARD,
    "mcp_servers": "connect MCP servers in your program, and pass their tools with the call",
    "mcp_tools": "pass tools with the call",
    "policies": _GUARD,
    "prompts": "keep prompts in your program",
    "search_tools": _ENDPOINT,
    "vector_store_registry": _ENDPOINT,
}

PARAMS: Final = {
    "allow_client_keepalive_override": _GATEWAY,
    "auto_router_config": _AUTOMATIC,
    "auto_router_config_path": _AUTOMATIC,
    "auto_router_default_model": _AUTOMATIC,
    "auto_router_embedding_model": _AUTOMATIC,
    "aws_batch_role_arn": _BATCH,
    "cache": "the cache is set by group: [cache.groups.NAME]",
    "cache_control_injection_points": "set cache marks in the messages of a call",
    "caching": "the cache is set by group: [cache.groups.NAME]",
    "complexity_router_config": _AUTOMATIC,
    "configurable_clientside_auth_params": "pass credentials= with a call",
    "default_api_key_rpm_limit": _KEYS,
    "default_api_key_tpm_limit": _KEYS,
    "drop_params": "set unsupported for all calls, or in the provider's table",
    "fallbacks": "write them into the group's chain",
    "max_file_size_mb": _GATEWAY,
    "max_retries": _ONE_RETRY,
    "merge_reasoning_content_in_choices": "reasoning comes as parts of its own: reply.reasoning",
    "mock_response": _TESTS,
    "num_retries": _ONE_RETRY,
    "s3_bucket_name": _BATCH,
    "stream_timeout": "idle_timeout is set for all calls, or for a group",
    "tag_regex": _TAGS,
    "tags": _TAGS,
    "tpd": "there is no limit of tokens a day: lower tpm, or set a budget",
    "use_in_pass_through": _GATEWAY,
    "use_litellm_proxy": _GATEWAY,
}

INFO: Final = {
    "access_groups": _KEYS,
    "access_windows": _KEYS,
    "blocked": "leave the entry out of the chain",
    "health_check_model": "a provider's health is judged by calls; `switchgear doctor` asks once",
    "health_check_timeout": "`switchgear doctor --timeout`",
    "team_id": _KEYS,
    "team_public_model_name": _KEYS,
}

ROUTER: Final = {
    "alerting_config": _ALERTS,
    "allowed_fails_policy": "[breaker] holds for all kinds of failures that speak against a model",
    "assistants_config": _ENDPOINT,
    "cache_kwargs": "see [cache]",
    "caching_groups": "a group has its own cache: [cache.groups.NAME]",
    "client_ttl": "clients are kept as long as the router",
    "debug_level": _LOGS,
    "default_litellm_params": "write them to each entry: extra, timeout, max_tokens",
    "default_max_parallel_requests": 'write concurrency into [limits."PROVIDER/*"]',
    "default_priority": "calls have no priorities: give urgent ones a group and a key of their own",
    "deployment_affinity_ttl_seconds": _AFFINITY,
    "disable_cooldowns": "[breaker] with high numbers comes close",
    "enable_tag_filtering": _TAGS,
    "enable_weighted_failover": "what fails goes on to the next member of the pool anyway",
    "guardrail_list": _GUARD,
    "ignore_invalid_deployments": "a mistake in the configuration is always an error",
    "max_fallbacks": "a chain is tried to its end, within the call's timeout",
    "model_group_affinity_config": _AFFINITY,
    "model_group_retry_policy": _ONE_RETRY,
    "optional_pre_call_checks": _AFFINITY,
    "polling_interval": "calls wait for a rate limit by themselves",
    "retry_policy": "which failures are repeated is fixed: docs/routing.md has the table",
    "router_general_settings": "not needed: every call is asynchronous",
    "routing_groups": "write strategy into each group",
    "routing_strategy_args": "strategies have no settings: docs/routing.md says how each works",
    "search_tools": _ENDPOINT,
    "set_verbose": _LOGS,
    "tag_filtering_match_any": _TAGS,
    "tag_routing_prefix": _TAGS,
    "weights": "write weight to the entries of the pool",
}

LITELLM: Final = {
    "add_function_to_prompt": "a model without tools is skipped: put one with tools into the chain",
    "audit_log_callbacks": _CALLBACKS,
    "cache_params": "see [cache]",
    "callbacks": _CALLBACKS,
    "default_end_user_params": _KEYS,
    "default_internal_user_params": _KEYS,
    "default_key_generate_params": _KEYS,
    "default_redis_ttl": "see ttl in [cache]",
    "default_team_params": _KEYS,
    "default_team_settings": _KEYS,
    "disable_copilot_system_to_assistant": "not needed",
    "disable_end_user_cost_tracking": "cost is booked by project, agent, run and tag",
    "disable_hf_tokenizer_download": "not needed: no tokenizer is downloaded",
    "enable_json_schema_validation": "not needed: response_format is always checked",
    "enable_preview_features": "not needed",
    "failure_callback": _CALLBACKS,
    "force_ipv4": "set the network up so that it does not offer IPv6",
    "guardrails": _GUARD,
    "json_logs": _LOGS,
    "key_generation_settings": _KEYS,
    "langfuse_default_tags": _CALLBACKS,
    "log_raw_request_response": _LOGS,
    "max_end_user_budget": _KEYS,
    "max_internal_user_budget": _KEYS,
    "mcp_aliases": "connect MCP servers in your program, and pass their tools with the call",
    "modify_params": "not needed: histories are made to fit each vendor, with a warning",
    "post_call_rules": _GUARD,
    "pre_call_rules": _GUARD,
    "public_model_groups": _GATEWAY,
    "redact_messages_in_exceptions": "not needed: errors hold no messages and no secrets",
    "redact_user_api_key_info": "not needed: keys are never logged",
    "s3_callback_params": _CALLBACKS,
    "service_callback": _CALLBACKS,
    "service_callbacks": _CALLBACKS,
    "set_verbose": _LOGS,
    "ssl_verify": "set SSL_CERT_FILE; certificates are always verified",
    "success_callback": _CALLBACKS,
    "suppress_debug_info": "not needed",
    "telemetry": "not needed: there is none",
    "turn_off_message_logging": "not needed: messages are never logged",
    "upperbound_key_generate_params": _KEYS,
    "use_client": "not needed",
    "verbose": _LOGS,
}

CACHE: Final = {
    "default_in_memory_ttl": "see ttl in [cache]",
    "default_in_redis_ttl": "see ttl in [cache]",
    "max_connections": "connections are pooled by themselves",
    "mode": "the cache is on; a call leaves it out with cache=False",
    "redis_flush_size": "not needed",
    "supported_call_types": "chat is cached, embeddings are not",
}

GENERAL: Final = {
    "alert_to_webhook_url": _ALERTS,
    "alert_types": _ALERTS,
    "alerting": _ALERTS,
    "alerting_args": _ALERTS,
    "alerting_threshold": _ALERTS,
    "coordination_redis": "see [state]",
    "custom_key_generate": _KEYS,
    "database_connection_pool_limit": "the ledger pools its connections by itself",
    "database_connection_timeout": "the ledger has time-outs of its own",
    "database_type": "see [ledger]",
    "database_url": 'the ledger wants a database of its own: [ledger] url = "env:NAME"',
    "disable_error_logs": "a failed attempt is a row of the ledger, without its text",
    "disable_spend_logs": 'the ledger is always kept; [ledger] url = "memory:" keeps nothing',
    "disable_spend_updates": "the ledger is always kept",
    "key_management_settings": 'credentials are "env:NAME" or "file:PATH"',
    "key_management_system": 'credentials are "env:NAME" or "file:PATH"',
    "maximum_spend_logs_retention_period": "`switchgear ledger forget --before MONTH`",
    "proxy_batch_write_at": "not needed: the ledger writes by itself",
    "spend_report_frequency": "`switchgear spend`",
    "store_prompts_in_spend_logs": "prompts are never stored",
}
