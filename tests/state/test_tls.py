"""`rediss://`: a certificate is asked for, and looked at. The server stands behind a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from switchgear.clock import SystemClock
from switchgear.config.state import StateConfig
from switchgear.state.link import StateUnavailableError
from switchgear.state.redis_link import RedisLink

from .server import RedisServer

pytest.importorskip("cryptography", reason="makes certificates")
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

pytestmark = pytest.mark.xdist_group("redis")

LIMIT = 5.0  # seconds; nothing here is about the time that a busy machine takes


class Certified(NamedTuple):
    certificate: Path
    key: Path


def certify(folder: Path, name: str, *, host: str = "127.0.0.1", days: int = 1) -> Certified:
    """A certificate that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=2 + days))
        .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    found = Certified(folder / f"{name}.pem", folder / f"{name}.key")
    found.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return found


def _alternative(host: str) -> x509.GeneralName:
    if host[0].isdigit():
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)


@contextlib.asynccontextmanager
async def behind_tls(
    server: RedisServer, shown: Certified, *, asks: Certified | None = None
) -> AsyncIterator[int]:
    """A port at which the server is spoken to in TLS; it may ask for a client's certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown.certificate, shown.key)
    if asks is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(asks.certificate)
    tasks: set[asyncio.Task[None]] = set()

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(carry(source, sink))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in tuple(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def take_slot(url: str) -> None:
    link = RedisLink(StateConfig(url=url, timeout=LIMIT), SystemClock())
    try:
        async with asyncio.timeout(60):
            assert await link.run("slots", [link.key("test", "s")], [link.replica, 5, 10, 0, 1])
    finally:
        await link.aclose()


async def refused(url: str, caplog: pytest.LogCaptureFixture) -> str:
    with pytest.raises(StateUnavailableError):
        await take_slot(url)
    (row,) = [row for row in caplog.records if "is away" in row.message]
    return row.message


async def test_a_certificate_of_ones_own_authority(server: RedisServer, tmp_path: Path) -> None:
    own = certify(tmp_path, "own")
    async with behind_tls(server, own) as port:
        await take_slot(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={own.certificate}")


async def test_a_certificate_of_an_unknown_authority_is_refused_and_it_is_said_why(
    server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with behind_tls(server, certify(tmp_path, "own")) as port:
        assert "CERTIFICATE_VERIFY_FAILED" in await refused(f"rediss://127.0.0.1:{port}/0", caplog)


async def test_a_certificate_of_another_host_is_refused_and_it_is_said_why(
    server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = certify(tmp_path, "other", host="redis.example")
    async with behind_tls(server, other) as port:
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={other.certificate}"
        assert "IP address mismatch" in await refused(url, caplog)


async def test_a_certificate_that_has_run_out_is_refused_and_it_is_said_why(
    server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = certify(tmp_path, "old", days=-1)
    async with behind_tls(server, old) as port:
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={old.certificate}"
        assert "certificate has expired" in await refused(url, caplog)


async def test_a_client_shows_its_own_certificate_where_it_is_asked_for(
    server: RedisServer, tmp_path: Path
) -> None:
    own, mine = certify(tmp_path, "own"), certify(tmp_path, "mine")
    async with behind_tls(server, own, asks=mine) as port:
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={own.certificate}"
        with pytest.raises(StateUnavailableError):
            await take_slot(url)
        await take_slot(f"{url}&ssl_certfile={mine.certificate}&ssl_keyfile={mine.key}")


async def test_a_server_without_tls_is_refused(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await refused(f"rediss://127.0.0.1:{server.port}/0", caplog)
