"""What calls cost: prices, tokens, and the money between them."""

from __future__ import annotations

from .bounds import Unbounded, Worst, worst_case, worst_embedding
from .cost import cost_of
from .money import PICO, Pico, pico, usd
from .prices.table import ModelInfo, Price, PriceTable, Rates, Step, default_prices
from .tokens.counter import TokenCounter

__all__ = [
    "PICO",
    "ModelInfo",
    "Pico",
    "Price",
    "PriceTable",
    "Rates",
    "Step",
    "TokenCounter",
    "Unbounded",
    "Worst",
    "cost_of",
    "default_prices",
    "pico",
    "usd",
    "worst_case",
    "worst_embedding",
]
