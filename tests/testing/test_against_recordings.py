"""The simulator held to recorded traffic: what a vendor accepted passes, what it sent looks alike.

The recordings lie beside the repository, in ``../shared/wire``; without them these tests skip.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from switchgear.testing import Answer, SimulatedProviders, ToolCall
from switchgear.testing.anthropic.checks import check_messages
from switchgear.testing.ollama.checks import check_chat as check_ollama
from switchgear.testing.openai.chat_checks import check_chat
from switchgear.testing.openai.embeddings import check_embeddings
from switchgear.testing.openai.responses import Store
from switchgear.testing.openai.responses_checks import check_responses

WIRE = Path(__file__).resolve().parents[2] / ".." / "shared" / "wire"
# Only the vendor itself can have issued these.
ITS_OWN = ("Invalid `signature` in `thinking` block", "could not be verified")
CHECKS: dict[str, Callable[[Any], Any]] = {
    "messages": check_messages,
    "chat.completions": check_chat,
    "responses": lambda body: check_responses(body, Store()),
    "embeddings": check_embeddings,
    "api.chat": check_ollama,
}


def recordings(vendor: str) -> Iterator[dict[str, Any]]:
    path = WIRE / f"{vendor}.jsonl"
    if not path.exists():
        pytest.skip(f"recorded traffic is absent: no {vendor}.jsonl in ../shared/wire")
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "ollama"])
def test_no_request_that_a_vendor_accepted_is_refused(vendor: str) -> None:
    checked = 0
    for recording in recordings(vendor):
        check = CHECKS.get(recording["endpoint"])
        if check is None or recording["response"]["status"] != 200:
            continue
        problem = check(recording["request"]["body"])
        message = getattr(problem, "message", problem)
        assert message is None or any(known in message for known in ITS_OWN), recording["file"]
        checked += 1
    assert checked > 3


def recorded(vendor: str, line: int) -> tuple[dict[str, Any], str]:
    recording = list(recordings(vendor))[line - 1]
    return recording, base64.b64decode(recording["response"]["body_b64"]).decode()


def events(body: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in body.splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def shape(value: Any) -> Any:
    """The names of an object's fields, all the way down; of a list, its first item's."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


async def simulated(base_url: str, recording: dict[str, Any]) -> str:
    path = recording["request"]["path"].removeprefix("/v1") if base_url.endswith("/v1") else None
    url = base_url + (path or recording["request"]["path"])
    async with httpx.AsyncClient() as client:
        headers = {"anthropic-version": "2023-06-01"}
        response = await client.post(url, json=recording["request"]["body"], headers=headers)
    assert response.status_code == 200, response.text
    return response.text


async def test_anthropic_stream_events_look_like_recorded_ones(
    simulated_providers: SimulatedProviders,
) -> None:
    recording, body = recorded("anthropic", 44)
    simulated_providers.anthropic.script(
        Answer(reasoning="Let me see.", tool_calls=(ToolCall(name="fixed_version"),))
    )
    made = events(await simulated(simulated_providers.anthropic.base_url, recording))
    real = {json.dumps(shape(event), sort_keys=True) for event in events(body)}
    ours = {json.dumps(shape(event), sort_keys=True) for event in made}
    assert ours == real


async def test_chat_chunks_look_like_recorded_ones(
    simulated_providers: SimulatedProviders,
) -> None:
    recording, body = recorded("openai", 283)
    call = ToolCall(name="multiply", arguments={"a": 1231, "b": 2331})
    simulated_providers.openai.script(Answer(tool_calls=(call,)))
    made = events(await simulated(simulated_providers.openai.base_url, recording))
    real, ours = events(body), made
    for chunk in ours:
        # Younger than this recording.
        del chunk["obfuscation"]
    assert shape(ours[-1]) == shape(real[-1])
    assert shape(ours[-2]) == shape(real[-2])
    assert ours[-2]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("line", [271, 272])
async def test_responses_look_like_recorded_ones(
    simulated_providers: SimulatedProviders, line: int
) -> None:
    recording, body = recorded("openai", line)
    simulated_providers.openai.script(
        Answer(text="pong", reasoning="")
        if line == 271
        else Answer(reasoning="Hm.", tool_calls=(ToolCall(name="db_lookup"),))
    )
    made = await simulated(simulated_providers.openai.base_url, recording)
    if line == 272:
        assert names(json.loads(body)) <= names(json.loads(made))
        return
    assert [event["type"] for event in events(made)] == [event["type"] for event in events(body)]
    for ours, real in zip(events(made), events(body), strict=True):
        assert names(real) - names(ours) <= {"phase"}


def names(value: Any) -> set[str]:
    """Every field name in a body, the request's own schemas left out."""
    if isinstance(value, dict):
        inner = [names(item) for name, item in value.items() if name != "tools"]
        return set(value).union(*inner)
    return set().union(*map(names, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("line", [1, 2])
async def test_ollama_lines_look_like_recorded_ones(
    simulated_providers: SimulatedProviders, line: int
) -> None:
    recording, body = recorded("ollama", line)
    made = await simulated(simulated_providers.ollama.base_url, recording)
    assert names(events(body)[-1]) <= names(events(made)[-1])
