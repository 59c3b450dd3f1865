"""The link to a Redis: one round trip a script, a time limit, and a pulse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from ..clock import Clock
from ..config.state import StateConfig
from .link import LinkStatus, StateUnavailableError
from .patience import within
from .redis_client import Script, Server, read_scripts, server
from .settings import differing

__all__ = ["RedisLink", "key_in"]

T = TypeVar("T")

_log = logging.getLogger("switchgear.state")

_PULSE = "replicas"
_BEAT = 1.0
_ALIVE = 10.0
"""Seconds for which a replica counts as alive after its last beat."""
_GRACE = 1.0


def key_in(namespace: str, tag: str, name: str) -> str:
    """A key of a fleet; braces in the tag would break what keeps its keys together."""
    tag = tag.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
    return f"{namespace}:{{{tag}}}:{name}"


class RedisLink:
    """A ``Link`` to one Redis server, a sentinel's master, or a cluster.

    Making it does no I/O and imports nothing. The first use starts its pulse: a task that says once
    a second that this replica is alive, learns how many others are, and, while the server is away,
    finds out when it is back (after 0.1 s, then less and less often, up to every 2 s).

    The link goes down when a script is not answered within the time limit, or the connection is
    refused or breaks. From then on `run` fails at once, without asking, until the pulse has got an
    answer within half of the time limit. Of a cluster only the node with the pulse's own keys takes
    the link down; where another fails, `run` does for what lives there.

    With the pulse goes what the replica is set to, as far as all should be set alike; one warning
    says where others are set to something else.

    Args:
        config: Where it is, and how long to wait.
        clock: For the pulse's pauses.
        settings: What this replica is set to, see `shared_settings`.
    """

    def __init__(self, config: StateConfig, clock: Clock, settings: Sequence[str] = ()) -> None:
        self.on_change: list[Callable[[bool], None]] = []
        self._config = config
        self._clock = clock
        self._settings = tuple(settings)
        self._differing: tuple[str, ...] = ()
        self._replica = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._word: bool | None = None  # the last that the listeners were told
        self._replicas = config.replicas
        self._epoch = ""
        self._recount_at = -math.inf  # before that the number of replicas only grows
        self._failures = 0
        self._outages = 0
        self._away = 0.0
        self._away_since: float | None = None
        self._server: Server | None = None
        self._scripts: dict[str, Script] = {}
        self._pulse: asyncio.Task[None] | None = None
        self._first = asyncio.Event()
        self._trouble = asyncio.Event()
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __repr__(self) -> str:
        state = "up" if self.up else "down"
        return f"<RedisLink {self._config.shown_url}, {state}, {self._replicas} replicas>"

    @property
    def replica(self) -> str:
        """This replica's name: unique among all that ever were."""
        return self._replica

    @property
    def up(self) -> bool:
        """The last word was that it can be reached."""
        return bool(self._word) and not self._closed

    @property
    def replicas(self) -> int:
        """How many replicas were alive when it could last be reached; at least 1."""
        return self._replicas

    @property
    def epoch(self) -> str:
        """Names the memory of the server, and its run; empty until it was first reached."""
        return self._epoch

    def key(self, tag: str, name: str) -> str:
        """A key of the fleet's own; keys of one tag live on one cluster node."""
        return key_in(self._config.namespace, tag, name)

    def start(self) -> None:
        """Start the pulse, on the running loop. Safe to call twice; `run` does it too."""
        if self._pulse is None and not self._closed:
            self._pulse = asyncio.get_running_loop().create_task(self._beat_on())

    async def run(
        self, script: str, keys: Sequence[str], arguments: Sequence[str | int | float | bytes]
    ) -> Any:
        """Run a script by its file's name, in one round trip and within the link's time limit.

        The very first call also waits for the redis package to be imported.

        Returns:
            What the script answered: integers, bytes, lists of these, ``None``.

        Raises:
            StateUnavailableError: It could not be run, or nobody knows whether it was.
        """
        if not self._first.is_set():
            self.start()
            await self._first.wait()
        if not self.up:
            reason = "the link is closed" if self._closed else "the shared state can't be reached"
            raise StateUnavailableError(f"{reason} ({self._config.shown_url})")
        return (await self._ask(script, keys, arguments))[0]

    async def aclose(self) -> None:
        """Tell the others, and let go of the connections. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._first.set()
        pulse, self._pulse = self._pulse, None
        if pulse is not None:
            pulse.cancel()
            await asyncio.wait([pulse])
        if self._server is None:
            return
        try:
            if self._word:
                with contextlib.suppress(StateUnavailableError):
                    await self._ask(_PULSE, self._own_keys(), [self._replica, 0, ""])
        finally:
            for task in self._running:
                task.cancel()
            if self._running:
                await asyncio.wait(self._running, timeout=_GRACE)
            await self._server.close()

    # --- one question -----------------------------------------------------------------------------

    async def _ask(
        self, name: str, keys: Sequence[str], arguments: Sequence[str | int | float | bytes]
    ) -> tuple[Any, float]:
        """The answer, and how many seconds it took."""
        assert self._server is not None  # noqa: S101 - the pulse made it before its first beat
        known, script = self._server, self._scripts[name]
        try:
            return await self._within(self._evaluate(known, script, keys, arguments))
        except TimeoutError:
            reason = f"no answer within {self._config.timeout:g} s"
        except Exception as exc:  # whatever it is, this replica goes on alone
            reason = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
            if known.refusals(exc):
                # The server is well; this one script is not, and only its user has to know.
                raise StateUnavailableError(f"script {name}: {reason}") from exc
        if known.many and name != _PULSE:
            # One node of a cluster may be gone: only what lives there is. The pulse tells of all.
            self._trouble.set()
        else:
            self._set_up(up=False, reason=reason)
        raise StateUnavailableError(f"{self._config.shown_url}: {reason}")

    async def _evaluate(
        self,
        known: Server,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[str | int | float | bytes],
    ) -> Any:
        try:
            return await known.client.evalsha(script.digest, len(keys), *keys, *arguments)
        except known.unknown:
            # A restart or SCRIPT FLUSH: to send the text runs it, and loads it on the right node.
            return await known.client.eval(script.text, len(keys), *keys, *arguments)

    async def _within(self, work: Coroutine[Any, Any, T]) -> tuple[T, float]:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await within(task, self._config.timeout)

    # --- the pulse --------------------------------------------------------------------------------

    async def _beat_on(self) -> None:
        try:
            known, self._scripts = await asyncio.to_thread(self._make)
        except Exception as exc:  # noqa: BLE001 - the same
            self._set_up(up=False, reason=f"{type(exc).__name__}: {exc}")
            self._first.set()
            return
        self._server = known
        while True:
            await self._beat()
            self._first.set()
            pause = _BEAT if self._word else known.backoff(self._failures)
            self._trouble.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(pause, 0.05)):
                    await self._trouble.wait()
            if not self._word:
                # What is left of connections to a server that was away may hang for long.
                with contextlib.suppress(Exception):
                    await self._within(known.discard())

    def _make(self) -> tuple[Server, dict[str, Script]]:
        return server(self._config.url, self._config.timeout), read_scripts()

    async def _beat(self) -> None:
        try:
            own: list[str | float] = [self._replica, _ALIVE, secrets.token_hex(8), *self._settings]
            answer, seconds = await self._ask(_PULSE, self._own_keys(), own)
        except StateUnavailableError as exc:
            self._failures += 1
            self._set_up(up=False, reason=exc.message)
            return
        alive, epoch, others = answer
        self._count(int(alive), epoch.decode())
        self._compare([line.decode("utf-8", "replace") for line in others])
        # Between half and the whole of the limit it stays as it is, or it would flap.
        if self._word or seconds <= 0.5 * self._config.timeout:
            self._failures = 0
            self._set_up(up=True, reason="")
        else:
            self._failures += 1

    def _count(self, alive: int, epoch: str) -> None:
        """How many there are; who comes back after an outage is not there at once."""
        now = self._clock.monotonic()
        if self._epoch and (not self._word or epoch != self._epoch):
            self._recount_at = now + _ALIVE
        self._epoch = epoch
        known = self._replicas if now < self._recount_at else 1
        self._replicas = max(1, alive, known)

    def _own_keys(self) -> list[str]:
        return [self.key("fleet", name) for name in ("replicas", "epoch", "settings")]

    def _compare(self, others: Sequence[str]) -> None:
        found = differing(self._settings, others)
        if found == self._differing:
            return
        more, self._differing = set(found) - set(self._differing), found
        if more:
            _log.warning(
                "shared state at %s: other replicas are set to something else in %s; what they "
                "share goes by whoever asks. Give all of them the same configuration (while a new "
                "one is rolled out, this passes)",
                self._config.shown_url,
                ", ".join(found),
            )
        elif not found:
            _log.info("shared state at %s: all replicas are set alike", self._config.shown_url)

    def status(self) -> LinkStatus:
        """How it stands, for people and for metrics."""
        away = self._away
        if self._away_since is not None:
            away += self._clock.monotonic() - self._away_since
        url = self._config.shown_url
        return LinkStatus(url, self.up, self._replicas, self._outages, away)

    def _note_outage(self, *, up: bool) -> None:
        now = self._clock.monotonic()
        if not up:
            self._outages += 1
            self._away_since = now
        elif self._away_since is not None:
            self._away += now - self._away_since
            self._away_since = None

    def _set_up(self, *, up: bool, reason: str) -> None:
        if self._word is up:
            return
        again, self._word = self._word is not None, up
        self._note_outage(up=up)
        if up:
            level = logging.WARNING if again else logging.INFO
            _log.log(level, "shared state at %s: connected", self._config.shown_url)
        else:
            self._trouble.set()
            _log.warning(
                "shared state at %s is away (%s): circuits are this replica's own and limits are "
                "%s until it is back",
                self._config.shown_url,
                reason,
                "too" if self._replicas == 1 else f"divided by {self._replicas} replicas",
            )
        for listener in tuple(self.on_change):
            try:
                listener(up)
            except Exception:  # noqa: BLE001 - the others want to know too
                _log.exception("a listener to the shared state failed")
