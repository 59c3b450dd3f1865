from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from switchgear.clock import SystemClock
from switchgear.config.state import StateConfig
from switchgear.errors import ConfigError
from switchgear.state.link import StateUnavailableError
from switchgear.state.opening import open_fleet
from switchgear.state.redis_link import RedisLink

from .server import RedisServer, free_port, slow_road

pytestmark = pytest.mark.xdist_group("redis")

LIMIT = 1.0
AMPLE = 30.0
"""A limit for tests that are not about it: a busy machine is no outage."""


@contextlib.asynccontextmanager
async def link_to(url: str, **options: Any) -> AsyncIterator[RedisLink]:
    link = RedisLink(StateConfig(url=url, **{"timeout": AMPLE, **options}), SystemClock())
    try:
        yield link
    finally:
        await link.aclose()


async def take_slot(link: RedisLink, tag: str = "test") -> list[int]:
    answer = await link.run("slots", [link.key(tag, "slots")], [link.replica, 5, 10, 0, 1])
    return list(answer)


async def until(link: RedisLink, *, up: bool, within: float = 30.0) -> None:
    changed = asyncio.Event()

    def listener(_: bool) -> None:
        changed.set()

    link.on_change.append(listener)
    async with asyncio.timeout(within):
        while link.up != up:
            changed.clear()
            await changed.wait()
    link.on_change.remove(listener)


async def fails(link: RedisLink) -> None:
    with pytest.raises(StateUnavailableError):
        await take_slot(link)


def fails_at_once(link: RedisLink) -> None:
    """Without waiting for anything, and so without asking anybody."""
    asking = take_slot(link)
    with pytest.raises(StateUnavailableError):
        asking.send(None)


async def works(link: RedisLink) -> None:
    """The link is up, and stays so for a question; with a short limit a busy machine may differ."""
    link.start()
    async with asyncio.timeout(30):
        while True:
            await until(link, up=True)
            with contextlib.suppress(StateUnavailableError):
                assert await take_slot(link) != []
                return


async def test_the_first_use_connects_and_learns_who_is_there(server: RedisServer) -> None:
    async with link_to(server.url, replicas=7) as link, link_to(server.url) as other:
        assert (link.up, link.replicas, link.epoch) == (False, 7, "")
        assert await take_slot(link) != []
        assert (link.up, link.replicas) == (True, 1)
        await take_slot(other)
        assert (other.replicas, other.epoch) == (2, link.epoch)
        assert other.replica != link.replica


async def test_replicas_that_are_set_to_something_else_are_told_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    def warned() -> list[str]:
        return [line for line in caplog.messages if "other replicas are set" in line]

    def linked(*settings: str) -> RedisLink:
        return RedisLink(StateConfig(url=server.url, timeout=30), SystemClock(), settings)

    links = [linked("1 [a]", "1 [b]"), linked("1 [a]", "1 [c]"), linked("2 [a]", "1 [b]")]
    async with contextlib.AsyncExitStack() as running:
        for link in links:
            running.push_async_callback(link.aclose)
            await take_slot(link)
        for link in links * 3:
            await link._beat()
    assert len(warned()) == 3, "each of the three learns of it, and says so once"
    assert all("in [a];" in line for line in warned())


async def test_a_replica_that_leaves_is_not_counted(server: RedisServer) -> None:
    async with link_to(server.url) as link:
        async with link_to(server.url) as other:
            await take_slot(other)
            await take_slot(link)
            assert link.replicas == 2
        assert server.command("ZCARD", link.key("fleet", "replicas")) == 1


async def test_a_server_that_forgot_its_scripts_is_told_them_again(server: RedisServer) -> None:
    async with link_to(server.url) as link:
        await take_slot(link)
        server.command("SCRIPT", "FLUSH")
        assert await take_slot(link) != []
        assert link.up


async def test_a_killed_server_is_gone_at_once_and_back_after_its_restart(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[bool] = []
    async with link_to(server.url) as link:
        await take_slot(link)
        link.on_change.append(told.append)
        before = link.epoch
        server.kill()
        await fails(link)
        fails_at_once(link)
        assert told == [False]
        lost = link.status()
        assert (lost.up, lost.outages) == (False, 1)
        assert lost.url == server.url
        server.start()
        await until(link, up=True)
        found = link.status()
        assert (found.up, found.outages) == (True, 1)
        assert link.status().away == found.away > lost.away
        assert await take_slot(link) != []
        assert told == [False, True]
        assert link.epoch != before
    away = [row for row in caplog.records if "is away" in row.message]
    assert len(away) == 1
    assert away[0].levelno == logging.WARNING
    assert "limits are too until it is back" in away[0].message


async def test_a_paused_server_costs_one_time_limit_and_no_more(server: RedisServer) -> None:
    async with link_to(server.url, timeout=LIMIT) as link:
        await works(link)
        server.pause()
        try:
            async with asyncio.timeout(30):
                await asyncio.gather(*(fails(link) for _ in range(50)))
            fails_at_once(link)
        finally:
            server.resume()
        await works(link)


async def test_the_time_limit_is_said_where_it_was_met(server: RedisServer) -> None:
    async with link_to(server.url, timeout=LIMIT) as link:
        await works(link)
        said: list[str] = []
        server.pause()
        try:
            for waiting in [asyncio.create_task(take_slot(link)) for _ in range(3)]:
                with pytest.raises(StateUnavailableError) as caught:
                    await waiting
                said.append(caught.value.message)
        finally:
            server.resume()
        assert all(f"no answer within {LIMIT:g} s" in each for each in said)


async def test_a_slow_server_counts_as_gone_until_it_is_quick_again(server: RedisServer) -> None:
    async with slow_road(server.port) as road:
        async with link_to(f"redis://127.0.0.1:{road.port}/0", timeout=LIMIT) as link:
            await works(link)
            road.delay = 2 * LIMIT
            await fails(link)
            road.delay = 0.4 * LIMIT  # 0.8 there and back: within the limit, but not well within
            with pytest.raises(TimeoutError):
                await until(link, up=True, within=3.0)
            road.delay = 0.0
            await works(link)


async def test_no_server_at_all_is_known_after_one_try() -> None:
    async with link_to(f"redis://127.0.0.1:{free_port()}/0", replicas=4) as link:
        await fails(link)
        fails_at_once(link)
        assert (link.up, link.replicas) == (False, 4)


async def test_a_script_that_fails_is_no_outage(server: RedisServer) -> None:
    async with link_to(server.url) as link:
        server.command("SET", link.key("test", "slots"), "text")
        with pytest.raises(StateUnavailableError, match=r"script slots.*WRONGTYPE"):
            await take_slot(link)
        assert link.up
        assert await take_slot(link, "another") != []


async def test_a_cancelled_question_does_not_spoil_the_next_ones_answer(
    server: RedisServer,
) -> None:
    async with slow_road(server.port) as road:
        async with link_to(f"redis://127.0.0.1:{road.port}/0") as link:
            await take_slot(link)
            road.delay = 0.02
            tasks = [asyncio.create_task(take_slot(link, f"t{n}")) for n in range(30)]
            await asyncio.sleep(0.03)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.result() for task in tasks[1::2])
            road.delay = 0.0
            assert len(await take_slot(link)) == 5
            assert link.up


async def test_memory_that_was_lost_has_another_name(server: RedisServer) -> None:
    async with link_to(server.url) as link:
        await take_slot(link)
        before = link.epoch
        server.command("FLUSHALL")
        async with asyncio.timeout(30):
            while link.epoch == before:  # noqa: ASYNC110 - the pulse tells nobody
                await asyncio.sleep(0.05)


async def test_closing_twice_and_using_it_afterwards(server: RedisServer) -> None:
    async with link_to(server.url) as link:
        await take_slot(link)
        await link.aclose()
        await link.aclose()
        with pytest.raises(StateUnavailableError, match="closed"):
            await take_slot(link)


async def test_closing_while_the_server_hangs_does_not_hang(server: RedisServer) -> None:
    async with link_to(server.url, timeout=LIMIT) as link:
        await works(link)
        server.pause()
        try:
            async with asyncio.timeout(30):
                await link.aclose()
        finally:
            server.resume()


async def test_no_password_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    url = f"redis://user:s3cret@127.0.0.1:{free_port()}/0"
    async with link_to(url) as link:
        with pytest.raises(StateUnavailableError) as caught:
            await take_slot(link)
        shown = f"{link!r} {caught.value} {caplog.text} {StateConfig(url=url)!r}"
    assert "s3cret" not in shown
    assert "user" in shown


async def test_a_wrong_password_is_named_and_not_shown(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with link_to(f"redis://someone:s3cret@127.0.0.1:{server.port}/0") as link:
        await fails(link)
    assert "invalid username-password" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_unix_socket(server: RedisServer) -> None:
    async with link_to(f"unix://{server.socket}") as link:
        assert await take_slot(link) != []


async def test_keys_of_one_tag_live_together() -> None:
    link = RedisLink(StateConfig(url="redis://x", namespace="mine"), SystemClock())
    assert link.key("a.b", "n") == "mine:{a.b}:n"
    assert link.key("a}{b", "n").count("}") == 1
    await link.aclose()


async def test_a_cluster(tmp_path: Path) -> None:
    node = RedisServer(tmp_path, "--cluster-enabled", "yes")
    try:
        node.command("CLUSTER", "ADDSLOTS", *range(16384))
        async with asyncio.timeout(30):
            while b"cluster_state:ok" not in node.command("CLUSTER", "INFO"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        async with link_to(f"redis+cluster://127.0.0.1:{node.port}") as link:
            assert await take_slot(link) != []
            node.command("SCRIPT", "FLUSH")
            assert await take_slot(link, "other") != []
        async with link_to(f"redis+cluster://127.0.0.1:{node.port}", timeout=LIMIT) as link:
            await works(link)
            node.pause()
            async with asyncio.timeout(30):
                await fails(link)
            await until(link, up=False)  # another node may be well, so that takes the pulse
            fails_at_once(link)
            node.resume()
            await works(link)
    finally:
        node.kill()


def test_memory_needs_no_link() -> None:
    assert open_fleet(StateConfig(), SystemClock()) is None


def test_a_missing_client_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install .switchgear\[redis\]"):
        open_fleet(StateConfig(url="redis://x"), SystemClock())


async def test_a_sentinels_master(server: RedisServer, tmp_path: Path) -> None:
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"sentinel monitor mymaster 127.0.0.1 {server.port} 1\n"
        "sentinel down-after-milliseconds mymaster 60000\n"
    )
    sentinel = RedisServer(tmp_path, "--sentinel", settings=settings)
    try:
        url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/mymaster/0"
        async with link_to(url) as link:
            assert await take_slot(link) != []
        assert server.command("EXISTS", "sg:{test}:slots") == 1
    finally:
        sentinel.kill()
