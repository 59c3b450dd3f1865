"""Real error bodies of real vendors, and which of our errors each of them is."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.credentials import Secret
from switchgear.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextWindowExceededError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from switchgear.providers import faults


def anthropic(kind: str, message: str, **error: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message, **error}}


def openai(
    message: str, kind: str | None = None, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_of(status: int, body: object, **headers: str) -> SwitchgearError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return faults.response_error(status, names, raw, provider="p", model="m", now=0.0)


INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        # Anthropic
        (400, anthropic(INVALID, "messages.0: Input should be valid"), InvalidRequestError),
        (
            400,
            anthropic(INVALID, "prompt is too long: 210000 tokens > 200000 maximum"),
            ContextWindowExceededError,
        ),
        (
            400,
            anthropic(INVALID, "Your credit balance is too low to access the Anthropic API."),
            QuotaExceededError,
        ),
        (
            400,
            anthropic(INVALID, "You have reached your specified API usage limits. You will …"),
            QuotaExceededError,
        ),
        (401, anthropic("authentication_error", "invalid x-api-key"), AuthenticationError),
        (402, anthropic("billing_error", "Payment required"), QuotaExceededError),
        (403, anthropic("permission_error", "Not allowed"), PermissionDeniedError),
        (404, anthropic("not_found_error", "model: claude-x"), ModelNotFoundError),
        (413, anthropic("request_too_large", "Too large"), ContextWindowExceededError),
        (429, anthropic("rate_limit_error", "Number of request tokens"), RateLimitError),
        (
            429,
            anthropic(
                "rate_limit_error", "Limit", details={"error_code": "enforced_spend_limit_reached"}
            ),
            QuotaExceededError,
        ),
        (
            429,
            anthropic("rate_limit_error", "Ramp", details={"error_code": "ramp_limit_exceeded"}),
            RateLimitError,
        ),
        (500, anthropic("api_error", "Internal server error"), ServerError),
        (504, anthropic("timeout_error", "Timed out"), ProviderTimeoutError),
        (529, anthropic("overloaded_error", "Overloaded"), OverloadedError),
        # OpenAI
        (
            401,
            openai("Incorrect API key provided: sk-ab***yz.", INVALID, "invalid_api_key"),
            AuthenticationError,
        ),
        (401, openai("You didn't provide an API key.", INVALID), AuthenticationError),
        (
            429,
            openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
            QuotaExceededError,
        ),
        (429, openai("Rate limit reached", "tokens", "rate_limit_exceeded"), RateLimitError),
        (
            404,
            openai("The model `x` does not exist", INVALID, "model_not_found"),
            ModelNotFoundError,
        ),
        (
            400,
            openai("maximum context length is 8192", INVALID, "context_length_exceeded"),
            ContextWindowExceededError,
        ),
        (
            400,
            openai("Your request was rejected", INVALID, "content_policy_violation"),
            ContentFilterError,
        ),
        (
            403,
            openai("Country not supported", None, "unsupported_country_region_territory"),
            PermissionDeniedError,
        ),
        (500, openai("The server had an error", "server_error"), ServerError),
        (503, openai("Overloaded", "server_error"), OverloadedError),
        # Azure
        (
            404,
            {"error": {"code": "DeploymentNotFound", "message": "No such deployment"}},
            ModelNotFoundError,
        ),
        (
            400,
            {"error": {"code": "content_filter", "message": "filtered", "status": 400}},
            ContentFilterError,
        ),
        (401, {"error": {"code": "401", "message": "Access denied"}}, AuthenticationError),
        # Ollama and llama.cpp
        (404, {"error": 'model "x" not found, try pulling it first'}, ModelNotFoundError),
        (
            400,
            {"error": {"code": 400, "message": "too big", "type": "exceed_context_size_error"}},
            ContextWindowExceededError,
        ),
        # Bedrock
        (429, {"message": "Too many requests"}, RateLimitError),
        (400, {"message": "Input is too long for requested model."}, ContextWindowExceededError),
        (403, {"message": "You don't have access to the model"}, PermissionDeniedError),
        (400, {"__type": "ServiceQuotaExceededException", "message": "x"}, QuotaExceededError),
        (424, {"message": "Model error"}, ServerError),
        # Vertex
        (
            429,
            [{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}],
            RateLimitError,
        ),
        (404, {"error": {"code": 404, "status": "NOT_FOUND"}}, ModelNotFoundError),
        (401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}, AuthenticationError),
        # Gemini's compatible endpoint
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID"}}],
            AuthenticationError,
        ),
        (
            429,
            [{"error": {"message": "You exceeded your current quota. Please retry in 3.5s."}}],
            RateLimitError,
        ),
        # xAI
        (400, {"code": "Bad argument", "error": "Incorrect API key provided"}, AuthenticationError),
        (403, {"code": "Denied", "error": "Your team has not any credits yet"}, QuotaExceededError),
        (429, {"code": "Exhausted", "error": "all available credits are used"}, QuotaExceededError),
        # Mistral, Perplexity, Groq, DeepSeek, OpenRouter
        (400, {"message": "No: x", "type": "invalid_model", "code": "1500"}, ModelNotFoundError),
        (400, openai("Gone.", INVALID, "model_decommissioned"), ModelNotFoundError),
        (400, openai("Model Not Exist", INVALID, INVALID), ModelNotFoundError),
        (400, openai("a/b is not a valid model ID"), ModelNotFoundError),
        (400, openai("The model a does not exist.", INVALID), ModelNotFoundError),
        (400, openai("No such call.", INVALID, "tool_use_failed"), MalformedResponseError),
        (400, openai("No JSON.", INVALID, "json_validate_failed"), MalformedResponseError),
        (403, openai("a/b requires moderation"), ContentFilterError),
        (400, openai("'x' is not supported with this model.", INVALID), InvalidRequestError),
        # Cloudflare, and Together with text-generation-inference behind it
        (
            429,
            {"success": False, "errors": [{"code": 4006, "message": "your daily free allocation"}]},
            QuotaExceededError,
        ),
        (
            422,
            openai("`inputs` tokens + `max_new_tokens` must be <= 8193.", INVALID),
            ContextWindowExceededError,
        ),
        # FastAPI, proxies, nothing
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, InvalidRequestError),
        (502, b"<html><h1>502 Bad Gateway</h1></html>", ServerError),
        (503, b"", OverloadedError),
        (520, b"", ServerError),
        (418, b"teapot", ProviderError),
        (500, b"\xff\xfe", ServerError),
        (400, b"null", InvalidRequestError),
    ],
)
def test_which_error_a_body_is(status: int, body: object, error: type[SwitchgearError]) -> None:
    found = error_of(status, body)
    assert type(found) is error
    assert found.status == status
    assert (found.provider, found.model) == ("p", "m")


def test_an_error_carries_what_the_body_says() -> None:
    found = error_of(
        400, openai("Bad value", INVALID, "invalid_value", "messages[0].role"), x_request_id="req_7"
    )
    assert found.code == "invalid_value"
    assert found.param == "messages[0].role"
    assert found.request_id == "req_7"
    assert found.message == "p: 400: Bad value"


def test_amazons_word_stands_in_a_header() -> None:
    found = error_of(
        403,
        {"message": "The security token included in the request is invalid."},
        x_amzn_errortype="UnrecognizedClientException:http://internal.amazon.com/",
    )
    assert type(found) is AuthenticationError
    assert found.code == "UnrecognizedClientException"


def test_a_page_in_html_is_told_as_text() -> None:
    found = error_of(502, b"<html><body><h1>502</h1>Bad  Gateway</body></html>")
    assert found.message == "p: 502: 502 Bad Gateway"


def test_a_redirect_says_where_to() -> None:
    found = error_of(307, b"", location="https://elsewhere.example/v1")
    assert "https://elsewhere.example/v1" in found.message
    assert "base_url" in found.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "3"}, 3.0),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 60.0),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert error_of(429, {"error": "slow down"}, **headers).retry_after == seconds


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please retry in 33.5s.", 33.5),
        ("Please try again in 120ms. Visit us.", 0.12),
        ("Please try again in 2 days.", None),
        ("Please try again later.", None),
    ],
)
def test_a_rate_limit_may_say_in_words_how_long_to_wait(
    message: str, seconds: float | None
) -> None:
    assert error_of(429, openai(message)).retry_after == seconds
    assert error_of(429, openai(message), retry_after="7").retry_after == 7
    assert error_of(503, openai(message)).retry_after is None


# -- secrets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdefghijklmnop.",
        "Incorrect API key provided: sk-ant-api03-abc_def-ghi.",
        "the header was Authorization: Bearer abcdefgh.ijkl-mnop",
        "gsk_live gsk-abcdefghij is unknown",
    ],
)
def test_what_looks_like_a_key_is_hidden(text: str) -> None:
    shown = faults.redact(text, None)
    assert "***" in shown
    for word in ("abcdef", "ijkl"):
        assert word not in shown


def test_the_key_in_use_is_hidden_whatever_it_looks_like() -> None:
    body = json.dumps({"error": "unknown key hunter2"}).encode()
    found = faults.response_error(401, {}, body, provider="p", secret=Secret("hunter2"), now=0)
    assert found.message == "p: 401: unknown key ***"


def test_long_messages_are_shortened() -> None:
    found = error_of(400, {"error": "x" * 10_000})
    assert len(found.message) < 700


@given(st.binary(max_size=200), st.integers(400, 599))
def test_any_body_gives_an_error_of_ours(body: bytes, status: int) -> None:
    assert isinstance(error_of(status, body), SwitchgearError)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "details", "status", "detail"]),
            inner,
        )
    ),
    max_leaves=10,
)


@given(json_values)
def test_any_json_gives_an_error_of_ours(body: object) -> None:
    assert isinstance(error_of(400, body), SwitchgearError)
    assert isinstance(faults.stream_error(body, provider="p"), SwitchgearError)


# -- inside a stream ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (anthropic("overloaded_error", "Overloaded"), OverloadedError),
        (anthropic("rate_limit_error", "Too fast"), RateLimitError),
        (anthropic("api_error", "Oops"), ServerError),
        (anthropic("timeout_error", "Late"), ProviderTimeoutError),
        (openai("The server had an error", "server_error"), ServerError),
        ({"error": {"type": "throttlingException", "message": "slow"}}, RateLimitError),
        ({"error": {"code": 503, "message": "overloaded"}}, OverloadedError),
        ({"error": "model runner has unexpectedly stopped"}, ServerError),
        ({}, ServerError),
        ("text", ServerError),
    ],
)
def test_an_error_inside_a_stream_goes_by_its_word(
    body: object, error: type[SwitchgearError]
) -> None:
    found = faults.stream_error(body, provider="p", model="m", request_id="req_1")
    assert type(found) is error
    assert found.request_id == "req_1"


# -- transport ----------------------------------------------------------------------------------


def chain(*errors: BaseException) -> BaseException:
    for outer, inner in itertools.pairwise(errors):
        outer.__cause__ = inner
    return errors[0]


@pytest.mark.parametrize(
    ("exc", "error"),
    [
        (ConnectionRefusedError("refused"), ProviderConnectionError),
        (TimeoutError("late"), ProviderTimeoutError),
        (chain(RuntimeError("wrapped"), ConnectionResetError("reset")), ProviderConnectionError),
        # Some transports call a refused connection a time-out.
        (chain(TimeoutError("x"), OSError(111, "refused")), ProviderConnectionError),
        (chain(RuntimeError("SDK"), TimeoutError("late")), ProviderTimeoutError),
    ],
)
def test_a_failed_connection(exc: BaseException, error: type[SwitchgearError]) -> None:
    found = faults.transport_error(exc, provider="p", model="m")
    assert type(found) is error
    assert found.provider == "p"


def test_a_chain_that_runs_in_a_circle_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert faults.root_cause(one) in {one, two}


async def test_a_time_out_of_asyncio_is_one() -> None:
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
    found = faults.transport_error(caught.value, provider="p")
    assert isinstance(found, ProviderError)
