"""A real Redis whose scripts read a time that tests set.

The scripts run as they are shipped, but for where they read the time: ``TIME`` gives way to a list
that the tests write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from switchgear.state.link import LinkStatus, StateUnavailableError
from switchgear.state.redis_client import read_scripts

if TYPE_CHECKING:
    import redis

EPOCH = 1_790_000_000.0


class ClockedScripts:
    """The scripts, and the time that they go by.

    Args:
        client: Of a server that nobody else uses meanwhile.
    """

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._scripts = {
            name: client.register_script(
                script.text.replace("redis.call('TIME')", "redis.call('LRANGE', 'clock', 0, -1)")
            )
            for name, script in read_scripts().items()
        }
        self.set_clock(0.0)

    def set_clock(self, seconds: float) -> None:
        """What Redis takes for the time, counted from `EPOCH`."""
        whole, part = divmod(EPOCH + seconds, 1)
        with self.client.pipeline() as pipe:
            pipe.delete("clock")
            pipe.rpush("clock", int(whole), round(part * 1e6))
            pipe.execute()

    def run(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run one."""
        return self._scripts[name](keys=list(keys), args=list(arguments))


class ClockedLink:
    """A link whose round trips take virtual time, on a loop without sockets.

    Args:
        scripts: The shared state.
        replica: This one's name.
        replicas: How many there are.
        travel: How long a question is on its way, and an answer; seconds.
    """

    def __init__(
        self, scripts: ClockedScripts, replica: str, replicas: int, travel: Callable[[], float]
    ) -> None:
        self.replica = replica
        self.replicas = replicas
        self.epoch = "only"
        self.up = True
        self.on_change: list[Callable[[bool], None]] = []
        self._scripts = scripts
        self._travel = travel

    def key(self, tag: str, name: str) -> str:
        return f"sg:{{{tag}}}:{name}"

    def cut(self) -> None:
        """It goes down, and says so."""
        self.up = False
        for listener in tuple(self.on_change):
            listener(False)

    def mend(self) -> None:
        """It is back."""
        self.up = True
        for listener in tuple(self.on_change):
            listener(True)

    async def run(
        self, script: str, keys: Sequence[str], arguments: Sequence[str | int | float | bytes]
    ) -> Any:
        await asyncio.sleep(self._travel())
        if not self.up:
            raise StateUnavailableError("the link is cut")
        self._scripts.set_clock(asyncio.get_running_loop().time())
        reply = self._scripts.run(script, keys, arguments)
        await asyncio.sleep(self._travel())
        return reply

    def status(self) -> LinkStatus:
        return LinkStatus("", self.up, self.replicas, 0, 0.0)

    async def aclose(self) -> None:
        pass
