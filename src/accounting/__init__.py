"""What calls cost: prices, tokens, and the money between them."""

from __future__ import annotations

from .cost import bound_of, cost_of
from .money import PICO, Pico, pico, usd
from .pricing import ModelInfo, Price, PriceTable, Rates, Step, default_prices
from .tokens import TokenCounter

__all__ = [
    "PICO",
    "ModelInfo",
    "Pico",
    "Price",
    "PriceTable",
    "Rates",
    "Step",
    "TokenCounter",
    "bound_of",
    "cost_of",
    "default_prices",
    "pico",
    "usd",
]
