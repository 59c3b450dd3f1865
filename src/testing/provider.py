"""The handle a test holds on one simulated provider: its address, its script, what it saw."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec

from .answers import Answer
from .defaults import default_answer
from .faults import Outcome
from .records import RecordedRequest
from .wire import Settings, Wire

__all__ = ["Handler", "SimulatedProvider"]

Handler = Callable[[RecordedRequest], Outcome | Awaitable[Outcome | None] | None]
"""Decides an answer by looking at the request; runs on the simulator's thread. None means the
default answer.
"""


class _Scripted(msgspec.Struct, frozen=True):
    outcome: Outcome
    endpoint: str | None
    model: str | None


class SimulatedProvider:
    """One vendor inside a `SimulatedProviders`. All methods may be called from any thread."""

    def __init__(
        self, wire: Wire, root: str, dead_root: str, connections: Callable[[], int] = lambda: 0
    ) -> None:
        self._wire = wire
        self._connections = connections
        self._root = root
        self._dead_root = dead_root
        self._lock = threading.Lock()
        self._script: collections.deque[_Scripted] = collections.deque()
        self._requests: list[RecordedRequest] = []
        self._always: Outcome | None = None
        self.handler: Handler | None = None

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name} at {self.base_url}, {len(self._requests)} "
            "requests>"
        )

    # --- where it is ------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name of this provider, the first part of its paths."""
        return self._wire.name

    @property
    def kind(self) -> str:
        """The wire format it speaks."""
        return self._wire.kind

    @property
    def base_url(self) -> str:
        """What the vendor's own SDK takes as `base_url`."""
        return f"{self._root}/{self.name}{self._wire.base_path}"

    @property
    def endpoint(self) -> str:
        """The provider's root: what `AzureOpenAI` takes as `azure_endpoint`."""
        return f"{self._root}/{self.name}"

    @property
    def refused_base_url(self) -> str:
        """The same on a port where nothing listens: every connection is refused."""
        return f"{self._dead_root}/{self.name}{self._wire.base_path}"

    # --- what it will answer ----------------------------------------------------------------------

    @property
    def wire(self) -> Wire:
        """The wire format's implementation."""
        return self._wire

    @property
    def settings(self) -> Settings:
        """Switches of this provider; change them with `configure`."""
        return self._wire.settings

    def configure(self, **changes: Any) -> None:
        """Change `Settings`, for instance `configure(require_key="sk-test", models={"gpt-4o"})`."""
        if isinstance(changes.get("models"), set | list | tuple):
            changes["models"] = frozenset(changes["models"])
        self._wire.settings = msgspec.structs.replace(self._wire.settings, **changes)

    def script(
        self, *outcomes: Outcome, endpoint: str | None = None, model: str | None = None
    ) -> None:
        """Queue outcomes, one a request, in order, before the handler and the default are asked.

        Without `endpoint` they go to requests that generate (messages, chat, responses,
        embeddings); with `model` only to requests for that model.
        """
        with self._lock:
            self._script.extend(_Scripted(outcome, endpoint, model) for outcome in outcomes)

    def always(self, outcome: Outcome | None) -> None:
        """Answer whatever nothing else decides with `outcome`; None restores the echo."""
        self._always = outcome

    @property
    def unused(self) -> int:
        """How many scripted outcomes no request has taken yet."""
        return len(self._script)

    # --- what it saw ------------------------------------------------------------------------------

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request so far, oldest first: a copy of the list, but the live records."""
        with self._lock:
            return list(self._requests)

    @property
    def last_request(self) -> RecordedRequest:
        """The newest request; `LookupError` where there was none."""
        with self._lock:
            if not self._requests:
                msg = f"{self.name} has seen no request"
                raise LookupError(msg)
            return self._requests[-1]

    @property
    def open_connections(self) -> int:
        """TCP connections to its server that are open now, idle ones and neighbours' included."""
        return self._connections()

    def reset(self) -> None:
        """Forget requests, script, handler and settings."""
        with self._lock:
            self._script.clear()
            self._requests.clear()
            self._always = None
            self.handler = None
            self._wire.settings = Settings()
            self._wire.forget()

    # --- the server's side ------------------------------------------------------------------------

    def record(self, request: RecordedRequest) -> None:
        """Keep a request and number it."""
        with self._lock:
            self._requests.append(request)
            request.number = len(self._requests)

    def decide(self, request: RecordedRequest) -> Outcome | Awaitable[Outcome | None]:
        """The outcome for a request: script, handler, `always`, then the default answer."""
        scripted = self._take(request)
        if scripted is not None:
            return scripted
        if self.handler is not None:
            chosen = self.handler(request)
            if chosen is not None:
                return chosen
        return self.fallback(request)

    def fallback(self, request: RecordedRequest) -> Outcome:
        """What is answered when neither script nor handler has an opinion."""
        if self._wire.generates(request):
            if self._always is not None:
                return self._always
            return default_answer(self._wire.ask(request))
        return Answer()

    def _take(self, request: RecordedRequest) -> Outcome | None:
        with self._lock:
            for entry in self._script:
                fits = entry.endpoint == request.endpoint or (
                    entry.endpoint is None and self._wire.generates(request)
                )
                if fits and entry.model in {None, request.model}:
                    with contextlib.suppress(ValueError):
                        self._script.remove(entry)
                    return entry.outcome
        return None

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(self.requests)
