"""The real command on a pseudo-terminal, driven as a person drives it."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

COMMAND = (sys.executable, "-c", "from switchgear.cli import main; main()")

CTRL_C = "\x03"
CTRL_D = "\x04"

CONFIGURING = frozenset(
    {
        "ANTHROPIC_API_KEY",
        "COLUMNS",
        "FORCE_COLOR",
        "LINES",
        "NO_COLOR",
        "OLLAMA_HOST",
        "OPENAI_API_KEY",
        "SWITCHGEAR_CONFIG",
        "TTY_COMPATIBLE",
        "TTY_INTERACTIVE",
    }
)

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>])")

_PROMPT = re.compile(r"^> ", re.MULTILINE)


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would configure the command."""
    kept = {name: value for name, value in os.environ.items() if name not in CONFIGURING}
    return {**kept, **more}


class Terminal:
    """``switchgear ARGUMENTS`` with a terminal of its own for input, output and errors."""

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        environ: Mapping[str, str],
        columns: int = 80,
        command: Sequence[str] = COMMAND,
        piped_output: bool = False,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=slave,
            stdout=subprocess.PIPE if piped_output else slave,
            stderr=slave,
            cwd=folder,
            env={"TERM": "xterm-256color", **environ},
            start_new_session=True,
            # Only a controlling terminal turns Ctrl-C into a signal. One call into the kernel is
            # safe beside threads.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(slave)
        self.raw = ""
        # What is read may end inside a character.
        self._decode = codecs.getincrementaldecoder("utf-8")().decode

    @property
    def screen(self) -> str:
        """Everything shown so far, without colours."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def wait_for(self, text: str, *, times: int = 1, timeout: float = 30) -> None:
        """Until the text has been shown that often."""
        deadline = time.monotonic() + timeout
        while self.screen.count(text) < times:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                message = f"{text!r} did not appear; the screen:\n{self.screen}"
                raise AssertionError(message)

    def wait_for_prompt(self, number: int) -> None:
        """Until the prompt is there for that many-th time.

        Keys pressed before it may be lost: the terminal drops them when it changes its mode.
        """
        deadline = time.monotonic() + 30
        while len(_PROMPT.findall(self.screen)) < number:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                message = f"no prompt {number}; the screen:\n{self.screen}"
                raise AssertionError(message)

    def end(self, *, timeout: float = 30) -> int:
        """Until the command ends; its exit code."""
        deadline = time.monotonic() + timeout
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def end_by_ctrl_c(self) -> int:
        """Press Ctrl-C at the prompt; the exit code.

        More than once, if need be: Python loses a signal that comes while readline is about to
        wait for the next key, and takes note of it with the next signal.
        """
        for _ in range(3):
            self.press(CTRL_C)
            # Long enough for a busy machine: a second one would break off what the first began.
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.end(timeout=15)
        message = f"Ctrl-C does not end it; the screen:\n{self.screen}"
        raise AssertionError(message)

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0, patience))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux's way of saying that the other end has closed
            return False
        self.raw += self._decode(data)
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        with contextlib.suppress(OSError):
            os.close(self._master)
