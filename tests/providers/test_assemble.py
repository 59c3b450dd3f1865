"""The common half of the stream decoders."""

from __future__ import annotations

import pytest

from switchgear import MalformedResponseError, OverloadedError, StreamEvent
from switchgear.providers.assemble import SseDecoder


class Decoder(SseDecoder):
    """Takes each event's data as text; some are raised instead."""

    raised: Exception | None = None

    def _event(self, name: bytes, payload: bytes, events: list[StreamEvent]) -> None:
        if payload == b"raise":
            assert self.raised is not None
            raise self.raised
        event = self.assembler.text(0, payload.decode())
        assert event is not None
        events.append(event)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (OverloadedError("busy"), OverloadedError),
        (TypeError("unhashable type: 'dict'"), MalformedResponseError),
        (KeyError("text"), MalformedResponseError),
        (AttributeError("'str' object has no attribute 'get'"), MalformedResponseError),
    ],
)
def test_what_a_dialect_stumbles_over_is_kept_and_nothing_before_it_is_lost(
    raised: Exception, kind: type[Exception]
) -> None:
    decoder = Decoder(provider="p", model="m")
    decoder.raised = raised
    events = decoder.feed(b"data: one\n\ndata: raise\n\ndata: two\n\n")
    assert [event.text for event in events] == ["one"]
    assert type(decoder.error) is kind
    assert decoder.error is raised or decoder.error.__cause__ is raised
