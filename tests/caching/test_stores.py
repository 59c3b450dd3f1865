"""What every store does, and what each does by itself."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from switchgear import ConfigError
from switchgear.caching.memory import MemoryStore
from switchgear.caching.redis_server import RedisStore
from switchgear.caching.sqlite import SqliteStore
from switchgear.caching.store import CacheStore, StoreRefusedError
from switchgear.caching.stores import open_cache

if TYPE_CHECKING:
    from tests.caching.conftest import Opener
    from tests.caching.values import HandClock
    from tests.state.server import RedisServer

A, B, C, D = (bytes([n]) * 32 for n in range(4))


# -- every kind ------------------------------------------------------------------------------


async def test_what_was_put_is_there_until_it_is_replaced_or_deleted(store: CacheStore) -> None:
    assert await store.get(A) is None
    await store.put(A, b"one", 60)
    await store.put(B, b"\0\xff" * 1000, 60)
    assert await store.get(A) == b"one"
    await store.put(A, b"two", 60)
    assert await store.get(A) == b"two"
    await store.delete(A)
    await store.delete(C)
    assert await store.get(A) is None
    assert await store.get(B) == b"\0\xff" * 1000


async def test_opening_a_store_is_nothing_but_a_beginning(store: CacheStore) -> None:
    await store.open()
    await store.put(A, b"one", 60)
    await store.open()
    assert await store.get(A) == b"one"


async def test_a_closed_store_is_closed_once(store: CacheStore) -> None:
    await store.put(A, b"one", 60)
    await store.aclose()
    await store.aclose()


async def test_many_at_once_do_not_get_into_each_others_way(store: CacheStore) -> None:
    keys = [n.to_bytes(32, "big") for n in range(200)]
    await asyncio.gather(*(store.put(key, key * 3, 60) for key in keys))
    found = await asyncio.gather(*(store.get(key) for key in keys))
    assert found == [key * 3 for key in keys]


# -- expiry and room: memory and file --------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
def small(request: pytest.FixtureRequest, tmp_path: Path, opened: Opener) -> CacheStore:
    """Room for about three entries of 10,000 bytes."""
    url = "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'cache.db'}"
    return opened(url, max_bytes=32_000)


async def test_what_has_expired_is_not_there(small: CacheStore, clock: HandClock) -> None:
    await small.put(A, b"one", 60)
    clock.time += 59.9
    assert await small.get(A) == b"one"
    clock.time += 0.1
    assert await small.get(A) is None


async def test_the_least_lately_used_makes_room(small: CacheStore) -> None:
    for key in (A, B, C):
        await small.put(key, b"x" * 10_000, 60)
    await small.get(A)
    await small.put(D, b"y" * 10_000, 60)
    assert [await small.get(key) is not None for key in (A, B, C, D)] == [True, False, True, True]
    stats = small.stats()
    assert (stats.entries, stats.evicted) == (3, 1)
    assert stats.bytes is not None
    assert 30_000 <= stats.bytes <= 32_000


async def test_what_is_larger_than_the_store_takes_nobodys_room(small: CacheStore) -> None:
    await small.put(A, b"one", 60)
    await small.put(B, b"x" * 40_000, 60)
    assert await small.get(A) == b"one"
    assert await small.get(B) is None
    await small.put(A, b"x" * 40_000, 60)
    assert await small.get(A) is None, "the former value no longer holds"


async def test_a_number_of_entries_is_a_bound_too(tmp_path: Path, opened: Opener) -> None:
    for url in ("memory:", f"sqlite:{tmp_path / 'c.db'}"):
        store = opened(url, max_entries=2)
        for key in (A, B, C):
            await store.put(key, b"x", 60)
        assert [await store.get(key) for key in (A, B, C)] == [None, b"x", b"x"]


# -- a file ----------------------------------------------------------------------------------


async def test_a_file_outlives_its_process_and_is_the_users_own(
    tmp_path: Path, opened: Opener
) -> None:
    path = tmp_path / "deep" / "cache.db"
    first = opened(f"sqlite:{path}")
    await first.put(A, b"one", 60)
    await first.aclose()
    assert path.stat().st_mode & 0o777 == 0o600
    assert await opened(f"sqlite:{path}").get(A) == b"one"


async def test_uses_before_a_restart_count(tmp_path: Path, opened: Opener) -> None:
    url = f"sqlite:{tmp_path / 'cache.db'}"
    first = opened(url, max_bytes=32_000)
    for key in (A, B, C):
        await first.put(key, b"x" * 10_000, 60)
    await first.get(A)
    await first.aclose()
    second = opened(url, max_bytes=32_000)
    await second.put(D, b"x" * 10_000, 60)
    assert await second.get(A) is not None
    assert await second.get(B) is None


async def test_what_has_expired_makes_room_first(
    tmp_path: Path, opened: Opener, clock: HandClock
) -> None:
    store = opened(f"sqlite:{tmp_path / 'cache.db'}", max_bytes=32_000)
    await store.put(A, b"x" * 10_000, 1000)
    await store.put(B, b"x" * 10_000, 10)
    await store.put(C, b"x" * 10_000, 10)
    clock.time += 11
    await store.put(D, b"x" * 10_000, 1000)
    stats = store.stats()
    assert (stats.entries, stats.evicted) == (2, 0)
    assert await store.get(A) is not None


async def test_many_uses_are_written_down_without_a_put(tmp_path: Path, opened: Opener) -> None:
    path = tmp_path / "cache.db"
    store = opened(f"sqlite:{path}")
    keys = [n.to_bytes(32, "big") for n in range(80)]
    for key in keys:
        await store.put(key, b"x", 60)
    for key in keys:
        await store.get(key)
    with sqlite3.connect(path) as other:
        ((highest,),) = other.execute("SELECT MAX(used) FROM entry")
    other.close()
    assert highest == 80 + 64


async def test_a_foreign_value_is_a_miss(tmp_path: Path, opened: Opener) -> None:
    path = tmp_path / "cache.db"
    store = opened(f"sqlite:{path}", max_entry_bytes=100)
    await store.put(A, b"one", 60)
    other = sqlite3.connect(path)
    with other:
        other.execute("UPDATE entry SET value = 'text'")
    assert await store.get(A) is None
    with other:
        other.execute("UPDATE entry SET value = zeroblob(101)")
    other.close()
    assert await store.get(A) is None


@pytest.mark.parametrize(
    "kind", ["another program's database", "another version", "not a database"]
)
async def test_a_file_that_is_not_this_caches_is_not_touched(
    tmp_path: Path, opened: Opener, kind: str
) -> None:
    path = tmp_path / "other.db"
    if kind == "not a database":
        path.write_bytes(b"important notes\n" * 500)
    else:
        other = sqlite3.connect(path)
        with other:
            other.execute("CREATE TABLE important (note TEXT)")
            if kind == "another version":
                other.execute(f"PRAGMA application_id = {0x53574743}")
                other.execute("PRAGMA user_version = 99")
        other.close()
    before = path.read_bytes()
    store = opened(f"sqlite:{path}")
    with pytest.raises((RuntimeError, sqlite3.DatabaseError), match=kind):
        await store.get(A)
    if kind == "not a database":
        assert path.read_bytes() == before
    else:
        other = sqlite3.connect(path)
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("important",)]
        other.close()


async def test_a_file_that_may_not_be_written_refuses_and_can_be_read(
    tmp_path: Path, opened: Opener
) -> None:
    store = opened(f"sqlite:{tmp_path / 'cache.db'}")
    await store.put(A, b"one", 60)
    assert isinstance(store, SqliteStore)
    assert store._connection is not None
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreRefusedError):
        await store.put(B, b"two", 60)
    assert await store.get(A) == b"one"


_CHILD = """
import asyncio, sys
from switchgear.caching.stores import open_cache

async def main(path, mine):
    store = open_cache(f"sqlite:{path}", max_bytes=200_000)
    for n in range(150):
        await store.put(f"{mine}{n}".encode().ljust(32), bytes([mine]) * 2000, 600)
        found = await store.get(f"{mine}{n}".encode().ljust(32))
        assert found is None or found == bytes([mine]) * 2000
    await store.aclose()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_several_processes_share_a_file_and_its_bound(tmp_path: Path, opened: Opener) -> None:
    path = tmp_path / "cache.db"
    children = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _CHILD, str(path), str(n)), stderr=asyncio.subprocess.PIPE
        )
        for n in range(3)
    ]
    for child in children:
        _, said = await child.communicate()
        assert child.returncode == 0, said.decode()
    other = sqlite3.connect(path)
    ((size, count),) = other.execute("SELECT SUM(size), COUNT(*) FROM entry")
    other.close()
    store = opened(f"sqlite:{path}")
    await store.open()
    stats = store.stats()
    assert (stats.bytes, stats.entries) == (size, count), "the sums are those of the entries"
    assert size <= 200_000
    assert path.stat().st_size < 1_000_000


# -- a Redis ---------------------------------------------------------------------------------

redis = pytest.mark.xdist_group("redis")


@redis
async def test_a_redis_forgets_by_itself_and_keys_begin_as_told(
    redis_server: RedisServer, opened: Opener
) -> None:
    from redis.asyncio import Redis

    prefix = redis_server.new()
    store = opened(redis_server.url, prefix=prefix)
    await store.put(A, b"one", 3600)
    async with Redis.from_url(redis_server.url) as client:
        [key] = [key async for key in client.scan_iter(f"{prefix}*")]
        assert key == f"{prefix}:cache:{A.hex()}".encode()
        assert 3_590_000 < await client.pttl(key) <= 3_600_000
        await client.pexpireat(key, 1)  # the server's own clock can't be turned
    assert await store.get(A) is None


@redis
async def test_a_redis_may_allow_nothing_but_what_the_cache_does(
    own_redis: RedisServer, opened: Opener
) -> None:
    rights = ("~sg:cache:*", "+getrange", "+set", "+del")
    own_redis.command("ACL", "SETUSER", "cache", "on", ">pw", *rights)
    store = opened(own_redis.url.replace("//", "//cache:pw@"), prefix="sg")
    await store.open()
    await store.put(A, b"one", 60)
    assert await store.get(A) == b"one"
    await store.delete(A)


@redis
async def test_whatever_else_stands_under_a_key_in_a_redis_is_a_miss(
    redis_server: RedisServer, opened: Opener
) -> None:
    from redis.asyncio import Redis

    prefix = redis_server.new()
    store = opened(redis_server.url, prefix=prefix, max_entry_bytes=100)
    key = f"{prefix}:cache:{A.hex()}"
    async with Redis.from_url(redis_server.url) as client:
        await client.execute_command("RPUSH", key, "a")  # type: ignore[no-untyped-call]
        assert await store.get(A) is None
        await client.delete(key)
        await client.set(key, b"x" * 101)
        assert await store.get(A) is None
        await client.set(key, b"x" * 100)
        assert await store.get(A) == b"x" * 100


@redis
async def test_a_full_redis_refuses_and_can_be_read(own_redis: RedisServer, opened: Opener) -> None:
    from redis.asyncio import Redis

    store = opened(own_redis.url)
    await store.put(A, b"one", 60)
    async with Redis.from_url(own_redis.url) as client:
        await client.config_set("maxmemory", "1")
    with pytest.raises(StoreRefusedError, match="allkeys-lru"):
        await store.put(B, b"two", 60)
    assert await store.get(A) == b"one"


@redis
async def test_a_restarted_redis_is_used_again(own_redis: RedisServer, opened: Opener) -> None:
    from redis.exceptions import ConnectionError as GoneError

    store = opened(own_redis.url)
    await store.put(A, b"one", 60)
    own_redis.kill()
    with pytest.raises(GoneError):
        await store.get(A)
    own_redis.start()
    await store.put(A, b"two", 60)
    assert await store.get(A) == b"two"


# -- URLs ------------------------------------------------------------------------------------


def test_a_url_says_which_store() -> None:
    assert isinstance(open_cache("memory:"), MemoryStore)
    assert isinstance(open_cache("sqlite:x.db"), SqliteStore)
    store = open_cache("rediss://me:secret-word@cache.internal:6380/2")
    assert isinstance(store, RedisStore)
    assert store.place == "rediss://cache.internal:6380/2"


async def test_a_password_that_is_not_encoded_is_in_no_message_of_a_redis() -> None:
    pytest.importorskip("redis")
    store = open_cache("redis://:secret/word@cache.internal/0")
    assert isinstance(store, RedisStore)
    assert store.place == "redis://cache.internal/0"
    with pytest.raises(ConfigError, match="percent-encoded") as caught:
        await store.open()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "sqlite:", "postgres://me:secret-word@x/y", "redis:x"])
def test_a_url_of_nothing_known_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_cache(url)
    assert caught.value.param == "cache.url"
    assert "secret-word" not in str(caught.value)


def test_opening_a_store_loads_no_client_and_touches_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from switchgear.caching.stores import open_cache;"
        "open_cache('redis://x'); open_cache('sqlite:c.db'); assert 'redis' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())
