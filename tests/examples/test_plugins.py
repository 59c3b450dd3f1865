"""Plugins of other packages: the examples and a new skeleton, installed where nobody helps them.

The scratch environment sees the packages of the one that runs this, but for the plugins themselves:
they are installed there by pip, from copies of their folders.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from switchgear.cli.scaffold import scaffold

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ("echo", "gemini")
NEW = "acme-cloud"

# One worker does the installing, which takes some seconds.
pytestmark = [pytest.mark.xdist_group("plugins"), pytest.mark.timeout(240)]


class Scratch:
    """An environment, and the folders of what is installed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON"))}
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd or self.folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    def switchgear(self, *arguments: str, cwd: Path | None = None) -> str:
        code = "import sys; from switchgear.cli import main; sys.exit(main())"
        done = self.run("-c", code, *arguments, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    here = Scratch(tmp_path_factory.mktemp("plugins"))
    venv.create(here.folder / "env", with_pip=False)
    # Through addsitedir, so that what is installed in editable form is seen as well.
    packages = here.run(
        "-c", "import sysconfig; print(sysconfig.get_path('purelib'), end='')"
    ).stdout
    lines = [f"import site; site.addsitedir({each!r})" for each in site.getsitepackages()]
    Path(packages, "parent.pth").write_text("\n".join(lines))
    for name in EXAMPLES:
        shutil.copytree(
            ROOT / "examples" / f"switchgear-{name}",
            here.folder / f"switchgear-{name}",
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"),
        )
    scaffold(NEW, here.folder)
    folders = [f"./switchgear-{name}" for name in (*EXAMPLES, NEW)]
    options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(here.python), "install", *options, *folders],
        cwd=here.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return here


def test_what_is_installed_is_found(scratch: Scratch) -> None:
    listed = json.loads(scratch.switchgear("providers", "--json"))
    found = {plugin["name"]: plugin for plugin in listed}
    for name in (*EXAMPLES, NEW):
        assert found[name]["error"] is None
        assert found[name]["distribution"] == f"switchgear-{name} 0.1.0"
        assert not found[name]["built_in"]


def test_it_can_be_turned_off(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHGEAR_PLUGINS", "0")
    listed = json.loads(scratch.switchgear("providers", "--json"))
    assert not {plugin["name"] for plugin in listed} & {*EXAMPLES, NEW}


def test_it_answers_where_a_configuration_names_it(scratch: Scratch) -> None:
    config = scratch.folder / "switchgear.toml"
    config.write_text(
        '[providers.parrot]\nplugin = "echo"\n\n[groups.pets]\nchain = ["parrot/green"]\n\n'
        '[ledger]\nurl = "memory:"\n'
    )
    said = scratch.switchgear("chat", "--config", str(config), "--model", "pets", "Polly?")
    assert said == "Polly?\n"


@pytest.mark.parametrize("name", [*EXAMPLES, NEW])
def test_its_own_tests_pass(scratch: Scratch, name: str) -> None:
    done = scratch.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=scratch.folder / f"switchgear-{name}"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
