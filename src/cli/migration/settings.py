"""``router_settings``, ``litellm_settings`` and the rest of LiteLLM's sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from .deployments import budget
from .findings import Findings
from .groups import STRATEGIES, Fallbacks
from .hints import CACHE
from .reading import Section

__all__ = ["Settings"]

_DEFAULT_TIMEOUT: Final = 600
_LONGEST_OPEN: Final = 300
_CACHES: Final = {"local": "memory:", "disk": "sqlite:answers.db"}
_REDIS: Final = ("redis", "redis-cluster", "redis-semantic", "valkey-semantic")


class Settings:
    """What holds for all calls, while it is written.

    Args:
        findings: Where remarks go.
        fallbacks: Who stands in for whom; more of it may stand in these sections.

    Attributes:
        tables: Our sections, save providers, groups and limits.
        strategy: The strategy of every pool.
        budgets: ``[[budgets]]``.
    """

    def __init__(self, findings: Findings, fallbacks: Fallbacks) -> None:
        self._findings = findings
        self.fallbacks = fallbacks
        self.tables: dict[str, Any] = {}
        self.strategy = "weighted"
        self.budgets: list[dict[str, Any]] = []
        self.aliases: list[tuple[str, str, str]] = []

    def router(self, section: Section) -> None:
        """Take ``router_settings``."""
        self._strategy(section)
        self._common(section)
        silence = section.seconds("stream_timeout")
        if silence is not None:
            self.tables["idle_timeout"] = silence
        if (wait := section.seconds("retry_after")) is not None:
            self._put("retry", "backoff_base", min(wait, 30))
        if section.take("enable_pre_call_checks") is not None:
            text = "always on: a prompt that is too long for a model skips it"
            self._findings.note(section.at("enable_pre_call_checks"), text)
        self._state(section)
        if section.flag("cache_responses"):
            self._put("cache", "url", self.tables.get("state", {}).get("url", "memory:"))
            self._cache_differs(section.at("cache_responses"))
        self._aliases(section)
        for vendor, rule in section.mapping("provider_budget_config").items():
            inner = Section(rule, f"{section.path}.provider_budget_config.{vendor}", section.source)
            usd = inner.amount("budget_limit", "max_budget")
            span = inner.text("time_period", "budget_duration")
            if usd is not None:
                scope = f"provider:{vendor}"
                self.budgets.append(budget(scope, usd, span, inner, "budget_limit"))
            inner.close()
        section.close()

    def litellm(self, section: Section) -> None:
        """Take ``litellm_settings``; what ``router_settings`` has said goes before it."""
        self._common(section)
        if section.flag("drop_params"):
            self.tables["unsupported"] = "warn"
        self._cache(section)
        usd, span = section.amount("max_budget"), section.text("budget_duration")
        if usd is not None:
            self.budgets.append(budget("global", usd, span, section, "max_budget"))
        for alias, model in section.mapping("model_alias_map").items():
            self.aliases.append((str(alias), str(model), f"{section.at('model_alias_map')}"))
        section.close()

    def general(self, section: Section) -> None:
        """Take ``general_settings``: all of it is about the proxy itself."""
        if (shared := section.take("coordination_redis")) is not None:
            inner = Section(shared, section.at("coordination_redis"), section.source)
            url = self._redis(inner, "", "SWITCHGEAR_STATE_URL")
            if url is not None:
                self.tables.setdefault("state", {"url": url})
            inner.close()
        section.close()

    def _common(self, section: Section) -> None:
        """What both sections may say."""
        retries = section.amount("num_retries")
        if retries is not None and not self._said("retry", "num_retries", section):
            self._put("retry", "num_retries", min(max(0, int(retries)), 100))
        self._timeout(section)
        self._breaker(section)
        for key in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
            rules, place = section.take(key), section.at(key)
            if rules is None:
                continue
            self.fallbacks.read(rules, place)
            if key != "fallbacks":
                self._findings.note(place, "these stand in for other failures too")
            if key == "content_policy_fallbacks":
                self.fallbacks.read_refusals(rules)
        if (others := section.take("default_fallbacks")) is not None:
            self.fallbacks.read_default(others, section.at("default_fallbacks"))

    def _timeout(self, section: Section) -> None:
        place = section.place("timeout", "request_timeout")
        seconds = section.seconds("timeout", "request_timeout")
        if seconds is None or self._said("", "attempt_timeout", section, place):
            return
        self.tables["attempt_timeout"] = seconds
        if seconds >= _DEFAULT_TIMEOUT:
            self.tables["timeout"] = 2 * seconds
        whole = self.tables.get("timeout", _DEFAULT_TIMEOUT)
        text = f"holds for one attempt; the whole call, failover included, has {whole:g} s"
        self._findings.note(place, text)

    def _breaker(self, section: Section) -> None:
        fails, place = section.amount("allowed_fails"), section.at("allowed_fails")
        if fails is not None and not self._said("breaker", "consecutive_failures", section, place):
            self._put("breaker", "consecutive_failures", max(0, int(fails)) + 1)
            self._findings.note(place, "counted in a row here, not by the minute")
        rest, place = section.seconds("cooldown_time"), section.at("cooldown_time")
        if rest is not None and not self._said("breaker", "open_seconds", section, place):
            self._put("breaker", "open_seconds", rest)
            if rest > _LONGEST_OPEN:
                self._put("breaker", "longest_open", rest)
            self._findings.note(place, "doubled by every probe that fails, up to longest_open")

    def _strategy(self, section: Section) -> None:
        name = section.text("routing_strategy")
        if name is None:
            return
        found = STRATEGIES.get(name)
        if found is None:
            known = ", ".join(sorted(set(STRATEGIES.values())))
            text = f"there is no {name!r}: weighted was taken; there are {known}"
            self._findings.lose(section.at("routing_strategy"), text)
        else:
            self.strategy = found

    def _state(self, section: Section) -> None:
        url = self._redis(section, "redis_", "SWITCHGEAR_STATE_URL")
        if url is not None:
            self._put("state", "url", url)

    def _cache(self, section: Section) -> None:
        on = section.flag("cache")
        place = section.at("cache_params")
        inner = Section(section.take("cache_params"), place, section.source, CACHE)
        if not on:
            for key in inner.left:
                inner.take(key)  # is switched off
            return
        kind = inner.text("type") or "redis"
        if kind in _REDIS:
            url = self._redis(inner, "", "SWITCHGEAR_CACHE_URL", default=True)
            if kind.endswith("semantic"):
                self._findings.lose(
                    inner.at("type"), "only a repeated request is answered, not a similar one"
                )
        elif kind in _CACHES:
            url = _CACHES[kind]
            if inner.take("disk_cache_dir") is not None:
                text = "the file is answers.db beside the configuration"
                self._findings.note(inner.at("disk_cache_dir"), text)
        else:
            url = "memory:"
            text = (
                f"there is no cache in {kind!r}: it is kept in memory; there are SQLite and Redis"
            )
            self._findings.lose(inner.at("type"), text)
        self._put("cache", "url", url or "memory:")
        ttl = inner.seconds("ttl", "default_in_redis_ttl", "default_in_memory_ttl")
        if ttl is not None:
            self._put("cache", "ttl", ttl)
        if (prefix := inner.text("namespace")) is not None:
            self._put("cache", "prefix", prefix)
        self._cache_differs(section.at("cache"))
        inner.close()

    def _cache_differs(self, path: str) -> None:
        self._findings.note(
            path,
            'kept apart by project (scope = "global" shares it), and only for requests without '
            "tools and with a low temperature; docs/caching.md",
        )

    def _redis(
        self, section: Section, prefix: str, variable: str, *, default: bool = False
    ) -> str | None:
        """The URL of a Redis. One with a password is named, never copied."""
        place = section.at(f"{prefix}url")
        url = section.option(f"{prefix}url")
        host = section.option(f"{prefix}host")
        port = section.option(f"{prefix}port") or 6379
        password = section.option(f"{prefix}password")
        user = section.option(f"{prefix}username")
        number = section.option(f"{prefix}db")
        secure = section.flag(f"{prefix}ssl")
        scheme = "rediss" if secure else "redis"
        sample = f"{scheme}://localhost:6379/0"
        if isinstance(url, str):
            if url.startswith("env:"):
                self._findings.variables[url.removeprefix("env:")] = sample
                return url
            if urlsplit(url).password is None:
                return url
            return self._findings.needs(place, variable, "the URL of the Redis", sample)
        if host is None and not default:
            return None
        if host is None:
            host, port, password = "env:REDIS_HOST", "env:REDIS_PORT", "env:REDIS_PASSWORD"
        parts = (host, port, password, user, number)
        if password is None and not any(str(part).startswith("env:") for part in parts):
            return f"{scheme}://{quote(str(host))}:{port}/{number or 0}"
        shape = "".join(
            (
                f"{scheme}://",
                f"{user or ''}:PASSWORD@" if password else "",
                f"HOST:PORT/{number or 0}",
            )
        )
        held = [str(part)[4:] for part in parts if str(part).startswith("env:")]
        for name in held:
            self._findings.variables.pop(name, None)
        what = f"{shape}, of {', '.join(held)}" if held else shape
        return self._findings.needs(section.at(f"{prefix}host"), variable, what, sample)

    def _aliases(self, section: Section) -> None:
        for alias, model in section.mapping("model_group_alias").items():
            path = f"{section.at('model_group_alias')}.{alias}"
            meant = model.get("model") if isinstance(model, Mapping) else model
            self.aliases.append((str(alias), str(meant), path))

    def _put(self, table: str, key: str, value: Any) -> None:
        self.tables.setdefault(table, {})[key] = value

    def _said(self, table: str, key: str, section: Section, place: str = "") -> bool:
        """Whether ``router_settings`` has said it already, which goes before."""
        if key not in (self.tables.get(table, {}) if table else self.tables):
            return False
        self._findings.note(place or section.at(key), "said twice: router_settings was taken")
        return True
