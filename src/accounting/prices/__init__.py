"""What a token costs: the package's table, a user's own, and what price sources bring.

What a price source of another package is built with is here: ``PriceSource``,
``PriceSourceSettings``. ``docs/extending.md`` shows one.
"""

from .source import PriceSource, PriceSourceSettings

__all__ = ["PriceSource", "PriceSourceSettings"]
