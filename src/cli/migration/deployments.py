"""LiteLLM's ``model_list``: each deployment becomes a provider and an entry of a pool."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from .findings import Findings
from .hints import INFO, PARAMS
from .prices import COSTS, PriceBook
from .reading import Section, Source
from .vendors import Served, served

__all__ = ["Deployment", "Deployments"]

_SERVED_MODES: Final = frozenset({"chat", "completion", "embedding", "responses"})
_LIMITS: Final = {
    "rpm": "rpm",
    "rpd": "rpd",
    "tpm": "tpm",
    "itpm": "itpm",
    "otpm": "otpm",
    "max_parallel_requests": "concurrency",
}
# The vendor's own words, as far as they are the same as LiteLLM's.
_DRAWN: Final = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")
_DRAWN_BY: Final = {
    "anthropic": ("temperature", "top_p", "top_k", "thinking"),
    "bedrock": ("temperature", "top_p", "top_k", "thinking"),
    "vertex": ("temperature", "top_p", "top_k", "thinking"),
    "openai": (*_DRAWN, "reasoning_effort", "service_tier"),
    "azure-openai": (*_DRAWN, "reasoning_effort"),
    "openai-compatible": (*_DRAWN, "reasoning_effort", "top_k", "min_p"),
    "litellm": (*_DRAWN, "reasoning_effort", "top_k", "thinking", "service_tier"),
    "ollama": ("temperature", "top_p", "top_k", "seed"),
}
_CAPABILITIES: Final = {
    "supports_vision": "images",
    "supports_function_calling": "tools",
    "supports_parallel_function_calling": "parallel_tool_calls",
    "supports_tool_choice": "tool_choice",
    "supports_pdf_input": "files",
    "supports_audio_input": "audio",
    "supports_prompt_caching": "prompt_cache",
    "supports_reasoning": "reasoning",
}
_PERIODS: Final = {
    "hour": ("1h", "60m", "3600s", "hourly"),
    "day": ("1d", "24h", "86400s", "daily"),
    "week": ("7d", "168h", "1w", "weekly"),
    "month": ("30d", "31d", "28d", "1mo", "720h", "monthly"),
}


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of ``model_list``, translated.

    Attributes:
        group: What callers ask for (``model_name``).
        entry: The entry of a chain, without its weight.
        place: Where it stands in the file.
        order: Lower ones are tried first.
        weights: What LiteLLM would weigh it by.
        silence: Its longest silence inside a stream, seconds.
        every: It stands for every model of its provider, and is in no chain.
    """

    group: str
    entry: dict[str, Any]
    place: str
    order: float = 0
    weights: Mapping[str, Decimal] = {}
    silence: float | int | None = None
    every: bool = False


class Deployments:
    """Translates one after another, and keeps the providers that they share.

    Args:
        source: What values are read with.
        prices: Where their own prices go.
        credentials: ``credential_list``, by name.
    """

    def __init__(
        self, source: Source, prices: PriceBook, credentials: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._source = source
        self._findings: Findings = source.findings
        self._prices = prices
        self._credentials = credentials
        self._names: dict[str, str] = {}
        self._in_group: dict[tuple[str, str], int] = {}
        self.providers: dict[str, dict[str, Any]] = {}
        self.places: dict[str, list[str]] = {}
        self.limits: dict[str, dict[str, Any]] = {}
        self.budgets: list[dict[str, Any]] = []

    def add(self, index: int, data: object) -> Deployment | None:
        """Translate an entry; ``None`` where it can't be served."""
        place = f"model_list[{index}]"
        entry = Section(data, place, self._source)
        group = entry.text("model_name") or ""
        beside = {key: entry.take(key) for key in ("rpm", "tpm")}
        given = self._with_credential(entry.take("litellm_params"), place)
        params = Section(
            {**beside, **given} if isinstance(given, Mapping) else given,
            f"{place}.litellm_params",
            self._source,
            PARAMS,
        )
        nested = params.take("model_info")
        info = Section(
            {**nested, **(entry.take("model_info") or {})}
            if isinstance(nested, Mapping)
            else entry.take("model_info"),
            f"{place}.model_info",
            self._source,
            INFO,
        )
        entry.close()
        mode = info.text("mode")
        if mode is not None and mode not in _SERVED_MODES:
            text = f"of the mode {mode!r}, which Switchgear does not serve: use the vendor's SDK"
            self._findings.lose(place, text)
            return None
        if params.take("mock_response") is not None:
            self._findings.lose(params.at("mock_response"), PARAMS["mock_response"])
        way = served(params)
        if way is None:
            return None
        found = self._placed(way, group or way.model, place, params, info)
        for key in info.left:
            if key in {"id", "description", "db_model", "key", "mode"}:
                info.take(key)  # names things, and does nothing
        params.close()
        info.close()
        return found

    def _with_credential(self, params: object, place: str) -> object:
        if not isinstance(params, Mapping) or "litellm_credential_name" not in params:
            return params
        name = str(params["litellm_credential_name"])
        values = self._credentials.get(name)
        if values is None:
            path = f"{place}.litellm_params.litellm_credential_name"
            self._findings.lose(path, f"credential_list has no {name!r}: set api_key")
        rest = {k: v for k, v in params.items() if k != "litellm_credential_name"}
        return {**(values or {}), **rest}

    def _placed(
        self, way: Served, group: str, place: str, params: Section, info: Section
    ) -> Deployment:
        base = info.text("base_model")
        if base is not None and way.settings["plugin"] == "azure-openai":
            real = base.partition("/")[2] or base
            if real != way.model:
                way.settings["deployments"] = {way.model: real}
        if params.flag("drop_params"):
            way.settings["unsupported"] = "warn"
        provider = self._provider(way, group, place)
        every = "*" in way.model
        entry: dict[str, Any] = {"model": f"{provider}/{way.model}"}
        self._called(entry, params, way.settings["plugin"])
        weights = {
            key: value
            for key in ("weight", "rpm", "tpm")
            if (value := self._peek(params, key)) is not None
        }
        params.take("weight")
        self._limit(provider if every else entry["model"], params, info)
        self._capable(provider, way.model, info, every=every)
        self._budget(entry["model"] if not every else provider, params, info, every=every)
        costs = {
            key: (value, section.at(key))
            for section in (info, params)
            for key in COSTS
            if (value := section.amount(key)) is not None
        }
        if costs:
            self._prices.add(provider, self.providers[provider], way.model, costs)
        order = params.amount("order")
        silence = params.seconds("stream_timeout")
        return Deployment(
            group=group,
            entry=entry,
            place=place,
            order=float(order or 0),
            weights=weights,
            silence=silence,
            every=every,
        )

    def _peek(self, params: Section, key: str) -> Decimal | None:
        """A number that something else is made of too."""
        value = params.amount(key)
        if value is not None:
            params.put(key, value)
        return value

    def _provider(self, way: Served, group: str, place: str) -> str:
        """The provider with these very settings; another one within a pool for the same model."""
        hidden = {key: _digest(value) for key, (value, _) in way.secrets.items()}
        model = f"{json.dumps([way.settings, hidden], sort_keys=True)}/{way.model}"
        twin = self._in_group[group, model] = self._in_group.get((group, model), -1) + 1
        alike = {k: v for k, v in way.settings.items() if k != "deployments"}
        identity = json.dumps([alike, hidden, twin], sort_keys=True)
        name = self._names.get(identity)
        if name is None:
            name = self._names[identity] = self._free_name(way.name)
            self.providers[name] = alike
            for key, (_, path) in way.secrets.items():
                self._put_secret(name, key, path)
        if "deployments" in way.settings:
            known = self.providers[name].setdefault("deployments", {})
            known.update(way.settings["deployments"])
        self.places.setdefault(name, []).append(place)
        return name

    def _free_name(self, wanted: str) -> str:
        wanted = re.sub(r"[^A-Za-z0-9._-]", "-", wanted).strip("-._") or "provider"
        name, number = wanted, 1
        while name in self.providers:
            number += 1
            name = f"{wanted}-{number}"
        return name

    def _put_secret(self, provider: str, key: str, path: str) -> None:
        table, _, inner = key.rpartition(".")
        variable = re.sub(r"[^A-Z0-9]+", "_", f"{provider}_{inner}".upper())
        reference = self._findings.needs(path, variable, f"{key} of the provider {provider}")
        target = self.providers[provider]
        if table:
            target = target.setdefault(table, {})
        target[inner] = reference

    def _called(self, entry: dict[str, Any], params: Section, plugin: str) -> None:
        """How the model is called: times, lengths, fields and headers."""
        if (seconds := params.seconds("timeout", "request_timeout")) is not None:
            entry["attempt_timeout"] = seconds
        if (longest := params.count("max_tokens", "max_completion_tokens")) is not None:
            entry["max_tokens"] = longest
        if (region := params.text("region_name")) is not None:
            entry["region"] = region
        extra: dict[str, Any] = {}
        for key in _DRAWN_BY.get(plugin, ()):
            value = params.option(key)
            if value is not None:
                extra[key] = value
                self._findings.note(params.at(key), "is sent with every call, whatever that says")
        if plugin == "ollama" and extra:
            extra = {"options": extra}
        body = params.option("extra_body")
        if isinstance(body, dict):
            extra |= self._fields(body, params.at("extra_body"), entry["model"])
        if extra:
            entry["extra"] = extra
        headers = params.option("extra_headers", "headers")
        if isinstance(headers, dict):
            entry["extra_headers"] = self._headers(headers, params.at("extra_headers"), entry)

    def _fields(self, body: Mapping[str, Any], path: str, start: str) -> dict[str, Any]:
        """Fields of the request's body, secrets among them by reference."""
        found: dict[str, Any] = {}
        for name, value in body.items():
            place = f"{path}.{name}"
            if isinstance(value, Mapping):
                found[name] = self._fields(value, place, f"{start}_{name}")
            elif isinstance(value, str):
                found[name] = self._hidden(name, value, place, start, f"the field {name}")
            else:
                found[name] = value
        return found

    def _headers(
        self, headers: Mapping[str, Any], path: str, entry: Mapping[str, Any]
    ) -> dict[str, str]:
        return {
            name: self._hidden(
                name, str(value), f"{path}.{name}", entry["model"], f"the header {name}"
            )
            for name, value in headers.items()
        }

    def _hidden(self, name: str, text: str, place: str, start: str, what: str) -> str:
        """A text, or the reference to it where its name says that it is secret."""
        from ...config.hiding import names_credential

        if not names_credential(name) or text.startswith("env:"):
            return text
        variable = re.sub(r"[^A-Z0-9]+", "_", f"{start}_{name}".upper())
        return self._findings.needs(place, variable, what)

    def _limit(self, pattern: str, params: Section, info: Section) -> None:
        found = {
            ours: value
            for theirs, ours in _LIMITS.items()
            if (value := params.count(theirs) or info.count(theirs)) is not None
        }
        if not found:
            return
        known = self.limits.setdefault(pattern, {})
        for key, value in found.items():
            if known.get(key, value) != value:
                text = f"{pattern} is counted together in all groups: the larger one was taken"
                self._findings.note(params.at(key), text)
            known[key] = max(value, known.get(key, value))

    def _capable(self, provider: str, model: str, info: Section, *, every: bool) -> None:
        found: dict[str, Any] = {
            ours: said
            for theirs, ours in _CAPABILITIES.items()
            if (said := info.flag(theirs)) is not None
        }
        if (said := info.flag("supports_response_schema")) is not None:
            found["schema"] = "native" if said else False
        if (window := info.count("max_input_tokens")) is not None:
            found["context_window"] = window
        if (longest := info.count("max_output_tokens", "max_tokens")) is not None:
            found["max_output_tokens"] = longest
        if found and every:
            self._findings.lose(info.path, "say what single models can do in the provider's table")
        elif found:
            models = self.providers[provider].setdefault("models", {})
            models.setdefault(model, {}).update(found)

    def _budget(self, about: str, params: Section, info: Section, *, every: bool) -> None:
        usd = params.amount("max_budget") or info.amount("max_budget")
        span = params.text("budget_duration") or info.text("budget_duration")
        scope = f"provider:{about}" if every else f"model:{about}"
        if usd is not None:
            self.budgets.append(budget(scope, usd, span, params, "max_budget"))


def budget(
    scope: str, usd: Decimal, span: str | None, section: Section, key: str
) -> dict[str, Any]:
    """A budget. LiteLLM's periods are of any length, ours are the calendar's."""
    period = next((ours for ours, theirs in _PERIODS.items() if span in theirs), None)
    if span is None:
        period = "ever"
    elif period is None:
        period = "month"
        section.findings.lose(
            section.at("budget_duration"), f"{span!r} is no period of ours: a month was taken"
        )
    else:
        text = f"{span!r} became {period!r}, which begins with the calendar's, in UTC"
        section.findings.note(section.at("budget_duration"), text)
    text = 'refuses calls before it is exceeded, not after; enforcement = "soft" only warns'
    section.findings.note(section.at(key), text)
    return {"scope": scope, "usd": usd, "period": period}


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
