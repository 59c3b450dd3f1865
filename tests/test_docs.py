"""What the documents show is what the repository holds, and it runs."""

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
