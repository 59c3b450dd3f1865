"""Prints what the adapters that come with the library can and can't do, as a Markdown table."""

from __future__ import annotations

import asyncio
import sys

from ..server import SimulatedProviders
from .builtin import builtin
from .reporting import matrix
from .running import run

__all__ = ["main"]


def main() -> None:
    """Hold each of them against all checks, at simulated vendors, and print the table."""
    with SimulatedProviders() as simulated:
        columns = {name: asyncio.run(run(subject)) for name, subject in builtin(simulated).items()}
    sys.stdout.write(f"{matrix(columns)}\n")


if __name__ == "__main__":
    main()
