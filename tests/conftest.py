from __future__ import annotations

import asyncio
import os

# Where no loop was ever set, pytest-asyncio's look at "the loop before" makes one on Python 3.11
# to 3.13 that nobody closes, and `filterwarnings = error` then fails the run at its very end.
asyncio.set_event_loop(None)

# A router that is not told otherwise keeps a ledger in this user's home; tests that are not about
# it keep theirs in memory.
os.environ["SWITCHGEAR_LEDGER"] = "memory:"
