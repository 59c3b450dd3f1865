"""What the documents show is what the repository holds, and it runs."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from switchgear import Router
from switchgear.testing import SimulatedProviders

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def test_the_smallest_program_is_the_one_in_examples() -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    assert block[1] == (ROOT / "examples/first_call.py").read_text()


def test_the_smallest_program_runs() -> None:
    pytest.importorskip("xllamacpp", reason="the extra 'embedded' is not installed")
    result = subprocess.run(
        [sys.executable, ROOT / "examples/first_call.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "embedded/smollm2-135m" in result.stdout
    assert "answered" in result.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_architecture_names_only_rooms_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for name in re.findall(r"`((?:[a-z_]+/)?[a-z_]+\.py)`", text):
        found = [*ROOT.glob(name), *ROOT.glob(f"src/{name}"), *ROOT.glob(f"src/*/{name}")]
        assert found, name


async def test_the_readmes_calls_run_as_they_stand(
    simulated_providers: SimulatedProviders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = (block for block in blocks if "reply.tool_calls" in block)
    (tmp_path / "switchgear.toml").write_text(
        "\n".join(
            f"[providers.{name}]\napi_key = 'env:ANY_KEY'\nbase_url = '{provider.base_url}'"
            for name, provider in (
                ("anthropic", simulated_providers.anthropic),
                ("openai", simulated_providers.openai),
            )
        )
        + "\n[groups]\nhigh-reasoning = { chain = ['anthropic/claude-haiku-4-5'] }"
        "\nfast-response = { chain = ['openai/gpt-4o-mini'] }\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANY_KEY", "not-a-real-key")

    def look_up(city: str) -> str:
        """Look up a city."""
        return city

    names: dict[str, Any] = {
        "Router": Router,
        "look_up": look_up,
        "messages": [{"role": "user", "content": "hi"}],
    }
    code = f"async def readme():\n{textwrap.indent(block, '    ')}    return reply, vectors, sdk\n"
    exec(code, names)
    reply, vectors, sdk = await names["readme"]()
    assert reply.text
    assert reply.cost is not None
    assert len(vectors) == 2
    assert type(sdk).__name__ == "AsyncAnthropic"


def test_the_readmes_test_file_passes_as_it_stands(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = (block for block in blocks if "switchgear.testing" in block)
    (tmp_path / "test_my_agent.py").write_text(block)
    environ = {**os.environ, "SWITCHGEAR_LEDGER": f"sqlite:{tmp_path / 'ledger.db'}"}
    # In a project of its own, which has set up nothing.
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--quiet"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout
    assert "warning" not in result.stdout
    assert not (tmp_path / "ledger.db").exists()


def test_what_the_readme_starts_is_in_a_clone() -> None:
    text = (ROOT / "README.md").read_text()
    (named,) = re.findall(r"SWITCHGEAR_CONFIG=(\S+)", text)
    assert (ROOT / named).is_file()
    for folder, app in re.findall(r"uvicorn --app-dir (\S+) (\w+):app", text):
        assert (ROOT / folder / f"{app}.py").is_file()
    # Before the first line that needs the environment stands how to have it.
    assert text.index(".venv/bin/activate") < text.index("$ switchgear")


def test_the_commands_that_made_the_figures_are_there() -> None:
    text = (ROOT / "docs/scale.md").read_text()
    modules, tests = (
        re.findall(r"-m benchmarks\.(\w+)", text),
        re.findall(r"tests/[\w/]+\.py", text),
    )
    assert modules
    assert tests
    for path in (*(f"benchmarks/{module}.py" for module in modules), *tests):
        assert (ROOT / path).is_file(), path


def test_all_benchmarks_are_listed_with_how_each_is_started() -> None:
    from benchmarks.__main__ import listed

    found = dict(listed())
    here = {path.stem for path in ROOT.glob("benchmarks/[a-z]*.py")}
    assert {*found} == {f"python -m benchmarks.{name}" for name in here}
    for name, said in found.items():
        assert said.endswith("."), name
        # What is started so must run so.
        source = (ROOT / "benchmarks" / f"{name.rpartition('.')[2]}.py").read_text()
        assert '__name__ == "__main__"' in source
