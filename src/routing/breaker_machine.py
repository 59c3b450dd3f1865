"""pybreaker as a state machine that outcomes are reported to, and nothing more.

Its way of wrapping calls is not for us: half-open lets any number of probes through, a late
outcome applies to a state long gone, and its clock is the wall's. So the calls go past it, their
outcomes are handed to it, and its open state ends when it is told so. Its clock is never asked.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pybreaker import CircuitBreaker

__all__ = ["Machine"]

_NOT_NEEDED = frozenset({"redis", "tornado"})


class Machine:
    """One circuit: closed, open or half-open.

    Args:
        name: Whose circuit it is.
        consecutive_failures: A closed circuit opens at that many failures without a success.
        probe_successes: A half-open circuit closes at that many successes, and opens at the first
            failure.

    Attributes:
        sound: Closed, and no failure since the last success: one more changes nothing, so it need
            not be reported.
    """

    __slots__ = ("_circuit", "sound")

    def __init__(self, name: str, *, consecutive_failures: int, probe_successes: int) -> None:
        self._circuit: CircuitBreaker = _pybreaker().CircuitBreaker(
            name=name,
            fail_max=consecutive_failures,
            success_threshold=probe_successes,
            throw_new_error_on_trip=False,
        )
        self.sound = True

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        return self._circuit.current_state

    @property
    def failures_in_a_row(self) -> int:
        """Failures since the last success."""
        return self._circuit.fail_counter

    def succeeded(self) -> None:
        """Report a success. Not for an open circuit: nothing was let through."""
        if not self.sound:
            self._circuit.call(_succeed)
            self._look()

    def failed(self) -> None:
        """Report a failure. Not for an open circuit: nothing was let through."""
        with contextlib.suppress(_FailedError):
            self._circuit.call(_fail)
        self._look()

    def open(self) -> None:
        """Open it, for reasons that only the caller can see."""
        self._circuit.open()
        self._look()

    def half_open(self) -> None:
        """Let an open circuit be probed."""
        self._circuit.half_open()
        self._look()

    def close(self) -> None:
        """Close it, for reasons that only the caller can see; no failure is remembered."""
        self._circuit.close()
        self._look()

    def _look(self) -> None:
        # Nobody else has the circuit, so this stays true until the next report.
        circuit = self._circuit
        self.sound = circuit.current_state == "closed" and not circuit.fail_counter


class _FailedError(Exception):
    """What a failure is to pybreaker."""


def _succeed() -> None:
    pass


def _fail() -> None:
    raise _FailedError


@functools.cache
def _pybreaker() -> ModuleType:
    """The library, without what it would load only because it happens to be installed.

    Where redis is installed, importing pybreaker loads all of it for a storage that is not used
    here: 300–400 ms and 20 MB, against 6 ms. The private copy leaves both modules and
    ``sys.modules`` alone, so an application's own use of them is not touched.
    """
    loaded = sys.modules.get("pybreaker")
    if loaded is not None:
        return loaded
    spec = importlib.util.find_spec("pybreaker")
    if spec is None or spec.loader is None:
        import pybreaker

        return pybreaker

    def light_import(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] in _NOT_NEEDED and name not in sys.modules:
            raise ImportError(name)
        return builtins.__import__(name, *args, **kwargs)

    module = importlib.util.module_from_spec(spec)
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": light_import}
    spec.loader.exec_module(module)
    return module
