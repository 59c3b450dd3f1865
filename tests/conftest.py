from __future__ import annotations

import asyncio

# Where no loop was ever set, pytest-asyncio's look at "the loop before" makes one on Python 3.11
# to 3.13 that nobody closes, and `filterwarnings = error` then fails the run at its very end.
asyncio.set_event_loop(None)
