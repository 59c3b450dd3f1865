from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from switchgear.accounting.prices.listing import Listed, listed, matching, read_table, searched
from switchgear.accounting.prices.table import PriceTable, default_prices
from switchgear.errors import ConfigError

TODAY = dt.date(2026, 11, 23)


@pytest.fixture(scope="module")
def every() -> tuple[Listed, ...]:
    return listed(default_prices(), TODAY)


def names(found: tuple[Listed, ...]) -> list[str]:
    return [each.model for each in found]


def find(every: tuple[Listed, ...], pattern: str) -> list[str]:
    return names(matching(every, pattern, default_prices()))


def test_every_entry_is_listed_once(every: tuple[Listed, ...]) -> None:
    prices = default_prices()
    kinds = {each.model.partition("/")[0] for each in every}
    assert kinds == prices.kinds - {"gemini"}  # a further name of Google's table
    assert len(set(names(every))) == len(every)
    assert len(every) > 400


def test_a_line_says_what_a_model_costs(every: tuple[Listed, ...]) -> None:
    (haiku,) = (each for each in every if each.model == "anthropic/claude-haiku-5-5")
    assert (haiku.input, haiku.output, haiku.cache_read) == (
        Decimal("0.1"),
        Decimal("0.5"),
        Decimal("0.01"),
    )
    assert haiku.audio_input is None
    assert haiku.notes == (
        "above 100000 tokens input ×5 output ×5",
        "batch ×0.5",
        "region us ×1.1",
        "web_search $0.01",
    )


def test_notes_tell_dates_and_uneven_tiers(every: tuple[Listed, ...]) -> None:
    notes = {each.model: each.notes for each in every}
    assert notes["anthropic/claude-3-5-sonnet"][0] == "retired 2025-10-28"
    assert notes["openai/gpt-5"][0] == "retires 2026-12-11"
    assert "until 2026-12-01" in notes["google/gemini-4-argon"]
    assert "batch 0.55/2.2" in notes["openai/o4-mini"]
    assert "audio_input 32" in notes["openai/gpt-audio"]
    assert notes["ollama/*"] == ("free by declaration",)


def test_a_model_before_its_first_price_has_none() -> None:
    (line,) = matching(
        listed(default_prices(), dt.date(2026, 1, 1), providers=["anthropic"]),
        "claude-fable-5-2",
        default_prices(),
    )
    assert line.input is None
    assert line.notes == ("no price on that day",)


def test_a_pattern_is_any_name_that_finds_a_price(every: tuple[Listed, ...]) -> None:
    assert find(every, "anthropic/claude-sonnet-4-5-20250929") == ["anthropic/claude-sonnet-4-5"]
    assert find(every, "us.anthropic.claude-opus-4-6-v1") == [
        "anthropic/claude-opus-4-6",
        "bedrock/claude-opus-4-6",
        "vertex/claude-opus-4-6",
    ]
    assert find(every, "gpt-4o-mini") == ["azure-openai/gpt-4o-mini", "openai/gpt-4o-mini"]


def test_a_pattern_is_a_part_of_a_name_else(every: tuple[Listed, ...]) -> None:
    assert find(every, "GROK-4.2") == ["xai/grok-4.20"]
    assert find(every, "anthropic/claude-haiku") == [
        "anthropic/claude-haiku-5-5",
        "anthropic/claude-haiku-4-5",
        "openrouter/anthropic/claude-haiku-5.5",
        "openrouter/anthropic/claude-haiku-4.5",
    ]
    assert find(every, "no-such-model") == []


def test_a_pattern_may_have_wildcards(every: tuple[Listed, ...]) -> None:
    assert find(every, "claude-opus-5*") == [
        f"{provider}/{model}"
        for provider in ("anthropic", "bedrock", "vertex")
        for model in ("claude-opus-5-5", "claude-opus-5")
    ]
    assert find(every, "anthropic/*haiku-4*") == [
        "anthropic/claude-haiku-4-5",
        "openrouter/anthropic/claude-haiku-4.5",
    ]
    assert find(every, "voyage-?") == ["voyage/voyage-4"]


def test_every_word_must_occur(every: tuple[Listed, ...]) -> None:
    found = names(searched(every, ["claude", "Fast", "anthropic/"]))
    assert "anthropic/claude-opus-5-5" in found
    assert all("claude" in name for name in found)
    assert names(searched(every, ["embeddings", "groq"])) == []
    assert "openai/text-embedding-3-small" in names(searched(every, ["embeddings"]))


def test_a_file_is_read_alone_or_over_a_table(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[acme.models.x]\nprices = { input = 1, output = 2.5 }\n")
    assert read_table(path).kinds == {"acme"}
    over = read_table(path, over=default_prices())
    assert over.kinds == default_prices().kinds | {"acme"}


@pytest.mark.parametrize(
    "content", [b"[acme", b"\xff\xfe", b"[acme.models.x]\nprices = { input = 1 }\n"]
)
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"own\.toml"):
        read_table(path)
    with pytest.raises(ConfigError, match=r"missing\.toml"):
        read_table(tmp_path / "missing.toml")


def test_an_empty_table_lists_nothing() -> None:
    assert listed(PriceTable({}), TODAY) == ()
