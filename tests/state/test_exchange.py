from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchgear.clock import SystemClock
from switchgear.config.state import StateConfig
from switchgear.state.exchange import Fleet
from switchgear.state.opening import open_fleet

from .server import RedisServer, slow_road

pytestmark = pytest.mark.xdist_group("redis")


class Recorder:
    """A part that takes slots, and writes down what it hears."""

    def __init__(self, fleet: Fleet, tag: str = "test") -> None:
        self.fleet = fleet
        self.key = fleet.link.key(tag, "slots")
        self.wanted = True
        self.reports = 0
        self.heard: list[Any] = []
        self.changed = asyncio.Event()
        fleet.add(self)

    def report(self) -> tuple[str, list[str], list[Any]] | None:
        if not self.wanted:
            return None
        self.reports += 1
        return "slots", [self.key], [self.fleet.link.replica, 5, 10, 0, 1]

    def absorb(self, reply: Any) -> None:
        self._hear("answer")

    def link_changed(self, up: bool) -> None:
        self._hear(up)

    def _hear(self, what: Any) -> None:
        self.heard.append(what)
        self.changed.set()

    async def hears(self, what: Any) -> None:
        async with asyncio.timeout(30):
            while what not in self.heard:
                self.changed.clear()
                await self.changed.wait()


@contextlib.asynccontextmanager
async def fleet_at(url: str) -> AsyncIterator[Fleet]:
    # A busy machine is no outage.
    fleet = open_fleet(StateConfig(url=url, timeout=30), SystemClock())
    assert fleet is not None
    try:
        yield fleet
    finally:
        await fleet.aclose()


async def test_a_part_is_asked_and_answered_again_and_again(server: RedisServer) -> None:
    async with fleet_at(server.url) as fleet:
        part = Recorder(fleet)
        fleet.start()
        for _ in range(3):
            await part.hears("answer")
            part.heard.clear()


async def test_a_part_with_nothing_to_say_costs_nothing(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet_at(server.url) as fleet:
        part = Recorder(fleet)
        await fleet.ask(part)
        part.wanted = False
        asked = []
        monkeypatch.setattr(fleet.link, "run", lambda *question: asked.append(question))
        fleet.start()
        for _ in range(20):
            fleet.soon(part)
            await asyncio.sleep(0.02)
        assert not asked
        assert part.reports == 1


async def test_asking_brings_the_answer_at_once_and_callers_share_it(server: RedisServer) -> None:
    async with fleet_at(server.url) as fleet:
        part = Recorder(fleet)
        await asyncio.gather(*(fleet.ask(part) for _ in range(10)))
        assert (part.reports, part.heard) == (1, ["answer"])


async def test_a_caller_that_is_cancelled_does_not_take_the_answer_away(
    server: RedisServer,
) -> None:
    async with fleet_at(server.url) as fleet:
        part = Recorder(fleet)
        first, second = (asyncio.create_task(fleet.ask(part)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert first.cancelled()
        assert part.heard == ["answer"]


async def test_every_report_has_one_ending_when_the_server_goes(server: RedisServer) -> None:
    async with fleet_at(server.url) as fleet:
        part = Recorder(fleet)
        await fleet.ask(part)
        server.kill()
        await fleet.ask(part)
        assert part.heard == ["answer", False]
        late = Recorder(fleet, "late")
        assert late.heard == [False]  # who comes during an outage is told
        await fleet.ask(part, late)
        assert (part.reports, late.reports) == (2, 0)
        server.start()
        await part.hears(True)
        await late.hears(True)
        await fleet.ask(part)
        assert part.heard == ["answer", False, True, "answer"]


async def test_an_answer_that_comes_after_the_link_went_down_is_dropped(
    server: RedisServer,
) -> None:
    async with slow_road(server.port) as road:
        async with fleet_at(f"redis://127.0.0.1:{road.port}/0") as fleet:
            part, other = Recorder(fleet), Recorder(fleet, "other")
            await fleet.ask(part, other)
            road.open.clear()
            flying = asyncio.create_task(fleet.ask(part))
            await road.waiting()
            for listener in fleet.link.on_change:
                listener(False)
            road.open.set()
            await flying
            assert part.heard == ["answer", False]


async def test_a_script_that_fails_makes_only_its_part_local_and_is_tried_again(
    server: RedisServer,
) -> None:
    async with fleet_at(server.url) as fleet:
        broken, sound = Recorder(fleet, "broken"), Recorder(fleet, "sound")
        server.command("SET", broken.key, "text")
        fleet.start()
        await fleet.ask(broken, sound)
        assert (broken.heard, sound.heard) == ([False], ["answer"])
        assert fleet.link.up
        server.command("DEL", broken.key)
        await broken.hears("answer")
        assert broken.heard[:3] == [False, True, "answer"]
        assert False not in sound.heard


async def test_the_end_lets_every_part_say_its_last(server: RedisServer) -> None:
    async with fleet_at(server.url) as fleet:
        part = Recorder(fleet)
        await fleet.ask(part)
        await fleet.aclose()
        assert part.reports == 2
        await fleet.ask(part)
        assert part.reports == 2


async def test_large_fleets_report_less_often(server: RedisServer) -> None:
    async with fleet_at(server.url) as fleet:
        part = Recorder(fleet)
        await fleet.ask(part)
        assert fleet.period == pytest.approx(0.1)
        members = [part for n in range(300) for part in (f"r{n}", 4e9)]
        key = fleet.link.key("fleet", "replicas")
        server.command("ZADD", key, *reversed(members))
        async with asyncio.timeout(30):
            while fleet.link.replicas == 1:  # noqa: ASYNC110 - the pulse tells nobody
                await asyncio.sleep(0.02)
        assert fleet.period == pytest.approx(0.602)
