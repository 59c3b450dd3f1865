from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.config.lines import line_numbers, show_path

TEXT = '''\
timeout = 5  # [not.a.table]
"quoted key" = 1
a.b."c.d" = 2

[groups.g]
text = """
[x]
\\""" y = 1
"""
raw = \'\'\'
z = 1\'\'\'
chain = [
  "one", # two = [
  ["three",
   "four"],
  { model = "five", extra = { k = [1, 2] } },
]

[[list.of]]
k = 1
[[list.of]]
k = 2
[list.of.deep]
j = 3.5
[last]
d = 1979-05-27 07:32:00
e = 'it''s'
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("timeout",), 1),
        (("quoted key",), 2),
        (("a",), 3),
        (("a", "b", "c.d"), 3),
        (("groups",), 5),
        (("groups", "g"), 5),
        (("groups", "g", "text"), 6),
        (("groups", "g", "raw"), 10),
        (("groups", "g", "chain"), 12),
        (("groups", "g", "chain", 0), 13),
        (("groups", "g", "chain", 1, 0), 14),
        (("groups", "g", "chain", 1, 1), 15),
        (("groups", "g", "chain", 2, "model"), 16),
        (("groups", "g", "chain", 2, "extra", "k", 1), 16),
        (("list", "of"), 19),
        (("list", "of", 0, "k"), 20),
        (("list", "of", 1, "k"), 22),
        (("list", "of", 1, "deep", "j"), 24),
        (("last", "d"), 26),
    ],
)
def test_a_key_is_found_on_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert line_numbers(TEXT)[path] == line


def test_what_stands_in_strings_and_comments_is_no_key() -> None:
    assert not {("not",), ("x",), ("two",), ("z",), ("groups", "g", "y")} & set(line_numbers(TEXT))


def test_every_value_of_the_tour_has_a_line() -> None:
    import tomllib

    text = (Path(__file__).parents[2] / "examples" / "switchgear.toml").read_text()
    lines = line_numbers(text)

    def paths(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
        pairs: Any = ()
        if isinstance(value, dict):
            pairs = value.items()
        elif isinstance(value, list):
            pairs = enumerate(value)
        return [path, *(p for key, inner in pairs for p in paths(inner, (*path, key)))]

    assert not [path for path in paths(tomllib.loads(text), ())[1:] if path not in lines]


@given(st.text(alphabet="[]{}=,.\"'#\\\n ab1", max_size=40))
def test_any_text_is_read_to_its_end(text: str) -> None:
    assert all(line >= 1 for line in line_numbers(text).values())


def test_a_path_is_shown_as_one_would_write_it() -> None:
    path = ("groups", "my group", "chain", 1, "model")
    assert show_path(path) == 'groups."my group".chain[1].model'
