"""LiteLLM as one provider uses it: the module, the HTTP client under it, and how a call is made."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ..credentials import Secret
from ..errors import AuthenticationError
from .closing import to_the_end
from .litellm_exchange import Exchange
from .litellm_loader import load, quiet_log
from .litellm_request import Asked, Table
from .openai_family import own_headers

__all__ = ["Session", "cost_of"]

_GRACE_SECONDS = 1.0
_AZURE_V1 = frozenset({"v1", "latest", "preview"})

# Vendors that LiteLLM asks through OpenAI's SDK, beside those in its own list ...
_BY_SDK = frozenset(
    {
        "anyscale",
        "baseten",
        "cerebras",
        "clarifai",
        "custom_openai",
        "deepinfra",
        "nebius",
        "nvidia_nim",
        "openai",
        "perplexity",
        "sambanova",
        "text-completion-inception",
        "text-completion-openai",
        "volcengine",
        "wandb",
    }
)
# ... and those in that list that it asks by plain HTTP all the same.
_BY_HTTP = frozenset(
    {
        "azure_ai",
        "cometapi",
        "deepseek",
        "edenai",
        "fireworks_ai",
        "github_copilot",
        "groq",
        "hosted_vllm",
        "lemonade",
        "opencode_go",
        "ragflow",
        "together_ai",
        "vercel_ai_gateway",
        "xai",
    }
)


class Session:
    """LiteLLM, loaded, with connections of its own. Made in a thread: it takes seconds."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.litellm = load(table.settings.name)
        from . import litellm_http

        self._http = litellm_http
        litellm_http.guard_clients(self.litellm)
        self._kept = litellm_http.Kept()
        self._client = litellm_http.make_http()

    async def close(self) -> None:
        """Close every connection."""
        await self._kept.aclose()
        await self._client.aclose()

    def supported(self, asked: Asked) -> list[str] | None:
        """The parameters that LiteLLM has for a model, where it knows."""
        try:
            model, vendor, _, _ = self.litellm.get_llm_provider(
                model=asked.full, api_base=self._table.settings.base_url
            )
            found = self.litellm.get_supported_openai_params(
                model=model, custom_llm_provider=vendor
            )
        except Exception:  # noqa: BLE001 - whatever it is, the call itself will say it
            return None
        return found if isinstance(found, list) else None

    async def run(
        self, function: str, arguments: Mapping[str, Any], asked: Asked, exchange: Exchange
    ) -> Any:
        """Call LiteLLM.

        Args:
            function: ``acompletion`` or ``aembedding``.
            arguments: Its arguments.
            asked: The model.
            exchange: Where to note what goes over the wire.

        Raises:
            Exception: Whatever LiteLLM raises.
        """
        from litellm._internal_context import internal_sub_call

        handler = self._http.handler_of(self._client, exchange)
        client = self._sdk_client(asked, arguments, exchange) or handler
        record = quiet_log(
            asked.full,
            arguments.get("messages") or arguments.get("input"),
            stream=arguments.get("stream") is True,
            call_type=function,
        )
        # Around it, LiteLLM asks its cache, its budget and most hooks of other code.
        plain = inspect.unwrap(getattr(self.litellm, function))
        made = plain(**arguments, client=client, litellm_logging_obj=record)
        # LiteLLM reports what it takes for a part of another call to nobody.
        with self._http.current_call(handler, self._kept, exchange), internal_sub_call():
            task = asyncio.ensure_future(made)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await _abandon(task, exchange)
            raise

    def _sdk_client(
        self, asked: Asked, arguments: Mapping[str, Any], exchange: Exchange
    ) -> Any | None:
        """OpenAI's client, for the vendors that LiteLLM asks through it."""
        model, vendor, key, base_url = self.litellm.get_llm_provider(
            model=asked.full,
            api_base=arguments.get("api_base"),
            api_key=arguments.get("api_key"),
        )
        del model
        if vendor in {"azure", "azure_text"}:
            return self._azure_client(arguments, exchange)
        if vendor in _BY_HTTP or not (
            vendor in _BY_SDK or vendor in self.litellm.openai_compatible_providers
        ):
            return None
        key = key or arguments.get("api_key")
        if vendor == "openai" and not key:
            key = os.environ.get("OPENAI_API_KEY")
        if not key:
            name = self._table.settings.name
            # LiteLLM would send OpenAI's key, whoever the vendor is.
            raise AuthenticationError(
                f"{name}: no API key for {vendor}: set providers.{name}.api_key",
                provider=name,
                code="missing_api_key",
                param=f"providers.{name}.api_key",
            )
        import openai

        organization = arguments.get("organization")
        headers = {"OpenAI-Organization": organization} if organization else {}
        return _once(openai.AsyncOpenAI)(
            api_key=key,
            base_url=base_url or arguments.get("api_base"),
            default_headers=own_headers(headers, Secret(key)),
            max_retries=0,
            http_client=self._http.observed(self._client, exchange),
        )

    def _azure_client(self, arguments: Mapping[str, Any], exchange: Exchange) -> Any | None:
        """Azure's client; ``None`` where LiteLLM has to find the credential by itself."""
        import openai

        key = arguments.get("api_key") or os.environ.get("AZURE_API_KEY")
        token = arguments.get("azure_ad_token")
        tokens = arguments.get("azure_ad_token_provider")
        endpoint = arguments.get("api_base") or os.environ.get("AZURE_API_BASE")
        if not endpoint or not (key or token or tokens):
            return None
        version = (
            arguments.get("api_version")
            or os.environ.get("AZURE_API_VERSION")
            or self.litellm.AZURE_DEFAULT_API_VERSION
        )
        common: dict[str, Any] = {
            "max_retries": 0,
            "http_client": self._http.observed(self._client, exchange),
        }
        if version in _AZURE_V1:
            return _once(openai.AsyncOpenAI)(
                api_key=key or tokens or token,
                base_url=f"{endpoint.rstrip('/').removesuffix('/openai/v1')}/openai/v1/",
                default_headers=own_headers({}, Secret(key)) if key else None,
                **common,
            )
        return _once(openai.AsyncAzureOpenAI)(
            api_key=key,
            azure_ad_token=token,
            azure_ad_token_provider=tokens,
            azure_endpoint=endpoint,
            api_version=version,
            **common,
        )


@functools.cache
def _once(client: Any) -> Any:
    """The class of a client that never repeats a request.

    For some vendors LiteLLM loses the argument, and sets its own default at the client it is given.
    """
    never = property(lambda _self: 0, lambda _self, _value: None)
    return type(client.__name__, (client,), {"max_retries": never})


def cost_of(value: object) -> Decimal | None:
    """LiteLLM's word for what an answer cost, in USD. A zero is none: it may not know the model."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        cost = Decimal(repr(value))
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and cost > 0 else None


async def _abandon(task: asyncio.Future[Any], exchange: Exchange) -> None:
    """Nobody waits for the call any more.

    Until it sends, LiteLLM works in a thread, which can't be stopped, and whose result has to be
    taken: for that long it may go on, and then finds that it must not send.
    """
    exchange.abandoned = True
    task.add_done_callback(_let_go)
    try:
        if not exchange.begun:
            await asyncio.wait([task], timeout=_GRACE_SECONDS)
        task.cancel()
        await asyncio.wait([task], timeout=_GRACE_SECONDS)
    finally:
        task.cancel()
        with contextlib.suppress(Exception):
            await to_the_end(exchange.aclose())


def _let_go(task: asyncio.Future[Any]) -> None:
    """Take note of an outcome that nobody wants."""
    if not task.cancelled():
        task.exception()
