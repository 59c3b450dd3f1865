"""A router whose loop rests between the turns of a conversation."""

from __future__ import annotations

import logging
import time

import pytest

from switchgear import Completion, Config, InvalidRequestError
from switchgear.cli.session import Session
from switchgear.testing import SimulatedProviders


def config_for(simulated: SimulatedProviders) -> Config:
    settings = {"api_key": "env:SIMULATED"}
    vendors = ("anthropic", "openai", "ollama")
    providers = {name: {**settings, "base_url": simulated[name].base_url} for name in vendors}
    del providers["ollama"]["api_key"]
    return Config.from_dict({"providers": providers}, environ={"SIMULATED": "any"})


def ask(session: Session, model: str) -> Completion:
    return session.run(session.router.complete(model, "hi"))


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "anthropic/claude-x", "ollama/llama3"])
def test_a_connection_that_was_closed_during_the_rest_is_not_used(
    simulated_providers: SimulatedProviders, model: str
) -> None:
    with Session(config_for(simulated_providers)) as session:
        ask(session, model)
        simulated_providers.reset()  # drops every connection
        reply = ask(session, model)
    assert [step.outcome for step in reply.trace.steps] == ["answered"]


def test_a_target_is_checked_without_a_call(simulated_providers: SimulatedProviders) -> None:
    with Session(config_for(simulated_providers)) as session:
        session.check("openai/gpt-4o-mini")
        with pytest.raises(InvalidRequestError):
            session.check("nobody/x")
    assert simulated_providers.requests == []


def test_nothing_stays_open(simulated_providers: SimulatedProviders) -> None:
    with Session(config_for(simulated_providers)) as session:
        ask(session, "openai/gpt-4o-mini")
        assert simulated_providers.open_connections == 1
    deadline = time.monotonic() + 30
    while simulated_providers.open_connections and time.monotonic() < deadline:
        simulated_providers.wait_until_idle()  # the server sees the end a moment later
    assert simulated_providers.open_connections == 0


def test_what_the_library_warns_of_is_shown_when_the_work_is_over(
    simulated_providers: SimulatedProviders, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> str:
        logging.getLogger("switchgear.accounting").warning("the books are %s", "shut")
        logging.getLogger("switchgear.routing").warning("a matter of the trace")
        return capsys.readouterr().err  # in the middle of an answer's line, for instance

    with Session(config_for(simulated_providers)) as session:
        assert session.run(work()) == ""
        assert capsys.readouterr().err == "warning: the books are shut\n"
        logging.getLogger("switchgear.budgets").warning("from a thread, during a rest")
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "warning: from a thread, during a rest\n"


def test_it_is_shown_also_where_the_work_fails(
    simulated_providers: SimulatedProviders, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        logging.getLogger("switchgear.state").warning("the state is away")
        raise InvalidRequestError("no")

    with Session(config_for(simulated_providers)) as session, pytest.raises(InvalidRequestError):
        session.run(work())
    assert capsys.readouterr().err == "warning: the state is away\n"
