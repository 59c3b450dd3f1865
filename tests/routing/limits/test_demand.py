"""The measure of the limiter: five times the demand, two minutes, the vendors' own rules."""

from __future__ import annotations

import os

import msgspec
import pytest

from .demand import SMALL, TALKATIVE, Played, World, play
from .virtual import run

# Anthropic's first, second and fourth tier (Sonnet), OpenAI's first and second: documented limits.
ANTHROPIC_1 = {"rpm": 50.0, "itpm": 30_000.0, "otpm": 8_000.0}
ANTHROPIC_2 = {"rpm": 1_000.0, "itpm": 450_000.0, "otpm": 90_000.0}
ANTHROPIC_4 = {"rpm": 4_000.0, "itpm": 2_000_000.0, "otpm": 400_000.0}
OPENAI_1 = {"rpm": 500.0, "tpm": 200_000.0}
OPENAI_2 = {"rpm": 5_000.0, "tpm": 2_000_000.0}

AS_TOLD = {
    "anthropic, requests bind": World(vendor="anthropic", enforced=ANTHROPIC_2, mix=SMALL),
    "anthropic, input binds": World(vendor="anthropic", enforced=ANTHROPIC_2),
    "anthropic, output binds": World(vendor="anthropic", enforced=ANTHROPIC_2, mix=TALKATIVE),
    "anthropic, prompts cached": World(vendor="anthropic", enforced=ANTHROPIC_2, cached=0.7),
    "anthropic, lowest tier": World(vendor="anthropic", enforced=ANTHROPIC_1, mix=SMALL),
    "anthropic, three instances": World(vendor="anthropic", enforced=ANTHROPIC_2, instances=3),
    "openai, requests bind": World(vendor="openai", enforced=OPENAI_1, mix=SMALL),
    "openai, tokens bind": World(vendor="openai", enforced=OPENAI_1),
}
LARGE = {
    "anthropic, highest tier": World(vendor="anthropic", enforced=ANTHROPIC_4),
    "openai, higher tier": World(vendor="openai", enforced=OPENAI_2),
    "openai, three instances": World(vendor="openai", enforced=OPENAI_2, instances=3),
}
OTHERWISE = {
    "anthropic, half of what we were told": World(
        vendor="anthropic",
        enforced=ANTHROPIC_2,
        told={name: 2 * limit for name, limit in ANTHROPIC_2.items()},
    ),
    "openai, half of what we were told": World(
        vendor="openai",
        enforced=OPENAI_1,
        told={name: 2 * limit for name, limit in OPENAI_1.items()},
    ),
    "anthropic, told nothing": World(vendor="anthropic", enforced=ANTHROPIC_2, told={}),
    "openai, told nothing": World(vendor="openai", enforced=OPENAI_1, told={}),
    "anthropic, a third to a stranger": World(
        vendor="anthropic", enforced=ANTHROPIC_2, foreign=1 / 3
    ),
    "openai, half to a stranger": World(vendor="openai", enforced=OPENAI_1, foreign=0.5),
    "anthropic, most to a stranger": World(
        vendor="anthropic", enforced=ANTHROPIC_4, foreign=0.7, mix=TALKATIVE
    ),
}
# All of them with `make attack`; a whole run of the tests has to stay short.
SEEDS = [1, 2, 3] if os.environ.get("SWITCHGEAR_FULL") else [1]


def check(played: Played, *, seed: int, refused: float) -> None:
    figures = f"seed {seed}: {played}"
    assert played.avoidable / played.sent < 1 / 1000, figures
    assert played.refused / played.sent < refused, figures
    assert played.throughput >= 0.95, figures


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("world", AS_TOLD.values(), ids=AS_TOLD)
def test_limits_are_used_up_and_not_run_into(world: World, seed: int) -> None:
    # We count as the provider does and nobody else draws: every refusal would be our doing.
    exact = msgspec.structs.replace(world, estimate=0.0)
    check(run(play(exact, seed)), seed=seed, refused=1 / 1000)


@pytest.mark.parametrize("world", LARGE.values(), ids=LARGE)
def test_so_are_large_ones(world: World) -> None:
    exact = msgspec.structs.replace(world, estimate=0.0)
    check(run(play(exact, 1)), seed=1, refused=1 / 1000)


@pytest.mark.parametrize("world", AS_TOLD.values(), ids=AS_TOLD)
def test_nor_when_prompts_are_only_estimated(world: World) -> None:
    check(run(play(world, 4)), seed=4, refused=1 / 100)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("world", OTHERWISE.values(), ids=OTHERWISE)
def test_nor_limits_that_only_the_headers_tell(world: World, seed: int) -> None:
    # Some refusals nobody could foresee; that they stay few is what the headers are read for.
    check(run(play(world, seed)), seed=seed, refused=1 / 25)


@pytest.mark.parametrize("vendor", ["anthropic", "openai"])
def test_without_the_limiter_most_calls_would_be_refused_and_the_referee_would_say_so(
    vendor: str,
) -> None:
    if vendor == "anthropic":
        world = World(vendor="anthropic", enforced=ANTHROPIC_2, heedless=True)
    else:
        world = World(vendor="openai", enforced=OPENAI_1, heedless=True)
    played = run(play(world, 1))
    assert played.refused > 0.2 * played.sent, str(played)
    assert played.avoidable > 0.9 * played.refused, str(played)


def test_the_same_seed_plays_the_same_game() -> None:
    world = AS_TOLD["anthropic, input binds"]
    assert str(run(play(world, 5))) == str(run(play(world, 5)))
