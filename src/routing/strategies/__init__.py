"""Which of a pool's members is tried first, and in what order the others follow.

What a strategy of another package is built with is here too: ``Strategy``, ``StrategySettings``,
``Ordering``, ``Member``, ``PoolContext``, ``Hint``. ``docs/extending.md`` shows one.
"""

from .affinity import AffinitySettings, SessionAffinity
from .base import (
    Hint,
    Member,
    Ordering,
    PoolContext,
    Strategy,
    StrategyFactory,
    StrategySettings,
)
from .cost import Cost
from .expectation import expected_seconds, with_failures
from .latency import Latency
from .least_busy import LeastBusy
from .names import ALIASES, STRATEGIES, strategy_for
from .priority import Priority
from .usage import Usage
from .weighted import Weighted

__all__ = [
    "ALIASES",
    "STRATEGIES",
    "AffinitySettings",
    "Cost",
    "Hint",
    "Latency",
    "LeastBusy",
    "Member",
    "Ordering",
    "PoolContext",
    "Priority",
    "SessionAffinity",
    "Strategy",
    "StrategyFactory",
    "StrategySettings",
    "Usage",
    "Weighted",
    "expected_seconds",
    "strategy_for",
    "with_failures",
]
