"""One replica of a fleet: a router that calls all the time and tells of every change of circuits.

    python -m tests.routing.fleet_child CONFIG

It calls from the first line of its standard input on, to the end of that. Lines that it writes:
``ready``; then for each change JSON with the candidate, the state, and the monotonic time, which
all processes of a machine share; whether the link is up; and in the end how its calls went.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys
import time
from typing import Any

from switchgear import Config, Router
from switchgear.errors import SwitchgearError
from switchgear.routing.breaker_values import BreakerChange

PAUSE = 0.03


def tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def changed(change: BreakerChange) -> None:
    tell(name=change.name, state=change.after, at=time.monotonic())


async def calling(router: Router) -> None:
    outcomes: collections.Counter[str] = collections.Counter()
    longest = 0.0
    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    while not ended.done():
        began = time.monotonic()
        try:
            reply = await router.complete("g", "hi", max_tokens=5)
        except SwitchgearError as exc:
            outcomes[type(exc).__name__] += 1
        else:
            outcomes[reply.provider] += 1
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(PAUSE)
    tell(outcomes=outcomes, longest=longest)


async def main(given: dict[str, Any]) -> None:
    async with Router(Config.from_dict(given)) as router:
        # The first call imports the vendor's SDK, which takes as long as it takes.
        await router.complete("well/llama3", "hi", max_tokens=5)
        assert router._sharing is not None
        router._sharing.link.on_change.append(lambda up: tell(link=up))
        router.on_change(changed)
        tell(ready=True, at=time.monotonic())
        await asyncio.to_thread(sys.stdin.readline)
        await calling(router)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
