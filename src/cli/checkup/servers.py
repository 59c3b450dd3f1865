"""Whether a Redis that the configuration names answers."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from typing import Final

from ...credentials import hide
from .case import Case
from .values import Result, error, note, ok

__all__ = ["PLAIN", "redis_answers"]

PLAIN: Final = ("redis://", "rediss://", "unix://")
"""Addresses of one server, in no cluster."""


def redis_answers(case: Case, url: str, what: str, meanwhile: str) -> Iterator[Result]:
    """Ask it, where it is one server.

    Args:
        case: What is looked at.
        url: Its address; one of another kind is fine as it is.
        what: What it is for, fit to be shown.
        meanwhile: What happens while it is away.
    """
    if not url.startswith(PLAIN) or case.offline:
        yield ok(what) if "redis" not in url else note(what, "not asked")
        return
    if importlib.util.find_spec("redis") is None:
        yield error(what, "its client is not installed", 'pip install "switchgear[redis]"')
        return
    import redis

    began = time.monotonic()
    try:
        with redis.Redis.from_url(
            url, socket_timeout=case.timeout, socket_connect_timeout=case.timeout
        ) as client:
            client.ping()
    except ValueError:
        # Its own words quote what may be a password.
        remedy = "mend it; special characters of a password are percent-encoded"
        yield error(what, f"its address can't be read; {meanwhile}", remedy)
    except (redis.RedisError, OSError) as exc:
        remedy = "start it, or mend its address"
        yield error(what, f"it does not answer: {hide(str(exc))}; {meanwhile}", remedy)
    else:
        yield ok(f"{what}, answers in {(time.monotonic() - began) * 1000:.0f} ms")
