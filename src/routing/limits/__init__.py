"""Rate limits: requests, tokens and calls under way, for each provider, model and key.

A call asks `Limiter.try_reserve` before it is sent. Where there is room it gets a `Lease`, which
`settle`s what it really used; where there is none it learns for how long, and moves on to another
candidate, or waits its turn with `Limiter.reserve`.

Two kinds of buckets have to agree. Those of the configured rules are pure bookkeeping: what was
sent, what was used, what came back with time. Those of the provider follow its rate headers, which
know of limits that nobody configured, of other programs with the same key, and of another way of
counting; they can only narrow what the rules allow. On top of both, an error's ``retry-after``
stops a model until then.

Why aiolimiter does not pace the requests here, though it is good at that. (1) A call needs all of
its buckets or none: a request slot that `AsyncLimiter.acquire` has given cannot be given back when
the tokens are missing. (2) It has no wait that could be compared with a deadline or another
candidate. (3) Its waiters are ordered by amount, and a newcomer may take what a woken one was about
to. (4) Its capacity is fixed, so neither headers nor ``retry-after`` can shrink it. (5) It reads
the loop's clock, not the router's. With two buckets more or less of one class, a second mechanism
would only be a second set of edge cases.
"""

from __future__ import annotations

from ...config.limits import LimitRule
from .lease import Lease, NoRoom
from .limiter import Limiter, LimitHealth
from .measures import Need

__all__ = ["Lease", "LimitHealth", "LimitRule", "Limiter", "Need", "NoRoom"]
