"""What is secret in a URL or an option is never shown, and what is not is all there."""

from __future__ import annotations

import string
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from switchgear.config.hiding import is_secret_parameter, secrets_in, without_password
from tests.config.helpers import everything_shown, load

PASSWORD = "s3cret-W0rd"

FORMS = (
    "postgresql://me:{}@h:5432/db",
    "postgresql:me:{}@h",
    "postgresql://u/x:{}@h/db",
    "postgresql://h/db?user=u&oauth_client_secret={}",
    "postgresql://h/db?SSLPassword={}&sslmode=require",
    "postgresql://h/db#?password={}",
    "postgresql://h/db?options=-c%20password%3D{}",
    "postgresql://h/db?scram_client_key={}",
    "host=h user=u password={}",
    "mysql://h?pass={}",
    "redis://:{}@h/0",
    "redis://h/0?passwor%64={}",
    "redis://h/0?ssl_password={}",
    "rediss+cluster://me:{}@h:1",
    "redis+sentinel://a:1,b:2/service/0?sentinel_password={}",
    "redis+sentinel://me:{}@a:1,b:2/service/0",
    "unix:///run/redis.sock?db=1&password={}",
    "https://u:{}@h/hook",
    "https://{}@h/hook",
    "https://h/hook?sig={}",
    "https://h/?next=https%3A%2F%2Fu%3A{}%40h",
    "first postgres://u:{}@h, then another",
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("password", [PASSWORD, "%53%33-W0rd"])
def test_a_secret_is_hidden_wherever_it_stands(form: str, password: str) -> None:
    shown = without_password(form.format(password))
    assert "***" in shown
    assert "W0rd" not in shown
    assert without_password(shown) == shown


@pytest.mark.parametrize("form", [FORMS[0], FORMS[3], FORMS[10], FORMS[8]])
@pytest.mark.parametrize("password", ["a;b#c-W0rd", "a/b?c=W0rd", "a@b:W0rd", "a b\nW0rd"])
def test_so_is_one_that_should_have_been_encoded(form: str, password: str) -> None:
    assert "W0rd" not in without_password(form.format(password))


@given(st.text(string.printable, min_size=1), st.sampled_from([0, 10]))
def test_a_password_that_is_encoded_is_hidden_whatever_it_is(password: str, form: int) -> None:
    encoded = quote(f"zq{password}qz", safe="")
    assert encoded not in without_password(FORMS[form].format(encoded))


@pytest.mark.parametrize(
    "text",
    [
        "memory:",
        "sqlite:/srv/a:b@c/ledger.db",
        "postgresql://u@h:5432/db?sslmode=require&require_auth=scram-sha-256&sslkey=/k.pem",
        "postgresql://h1,h2:2/db?target_session_attrs=any",
        "redis+sentinel://a:1,b:2/service/0",
        "unix:///run/redis.sock?db=1&username=u",
        "http://127.0.0.1:8000/v1?api-version=2025-01-01&prompt_cache_key=x",
        "me@example.org",
        "two: a=b; c",
        "",
    ],
)
def test_what_is_no_secret_is_all_there(text: str) -> None:
    assert without_password(text) == text


def test_of_postgresqls_parameters_those_that_it_hides_itself_are_secret() -> None:
    pq = pytest.importorskip("psycopg").pq
    known = {each.keyword.decode(): each.dispchar for each in pq.Conninfo.get_defaults()}
    hidden = {name for name, shown in known.items() if shown == b"*"}
    assert hidden <= {name for name in known if is_secret_parameter(name)}
    plain = {"user", "host", "sslkey", "require_auth", "passfile", "options"}
    assert not any(map(is_secret_parameter, plain))


def test_the_secrets_of_a_url_are_found_as_written_and_decoded() -> None:
    assert secrets_in("redis://u:a%2Fb@h/0?db=1&passwor%64=c%21") == ["a%2Fb", "a/b", "c%21", "c!"]
    assert secrets_in("redis://u:secret@[h") == []
    assert secrets_in("sqlite:x.db") == []


def test_urls_in_a_providers_own_options_are_shown_without_passwords() -> None:
    options = {
        "plugin": "mine",
        "webhook": f"https://u:{PASSWORD}@h",
        "mirrors": [f"redis://:{PASSWORD}@a", "redis://b"],
        "x": {"dsn": f"postgres://u:{PASSWORD}@h", "list": [{"dsn": f"mysql://h?pass={PASSWORD}"}]},
    }
    entry = {"model": "p/m", "extra": {"callback": f"https://u:{PASSWORD}@h"}}
    config = load({"providers": {"p": options}, "groups": {"g": {"chain": [entry]}}})
    found = config.provider("p").options
    assert found["webhook"] == f"https://u:{PASSWORD}@h"
    shown = everything_shown(config)
    assert PASSWORD not in shown
    assert "https://u:***@h" in shown
    assert config.redacted()["providers"]["p"]["options"]["mirrors"] == [
        "redis://:***@a",
        "redis://b",
    ]
