"""Makes a client of the redis package from a URL.

Importing that package takes 300 ms, so everything here is called in a thread.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from ..errors import ConfigError

if TYPE_CHECKING:
    import redis.asyncio

__all__ = ["Script", "Server", "read_scripts", "server"]

_CONNECTIONS = 16
_SENTINEL_PORT = 26379
_PATIENCE = 20

_Client: TypeAlias = tuple[Any, Callable[[], Any], Callable[[], Any]]
"""A client, what closes its unused connections, and what closes all."""


class Script(msgspec.Struct, frozen=True):
    """A Lua script.

    Attributes:
        text: It.
        digest: The name under which servers know it.
    """

    text: str
    digest: str


class Server(msgspec.Struct, frozen=True):
    """What a link needs of the redis package, which is imported by making this.

    Attributes:
        client: Runs commands.
        unknown: What is raised for a digest that the server does not know.
        refusals: Tells errors that concern one command from those of the whole server.
        many: There are several servers, each with its own keys; they fail one by one.
        backoff: Seconds to wait after so many failures in a row.
        discard: Closes connections that nobody uses.
        close: Closes all.
    """

    client: Any
    unknown: type[Exception]
    refusals: Callable[[Exception], bool]
    many: bool
    backoff: Callable[[int], float]
    discard: Callable[[], Any]
    close: Callable[[], Any]


def read_scripts() -> dict[str, Script]:
    """Every script that comes with the package, by its name without ``.lua``."""
    scripts = {}
    for file in resources.files(__package__).joinpath("scripts").iterdir():
        if file.name.endswith(".lua"):
            text = file.read_text("utf-8")
            digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            scripts[file.name.removesuffix(".lua")] = Script(text, digest)
    return scripts


def server(url: str, timeout: float) -> Server:
    """A client for the URL; nothing is connected yet.

    Args:
        url: As ``StateConfig.url`` describes.
        timeout: Seconds that its user waits for an answer. The client itself is given much longer,
            or it would take a loop that was late for a server that is.

    Raises:
        ConfigError: The package is not installed, or the URL makes no sense to it.
    """
    try:
        from redis import asyncio as package, exceptions
        from redis.asyncio.retry import Retry
        from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
        from redis.maint_notifications import MaintNotificationsConfig
    except ImportError as exc:
        raise ConfigError(
            'state.url names a Redis; install its client: pip install "switchgear[redis]"',
            param="state.url",
        ) from exc
    patience = _PATIENCE * timeout
    options: dict[str, Any] = {
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
        # Nothing is sent twice: nobody knows whether a script ran whose answer was lost.
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        # With these notifications on, the pool would no longer notice that a connection has ended.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    scheme = url.partition("://")[0]
    many = scheme.endswith("+cluster")
    make = _cluster if many else _sentinel if scheme == "redis+sentinel" else _single
    try:
        client, discard, close = make(package, url, options)
    except (ValueError, TypeError) as exc:
        # The cause is left out: it may show the URL, and a password in it.
        raise ConfigError(
            f"state.url: the redis package can't use it ({type(exc).__name__})", param="state.url"
        ) from None
    pauses = ExponentialWithJitterBackoff(base=0.1, cap=2.0)
    of_one = (exceptions.NoPermissionError, exceptions.DataError)

    def concerns_one(error: Exception) -> bool:
        if type(error) is exceptions.ResponseError:
            return not str(error).startswith(("LOADING", "OOM", "MISCONF", "NOREPLICAS", "BUSY"))
        return isinstance(error, of_one)

    return Server(
        client=client,
        unknown=exceptions.NoScriptError,
        refusals=concerns_one,
        many=many,
        backoff=pauses.compute,
        discard=discard,
        close=close,
    )


def _single(package: Any, url: str, options: dict[str, Any]) -> _Client:
    pool = package.BlockingConnectionPool.from_url(
        url, max_connections=_CONNECTIONS, timeout=options["socket_timeout"], **options
    )
    client = package.Redis.from_pool(pool)
    return client, functools.partial(pool.disconnect, inuse_connections=False), client.aclose


def _cluster(package: Any, url: str, options: dict[str, Any]) -> _Client:
    client: redis.asyncio.RedisCluster = package.RedisCluster.from_url(
        url.replace("+cluster", "", 1),
        max_connections=_CONNECTIONS,
        **options,
    )

    async def discard() -> None:
        await client.aclose()  # it connects anew, and asks anew who serves what, when used next

    async def close() -> None:
        await client.aclose()
        # Where a node has failed it takes itself for closed already, and leaves the others' open.
        for nodes in ("nodes_cache", "startup_nodes"):
            await client.nodes_manager.aclose(nodes)

    return client, discard, close


def _sentinel(package: Any, url: str, options: dict[str, Any]) -> _Client:
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    service, _, database = parts.path.strip("/").partition("/")
    login = {"username": unquote(user) or None, "password": unquote(password) or None}
    extra = dict(parse_qsl(parts.query))
    sentinel = package.Sentinel(
        [_address(host) for host in hosts.split(",")],
        sentinel_kwargs={
            **options,
            "username": extra.get("sentinel_username"),
            "password": extra.get("sentinel_password"),
        },
        db=int(database or 0),
        **login,
        **options,
    )
    client = sentinel.master_for(service)
    pool = client.connection_pool

    async def close() -> None:
        await client.aclose()
        for each in sentinel.sentinels:
            await each.aclose()

    return client, functools.partial(pool.disconnect, inuse_connections=False), close


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if host else (text, _SENTINEL_PORT)
