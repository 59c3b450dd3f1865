"""`switchgear new-provider`: what it refuses. That what it writes works is in tests/examples."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_it_writes_a_distribution_under_the_given_name(cli: Cli, tmp_path: Path) -> None:
    result = cli("new-provider", "acme-cloud", "--into", str(tmp_path))
    assert result.code == 0
    folder = tmp_path / "switchgear-acme-cloud"
    assert str(folder) in result.out
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {
        "README.md",
        "pyproject.toml",
        "src/switchgear_acme_cloud/__init__.py",
        "src/switchgear_acme_cloud/provider.py",
        "src/switchgear_acme_cloud/py.typed",
        "src/switchgear_acme_cloud/testing.py",
        "tests/test_conformance.py",
        "tests/test_switchgear_acme_cloud.py",
    }
    for path in folder.rglob("*"):
        assert path.is_dir() or "${" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["Acme", "acme_cloud", "-acme", "acme--cloud", "../acme", ""])
def test_a_name_that_would_not_do_is_refused(cli: Cli, tmp_path: Path, name: str) -> None:
    result = cli("new-provider", "--into", str(tmp_path), "--", name)
    assert result.code != 0
    assert "can't be a plugin's name" in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(cli: Cli, tmp_path: Path) -> None:
    result = cli("new-provider", "openai", "--into", str(tmp_path))
    assert result.code != 0
    assert "there is a provider plugin 'openai' already" in result.err


def test_nothing_that_is_there_is_overwritten(cli: Cli, tmp_path: Path) -> None:
    mine = tmp_path / "switchgear-acme" / "README.md"
    mine.parent.mkdir()
    mine.write_text("mine")
    assert cli("new-provider", "acme", "--into", str(tmp_path)).code != 0
    assert mine.read_text() == "mine"


def test_a_folder_that_can_not_be_written_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    result = cli("new-provider", "acme", "--into", str(tmp_path / "a-file"))
    assert result.code != 0
    assert "Traceback" not in result.err
