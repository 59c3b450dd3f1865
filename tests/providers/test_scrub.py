"""Credentials are taken out of an error and of whatever caused it."""

import traceback

import httpx2

from switchgear import ProviderError
from switchgear.credentials import Secret, hide
from switchgear.providers.scrub import scrub

KEY = Secret("kept-in-a-drawer")
SHOWN = KEY.reveal()


def test_a_known_credential_and_what_looks_like_one_are_hidden() -> None:
    text = hide(f"{SHOWN}, sk-abcdef123456 and Bearer abcdefgh12345", KEY, None)
    assert text == "***, *** and ***"


def test_a_placeholder_does_not_tear_the_text_up() -> None:
    assert hide("xylophone", Secret("x"), Secret("")) == "xylophone"


def test_message_and_causes_lose_it() -> None:
    cause = ValueError(f"bad key {SHOWN}", 5)
    cause.__context__ = ExceptionGroup("several", [KeyError(SHOWN)])
    error = ProviderError(f"a: refused {SHOWN}")
    error.__cause__ = cause
    cause.__cause__ = error  # a ring must not catch it
    scrub(error, KEY)
    assert error.message == str(error) == "a: refused ***"
    assert cause.args == ("bad key ***", 5)
    assert SHOWN not in "".join(traceback.format_exception(error))


def test_the_request_that_an_sdk_keeps_loses_its_credentials() -> None:
    headers = {"Authorization": f"Bearer {SHOWN}", "X-Api-Key": SHOWN, "X-Trace": "7"}
    request = httpx2.Request("POST", "http://127.0.0.1/", headers=headers)
    cause = httpx2.ReadError("broken", request=request)
    error = ProviderError("a: broken")
    error.__cause__ = cause
    scrub(error, None)
    assert (request.headers["authorization"], request.headers["x-api-key"]) == ("***", "***")
    assert request.headers["x-trace"] == "7"
