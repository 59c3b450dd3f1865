"""Time the import, and list the benchmarks that are started one by one: `python -m benchmarks`.

The others need minutes, a quiet machine, or servers from the wheels of the tests.
"""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from . import import_time


def listed() -> Iterator[tuple[str, str]]:
    """Each benchmark's command, and in a line what it measures. None of them is imported."""
    folder = Path(__file__).parent
    for module in pkgutil.iter_modules([str(folder)]):
        if not module.name.startswith("_"):
            source = (folder / f"{module.name}.py").read_text(encoding="utf-8")
            said = ast.get_docstring(ast.parse(source)) or ""
            yield f"python -m benchmarks.{module.name}", said.partition("\n")[0]


def main() -> None:
    """Run the one that takes seconds, and say how the others are started."""
    import_time.main()
    print("\nEach by itself, with --help for its options (import_time has none):")
    for command, said in listed():
        print(f"  {command:<36}{said}")


if __name__ == "__main__":
    main()
