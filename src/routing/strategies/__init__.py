"""Which of a pool's members is tried first, and in what order the others follow."""

from .affinity import AffinitySettings, SessionAffinity
from .base import Hint, Member, Ordering, PoolContext, Strategy
from .expectation import expected_seconds, with_failures
from .names import ALIASES, STRATEGIES, StrategyFactory, strategy_for

__all__ = [
    "ALIASES",
    "STRATEGIES",
    "AffinitySettings",
    "Hint",
    "Member",
    "Ordering",
    "PoolContext",
    "SessionAffinity",
    "Strategy",
    "StrategyFactory",
    "expected_seconds",
    "strategy_for",
    "with_failures",
]
