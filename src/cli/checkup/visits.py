"""A visit to a provider: is it there, does it take the key, what does it have, what time is it.

Costs nothing: a request for its address, without a credential, and one for the list of its models.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email.utils
import errno
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...config.providers import host_reach
from ...errors import PluginError, ProviderTimeoutError, SwitchgearError
from ...providers.base import ListsModels

if TYPE_CHECKING:
    import aiohttp

    from ...clock import Clock
    from ...providers.base import Provider

__all__ = ["NOBODY", "Knock", "Visit", "address_of", "knock", "visit"]

_HALF_A_SECOND: Final = 0.5
"""A ``Date`` header has no fractions."""
NOBODY: Final = "nothing listens there"
_SCHEMES: Final = ("http://", "https://")


class Knock(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request for an address, whatever the status of its answer.

    Attributes:
        latency: Seconds from nothing to the answer: name, connection, TLS, one round trip.
        ahead: By how many seconds this machine's clock is ahead of the server's; ``None`` where
            the server does not say.
        fault: Why there is no answer; empty where there is one.
        remedy: What to do about it.
    """

    latency: float | None = None
    ahead: float | None = None
    fault: str = ""
    remedy: str = ""


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider answered.

    Attributes:
        address: Where it was looked for; empty where the plugin does not tell.
        knock: Whether anybody is there; ``None`` where there is no address.
        models: The models that it says it has; ``None`` where it does not tell.
        fault: Why it does not tell; ``None`` where it has no way to.
    """

    address: str = ""
    knock: Knock | None = None
    models: tuple[str, ...] | None = None
    fault: SwitchgearError | None = None

    @property
    def well(self) -> bool:
        """It answers, and nothing says that it would not answer calls."""
        if self.fault is not None:
            return False
        return self.models is not None or self.knock is None or not self.knock.fault


async def visit(provider: Provider, address: str, *, timeout: float, clock: Clock) -> Visit:
    """Knock at a provider's door and ask for its models, at the same time."""
    knocked, (models, fault) = await asyncio.gather(
        _maybe_knock(address, timeout, clock), _listed(provider, timeout)
    )
    return Visit(address=address, knock=knocked, models=models, fault=fault)


def address_of(provider: Provider, base_url: str | None) -> str:
    """Where a provider sends to, as its SDK has it; empty where nothing tells. Blocks."""
    client: Any = provider.client
    for holder in (client, getattr(client, "_client", None)):  # ollama's client wraps httpx's
        url = str(getattr(holder, "base_url", "") or "")
        if url.startswith(_SCHEMES):
            return url
    return base_url or ""


async def _listed(
    provider: Provider, timeout: float
) -> tuple[tuple[str, ...] | None, SwitchgearError | None]:
    if not isinstance(provider, ListsModels):
        return None, None
    listing: Sequence[str]
    try:
        async with asyncio.timeout(timeout):
            listing = await provider.list_models()
    except TimeoutError:
        message = f"{provider.name}: no list of models within {timeout:g} s"
        return None, ProviderTimeoutError(message, provider=provider.name)
    except SwitchgearError as exc:
        return None, exc
    except Exception as exc:  # noqa: BLE001 - somebody else's plugin
        words = f"{provider.name}: its plugin failed: {type(exc).__name__}: {exc}".splitlines()[0]
        return None, PluginError(words, provider=provider.name)
    return tuple(listing), None


async def _maybe_knock(address: str, timeout: float, clock: Clock) -> Knock | None:
    return await knock(address, timeout=timeout, clock=clock) if address else None


async def knock(address: str, *, timeout: float, clock: Clock) -> Knock:
    """Ask a server for anything and read the headers. Never raises for what the network does."""
    import aiohttp

    # What is on this machine is not behind a proxy of the environment's.
    trust = host_reach(address) != "loopback"
    limit = aiohttp.ClientTimeout(total=timeout)
    started = clock.monotonic()
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=trust) as session,
            session.get(address, allow_redirects=False) as response,
        ):
            latency = clock.monotonic() - started
            return Knock(latency=latency, ahead=_ahead(response, clock.now() - latency / 2))
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        fault, remedy = _explained(exc, timeout)
        return Knock(fault=fault, remedy=remedy)


def _ahead(response: aiohttp.ClientResponse, here: float) -> float | None:
    if "Age" in response.headers:
        return None  # out of a cache: the date is that of the first answer
    with contextlib.suppress(ValueError, TypeError, KeyError):
        there = email.utils.parsedate_to_datetime(response.headers["Date"])
        if there.tzinfo is None:
            there = there.replace(tzinfo=dt.UTC)
        return here - (there.timestamp() + _HALF_A_SECOND)
    return None


def _explained(exc: Exception, timeout: float) -> tuple[str, str]:
    """What went wrong, and what to do."""
    import aiohttp

    if isinstance(exc, TimeoutError):
        return (
            f"no answer within {timeout:g} s",
            "look for a firewall or a proxy on the way; --timeout waits longer",
        )
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return (
            f"the name {exc.host} is not known",
            "check base_url, this machine's DNS, and whether it needs HTTPS_PROXY",
        )
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        cause = getattr(exc, "certificate_error", exc)
        reason = getattr(cause, "verify_message", "") or "it can't be verified"
        return (
            f"its certificate is not trusted: {reason}",
            "check the host in base_url; behind a company's proxy, set SSL_CERT_FILE to its own",
        )
    if isinstance(exc, aiohttp.ClientSSLError | ssl.SSLError):
        return "TLS fails", "check whether base_url is right about https:// and the port"
    if isinstance(exc, aiohttp.ClientResponseError):
        return "what answers there does not speak HTTP", "check the port in base_url"
    if _number(exc) == errno.ECONNREFUSED:
        return NOBODY, "start the server, or mend base_url"
    if _number(exc) in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return "there is no way to it", "check this machine's network, and whether it needs a proxy"
    words = f"{type(exc).__name__}: {exc}".splitlines()[0].removesuffix(": ")
    return words, "check base_url, and what stands between here and there"


def _number(exc: BaseException) -> int | None:
    # asyncio folds the failures of several addresses (IPv6, IPv4) into one OSError.
    causes = [exc, getattr(exc, "os_error", None), exc.__cause__, *getattr(exc, "exceptions", ())]
    numbers = [getattr(each, "errno", None) for each in causes]
    if None not in numbers[:1]:
        return numbers[0]
    return next((number for number in numbers if number is not None), None)
