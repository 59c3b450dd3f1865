"""Imports LiteLLM: only the release that was vetted, without its network traffic, and kept quiet.

Compromised releases of LiteLLM have been on the package index, and they ran their code at import,
one even at the start of every Python process. So the installed release is looked at before anything
of it is imported.

What is set in LiteLLM itself, for the whole process, because it has no argument for it:

- ``litellm.suppress_debug_info = True``: it prints requests for feedback to standard output.
- ``litellm.in_memory_llm_clients_cache`` and ``litellm.module_level_aclient``: wrapped, so that the
  HTTP clients of our calls and those of other code don't meet (:mod:`.litellm_http`). For other
  code they are the same.
- Read while it is imported, and put back afterwards: ``LITELLM_LOCAL_MODEL_COST_MAP``,
  ``LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS``, ``LITELLM_LOCAL_BLOG_POSTS`` and
  ``LITELLM_OFFLINE_MODE`` keep it off the network; ``LITELLM_MODE=PRODUCTION`` keeps it from
  loading a ``.env`` file into the environment. Its price map is thereby the one it came with.

The import adds three filters to ``warnings``, which are LiteLLM's own doing, and each call sets
``openai.organization`` and ``openai.api_type``, as every call of LiteLLM does.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import importlib
import importlib.metadata
import logging
import os
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ConfigError

__all__ = ["COMPROMISED", "VETTED", "check_release", "load", "quiet_log"]

VETTED = "1.109.1"
"""The release that was read and is tested; the extra ``litellm`` pins it."""

COMPROMISED: Mapping[str, str] = {
    "1.82.7": "stole credentials when imported",
    "1.82.8": "stole credentials at the start of every Python process, by a .pth file",
    "1.107.0": "stole credentials when imported",
}
"""Releases that were published by somebody else, and what they did."""

_QUIET = {
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_OFFLINE_MODE": "true",
}

# What its modules write into the environment when they are loaded.
_WRITTEN = ("TIKTOKEN_CACHE_DIR",)

# What code beside ours may have set for the whole process, and what it does to our calls.
_MEDDLING = {
    "callbacks": "those that take part in agentic loops are asked, and may answer in our place",
    "drop_params": "parameters are dropped without a word",
    "fallbacks": "another model may answer",
    "model_alias_map": "another model may answer",
    "model_fallbacks": "another model may answer",
    "modify_params": "parameters are changed without a word",
    "post_call_rules": "they see our answers",
    "pre_call_rules": "they see our requests",
    "proxy_auth": "its headers are sent along",
    "use_litellm_proxy": "requests go to a proxy",
}

# What LiteLLM's record of a call does beside keeping it. For the cost it would count the prompt's
# tokens when a stream begins, on the loop, and with tables that it downloads.
# And it sets context variables when it is collected, in whatever context that happens: Python
# (3.11.7 at least) crashes where that is in the middle of another one being set.
_TELLING = (
    "_restore_correlation_context",
    "_restore_correlation_context_if_unclaimed",
    "response_cost_calculator",
    "pre_call",
    "post_call",
    "success_handler",
    "failure_handler",
    "handle_sync_success_callbacks_for_async_calls",
)
_TELLING_LATER = (
    "async_success_handler",
    "async_failure_handler",
    "dispatch_success_handlers",
    "dispatch_failure_handlers",
    "dispatch_attempt_failure_handlers",
)

_log = logging.getLogger("switchgear.providers")
_loading = threading.Lock()


def check_release(provider: str) -> str:
    """The installed release, found out without importing anything of it.

    Args:
        provider: The provider's name in the configuration.

    Raises:
        ConfigError: None is installed, or one of :data:`COMPROMISED`.
    """
    param = f"providers.{provider}.plugin"
    try:
        release = importlib.metadata.version("litellm")
    except importlib.metadata.PackageNotFoundError as exc:
        message = f"{param}: LiteLLM is missing: pip install 'switchgear[litellm]'"
        raise ConfigError(message, param=param) from exc
    if release in COMPROMISED:
        raise ConfigError(
            f"{param}: the installed LiteLLM {release} is a compromised release, which"
            f" {COMPROMISED[release]}. Run pip uninstall litellm now, replace every credential that"
            " this machine holds, and then install the vetted release:"
            f" pip install 'litellm=={VETTED}'",
            param=param,
        )
    return release


def load(provider: str) -> Any:
    """The module ``litellm``. Blocks for seconds the first time: call it in a thread.

    Raises:
        ConfigError: It is missing or compromised, or can't be imported.
    """
    with _loading:
        release = check_release(provider)
        if release != VETTED:
            _log.warning(
                "%s: LiteLLM %s is not the release that was vetted (%s): pip install 'litellm==%s'",
                provider,
                release,
                VETTED,
                VETTED,
            )
        try:
            with _environment():
                litellm: Any = importlib.import_module("litellm")
                _read_tables(litellm)
        except ImportError as exc:
            param = f"providers.{provider}.plugin"
            message = f"{param}: LiteLLM {release} can't be imported: {exc}"
            raise ConfigError(message, param=param) from exc
        litellm.suppress_debug_info = True
        _warn_of_meddling(litellm, provider)
        return litellm


def quiet_log(model: str, messages: Any, *, stream: bool, call_type: str) -> Any:
    """The object that LiteLLM keeps the record of one call in, and that tells nobody of it.

    With it, callbacks of other code are not called, nothing is printed, and no background worker
    is started.

    Args:
        model: The model as LiteLLM calls it.
        messages: What is sent.
        stream: The answer is streamed.
        call_type: LiteLLM's name of the function.
    """
    record = _quiet_class()(
        model=model,
        messages=messages,
        stream=stream,
        call_type=call_type,
        start_time=dt.datetime.now(),  # noqa: DTZ005 - LiteLLM subtracts naive times from it
        litellm_call_id=str(uuid.uuid4()),
        function_id="",
        supports_correlation_logging=False,
    )
    if stream:
        record.stream_options = {"include_usage": True}
    return record


@functools.cache
def _quiet_class() -> type[Any]:
    from litellm.litellm_core_utils.litellm_logging import Logging

    def nothing(*_: Any, **__: Any) -> None: ...

    async def nothing_later(*_: Any, **__: Any) -> None: ...

    def no(*_: Any, **__: Any) -> bool:
        return False

    members = {
        **dict.fromkeys(_TELLING, nothing),
        **dict.fromkeys(_TELLING_LATER, nothing_later),
        # Whoever claims it hands the record to a background worker.
        "claim_async_success_log": no,
    }
    return type("QuietLogging", (Logging,), members)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """LiteLLM's switches, for as long as it is imported; then everything is as it was."""
    before = {name: os.environ.get(name) for name in (*_QUIET, *_WRITTEN)}
    if "litellm" not in sys.modules:
        os.environ.update(_QUIET)
    else:
        # Somebody imported it their own way. What it reads later is still ours to keep local.
        os.environ.update({k: v for k, v in _QUIET.items() if k != "LITELLM_MODE"})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _read_tables(litellm: Any) -> None:
    """Read now what it would otherwise read, or even download, in the middle of the first call."""
    importlib.import_module("litellm.litellm_core_utils.default_encoding")
    headers = importlib.import_module("litellm.anthropic_beta_headers_manager")
    headers.get_provider_name("anthropic")
    # These are imported when first named.
    for name in ("acompletion", "aembedding", "in_memory_llm_clients_cache"):
        getattr(litellm, name)


def _warn_of_meddling(litellm: Any, provider: str) -> None:
    found = [f"{name} ({what})" for name, what in _MEDDLING.items() if getattr(litellm, name, None)]
    if found:
        _log.warning(
            "%s: this process has set LiteLLM's %s, for our calls too", provider, ", ".join(found)
        )
