"""Packages as if they were installed: a folder on the path, with its metadata."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

__all__ = ["Install", "install"]

Install: TypeAlias = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package: ``install(entry_points, {"acme/hook.py": source})``."""
    before = {*sys.modules}

    def package(
        entry_points: Mapping[str, Mapping[str, str]],
        files: Mapping[str, str],
        *,
        name: str = "acme-switchgear",
        version: str = "1.0",
    ) -> Path:
        site = tmp_path / f"site-{name}"
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        groups = (
            "\n".join((f"[{group}]", *(f"{key} = {target}" for key, target in points.items())))
            for group, points in entry_points.items()
        )
        (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
        for path, source in files.items():
            file = site / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        monkeypatch.setattr(sys, "path", [str(site), *sys.path])
        importlib.invalidate_caches()
        return site

    yield package
    for module in {*sys.modules} - before:
        if (getattr(sys.modules[module], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[module]
