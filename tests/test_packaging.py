from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
LOCKS = ("demo.lock", "dev.lock", "litellm.lock")
DATA = (".css", ".lua", ".sql", ".toml", ".txt")
HEAVY = ("openai", "anthropic", "ollama", "httpx", "httpx2", "aiohttp", "pydantic", "tiktoken")

# One worker runs all of these, else each worker of a parallel run would build a wheel of its own.
# Building takes seconds, or a minute where everything else is busy too.
pytestmark = [pytest.mark.xdist_group("packaging"), pytest.mark.timeout(180)]

# Modules that need more than the core dependencies to be imported, and what.
BEYOND_CORE = {"switchgear.testing.pytest_plugin": "pytest, which is what loads it"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command as a user's shell would, without what this test run puts in the environment."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# --- what the tree says -------------------------------------------------------------------------


def test_the_packages_listed_are_the_folders_of_src(project: dict[str, Any]) -> None:
    folders = {
        ".".join(["switchgear", *path.parent.relative_to(SRC).parts])
        for path in SRC.rglob("__init__.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == folders


def test_every_folder_with_python_in_it_is_a_package() -> None:
    folders = {path.parent for path in SRC.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_hashes_everything(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    assert re.findall(r"://|--(?:extra-)?index|--find-links|--trusted-host", text) == []
    assert all("--hash=sha256:" in entry for entry in entries(lock).values())


@pytest.mark.parametrize("lock", ["demo.lock", "litellm.lock"])
def test_a_small_lock_is_part_of_the_large_one(lock: str) -> None:
    small, large = (
        {name: pinned(entry) for name, entry in entries(each).items()}
        for each in (lock, "dev.lock")
    )
    assert small.items() <= large.items()


@pytest.mark.parametrize(
    ("lock", "extras", "group"),
    [
        ("demo.lock", ["embedded"], "demo"),
        ("dev.lock", ["bedrock", "embedded", "litellm", "vertex"], "dev"),
        ("litellm.lock", ["litellm"], None),
    ],
)
def test_a_lock_satisfies_pyproject(
    project: dict[str, Any], lock: str, extras: list[str], group: str | None
) -> None:
    wanted = list(project["project"]["dependencies"])
    for extra in extras:
        wanted += project["project"]["optional-dependencies"][extra]
    if group is not None:
        wanted += [line for line in project["dependency-groups"][group] if isinstance(line, str)]
    locked = {name: Version(pinned(entry)) for name, entry in entries(lock).items()}
    for requirement in map(Requirement, wanted):
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def entries(lock: str) -> dict[str, str]:
    """Each package's entry of a lock file, by its canonical name."""
    text = (ROOT / "requirements" / lock).read_text()
    found = re.findall(r"^([A-Za-z0-9][\w.-]*)(==(?:.*\\\n)*.*)$", text, re.MULTILINE)
    return {canonicalize_name(name): entry for name, entry in found}


def pinned(entry: str) -> str:
    match = re.match(r"==([^\s;\\]+)", entry)
    assert match
    return match[1]


# --- what `import switchgear` costs -------------------------------------------------------------


def test_the_import_loads_no_sdk() -> None:
    program = "import json, sys, switchgear; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(run(sys.executable, "-c", program)))
    assert "switchgear" in loaded
    assert loaded.isdisjoint(HEAVY)


# --- what is built ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist of this tree and a wheel built from that sdist, as a release is."""
    copy = tmp_path_factory.mktemp("build") / "switchgear"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "pricing.toml"):
        shutil.copy(ROOT / name, copy)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SRC, copy / "src", symlinks=True, ignore=ignore)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=copy)
    return copy / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh environment that holds the wheel and its declared dependencies only.

    Nothing is downloaded: pip installs the wheel, and each distribution in the closure of its
    requirements is linked from the environment of this test run. What the wheel uses without
    declaring it, our editable install, and the development tools are therefore out of reach.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True)
    bin_ = home / "bin"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", bin_ / "python")
    run(*pip, "install", "--no-index", "--no-deps", wheel)
    (site,) = home.glob("lib/python*/site-packages")
    (ours,) = metadata.distributions(path=[str(site)], name="switchgear")
    for distribution in closure(ours):
        link(distribution, site)
    return bin_


def closure(root: metadata.Distribution) -> list[metadata.Distribution]:
    """All that `root` requires here, directly or through others, without `root` itself."""
    found: dict[tuple[str, str], metadata.Distribution] = {}
    queue = [(root, "")]
    while queue:
        dependant, extra = queue.pop()
        for requirement in map(Requirement, dependant.requires or []):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            distribution = metadata.distribution(requirement.name)
            for wanted in ("", *requirement.extras):
                key = (canonicalize_name(requirement.name), wanted)
                if key not in found:
                    found[key] = distribution
                    queue.append((distribution, wanted))
    return list({name: distribution for (name, _), distribution in found.items()}.values())


def link(distribution: metadata.Distribution, site: Path) -> None:
    tops = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
    for top in tops:
        source = Path(str(distribution.locate_file(top)))
        if not (site / top).exists():
            (site / top).symlink_to(source)


def test_the_sdist_and_the_wheel_hold_the_package_and_its_data(
    dist: Path, wheel: Path, project: dict[str, Any]
) -> None:
    modules = {path.relative_to(SRC).as_posix() for path in SRC.rglob("*.py")}
    data = {"py.typed", "accounting/pricing.toml"}
    with zipfile.ZipFile(wheel) as archive:
        held = {n.removeprefix("switchgear/") for n in archive.namelist() if ".dist-info/" not in n}
        prices = archive.read("switchgear/accounting/pricing.toml")
    assert held >= modules | data
    assert {name for name in held - modules - data if not name.endswith(DATA)} == set()
    assert {name for name in held if name.endswith(DATA)} == {
        path.relative_to(SRC).as_posix() for path in SRC.rglob("*") if path.suffix in DATA
    }
    assert prices == (ROOT / "pricing.toml").read_bytes()

    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive_:
        top = f"switchgear-{project['project']['version']}"
        member = archive_.getmember(f"{top}/src/accounting/pricing.toml")
        assert member.isfile()
        assert {f"{top}/src/{name}" for name in modules | data} <= set(archive_.getnames())


def test_every_entry_point_leads_to_something(installed: Path) -> None:
    program = """
import importlib.metadata
for point in importlib.metadata.distribution("switchgear").entry_points:
    if point.group != "pytest11":
        assert callable(point.load()), point
"""
    run(installed / "python", "-c", program)


def test_the_wheel_imports_whole_with_its_declared_dependencies_alone(installed: Path) -> None:
    program = f"""
import importlib, importlib.util, pkgutil, sys, warnings
warnings.filterwarnings("error", module=r"switchgear(\\.|$)")
import switchgear
assert switchgear.__file__.startswith(sys.prefix), switchgear.__file__
assert importlib.util.find_spec("pytest") is None
for found in pkgutil.walk_packages(switchgear.__path__, "switchgear."):
    if found.name not in {set(BEYOND_CORE)!r}:
        importlib.import_module(found.name)
        print(found.name)
"""
    imported = run(installed / "python", "-c", program).split()
    assert "switchgear.messages" in imported
    assert "switchgear.providers.anthropic" in imported


def test_the_command_says_its_version(installed: Path, project: dict[str, Any]) -> None:
    assert project["project"]["version"] in run(installed / "switchgear", "--version")
