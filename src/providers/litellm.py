"""LiteLLM as one more provider: any of its vendors, behind the same promises.

It is used as a library of dialects. Retries, fallbacks, caching, callbacks, budgets and telemetry
are the router's business and off here, by arguments of each call; :mod:`.litellm_loader` tells what
has to be set for the whole process, and :mod:`.litellm_http` what is kept from meeting.

LiteLLM has no client of its own that could be handed out: ``client`` is ``None``, and the module is
there to be imported. What it can't be kept from doing, as of 1.109.1: code that registers rules,
global fallbacks or, in ``litellm.callbacks``, hooks of agentic loops reaches these calls as well (a
warning is logged), as do its environment variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from .base import Call, Capabilities, EmbedCall, Embedding, ProviderSettings, Reply, ReplyStream
from .dialects import Encoded, openai_embeddings
from .dialects.openai_chat_decode import decode
from .lazy import LazyClient
from .litellm_client import Session, cost_of
from .litellm_errors import Place, error_of
from .litellm_exchange import Exchange
from .litellm_loader import check_release
from .litellm_models import sends_done
from .litellm_regions import region_of
from .litellm_request import Asked, Table, without_unsupported
from .litellm_stream import LiteLLMStream, finished_reply
from .wire import WireResponse

__all__ = ["LiteLLMProvider", "create"]

_COUNTED = b'"prompt_eval_count"'


class LiteLLMProvider:
    """One table with the plugin ``litellm`` (a ``Provider`` that also embeds)."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._table = Table(settings)
        self._session = LazyClient(settings.name, partial(Session, self._table))

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._settings.name

    @property
    def client(self) -> Any:
        """None: LiteLLM is a module, and that can be imported."""
        return None

    def capabilities(self, model: str) -> Capabilities:
        """What that model can do, by our own knowledge and the table's; LiteLLM is not loaded."""
        return self._table.capabilities(model)

    async def complete(self, call: Call) -> Reply:
        """Answer a request."""
        encoded = self._table.encode(call, stream=False)
        session: Session = await self._session.ready()
        asked = self._table.asked(call.model)
        encoded = self._expressed(session, encoded, asked, call)
        exchange = Exchange()
        answer = await self._run(session, call, encoded.body, exchange)
        body = answer.model_dump_json(exclude_none=True, warnings=False).encode()
        response = WireResponse(body, exchange.meta)
        reply = decode(response, encoded, provider=self.name, model=call.model)
        exchange.look()
        usage = getattr(answer, "usage", None)
        counted = usage.model_dump(exclude_none=True, warnings=False) if usage is not None else {}
        if asked.family == "ollama" and _COUNTED not in exchange.body:
            # LiteLLM counts by itself then, with a table that is not the model's.
            reply = msgspec.structs.replace(reply, usage=None)
        cost = _price(session.litellm, asked, counted)
        reply = finished_reply(reply, counted, exchange, vendor=asked.vendor, cost=cost)
        return msgspec.structs.replace(reply, region=reply.region or self._region(asked))

    async def stream(self, call: Call) -> ReplyStream:
        """Open a stream."""
        encoded = self._table.encode(call, stream=True)
        session: Session = await self._session.ready()
        asked = self._table.asked(call.model)
        encoded = self._expressed(session, encoded, asked, call)
        exchange = Exchange()
        wrapper = await self._run(session, call, encoded.body, exchange)
        return LiteLLMStream(
            wrapper,
            exchange,
            encoded,
            self._place(call),
            vendor=asked.vendor,
            needs_done=sends_done(asked.family),
            price=partial(_price, session.litellm, asked),
            region=self._region(asked),
        )

    async def embed(self, call: EmbedCall) -> Embedding:
        """Turn texts into vectors."""
        session: Session = await self._session.ready()
        asked = self._table.asked(call.model)
        exchange = Exchange()
        # Of Ollama's two names, only one makes embeddings.
        full = asked.full.replace("ollama_chat/", "ollama/", 1)
        body: dict[str, Any] = {"model": full, "input": list(call.inputs), **call.extra}
        if call.dimensions is not None:
            body["dimensions"] = call.dimensions
        answer = await self._run(session, call, body, exchange)
        dumped = answer.model_dump_json(exclude_none=True, warnings=False).encode()
        response = WireResponse(dumped, exchange.meta)
        found = openai_embeddings.decode(response, call, provider=self.name)
        return msgspec.structs.replace(
            found, model=found.model.removeprefix(f"{full.partition('/')[0]}/")
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.aclose()

    async def _run(
        self,
        session: Session,
        call: Call | EmbedCall,
        body: Mapping[str, Any],
        exchange: Exchange,
    ) -> Any:
        function = "acompletion" if isinstance(call, Call) else "aembedding"
        arguments = {**self._table.arguments(call), **body}
        asked = self._table.asked(call.model)
        try:
            return await session.run(function, arguments, asked, exchange)
        except Exception as exc:
            await exchange.aclose()
            raise error_of(exc, exchange, self._place(call)) from exc
        except BaseException:
            await exchange.aclose()
            raise

    def _expressed(self, session: Session, encoded: Encoded, asked: Asked, call: Call) -> Encoded:
        supported = session.supported(asked)
        allowed = self._table.options.params.get("allowed_openai_params")
        if supported is not None and isinstance(allowed, list | tuple):
            supported = [*supported, *allowed]
        return without_unsupported(encoded, supported, call, self.name)

    def _region(self, asked: Asked) -> str | None:
        params = self._table.options.params
        return region_of(asked.vendor, asked.model, self._settings.base_url, params)

    def _place(self, call: Call | EmbedCall) -> Place:
        secrets = (call.credential, self._settings.api_key, *self._table.secrets)
        return Place(self.name, call.model, secrets)


def create(settings: ProviderSettings) -> LiteLLMProvider:
    """Make a provider of the plugin ``litellm``. Nothing of LiteLLM is imported yet.

    Raises:
        ConfigError: The table is wrong, or LiteLLM is missing or a compromised release of it.
    """
    check_release(settings.name)
    return LiteLLMProvider(settings)


def _price(litellm: Any, asked: Asked, counted: Mapping[str, Any]) -> Decimal | None:
    """What LiteLLM says that a usage costs; ``None`` where it does not know the model."""
    if not counted.get("prompt_tokens"):
        return None  # it would count them by itself
    try:
        answer = litellm.ModelResponse(model=asked.full, usage=litellm.Usage(**counted))
        return cost_of(litellm.completion_cost(completion_response=answer, model=asked.full))
    except Exception:  # noqa: BLE001 - it raises a bare one
        return None
