"""Replicas that run: whether they go by this configuration in what they share."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from .case import Case
from .servers import PLAIN
from .values import Result, ok, warning

__all__ = ["replicas"]


def replicas(case: Case) -> Iterator[Result]:
    """Compare what running replicas say that they are set to with what is configured here."""
    from ...state.settings import differing, shared_settings

    state = case.config.state
    known = state.url.startswith(PLAIN) and importlib.util.find_spec("redis") is not None
    if not known or case.offline:
        return
    import redis

    try:
        running, lines = _asked(case)
    except (redis.RedisError, OSError, ValueError):
        return  # that it does not answer stands beside its address
    if not running:
        yield ok("no replica runs at the moment")
        return
    many = "1 replica runs" if running == 1 else f"{running:,} replicas run"
    mine = shared_settings(case.config)
    places = differing(mine, lines)
    if not places:
        yield ok(f"{many}, set as this configuration says in what they share")
        return
    alike = set(mine) & set(lines)
    who = "some" if any(line.endswith(places) for line in alike) else "all"
    yield warning(
        f"{many}, {who} of them set to something else in {', '.join(places)}",
        "circuits, limits and budgets that replicas share go by whoever asks",
        "start all of them with the same configuration",
    )


def _asked(case: Case) -> tuple[int, list[str]]:
    """How many replicas run, and the settings that any of them goes by."""
    import redis

    from ...state.redis_link import key_in

    state, limit = case.config.state, case.timeout
    with redis.Redis.from_url(
        state.url, socket_timeout=limit, socket_connect_timeout=limit
    ) as client:
        seconds, micros = client.time()
        now = f"{seconds + micros / 1e6:.6f}"
        running = client.zcount(key_in(state.namespace, "fleet", "replicas"), now, "+inf")
        key = key_in(state.namespace, "fleet", "settings")
        lines = client.zrangebyscore(key, now, "+inf")
    return int(running), [line.decode("utf-8", "replace") for line in lines]
