"""What settled calls teach about a model's tokens.

A guess by characters is off by a factor that belongs to the model's tokenizer and to what is said
with it. Each settled call tells that factor once more; the median of the last ones corrects the
next guesses. A median moves neither for one strange call nor for a few.
"""

from __future__ import annotations

import statistics
from typing import Final

import msgspec

__all__ = ["Calibration", "Factor"]

_KEPT: Final = 31
"""Calls of each model that count."""

_MODELS: Final = 256
_EVERY: Final = 64
_LEAST_TOKENS: Final = 32
_WIDEST: Final = 8.0
_ENOUGH: Final = 5


class Factor(msgspec.Struct, frozen=True, gc=False):
    """What to multiply a guess with, and how many calls say so."""

    value: float
    calls: int


class _Learned:
    __slots__ = ("asked", "calls", "factor", "ratios")

    def __init__(self) -> None:
        self.ratios: list[float] = []
        self.calls = 0
        self.asked = 0
        self.factor: Factor | None = None


class Calibration:
    """Keeps, for each of at most 256 models, the last 31 ratios of counted to guessed tokens.

    Used from one event loop; another thread may read it.
    """

    __slots__ = ("_models",)

    def __init__(self) -> None:
        self._models: dict[str, _Learned] = {}

    def wants(self, model: str) -> bool:
        """Whether this call's count should be learned: a model's first 31, then one in 64.

        Asking counts the call. Guessing its tokens again costs more than this answer.
        """
        learned = self._models.get(model) or self._new(model)
        learned.asked += 1
        return learned.asked <= _KEPT or learned.asked % _EVERY == 0

    def learn(self, model: str, guessed: int, counted: int) -> None:
        """Take one call in: what was guessed without correction, and what the vendor counted.

        Short prompts, which are mostly overhead, and counts that no tokenizer explains are passed
        over.
        """
        if guessed < _LEAST_TOKENS or not guessed / _WIDEST <= counted <= guessed * _WIDEST:
            return
        learned = self._models.pop(model, None) or self._new(model)
        # In again at the end: the model that was not heard of for longest is the first to go.
        self._models[model] = learned
        learned.ratios.append(counted / guessed)
        del learned.ratios[:-_KEPT]
        learned.calls += 1
        if learned.calls >= _ENOUGH:
            learned.factor = Factor(statistics.median(learned.ratios), learned.calls)

    def factor(self, model: str) -> Factor | None:
        """The correction for a model; ``None`` before five calls have told one."""
        learned = self._models.get(model)
        return learned.factor if learned is not None else None

    def _new(self, model: str) -> _Learned:
        if len(self._models) >= _MODELS:
            del self._models[next(iter(self._models))]
        learned = self._models[model] = _Learned()
        return learned
