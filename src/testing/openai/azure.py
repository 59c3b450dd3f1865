"""Azure OpenAI: deployments in the path, filter results in the answers."""

# ruff: noqa: D102 - the port, wire.py, documents what every method does.

from __future__ import annotations

import re
import urllib.parse
import uuid
from typing import ClassVar

from ..faults import ErrorReply, Fault
from ..records import RecordedRequest
from ..rendering import Frame, Json, Reply, compact
from ..wire import retry_after_headers
from .chat import Dialect
from .wire import OpenAIWire

__all__ = ["AzureWire"]

_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)(/.+)")
_V1 = "/openai/v1"
_PLAIN = "/openai"


_SAID: dict[str, tuple[str, str]] = {
    "authentication": (
        "401",
        (
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to "
            "provide a valid key for an active subscription and use a correct regional API "
            "endpoint for your resource."
        ),
    ),
    "model_not_found": (
        "DeploymentNotFound",
        (
            "The API deployment for this resource does not exist. If you created the deployment "
            "within the last 5 minutes, please wait a moment and try again."
        ),
    ),
    "not_found": ("404", "Resource not found"),
    "rate_limit": (
        "429",
        (
            "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded "
            "token rate limit of your current OpenAI S0 pricing tier. Please retry after {seconds} "
            "seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to "
            "further increase the default rate limit."
        ),
    ),
    "permission": (
        "PermissionDenied",
        "The principal lacks the required data action to perform this operation.",
    ),
}


class _AzureDialect(Dialect):
    obfuscation = True
    filter_results = True


class AzureWire(OpenAIWire):
    """`/openai/deployments/{name}/...?api-version=...` and `/openai/v1/...`.

    `AzureOpenAI(azure_endpoint=provider.endpoint)` speaks the first; an
    `OpenAI(base_url=provider.base_url)` the other.
    """

    kind: ClassVar[str] = "azure"
    base_path: ClassVar[str] = _V1
    dialect: ClassVar[Dialect] = _AzureDialect()

    def route(self, call: RecordedRequest) -> bool:
        call.request_id = str(uuid.uuid4())
        if call.path.startswith(f"{_V1}/"):
            return self.route_path(call, call.path.removeprefix(_V1))
        if "api-version" not in call.query:
            return False
        match = _DEPLOYMENT.fullmatch(call.path)
        if match is None:
            return self.route_path(call, call.path.removeprefix(_PLAIN))
        if not self.route_path(call, match[2]):
            return False
        # The deployment decides, whatever the body's model says.
        call.model = urllib.parse.unquote(match[1])
        return True

    def check_body(self, call: RecordedRequest) -> ErrorReply | None:
        if call.endpoint == "chat" and isinstance(call.body, dict) and "model" not in call.body:
            call.body["model"] = call.model
        return super().check_body(call)

    def authenticate(self, call: RecordedRequest) -> ErrorReply | None:
        key = call.header("api-key")
        token = (call.header("authorization") or "").removeprefix("Bearer ")
        return None if self.settings.require_key in {key, token} else Fault.authentication()

    def error(self, call: RecordedRequest, problem: ErrorReply) -> Reply:
        body = _azure_body(problem)
        if body is None:
            return super().error(call, problem)
        return Reply(
            status=503 if problem.status == 529 else problem.status,
            headers=_both_forms(problem),
            frames=[Frame(compact(body), terminal=True)],
            latency=problem.latency,
        )

    def headers(self, call: RecordedRequest) -> dict[str, str]:
        headers = super().headers(call)
        kept = {
            name: value
            for name, value in headers.items()
            if name.startswith("x-ratelimit-") or name == "x-request-id"
        }
        return {
            **kept,
            "apim-request-id": call.request_id,
            "x-ms-region": "Sweden Central",
            "x-ms-client-request-id": call.request_id,
            "azureml-model-session": "d001-20260101000000",
        }


def _both_forms(problem: ErrorReply) -> dict[str, str]:
    """Azure says how long to wait in seconds and in milliseconds at once."""
    headers = retry_after_headers(problem)
    if problem.retry_after is not None and problem.retry_after_form == "seconds":
        headers["retry-after-ms"] = str(round(problem.retry_after * 1000))
    return headers


def _azure_body(problem: ErrorReply) -> Json | None:
    """The bodies that are Azure's own; None where it passes OpenAI's on."""
    if problem.reason == "content_filter":
        return {"error": _content_filter(problem)}
    said = _SAID.get(problem.reason)
    if said is None:
        return None
    code, message = said
    message = message.format(seconds=f"{problem.retry_after or 1:g}")
    return {"error": {"code": problem.code or code, "message": problem.message or message}}


def _content_filter(problem: ErrorReply) -> Json:
    severe = {"filtered": True, "severity": "high"}
    safe = {"filtered": False, "severity": "safe"}
    return {
        "message": problem.message
        or "The response was filtered due to the prompt triggering Azure OpenAI's content "
        "management policy. Please "
        "modify your prompt and retry. To learn more about our content filtering policies "
        "please read our "
        "documentation: https://go.microsoft.com/fwlink/?linkid=2198766",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": problem.status,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {
                "hate": safe,
                "self_harm": safe,
                "sexual": safe,
                "violence": severe,
            },
        },
    }
