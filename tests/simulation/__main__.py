"""``make simulate``: many seeds, or one with its log."""

# ruff: noqa: T201 - it prints its results

from __future__ import annotations

import argparse
import logging
import sys
import time

from .run import simulate


def main() -> int:
    """Run it; the exit status says whether every invariant held."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, help="replay this one, with its log")
    parser.add_argument("--seeds", type=int, default=2000, help="how many (default: 2000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    given = parser.parse_args()
    # What rogues do wrong is in our own log.
    logging.disable()
    if given.seed is not None:
        return _replay(given.seed)
    return _many(given.first, given.seeds)


def _replay(seed: int) -> int:
    outcome = simulate(seed)
    print(*outcome.log, sep="\n")
    print(f"seed {seed}, hash {outcome.digest}")
    print(outcome.violation or "every invariant held")
    return outcome.violation is not None


def _many(first: int, count: int) -> int:
    began, failed = time.perf_counter(), 0
    behaviours: dict[str, int] = {}
    outcomes: dict[str, int] = {}
    for seed in range(first, first + count):
        outcome = simulate(seed)
        for total, part in ((behaviours, outcome.behaviours), (outcomes, outcome.outcomes)):
            for name, number in part.items():
                total[name] = total.get(name, 0) + number
        if outcome.violation is not None:
            failed += 1
            print(f"seed {seed}: {outcome.violation}\n    make simulate SEED={seed}")
    seconds = time.perf_counter() - began
    for title, total in (("requests that met", behaviours), ("calls that ended", outcomes)):
        ordered = sorted(total.items(), key=lambda item: -item[1])
        print(f"{title}: " + ", ".join(f"{name} {number}" for name, number in ordered))
    print(f"{count} seeds in {seconds:.1f} s, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
