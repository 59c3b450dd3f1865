"""LiteLLM's YAML as its proxy reads it: includes, numbers that look like strings, broken files."""

from __future__ import annotations

import builtins
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from switchgear import ConfigError
from switchgear.cli.migration.findings import Findings
from switchgear.cli.migration.reading import Section, Source, named_variables, number, read_yaml


def section(data: object, **environ: str) -> Section:
    return Section(data, "s", Source(Findings(), environ))


def test_included_files_are_part_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "include: [models.yaml]\nmodel_list: [{model_name: a}]\nrouter_settings: {timeout: 3}"
    )
    (tmp_path / "models.yaml").write_text(
        "model_list: [{model_name: b}]\nrouter_settings: {num_retries: 1}"
    )
    found = read_yaml(tmp_path / "config.yaml")
    assert [each["model_name"] for each in found["model_list"]] == ["a", "b"]
    assert found["router_settings"] == {"timeout": 3, "num_retries": 1}


@pytest.mark.parametrize("text", ["- a\n- b", "", "a: [1", "a: !!python/object:os.system {}"])
def test_what_is_no_configuration_is_an_error_without_the_files_words(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"{text}\n# sk-secret")
    with pytest.raises(ConfigError, match=str(path)) as caught:
        read_yaml(path)
    assert "sk-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't read .*nothing\.yaml"):
        read_yaml(tmp_path / "nothing.yaml")


def test_without_a_library_for_yaml_the_way_out_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *args: object, **kwargs: object) -> object:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "yaml", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match="pip install pyyaml"):
        read_yaml(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("3e-6", Decimal("3e-6")),
        (0.1, Decimal("0.1")),
        ("7", Decimal(7)),
        (True, None),
        ("x", None),
    ],
)
def test_numbers_are_taken_as_they_are_written(written: object, found: Decimal | None) -> None:
    assert number(written) == found


def test_what_nobody_takes_is_said() -> None:
    one = section({"a": 1, "b": None, "c": 2})
    assert one.take("a") == 1
    one.close()
    assert [remark.path for remark in one.findings.lost] == ["s.c"]


def test_references_are_in_our_form_wherever_they_stand() -> None:
    one = section({"a": {"x": ["os.environ/ONE", 2]}, "n": "os.environ/TWO"}, TWO="30")
    assert one.option("a") == {"x": ["env:ONE", 2]}
    assert one.seconds("n") == 30
    assert set(one.findings.variables) == {"ONE"}


def test_every_variable_of_a_file_is_known() -> None:
    assert named_variables({"a": ["os.environ/A", {"b": " os.environ/B_1 "}], "c": 3}) == {
        "A",
        "B_1",
    }
