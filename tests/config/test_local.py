from __future__ import annotations

from typing import Any

import pytest

from switchgear.config.providers import host_reach
from tests.config.helpers import chain, faults, load, the_fault


@pytest.mark.parametrize(
    ("url", "reach"),
    [
        ("http://127.0.0.1:8000/v1", "loopback"),
        ("localhost:11434", "loopback"),
        ("http://[::1]/", "loopback"),
        ("0.0.0.0", "loopback"),
        (":11434", "loopback"),
        ("http://10.0.0.5", "private"),
        ("http://vllm:8000", "private"),
        ("http://gpu.internal", "private"),
        ("http://[fd00::1]", "private"),
        ("https://api.openai.com/v1", "public"),
        ("http://8.8.8.8", "public"),
        ("http://[::ffff:8.8.8.8]", "public"),
        ("http://134744072", "public"),
        ("http://0x08080808", "public"),
        ("http://[", "public"),
    ],
)
def test_how_far_an_address_reaches(url: str, reach: str) -> None:
    assert host_reach(url) == reach


@pytest.mark.parametrize(
    ("entry", "providers"),
    [
        ("openai/m", {}),
        ("ollama/gpt-oss:120b-cloud", {}),
        ("ollama/m", {"ollama": {"base_url": "https://ollama.example.com"}}),
        ("ollama/m", {"ollama": {"base_url": "http://10.0.0.5:11434"}}),
        ("ollama/m", {"ollama": {"models": {"m": {"local": False}}}}),
        ("vllm/m", {"vllm": {"base_url": "http://127.0.0.1:8000"}}),
    ],
)
def test_a_remote_candidate_in_a_local_group_is_refused(entry: str, providers: Any) -> None:
    place, message = the_fault(
        {"providers": providers, **chain("embedded/m", entry, local_only=True)}
    )
    assert place == "groups.g.chain[1]"
    assert "local_only" in message
    assert entry in message


def test_a_remote_ollama_in_the_environment_is_not_local() -> None:
    mapping = chain("ollama/m", local_only=True)
    assert load(mapping, OLLAMA_HOST="127.0.0.1:9999").group("g").local_only
    assert set(faults(mapping, OLLAMA_HOST="gpu.example.com")) == {"groups.g.chain[0]"}


def test_a_remote_candidate_is_found_in_a_group_within_a_local_group() -> None:
    mapping = chain("inner", local_only=True)
    mapping["groups"]["inner"] = {"chain": [["ollama/a", "anthropic/b"]]}
    place, message = the_fault(mapping)
    assert place == "groups.g.chain[0]"
    assert "anthropic/b" in message


def test_a_private_address_is_local_where_its_table_says_so() -> None:
    table = {"plugin": "openai-compatible", "base_url": "http://10.0.0.5/v1", "local": True}
    config = load({"providers": {"vllm": table}, **chain("vllm/m", local_only=True)})
    assert config.provider("vllm").local
    table["base_url"] = "https://api.example.com/v1"
    assert "providers.vllm.local" in faults({"providers": {"vllm": table}})
