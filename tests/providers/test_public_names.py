"""What adapters of other packages are built with: it is there, and it stays."""

import ast
from pathlib import Path

import pytest

from switchgear import providers


def test_every_name_is_there() -> None:
    for name in providers.__all__:
        assert getattr(providers, name) is not None, name
    assert set(providers._HOME_OF) <= set(providers.__all__)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(providers.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    names = {
        alias.name
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert names == set(providers.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="SdkWire"):
        _ = providers.SdkWire
