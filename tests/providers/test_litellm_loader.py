"""Which LiteLLM is let in, and what its import may do."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from switchgear.errors import ConfigError
from switchgear.providers.base import ProviderSettings
from switchgear.providers.litellm import create
from switchgear.providers.litellm_loader import COMPROMISED, VETTED, load
from switchgear.testing import Answer, Fault, SimulatedProviders
from tests.providers.litellm_support import MODELS, VENDORS, settings

pytestmark = pytest.mark.xdist_group("litellm")

SETTINGS = ProviderSettings(name="lite", plugin="litellm")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        pytest.fail(f"{name} was imported")

    monkeypatch.setattr(importlib, "import_module", fail)


def installed(monkeypatch: pytest.MonkeyPatch, release: str | None) -> None:
    def version(name: str) -> str:
        if release is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return release

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_the_vetted_release_is_the_pinned_and_the_installed_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["litellm"] == [f"litellm=={VETTED}"]
    assert importlib.metadata.version("litellm") == VETTED
    assert VETTED not in COMPROMISED


@pytest.mark.parametrize("release", sorted(COMPROMISED))
def test_a_compromised_release_is_refused_before_anything_of_it_is_imported(
    release: str, monkeypatch: pytest.MonkeyPatch, not_imported: None
) -> None:
    installed(monkeypatch, release)
    for attempt in (lambda: create(SETTINGS), lambda: load("lite")):
        with pytest.raises(ConfigError, match=rf"{release} is a compromised release") as caught:
            attempt()
        assert "pip uninstall litellm" in str(caught.value)
        assert "replace every credential" in str(caught.value)
        assert f"litellm=={VETTED}" in str(caught.value)
        assert caught.value.param == "providers.lite.plugin"


def test_without_litellm_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, not_imported: None
) -> None:
    installed(monkeypatch, None)
    with pytest.raises(ConfigError, match=r"pip install 'switchgear\[litellm\]'"):
        create(SETTINGS)


def test_a_release_that_nobody_vetted_is_used_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    installed(monkeypatch, "1.110.0")
    assert load("lite").acompletion
    (message,) = caplog.messages
    assert f"LiteLLM 1.110.0 is not the release that was vetted ({VETTED})" in message
    assert f"pip install 'litellm=={VETTED}'" in message


def test_loading_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_MODE", "DEV")
    before = dict(os.environ)
    load("lite")
    assert dict(os.environ) == before


def test_what_other_code_has_set_for_all_calls_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    litellm = load("lite")
    caplog.clear()
    monkeypatch.setattr(litellm, "drop_params", True)
    monkeypatch.setattr(litellm, "model_fallbacks", ["openai/gpt-4o"])
    load("lite")
    assert "drop_params (parameters are dropped without a word)" in caplog.text
    assert "model_fallbacks (another model may answer)" in caplog.text


SCRIPT = """
import asyncio, json, os, sys

reached = []
def audit(event, args):
    if event == "socket.connect":
        reached.append(str(args[1]))
    elif event == "socket.getaddrinfo":
        reached.append(str(args[0]))
sys.addaudithook(audit)

from switchgear.credentials import Secret
from switchgear.errors import SwitchgearError
from switchgear.messages import Message
from switchgear.providers.base import Call, ProviderSettings
from switchgear.providers.litellm import create
from switchgear.request import ChatRequest

made = []
for vendor, model, base_url in json.loads(sys.argv[1]):
    settings = ProviderSettings(
        name=vendor, plugin="litellm", api_key=Secret("sk-test"), base_url=base_url,
        options={"vendor": vendor},
    )
    made.append((create(settings), model))
    made[-1][0].capabilities(model)
early = "litellm" in sys.modules
before = dict(os.environ)

async def tick():
    global ticks
    ticks = 0
    while True:
        await asyncio.sleep(0.01)
        ticks += 1

async def main():
    ticking = asyncio.create_task(tick())
    same = []
    for provider, model in made:
        call = Call(request=ChatRequest(messages=(Message("user", "Hi"),)), model=model)
        reply = await provider.complete(call)
        stream = await provider.stream(call)
        async for _ in stream:
            pass
        same.append(reply.parts == stream.snapshot().parts)
        broken = await provider.stream(call)
        try:
            async for _ in broken:
                pass
        except SwitchgearError:
            same.append("cut")
        await provider.aclose()
    ticking.cancel()
    await asyncio.wait([ticking])
    return same, [str(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]

same, left = asyncio.run(main())
print(json.dumps({
    "early": early, "same": same, "ticks": ticks, "left": left, "reached": reached,
    "environ": {k: v for k, v in os.environ.items() if before.get(k) != v},
    "dotenv": "FROM_DOTENV" in os.environ,
}))
"""


def test_a_process_that_uses_it_reaches_nobody_but_the_provider_and_ends_quietly(
    simulated_providers: SimulatedProviders, tmp_path: Path
) -> None:
    asked = []
    for kind in VENDORS:
        simulated = simulated_providers[kind]
        answer = Answer(text="Hello, you.")
        simulated.script(answer, answer, Fault.cut(answer=answer, after_chunks=1))
        made = settings(simulated)
        asked.append((made.options["vendor"], MODELS[kind], made.base_url))
    (tmp_path / ".env").write_text("FROM_DOTENV=1\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LITELLM")}
    done = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", SCRIPT, json.dumps(asked)],
        capture_output=True,
        cwd=tmp_path,
        env=environment,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    port = simulated_providers.root_url.rpartition(":")[2]
    assert {place for place in told.pop("reached") if port not in place} <= {"127.0.0.1"}
    assert told.pop("ticks") > 20, "the import held the loop up"
    assert told == {
        "early": False,
        "same": [True, "cut"] * len(VENDORS),
        "left": [],
        "environ": {},
        "dotenv": False,
    }
    noise = [line for line in done.stderr.splitlines() if "switchgear" in line or "ncl" in line]
    assert noise == []
