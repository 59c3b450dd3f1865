"""What the simulator saw: one record a request.

Tests read it while the server's thread still writes to it.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["RecordedRequest"]


class RecordedRequest(msgspec.Struct, kw_only=True, eq=False):
    """One request as it arrived, and what became of its answer.

    `body` is the parsed JSON (None for a GET or a body that is no JSON; `raw` has the bytes).
    Header names are lower case. `path` begins behind the provider's name, `full_path` has it.
    `received_at` is `time.monotonic()`. `vendor` is the name of the simulated provider that was
    asked, `kind` its wire format, `endpoint` what the format's `Wire` calls the path: at those
    built in one of `messages, count_tokens, models, chat, responses, embeddings, tags, show,
    version`. `status` is None until the headers went out; `disconnected` says that the client left
    before the end; `finished` that nothing more happens to this request. `refused` is the message
    of the vendor-side check that the request failed, None where it passed.
    """

    vendor: str
    kind: str
    method: str
    path: str
    full_path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes
    received_at: float
    body: Any = None
    endpoint: str = ""
    model: str = ""
    stream: bool = False
    number: int = 0
    request_id: str = ""
    status: int | None = None
    refused: str | None = None
    bytes_sent: int = 0
    events_sent: int = 0
    disconnected: bool = False
    finished: bool = False
    finished_at: float | None = None

    def __repr__(self) -> str:
        """Without headers, which may hold keys."""
        state = "left" if self.disconnected else "done" if self.finished else "open"
        return (
            f"<{self.vendor} #{self.number} {self.method} {self.path} {self.model or '-'} "
            f"{self.status} {state}>"
        )

    def header(self, name: str) -> str | None:
        """The value of a request header, whatever its case."""
        return self.headers.get(name.lower())
