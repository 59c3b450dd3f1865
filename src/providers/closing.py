"""Closing that a cancellation does not interrupt half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["to_the_end"]

_GRACE_SECONDS = 1.0


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await it; a cancellation meanwhile is passed on, but only once the work is done.

    A connection whose closing is cancelled is lost to its pool and not closed either. The work gets
    a second after the cancellation; a second cancellation ends it at once.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_GRACE_SECONDS)
        raise
    finally:
        task.cancel()
