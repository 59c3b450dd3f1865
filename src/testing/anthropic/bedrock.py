"""Claude on Amazon Bedrock: signed requests, binary event frames."""

# ruff: noqa: ARG002, D102 - the port, wire.py, says what every method takes and does.

from __future__ import annotations

import base64
import hmac
import re
import urllib.parse
import uuid
from collections.abc import Iterable
from typing import ClassVar

from ..answers import Answer
from ..faults import ErrorReply, Fault
from ..records import RecordedRequest
from ..rendering import Frame, Json, Reply, compact, json_reply
from ..wire import retry_after_headers
from .checks import check_messages
from .errors import error_body
from .eventstream import encode_frame
from .sigv4 import parse_authorization, signature_of
from .stream import stream_events
from .wire import AnthropicWire

__all__ = ["BedrockWire"]

_PATH = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)")
_NAMES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    409: "ConflictException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_MESSAGES = {
    "authentication": "The security token included in the request is invalid.",
    "permission": "You don't have access to the model with the specified model ID.",
    "model_not_found": "Could not resolve the foundation model from the provided model identifier.",
    "rate_limit": "Too many requests, please wait before trying again.",
    "insufficient_quota": "Too many tokens per day, please wait before trying again.",
    "server_error": "The system encountered an unexpected error during processing. Try your "
    "request again.",
    "unavailable": "Bedrock is unable to process your request.",
    "overloaded": "Bedrock is unable to process your request.",
    "request_timeout": "Model has timed out in processing the request. Try your request again.",
    "context_length": "Input is too long for requested model.",
}


class BedrockWire(AnthropicWire):
    """`/model/{model}/invoke[-with-response-stream]`, signed with SigV4 or with a bearer key."""

    kind: ClassVar[str] = "bedrock"
    message_prefix: ClassVar[str] = "msg_bdrk_01"
    tool_prefix: ClassVar[str] = "toolu_bdrk_01"

    def route(self, call: RecordedRequest) -> bool:
        call.request_id = str(uuid.uuid4())
        match = _PATH.fullmatch(call.path)
        if match is None or call.method != "POST":
            return False
        call.endpoint = "messages"
        call.model = urllib.parse.unquote(match[1])
        call.stream = match[2] == "invoke-with-response-stream"
        return True

    def authenticate(self, call: RecordedRequest) -> ErrorReply | None:
        sent = call.header("authorization") or ""
        if sent.startswith("Bearer "):
            known = self.settings.require_key
            return (
                None
                if known is not None and sent == f"Bearer {known}"
                else _denied("Authentication failed: Please make sure your API Key is valid.")
            )
        if not sent:
            return _denied(
                "Missing Authentication Token", type_="MissingAuthenticationTokenException"
            )
        parsed = parse_authorization(sent)
        if parsed is None:
            return _denied(
                "Authorization header requires 'Credential', 'Signature' and 'SignedHeaders' "
                "parameters.",
                type_="IncompleteSignatureException",
            )
        if self.settings.aws_access_key not in {None, parsed.access_key}:
            return _denied(_MESSAGES["authentication"], type_="UnrecognizedClientException")
        if not {"host", "x-amz-date"} <= set(parsed.signed_headers) or parsed.service != "bedrock":
            return _denied(
                "Credential should be scoped to correct service: 'bedrock'.",
                type_="InvalidSignatureException",
            )
        secret = self.settings.aws_secret_key
        if secret is not None and not hmac.compare_digest(
            signature_of(call, parsed, secret), parsed.signature
        ):
            return _denied(
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret "
                "Access Key and signing method. Consult the service documentation for details.",
                type_="InvalidSignatureException",
            )
        return None

    def check(self, call: RecordedRequest) -> ErrorReply | None:
        if not isinstance(call.body, dict):
            return Fault.invalid_request(
                "Malformed input request, please reformat your input and try again."
            )
        if not call.body.get("anthropic_version"):
            return Fault.invalid_request("anthropic_version: Field required")
        for name in ("model", "stream"):
            # The path says both here.
            if name in call.body:
                return Fault.invalid_request(f"{name}: Extra inputs are not permitted")
        problem = check_messages({**call.body, "model": call.model})
        if problem is not None:
            return Fault.invalid_request(problem)
        if self.settings.models is not None and call.model not in self.settings.models:
            return Fault.invalid_request("The provided model identifier is invalid.")
        return None

    def render(self, call: RecordedRequest, answer: Answer) -> Reply:
        message = self.message(call, answer)
        usage = message["usage"]
        counts = {
            "x-amzn-bedrock-input-token-count": str(usage["input_tokens"]),
            "x-amzn-bedrock-output-token-count": str(usage["output_tokens"]),
            "x-amzn-bedrock-invocation-latency": "412",
        }
        if not call.stream:
            reply = json_reply(compact(message), answer)
            reply.headers = {**counts, **reply.headers}
            return reply
        return self.stream_reply(call, stream_events(message, answer), answer)

    def stream_reply(
        self, call: RecordedRequest, events: Iterable[tuple[Json, bool]], answer: Answer
    ) -> Reply:
        frames = [
            _chunk(event, content=content)
            for event, content in _with_metrics(events)
            if event["type"] != "ping"
        ]
        return Reply(
            content_type="application/vnd.amazon.eventstream",
            headers={"x-amzn-bedrock-content-type": "application/json", **answer.headers},
            frames=frames,
            stream=True,
            latency=answer.latency,
            first_token_delay=answer.first_token_delay,
            chunk_delay=answer.chunk_delay,
        )

    def error(self, call: RecordedRequest, problem: ErrorReply) -> Reply:
        status, name, message = _aws_error(call, problem)
        return Reply(
            status=status,
            headers={
                "x-amzn-errortype": f"{name}:http://internal."
                "amazon.com/coral/com.amazon.coral.service/",
                **retry_after_headers(problem),
            },
            frames=[Frame(compact({"message": message}), terminal=True)],
            latency=problem.latency,
        )

    def stream_error(self, call: RecordedRequest, problem: ErrorReply, sequence: int) -> Frame:
        _, name, message = _aws_error(call, problem)
        headers = {
            ":exception-type": name[0].lower() + name[1:],
            ":content-type": "application/json",
            ":message-type": "exception",
        }
        return Frame(encode_frame(headers, compact({"message": message})), terminal=True)

    def headers(self, call: RecordedRequest) -> dict[str, str]:
        return {"x-amzn-requestid": call.request_id}


def _denied(message: str, *, type_: str = "AccessDeniedException") -> ErrorReply:
    return ErrorReply(status=403, reason="authentication", message=message, type=type_)


def _aws_error(call: RecordedRequest, problem: ErrorReply) -> tuple[int, str, str]:
    # AWS answers 403 to bad credentials and knows no 401, 413 or 529.
    status = {401: 403, 413: 400, 422: 400, 529: 503, 504: 503, 502: 502}.get(
        problem.status, problem.status
    )
    name = problem.type or _NAMES.get(status, "InternalServerException")
    if problem.reason == "authentication" and problem.type is None:
        name = "UnrecognizedClientException"
    reason = problem.reason
    said = _MESSAGES.get(reason) or str(error_body(call, problem)["error"]["message"])
    return status, name, problem.message or said


def _with_metrics(events: Iterable[tuple[Json, bool]]) -> Iterable[tuple[Json, bool]]:
    """The last event carries Bedrock's own count of the invocation."""
    entered = output = 0
    for event, content in events:
        if event["type"] == "message_start":
            entered = event["message"]["usage"]["input_tokens"]
        if event["type"] == "message_delta":
            output = event["usage"]["output_tokens"]
        if event["type"] == "message_stop":
            metrics = {
                "inputTokenCount": entered,
                "outputTokenCount": output,
                "invocationLatency": 412,
                "firstByteLatency": 120,
            }
            yield {**event, "amazon-bedrock-invocationMetrics": metrics}, content
        else:
            yield event, content


def _chunk(event: Json, *, content: bool) -> Frame:
    headers = {
        ":event-type": "chunk",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    payload = compact({"bytes": base64.b64encode(compact(event)).decode(), "p": "abcdefghijk"})
    return Frame(
        encode_frame(headers, payload), content=content, terminal=event["type"] == "message_stop"
    )
