"""The face of the package: everything a user needs, and nothing that is not there."""

import ast
import subprocess
import sys
from pathlib import Path

import switchgear


def test_every_exported_name_is_there() -> None:
    for name in switchgear.__all__:
        assert getattr(switchgear, name) is not None, name


def test_the_list_is_sorted_and_complete() -> None:
    assert list(switchgear.__all__) == sorted(switchgear.__all__)
    assert set(switchgear._HOME_OF) == set(switchgear.__all__)
    assert set(switchgear.__all__) <= set(dir(switchgear))


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(switchgear.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    names = {
        alias.name
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert names == set(switchgear.__all__)


def test_every_error_is_exported() -> None:
    from switchgear import errors

    assert set(errors.__all__) <= set(switchgear.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    code = "import switchgear; switchgear.Rooter"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "has no attribute 'Rooter'" in result.stderr
