"""``switchgear plugins``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from switchgear.cli.app import run
from switchgear.plugins import GROUPS, SWITCH
from tests.extending.packages import Install, install

if TYPE_CHECKING:
    import pytest

__all__ = ["install"]

SOURCE = "def make(settings): ..."


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["plugins", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def acme(install: Install, **groups: Mapping[str, str]) -> None:
    points = {f"switchgear.{group}": names for group, names in groups.items()}
    install(points, {"acme_plugins.py": SOURCE})


def test_every_group_is_listed_with_what_comes_with_the_library(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "0")
    code, out, err = ran(capsys)
    assert code == 0
    assert all(what in out + err for what in GROUPS.values())
    for name in ("anthropic", "least-busy", "rediss", "postgresql"):
        assert name in out
    assert "no plugins of other packages" in err


def test_plugins_of_other_packages_are_there_with_their_package(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    acme(
        install,
        hooks={"loud": "acme_plugins:make"},
        cache_stores={"memory": "acme_plugins:make"},
    )
    code, out, _ = ran(capsys, "--json")
    found = {(each["group"], each["name"]): each for each in json.loads(out)}
    assert code == 0
    loud = found["switchgear.hooks", "loud"]
    assert (loud["distribution"], loud["built_in"], loud["error"]) == (
        "acme-switchgear 1.0",
        False,
        None,
    )
    ours = found["switchgear.cache_stores", "memory"]
    assert ours["distribution"].startswith("switchgear ")
    assert ours["built_in"]
    assert "acme-switchgear 1.0 also offers 'memory'" in ours["note"]


def test_a_broken_one_is_named_and_is_the_commands_exit_code(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    acme(install, price_sources={"gone": "acme_nowhere:x"})
    code, out, _ = ran(capsys, "--group", "switchgear.price_sources", "--json")
    assert code == 3
    [gone] = json.loads(out)
    assert "'gone' (acme-switchgear 1.0) can't be loaded" in gone["error"]


def test_an_unknown_group_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ran(capsys, "--group", "switchgear.hoks")
    assert code == 2
    assert "switchgear.hooks" in err
