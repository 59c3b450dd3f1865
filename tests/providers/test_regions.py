"""Where an answer was made, where the platform charges by it and the answer does not say it."""

from __future__ import annotations

import pytest

from switchgear.providers import bedrock, openai


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("https://eu.api.openai.com/v1", "eu"),
        ("https://us.api.openai.com/v1", "us"),
        ("https://api.openai.com/v1", None),
        ("https://eu.api.openai.com.example/v1", None),
        ("http://127.0.0.1:8000/v1", None),
        ("", None),
    ],
)
def test_openais_hosts_of_data_residency_are_known(address: str, region: str | None) -> None:
    assert openai.region_of(address) == region


@pytest.mark.parametrize(
    ("model", "configured", "region"),
    [
        ("us.anthropic.claude-opus-5", "eu-central-1", "us"),
        ("us-gov.anthropic.claude-opus-5", None, "us-gov"),
        ("global.anthropic.claude-opus-5", "eu-central-1", "global"),
        ("anthropic.claude-opus-5", "eu-central-1", "eu-central-1"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-opus-5", None, "eu"),
        (
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2",
            "eu-west-1",
            "us-east-1",
        ),
        ("anthropic.claude-opus-5", None, "regional"),
    ],
)
def test_bedrocks_profiles_say_where_a_model_runs(
    model: str, configured: str | None, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    assert bedrock.region_of(model, configured) == region


def test_awss_own_variables_are_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    assert bedrock.region_of("anthropic.claude-opus-5", None) == "ap-south-1"
    assert bedrock.region_of("anthropic.claude-opus-5", "us-west-2") == "us-west-2"
