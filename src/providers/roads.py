"""Which road a provider's requests take: the ``wire`` key of its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from ..credentials import Secret
from ..errors import ConfigError
from .direct_wire import DirectWire
from .wire import SdkWire, Wire

__all__ = ["Road", "only_sdk", "wire_for"]

Road: TypeAlias = Literal["sdk", "direct"]
"""Through the SDK's client, or past it with what it knows."""


def wire_for(
    road: Road,
    *,
    provider: str,
    transport: str,
    make_client: Callable[[Any], Any],
    auth_headers: Callable[[Secret], Mapping[str, str]],
    secret: Secret | None = None,
    placeholder: str | None = None,
) -> Wire:
    """The wire of an adapter whose SDK client does not sign its requests.

    Args:
        road: The key ``wire`` of the provider's table.
        provider: The provider's name in the configuration, for errors.
        transport: The key ``transport`` of the table.
        make_client: Makes the SDK's client, over the HTTP client that it is given, else over one
            that it makes.
        auth_headers: Headers that put a credential in place of the client's own.
        secret: The client's own credential, to keep it out of error messages.
        placeholder: The ``Authorization`` by which the client is known to have no credential and
            to need none: never sent.

    Raises:
        ConfigError: The two keys exclude each other.
    """
    if road == "sdk":
        return SdkWire(
            provider=provider,
            make_client=lambda: make_client(None),
            auth_headers=auth_headers,
            secret=secret,
        )
    if transport != "aiohttp":
        param = f"providers.{provider}.transport"
        raise ConfigError(
            f'{param}: wire = "direct" sends over aiohttp: leave one of the two out', param=param
        )
    return DirectWire(
        provider=provider,
        make_client=make_client,
        auth_headers=auth_headers,
        secret=secret,
        placeholder=placeholder,
    )


def only_sdk(road: Road, *, provider: str, why: str) -> None:
    """Refuse the direct road where the SDK's client is needed for each request.

    Raises:
        ConfigError: It was chosen.
    """
    if road == "direct":
        param = f"providers.{provider}.wire"
        raise ConfigError(f'{param}: not "direct": {why}; leave it out', param=param)
