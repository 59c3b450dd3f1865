"""Every recorded embeddings interaction, through the real SDK."""

from __future__ import annotations

import array
import base64
import json
import sys

import pytest

from switchgear.credentials import Secret
from switchgear.providers.base import EmbedCall, ProviderSettings
from switchgear.providers.openai import create
from tests.wire import replay
from tests.wire.replay import Recording, Replay

RECORDINGS = replay.recordings("openai", endpoint="embeddings")


@pytest.mark.parametrize(("recording", "road"), replay.on_both_roads(RECORDINGS))
async def test_vectors_arrive_as_they_were_recorded(recording: Recording, road: str) -> None:
    asked = recording.request_body
    async with Replay([recording]) as server:
        provider = create(
            ProviderSettings(
                name="openai",
                plugin="openai",
                api_key=Secret("sk-wire"),
                base_url=f"{server.url}/v1",
                options={"wire": road},
            )
        )
        try:
            embedding = await provider.embed(
                EmbedCall(inputs=(asked["input"],), model=asked["model"])
            )
        finally:
            await provider.aclose()
    answer = json.loads(recording.body)
    numbers = array.array("f", base64.b64decode(answer["data"][0]["embedding"]))
    if sys.byteorder == "big":
        numbers.byteswap()
    assert embedding.vectors == (tuple(numbers),)
    assert len(embedding.vectors[0]) == 1536
    assert embedding.model == answer["model"]
    assert embedding.usage is not None
    assert embedding.usage.input_tokens == answer["usage"]["prompt_tokens"]
    assert embedding.usage.output_tokens == 0
    assert embedding.meta.request_id == recording.headers["x-request-id"]
    assert server.received[0].json() == {**asked, "input": [asked["input"]]}
