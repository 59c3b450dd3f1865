"""A vendor that is not built in is simulated by a class of its author's own."""

from __future__ import annotations

from typing import ClassVar

import httpx
import pytest

from switchgear import testing
from switchgear.testing import (
    Answer,
    Ask,
    ErrorReply,
    Fault,
    RecordedRequest,
    Reply,
    SimulatedProviders,
    Wire,
    compact,
    json_reply,
    pieces_of,
    retry_after_headers,
    sse,
    sse_reply,
    usage_of,
)


class AcmeWire(Wire):
    """One path, no frills."""

    kind: ClassVar[str] = "acme"
    base_path: ClassVar[str] = "/v9"
    generating: ClassVar[frozenset[str]] = frozenset({"say"})

    def route(self, call: RecordedRequest) -> bool:
        call.request_id = "acme-1"
        if call.path != "/v9/say":
            return False
        call.endpoint, call.model = "say", call.body["model"]
        call.stream = bool(call.body.get("stream"))
        return True

    def ask(self, call: RecordedRequest) -> Ask:
        return Ask(prompt=call.body["text"])

    def render(self, call: RecordedRequest, answer: Answer) -> Reply:
        usage = usage_of(call, answer)
        if not call.stream:
            return json_reply(compact({"said": answer.text, "out": usage.output_tokens}), answer)
        pieces = pieces_of(answer.text or "", answer.chunks)
        frames = [sse({"piece": piece}, content=True) for piece in pieces]
        return sse_reply([*frames, sse({"end": True}, terminal=True)], answer)

    def error(self, call: RecordedRequest, problem: ErrorReply) -> Reply:
        body = compact({"wrong": problem.reason})
        return Reply(
            status=problem.status,
            headers=retry_after_headers(problem),
            frames=[testing.Frame(body, terminal=True)],
        )


@pytest.fixture
def acme(simulated_providers: SimulatedProviders) -> testing.SimulatedProvider:
    return simulated_providers.add(AcmeWire, name="acme")


def say(acme: testing.SimulatedProvider, **fields: object) -> httpx.Response:
    headers = {"authorization": "Bearer mine"}
    body = {"model": "m1", "text": "Hi", **fields}
    return httpx.post(f"{acme.base_url}/say", json=body, headers=headers)


def test_it_answers_errs_and_streams(acme: testing.SimulatedProvider) -> None:
    acme.script(Answer(text="Hello"), Fault.rate_limit(retry_after=3), Answer(text="one two"))
    assert say(acme).json()["said"] == "Hello"
    refused = say(acme)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
    assert refused.headers["x-request-id"] == "acme-1"
    assert say(acme, stream=True).text.split("\n\n")[:3] == [
        'data: {"piece":"one"}',
        'data: {"piece":" two"}',
        'data: {"end":true}',
    ]
    assert say(acme).json()["said"] == "You said: Hi"
    assert [request.endpoint for request in acme.requests] == ["say"] * 4


def test_it_has_the_usual_checks_and_faults(acme: testing.SimulatedProvider) -> None:
    acme.configure(require_key="mine", models={"m1"})
    assert say(acme).status_code == 200
    assert say(acme, model="m2").json() == {"wrong": "model_not_found"}
    acme.configure(require_key="yours")
    assert say(acme).status_code == 401
    acme.configure(require_key=None)
    acme.script(Fault.stream_error(answer=Answer(text="one two")))
    assert say(acme, stream=True).text.split("\n\n")[:2] == [
        'data: {"piece":"one"}',
        'data: {"wrong":"overloaded"}',
    ]
    acme.script(Fault.no_terminal(after_chunks=1, answer=Answer(text="one two")))
    assert say(acme, stream=True).text == 'data: {"piece":"one"}\n\n'


def test_a_server_may_have_it_from_the_start_and_keeps_it() -> None:
    with SimulatedProviders(wires={"acme": AcmeWire}) as simulated:
        simulated["acme"].script(Answer(text="Gone"))
        simulated.reset()
        assert say(simulated["acme"]).json()["said"] == "You said: Hi"


def test_what_it_is_made_with_is_exported() -> None:
    for name in testing.__all__:
        assert getattr(testing, name) is not None, name
    assert list(testing.__all__) == sorted(testing.__all__)
