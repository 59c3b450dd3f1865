"""Run every benchmark: `python -m benchmarks`."""

from __future__ import annotations

from . import import_time


def main() -> None:
    """Run them one after the other, each printing its own result."""
    import_time.main()


if __name__ == "__main__":
    main()
