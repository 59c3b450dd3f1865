"""What a seed stands for: a configuration, the weather at each provider, and the calls."""

from __future__ import annotations

import random
from typing import Any, Literal

import msgspec

__all__ = ["WEATHERS", "CallPlan", "Phase", "ProviderPlan", "Scenario", "scenario_of"]

Kind = Literal["anthropic", "compatible", "rogue"]
CallKind = Literal["complete", "stream", "embed", "count"]

CLAUDES = ("claude-haiku-4-5-20251001", "claude-sonnet-4-6", "claude-3-haiku-20240307")
OTHERS = ("m-small", "m-large", "e-vectors")

_TORN = {"cut": 3, "tear": 3, "stall": 2, "stream_error": 3, "broken_event": 2, "linger": 1}
_STATUSES = {
    "rate_limit": 4,
    "server_error": 3,
    "overloaded": 3,
    "unavailable": 2,
    "bad_gateway": 2,
    "gateway_timeout": 1,
    "request_timeout": 1,
    "authentication": 1,
    "permission": 1,
    "model_not_found": 1,
    "credit_balance": 1,
    "insufficient_quota": 1,
    "invalid_request": 1,
    "context_length": 1,
    "content_filter": 1,
    "too_large": 1,
    "conflict": 1,
}
_CONNECTION = {"refused": 3, "blackhole": 1, "reset": 3, "hang": 1}
_LIES = {"malformed": 2, "html": 1, "lie": 2, "refusal": 2, "empty": 1}

WEATHERS: dict[str, dict[str, int]] = {
    "clear": {"answer": 60, "drip": 3, "slow": 2, "lie": 1, "server_error": 1, "linger": 1},
    "down": {"refused": 8, "reset": 2},
    "dark": {"blackhole": 3, "hang": 3, "answer": 1},
    "overloaded": {"overloaded": 6, "unavailable": 2, "server_error": 2, "bad_gateway": 1}
    | {"answer": 2, "stream_error": 1},
    "limited": {"rate_limit": 8, "answer": 2},
    "slow": {"slow": 8, "drip": 3, "answer": 2},
    "torn": {**_TORN, "answer": 2},
    "locked": {"authentication": 3, "permission": 1},
    "broke": {"credit_balance": 1, "insufficient_quota": 1},
    "gone": {"model_not_found": 1},
    "lying": {**_LIES, "answer": 3},
    "shaky": {"answer": 11, "server_error": 9},
    "flaky": {"answer": 12, "slow": 2, "drip": 2, **_CONNECTION, **_TORN, **_LIES, **_STATUSES},
}
"""Behaviours of a provider by the kind of day that it has, with their weights."""


class Phase(msgspec.Struct, frozen=True):
    """Weather until a moment, seconds from the start."""

    until: float
    weather: str


class ProviderPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One provider of the world.

    Attributes:
        name: In the configuration.
        kind: Whose API it speaks.
        done_marker: Its streams end with ``[DONE]``, and it says so.
        rate_headers: It tells of rate limits, mostly wrongly.
        latency: Seconds, about, before an answer begins.
        close_delay: Seconds until a closed connection is known to be gone.
        phases: Its weather.
    """

    name: str
    kind: Kind
    done_marker: bool
    rate_headers: bool = True
    latency: float
    close_delay: float
    phases: tuple[Phase, ...]

    def weather(self, at: float) -> str:
        """The weather at a moment."""
        return next((phase.weather for phase in self.phases if at < phase.until), "clear")


class CallPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One call: what is asked, and how its caller behaves.

    Attributes:
        at: Seconds from the start.
        options: Keyword arguments.
        cancel_after: The caller is cancelled so many seconds after the start of the call.
        cancel_again: And once more, so many seconds later.
        scoped: The cancellation is the caller's own ``asyncio.timeout``.
        leave_after: A stream's reader leaves after so many events.
        think: Seconds that a stream's reader takes over every event.
    """

    number: int
    at: float
    kind: CallKind
    target: str
    options: dict[str, Any]
    cancel_after: float | None = None
    cancel_again: float | None = None
    scoped: bool = False
    leave_after: int | None = None
    think: float = 0.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run.

    Attributes:
        lag: The most seconds by which the loop's timers are late.
        executor_delay: Seconds that an SDK's import takes.
        executor_late: What it does is done at their end.
        close_at: The router is closed in the middle of things.
    """

    seed: int
    lag: float
    executor_delay: float
    executor_late: bool
    providers: tuple[ProviderPlan, ...]
    config: dict[str, Any]
    calls: tuple[CallPlan, ...]
    close_at: float | None


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed; always the same one."""
    draw = random.Random(f"scenario {seed}")
    if draw.random() < 0.05:
        return _storm(seed, draw)
    span = draw.uniform(60, 300)
    providers = tuple(_provider(draw, i, span) for i in range(draw.randint(2, 4)))
    config = {**_config(draw, providers), **_money(random.Random(f"money {seed}"))}
    calls = tuple(
        _call(draw, number, span, providers, config) for number in range(draw.randint(12, 28))
    )
    return Scenario(
        seed=seed,
        lag=draw.choice((0.0, 0.0001, 0.004)),
        executor_delay=draw.choice((0.0, 0.4, 1.5)),
        executor_late=draw.random() < 0.5,
        providers=providers,
        config=config,
        calls=calls,
        close_at=draw.uniform(0.2, 0.9) * span if draw.random() < 0.25 else None,
    )


def _storm(seed: int, draw: random.Random) -> Scenario:
    """Many calls at one candidate that fails half of the time, and no circuit that would open."""
    provider = ProviderPlan(
        name="compatible-0",
        kind="compatible",
        done_marker=False,
        rate_headers=False,
        latency=0.1,
        close_delay=0.0,
        phases=(Phase(1000.0, "shaky"),),
    )
    config = {
        "providers": {"compatible-0": _table(provider)},
        "groups": {"group-0": {"chain": ["compatible-0/m-small"], "timeout": 30}},
        "breaker": {"consecutive_failures": 1000, "failure_rate": 1.0, "minimum_calls": 1000},
        "retry": {"num_retries": 5, "backoff_base": 0.2, "backoff_max": 1.0},
        **_money(random.Random(f"money {seed}")),
    }
    calls = tuple(
        CallPlan(
            number=number,
            at=draw.uniform(0, 40),
            kind=draw.choice(("complete", "stream")),
            target="group-0",
            options={"tags": {"call": str(number)}},
        )
        for number in range(60)
    )
    return Scenario(
        seed=seed,
        lag=0.004,
        executor_delay=0.4,
        executor_late=False,
        providers=(provider,),
        config=config,
        calls=calls,
        close_at=None,
    )


def _provider(draw: random.Random, index: int, span: float) -> ProviderPlan:
    kind: Kind = draw.choice(("anthropic", "compatible", "compatible", "anthropic", "rogue"))
    phases: list[Phase] = []
    at = 0.0
    while at < span:
        at += draw.uniform(5, 80)
        weather = "clear" if draw.random() < 0.4 else draw.choice(sorted(WEATHERS))
        phases.append(Phase(at, weather))
    return ProviderPlan(
        name=f"{kind}-{index}",
        kind=kind,
        done_marker=draw.random() < 0.5,
        latency=draw.choice((0.05, 0.3, 1.0)),
        close_delay=draw.choice((0.0, 0.0, 0.01)),
        phases=tuple(phases),
    )


def models_of(plan: ProviderPlan) -> tuple[str, ...]:
    """What a provider of the world has."""
    return CLAUDES if plan.kind == "anthropic" else OTHERS


def _table(plan: ProviderPlan) -> dict[str, Any]:
    if plan.kind == "compatible":
        return {"plugin": "openai-compatible", "base_url": "https://world.invalid/v1"}
    return {"plugin": plan.kind, "api_key": "env:WORLD_KEY"}


def _config(draw: random.Random, providers: tuple[ProviderPlan, ...]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "providers": {plan.name: _table(plan) for plan in providers},
        "retry": {
            "num_retries": draw.choice((0, 1, 3, 3, 3, 5)),
            "backoff_base": draw.choice((0.1, 0.5, 2.0)),
            "backoff_max": draw.choice((2.0, 8.0)),
        },
        "groups": {f"group-{i}": _group(draw, providers) for i in range(draw.randint(1, 3))},
    }
    if draw.random() < 0.6:
        config["breaker"] = {
            "consecutive_failures": draw.choice((2, 4)),
            "minimum_calls": draw.choice((3, 6)),
            "open_seconds": draw.choice((2.0, 15.0)),
            "probes": draw.choice((1, 2)),
            "probe_successes": draw.choice((1, 2)),
            "probe_timeout": draw.choice((3.0, 60.0)),
            "ramp_seconds": draw.choice((0, 20.0)),
        }
    limits = {plan.name: _limit(draw) for plan in providers if draw.random() < 0.3}
    if limits:
        config["limits"] = limits
    _maybe(draw, config, 0.3, timeout=draw.choice((20.0, 90.0)))
    _maybe(draw, config, 0.3, attempt_timeout=draw.choice((2.0, 15.0)))
    _maybe(draw, config, 0.3, idle_timeout=draw.choice((0.04, 1.0, 6.0)))
    return config


def _money(draw: random.Random) -> dict[str, Any]:
    """Prices of the world's own models, a ledger, and mostly budgets: roomy ones and tight ones."""
    price = {"input": 3, "output": 15}
    model = {"prices": price, "context_window": 8000, "max_output_tokens": 4000}
    prices = {"kinds": ["rogue"], "models": dict.fromkeys(OTHERS, model)}
    money: dict[str, Any] = {
        "ledger": {"url": "memory:"},
        "pricing": {"prices": {"openai-compatible": prices}},
    }
    if draw.random() < 0.7:
        usd = draw.choice((100, 100, 1, 0.3, 0.1))
        scope = draw.choice(("global", "project:*", "agent:*", "provider:*"))
        period = draw.choice(("ever", "day", "hour"))
        hard = {"scope": scope, "usd": usd, "period": period}
        soft = {"scope": "global", "usd": 0.05, "period": "day", "enforcement": "soft"}
        money["budgets"] = [hard, soft]
        if draw.random() < 0.3:
            money["budgets"].append({"scope": "tag:call=*", "usd": 0.2, "period": "ever"})
    return money


def _limit(draw: random.Random) -> dict[str, Any]:
    limit: dict[str, Any] = {"rpm": draw.choice((6, 60))}
    _maybe(draw, limit, 0.5, concurrency=draw.choice((1, 3)))
    _maybe(draw, limit, 0.3, tpm=draw.choice((2_000, 100_000)))
    return limit


def _group(draw: random.Random, providers: tuple[ProviderPlan, ...]) -> dict[str, Any]:
    names = [f"{plan.name}/{model}" for plan in providers for model in models_of(plan)]
    entries = [_entry(draw, name) for name in draw.sample(names, draw.randint(1, 4))]
    if len(entries) > 2 and draw.random() < 0.4:
        entries = [entries[:2], *entries[2:]]
    group: dict[str, Any] = {"chain": entries}
    strategies = ("latency", "cost", "least-busy", "weighted")
    _maybe(draw, group, 0.5, strategy=draw.choice(strategies))
    _maybe(draw, group, 0.5, timeout=draw.choice((5.0, 30.0, 120.0)))
    _maybe(draw, group, 0.4, attempt_timeout=draw.choice((1.0, 4.0, 20.0)))
    _maybe(draw, group, 0.3, idle_timeout=draw.choice((0.5, 3.0)))
    _maybe(draw, group, 0.25, hedging=draw.choice((0.1, 1.5, True)))
    _maybe(draw, group, 0.3, fallback_on_content_filter=True)
    _maybe(draw, group, 0.3, max_tokens=draw.choice((100, 4000)))
    return group


def _entry(draw: random.Random, name: str) -> Any:
    table: dict[str, Any] = {"model": name}
    _maybe(draw, table, 0.2, timeout=draw.choice((2.0, 10.0)))
    _maybe(draw, table, 0.2, attempt_timeout=draw.choice((0.7, 5.0)))
    _maybe(draw, table, 0.1, max_tokens=200)
    return table if len(table) > 1 else name


def _call(
    draw: random.Random,
    number: int,
    span: float,
    providers: tuple[ProviderPlan, ...],
    config: dict[str, Any],
) -> CallPlan:
    kind: CallKind = draw.choices(("complete", "stream", "embed", "count"), (9, 10, 3, 1))[0]
    plan = draw.choice(providers)
    target = f"{plan.name}/{draw.choice(models_of(plan))}"
    if draw.random() < 0.75:
        target = draw.choice(sorted(config["groups"]))
    if draw.random() < 0.02:
        target = "no-such-group"
    cancelled = draw.random() < 0.15
    stream = kind == "stream"
    return CallPlan(
        number=number,
        # Half of the calls come in a burst, so that they are under way together.
        at=draw.uniform(0, span) if draw.random() < 0.5 else span * 0.4 + draw.uniform(0, 3),
        kind=kind,
        target=target,
        options={**_options(draw, kind), "tags": {"call": str(number)}},
        cancel_after=draw.choice((0.0, draw.uniform(0, 3), draw.uniform(0, 20)))
        if cancelled
        else None,
        cancel_again=draw.choice((None, 0.0, 0.005)) if cancelled else None,
        scoped=draw.random() < 0.3,
        leave_after=draw.randint(0, 6) if stream and draw.random() < 0.15 else None,
        think=draw.choice((0.01, 0.8)) if stream and draw.random() < 0.2 else 0.0,
    )


_TOOL = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Look something up.",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string"}},
            "required": ["query"],
        },
    },
}
_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def _options(draw: random.Random, kind: CallKind) -> dict[str, Any]:
    options: dict[str, Any] = {}
    _maybe(draw, options, 0.5, timeout=draw.choice((0.3, 3.0, 12.0, 45.0)))
    _maybe(draw, options, 0.2, attempt_timeout=draw.choice((0.2, 1.5, 8.0)))
    _maybe(draw, options, 0.15, agent_id="agent-1")
    if kind == "embed":
        return options
    _maybe(draw, options, 0.2, idle_timeout=draw.choice((0.03, 0.5, 4.0)))
    _maybe(draw, options, 0.1, fallback=False)
    _maybe(draw, options, 0.1, max_cost=draw.choice((0.000001, 0.01, 1)))
    _maybe(draw, options, 0.15, temperature=0.5)
    _maybe(draw, options, 0.3, max_tokens=draw.choice((50, 1000)))
    what = draw.random()
    if what < 0.15:
        options["tools"] = [_TOOL]
    elif what < 0.25:
        options["response_format"] = _SCHEMA
    return options


def _maybe(draw: random.Random, table: dict[str, Any], chance: float, **items: Any) -> None:
    if draw.random() < chance:
        table.update(items)
