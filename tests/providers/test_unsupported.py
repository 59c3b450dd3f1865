from __future__ import annotations

from typing import Any

import pytest

from switchgear.errors import UnsupportedParameterError
from switchgear.providers.unsupported import Unexpressed


def notes(unsupported: Any = None) -> Unexpressed:
    return Unexpressed(unsupported, "claude", "haiku")


@pytest.mark.parametrize(
    ("unsupported", "raises"),
    [
        (None, {"meaning"}),
        ("warn", set()),
        ("raise", {"knob", "meaning", "approximate"}),
    ],
)
def test_what_raises_and_what_warns(unsupported: Any, raises: set[str]) -> None:
    for kind in ("knob", "meaning", "approximate"):
        taken = notes(unsupported)
        if kind in raises:
            with pytest.raises(UnsupportedParameterError) as error:
                getattr(taken, kind)("tools", "it has none")
            assert error.value.param == "tools"
            assert error.value.provider == "claude"
            assert error.value.model == "haiku"
            assert "it has none" in error.value.message
            assert taken.warnings == ()
        else:
            getattr(taken, kind)("tools", "it has none")
            (line,) = taken.warnings
            assert line.startswith("tools: ")
            assert line.endswith("it has none")


def test_a_plain_knob_needs_no_reason() -> None:
    taken = notes()
    taken.knob("seed")
    assert taken.warnings == ("seed: left out: haiku does not take it",)


def test_a_note_is_never_an_error() -> None:
    taken = notes("raise")
    taken.note("messages: merged")
    assert taken.warnings == ("messages: merged",)


def test_each_line_once_and_in_order() -> None:
    taken = notes()
    for param in ("seed", "stop", "seed"):
        taken.knob(param)
    assert [line.split(":")[0] for line in taken.warnings] == ["seed", "stop"]
