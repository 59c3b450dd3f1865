"""The environment's proxies, held against what the SDKs' own HTTP client makes of them."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import given, strategies as st

from switchgear.providers.proxies import EnvironmentProxies

HOSTS = [
    "example.com",
    "api.example.com",
    "notexample.com",
    "com",
    "localhost",
    "127.0.0.1",
    "10.1.2.3",
    "192.168.7.9",
    "::1",
    "fd00::7",
]
ENTRIES = [
    "example.com",
    ".example.com",
    "*.example.com",
    "api.example.com",
    "EXAMPLE.com",
    "http://example.com",
    "https://api.example.com",
    "example.com:8443",
    "localhost",
    "127.0.0.1",
    "10.0.0.0/8",
    "10.1.2.3:8443",
    "192.168.0.0/16",
    "::1",
    "[::1]",
    "[fd00::7]:8443",
    "fd00::/16",
    "999.0.0.0/8",
    "a/b",
    "",
    " ",
]


@given(
    proxies=st.dictionaries(
        st.sampled_from(["http", "https", "all"]),
        st.sampled_from(["http://proxy:3128", "proxy:3128", "https://me:pw@proxy", ""]),
    ),
    without=st.lists(st.sampled_from(ENTRIES), max_size=4),
    scheme=st.sampled_from(["http", "https"]),
    host=st.sampled_from(HOSTS),
    port=st.sampled_from([None, 8443]),
)
def test_the_same_as_of_httpx2(
    proxies: dict[str, str], without: list[str], scheme: str, host: str, port: int | None
) -> None:
    found = {**proxies, "no": ",".join(without)}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        for kind, value in found.items():
            patch.setenv(f"{kind.upper()}_PROXY", value)
        client = httpx2.AsyncClient(verify=False)
        assert EnvironmentProxies().of(scheme, host, port) == EnvironmentProxies(found).of(
            scheme, host, port
        )
    place = f"[{host}]" if ":" in host else host
    url = httpx2.URL(f"{scheme}://{place}" + (f":{port}" if port else ""))
    theirs = client._transport_for_url(url) is not client._transport
    assert (EnvironmentProxies(found).of(scheme, host, port) is not None) == theirs


def test_none_at_all() -> None:
    assert EnvironmentProxies({}).of("https", "example.com") is None
    everything = EnvironmentProxies({"all": "http://proxy", "no": "a, *"})
    assert everything.of("https", "example.com") is None


def test_a_scheme_of_its_own_comes_before_the_one_for_all() -> None:
    proxies = EnvironmentProxies({"https": "http://one:1", "all": "two:2"})
    assert proxies.of("https", "example.com") == "http://one:1"
    assert proxies.of("http", "example.com") == "http://two:2"


def test_a_port_that_goes_without_saying() -> None:
    proxies = EnvironmentProxies({"all": "http://proxy", "no": "example.com:443"})
    assert proxies.of("https", "example.com") is None
    assert proxies.of("http", "example.com") == "http://proxy"
    assert proxies.of("http", "example.com", 443) is None
