"""What every provider must do, as a published, numbered list of checks.

Whoever writes an adapter holds it against them, in a test run::

    from switchgear.testing.conformance import Conformance, Subject


    class TestMine(Conformance):
        def subject(self, simulated):
            endpoint = simulated.add(MineWire, name="mine")
            return Subject(factory=create, model="mine-large", endpoint=endpoint, name="mine")

or without pytest::

    with SimulatedProviders(wires={"mine": MineWire}) as simulated:
        subject = Subject(factory=create, model="mine-large", endpoint=simulated["mine"])
        print(report(await run(subject)))

or on the command line against the real thing: ``switchgear conformance mine/mine-large``.

``MineWire`` plays the vendor: a ``switchgear.testing.Wire``. Where the provider needs no vendor,
its endpoint is ``"in-process"``; against a ``"real"`` one the checks that need a script are not
tried.
"""

from __future__ import annotations

from .catalogue import CHECKS
from .check import Cannot, Check, Failed, NotTried, Result
from .reporting import listing, matrix, report, rows, summary
from .running import failures, judge, run
from .subject import Endpoint, Subject
from .suite import Conformance
from .trial import Streamed, Trial

__all__ = [
    "CHECKS",
    "Cannot",
    "Check",
    "Conformance",
    "Endpoint",
    "Failed",
    "NotTried",
    "Result",
    "Streamed",
    "Subject",
    "Trial",
    "failures",
    "judge",
    "listing",
    "matrix",
    "report",
    "rows",
    "run",
    "summary",
]
