"""What the configuration will take one day and this version does not serve yet.

This is the one list of it. A key that were accepted and not served would be a promise broken in
silence (a budget that does not hold), so each is an error until the entry here is removed.
"""

from __future__ import annotations

__all__ = ["SECTIONS"]

SECTIONS: dict[str, str] = {
    "server": "the HTTP gateway",
}
"""Top-level keys, and what each is."""
