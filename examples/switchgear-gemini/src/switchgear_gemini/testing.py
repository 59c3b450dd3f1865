"""A simulated Gemini: its wire format for ``switchgear.testing``, on a loopback port.

>>> from switchgear.testing import SimulatedProviders
>>> with SimulatedProviders(wires={"gemini": GeminiWire}) as simulated:  # doctest: +SKIP
...     simulated["gemini"].script(Fault.overloaded(), Answer(text="Hello."))
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from switchgear.testing import (
    Answer,
    Ask,
    ErrorReply,
    Fault,
    Frame,
    Json,
    RecordedRequest,
    Reply,
    Wire,
    compact,
    embedding_of,
    estimate_tokens,
    json_reply,
    merged,
    new_id,
    pieces_of,
    retry_after_headers,
    sse,
    sse_reply,
    usage_of,
)

__all__ = ["GeminiWire"]

_PATH = re.compile(r"/v1beta/models/(?P<model>[^:/]+):(?P<method>\w+)")
_ENDPOINTS = {
    "generateContent": "generate",
    "streamGenerateContent": "generate",
    "batchEmbedContents": "embed",
    "countTokens": "count_tokens",
}
_FINISH = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "pause": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
}
# Google's words for its statuses, and what it says where a reason needs words of its own.
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_SAID = {
    "authentication": "API key not valid. Please pass a valid API key.",
    "context_length": "The input token count (1200000) exceeds the maximum number of tokens "
    "allowed (1048576). Input is too long.",
    "credit_balance": "Your credit balance is depleted. Please go to AI Studio to add credits.",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing.",
    "overloaded": "The model is overloaded. Please try again later.",
    "rate_limit": "Resource has been exhausted (e.g. check quota). Please retry in 7.5s.",
}


class GeminiWire(Wire):
    """``generateContent`` and its kin, as ``generativelanguage.googleapis.com`` serves them."""

    kind = "gemini"
    base_path = "/v1beta"
    generating = frozenset({"generate", "embed"})

    def route(self, call: RecordedRequest) -> bool:
        """Which of the API's methods it is."""
        call.request_id = call.request_id or new_id("gem-")
        if call.path == "/v1beta/models":
            call.endpoint = "models"
            return True
        found = _PATH.fullmatch(call.path)
        if found is None or found["method"] not in _ENDPOINTS:
            return False
        call.endpoint = _ENDPOINTS[found["method"]]
        call.model = found["model"]
        call.stream = found["method"] == "streamGenerateContent"
        return True

    def authenticate(self, call: RecordedRequest) -> ErrorReply | None:
        """The key is in a header of Google's own."""
        if call.header("x-goog-api-key") == self.settings.require_key:
            return None
        return Fault.authentication()

    def check(self, call: RecordedRequest) -> ErrorReply | None:
        """The few rules by which a history breaks most often."""
        refused = super().check(call)
        if refused is not None or call.endpoint != "generate" or not self.settings.validate:
            return refused
        contents = call.body.get("contents") or []
        if not contents:
            return Fault.invalid_request(
                "GenerateContentRequest.contents: contents is not specified"
            )
        for turn in contents:
            if turn.get("role") not in ("user", "model") or not turn.get("parts"):
                return Fault.invalid_request("Please use a valid role: user, model.")
        for turn, answered in zip(contents, [*contents[1:], {"parts": []}], strict=True):
            calls = [part for part in turn["parts"] if "functionCall" in part]
            results = [part for part in answered["parts"] if "functionResponse" in part]
            if calls and len(calls) != len(results):
                return Fault.invalid_request(
                    "Please ensure that the number of function response parts is equal to the "
                    "number of function call parts of the function call turn."
                )
            if calls and "thoughtSignature" not in calls[0]:
                return Fault.invalid_request("Function call is missing a thought_signature.")
        return None

    def ask(self, call: RecordedRequest) -> Ask:
        """The request in neutral form."""
        body = call.body or {}
        if call.endpoint == "embed":
            requests = body["requests"]
            return Ask(
                prompt="",
                inputs=len(requests),
                dimensions=requests[0].get("outputDimensionality", 8),
            )
        config = body.get("generationConfig") or {}
        functions = [
            (function["name"], function["parametersJsonSchema"])
            for tool in body.get("tools") or []
            for function in tool.get("functionDeclarations") or []
        ]
        calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
        forced = None
        if calling.get("mode") == "ANY":
            forced = (calling.get("allowedFunctionNames") or [functions[0][0]])[0]
        return Ask(
            prompt=_last_words(body["contents"]),
            tools=tuple(functions),
            forced_tool=forced,
            schema=config.get("responseJsonSchema"),
            json_mode=config.get("responseMimeType") == "application/json",
            max_tokens=config.get("maxOutputTokens"),
        )

    def render(self, call: RecordedRequest, answer: Answer) -> Reply:
        """The answer of whichever method was asked."""
        if call.endpoint == "models":
            return json_reply(compact({"models": [{"name": "models/gemini-3.8-flash"}]}), answer)
        if call.endpoint == "count_tokens":
            return json_reply(compact({"totalTokens": estimate_tokens(call.body)}), answer)
        if call.endpoint == "embed":
            return json_reply(compact(_embeddings(call, answer)), answer)
        if call.stream:
            return sse_reply(_stream(call, answer), answer)
        whole = _piece(call, answer, list(_parts(answer)), last=True)
        return json_reply(compact(whole), answer)

    def error(self, call: RecordedRequest, problem: ErrorReply) -> Reply:
        """``{"error": {"code", "message", "status"}}``."""
        del call
        # Google refuses a key with a 400.
        status = 400 if problem.reason == "authentication" else problem.status
        said = problem.message or _SAID.get(problem.reason) or "Something is wrong."
        body = {
            "error": {
                "code": status,
                "message": said,
                "status": problem.code or _STATUS.get(status, "UNKNOWN"),
            }
        }
        reply = json_reply(problem.body or compact(body), Answer(latency=problem.latency))
        reply.status = status
        reply.headers = {**retry_after_headers(problem), **problem.headers}
        return reply


def _last_words(contents: list[Json]) -> str:
    for turn in reversed(contents):
        for part in reversed(turn["parts"]):
            if turn["role"] == "user" and "text" in part:
                return str(part["text"])
            if "functionResponse" in part:
                return str(part["functionResponse"]["response"].get("output", ""))
    return ""


def _parts(answer: Answer) -> Iterator[Json]:
    if answer.reasoning:
        yield {"text": answer.reasoning, "thought": True}
    said = answer.text or answer.refusal
    if said:
        yield {"text": said}
    for index, call in enumerate(answer.tool_calls):
        function: Json = {"name": call.name, "args": call.arguments_object()}
        if call.id is not None:
            function["id"] = call.id
        signature = {"thoughtSignature": "c2lnbmVk"} if index == 0 else {}
        yield {"functionCall": function, **signature}


def _stream(call: RecordedRequest, answer: Answer) -> Iterator[Frame]:
    """One object a piece of text, a whole call at a time; the last says why it ended."""
    parts: list[Json] = []
    for part in _parts(answer):
        if "text" in part:
            chunks = None if part.get("thought") else answer.chunks
            parts += [{**part, "text": piece} for piece in pieces_of(part["text"], chunks)]
        else:
            parts.append(part)
    for part in parts[:-1]:
        yield sse(_piece(call, answer, [part], last=False), content=True)
    yield sse(_piece(call, answer, parts[-1:], last=True), content=bool(parts), terminal=True)


def _piece(call: RecordedRequest, answer: Answer, parts: list[Json], *, last: bool) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if last:
        finish = answer.finish()
        candidate["finishReason"] = _FINISH.get(finish, finish)
    piece: Json = {
        "candidates": [candidate],
        "modelVersion": answer.model or call.model,
        "responseId": answer.id or f"resp-{call.number}",
    }
    if answer.send_usage:
        piece["usageMetadata"] = _counts(call, answer, last=last)
    return merged(piece, answer.extra)


def _counts(call: RecordedRequest, answer: Answer, *, last: bool) -> Json:
    spent = usage_of(call, answer)
    entered, thought = spent.input_tokens or 0, spent.reasoning_tokens or 0
    said = max(0, (spent.output_tokens or 0) - thought) if last else 1
    counts: Json = {
        "promptTokenCount": entered,
        "candidatesTokenCount": said,
        "totalTokenCount": entered + said + thought,
    }
    if thought:
        counts["thoughtsTokenCount"] = thought
    if spent.cache_read_tokens:
        counts["cachedContentTokenCount"] = spent.cache_read_tokens
    if spent.audio_input_tokens:
        counts["promptTokensDetails"] = [
            {"modality": "AUDIO", "tokenCount": spent.audio_input_tokens}
        ]
    return counts


def _embeddings(call: RecordedRequest, answer: Answer) -> Json:
    def vector(one: Any) -> tuple[float, ...]:
        text = one["content"]["parts"][0]["text"]
        return embedding_of(text, one.get("outputDimensionality", 8))

    vectors = answer.embeddings or [vector(one) for one in call.body["requests"]]
    return {"embeddings": [{"values": list(each)} for each in vectors]}
