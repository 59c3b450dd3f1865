"""``switchgear chat``: ask, and watch the answer come."""

from __future__ import annotations

import click

from .setup import choose_model, config_option, load_config

__all__ = ["chat"]


@click.command()
@click.argument("prompt", nargs=-1)
@click.option("--model", "-m", help="A group, or provider/model. Default: high-reasoning.")
@config_option
@click.option("--system", "-s", help="Instructions for the model.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="The longest answer, in tokens.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="Sampling temperature.")
@click.option("--timeout", type=float, help="Seconds for the whole call.")
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@click.option("--show-trace", is_flag=True, help="Then show every attempt, on standard error.")
@click.option("--json", "as_json", is_flag=True, help="The whole reply as JSON, trace included.")
def chat(
    prompt: tuple[str, ...],
    *,
    model: str | None,
    config_path: str | None,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    timeout: float | None,
    no_stream: bool,
    show_trace: bool,
    as_json: bool,
) -> None:
    """Ask a question, or have a conversation.

    Asks PROMPT, or what stands on standard input, or both (the prompt first).

    On a terminal and without a PROMPT it is a conversation: Ctrl-D ends it, Ctrl-C stops an
    answer. The answer goes to standard output, everything else to standard error.
    """
    from ..messages import Message
    from .conversation import Talk, converse
    from .questions import as_text, at_keyboard, question
    from .session import Session

    if not prompt and as_json and at_keyboard():
        message = "--json answers one question: give a prompt, or write it to standard input"
        raise click.UsageError(message)
    config = load_config(config_path, model=model)
    chosen = choose_model(config, model)
    options = {"max_tokens": max_tokens, "temperature": temperature, "timeout": timeout}
    with Session(config) as session:
        session.check(chosen)
        talk = Talk(
            session,
            chosen,
            {name: value for name, value in options.items() if value is not None},
            streamed=not no_stream and not as_json,
            traced=show_trace,
            as_json=as_json,
        )
        opening = [Message("system", as_text(system, "--system"))] if system else []
        if not prompt and at_keyboard():
            converse(talk, opening)
        else:
            talk.turn([*opening, Message("user", question(prompt))])
