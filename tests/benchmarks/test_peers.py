from __future__ import annotations

import ast
import re
import sys
import tomllib

import pytest

from benchmarks.suite.processes import ROOT
from benchmarks.suite.subjects import SUBJECTS

PEERS = {each.environment: each for each in SUBJECTS.values() if each.environment}
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]


def lock(name: str) -> str:
    return (ROOT / "requirements" / f"bench-{name}.lock").read_text()


@pytest.mark.parametrize("name", [*PEERS, "uvloop"])
def test_a_peers_lock_names_no_host_and_hashes_everything(name: str) -> None:
    text = lock(name)
    assert "://" not in text
    entries = re.split(r"\n(?=\w)", text[text.index("\n\n") if "\n\n" in text else 0 :])
    pinned = re.findall(r"^[\w.-]+==\S+", text, re.MULTILINE)
    assert pinned
    assert all("--hash=sha256:" in each for each in entries if re.match(r"[\w.-]+==", each))


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_locked_at_the_version_that_is_asked_for(name: str) -> None:
    (asked,) = GROUPS[f"bench-{name}"]
    package, _, version = re.sub(r"\[.*\]", "", asked).partition("==")
    assert package == PEERS[name].package
    assert re.search(rf"^{re.escape(package)}=={re.escape(version)} ", lock(name), re.MULTILINE)


def test_litellm_is_none_of_the_compromised_releases() -> None:
    assert GROUPS["bench-litellm"] == ["litellm==1.109.1"]


@pytest.mark.parametrize("name", PEERS)
def test_a_peers_process_needs_nothing_but_the_peer(name: str) -> None:
    folder = ROOT / "benchmarks" / "suite"
    subject = PEERS[name]
    files = [folder / "worker.py", folder / "answers.py", folder / "subjects/__init__.py"]
    files += [folder / "__init__.py", folder / f"subjects/{subject.module}.py"]
    imported = {
        top
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        for top in tops(node)
    }
    module = subject.package.removesuffix("-sdk").replace("-", "_")
    assert imported - sys.stdlib_module_names == {module}


def tops(node: ast.AST) -> list[str]:
    """The outermost packages that an import names, besides our own."""
    if isinstance(node, ast.Import):
        return [each.name.partition(".")[0] for each in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [(node.module or "").partition(".")[0]]
    return []
