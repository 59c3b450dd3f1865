"""Opaque tokens that only the simulator can have issued.

Thinking signatures and encrypted reasoning.

The key is a constant, so that a conversation may move between two simulators, as it may between
Anthropic's own API, Bedrock and Vertex.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

__all__ = ["seal", "verify"]

_KEY = b"switchgear simulated providers"
_NONCE = 24


def _mac(nonce: bytes, purpose: str, content: str) -> bytes:
    return hmac.digest(_KEY, nonce + purpose.encode() + b"\0" + content.encode(), hashlib.sha256)


def seal(purpose: str, content: str) -> str:
    """A token that binds `content` to `purpose`; base64, different every time.

    The content is a thinking text or an item's id.
    """
    nonce = secrets.token_bytes(_NONCE)
    return base64.b64encode(nonce + _mac(nonce, purpose, content)).decode()


def verify(token: object, purpose: str, content: str) -> bool:
    """Whether `token` was issued by `seal` for exactly this purpose and content."""
    if not isinstance(token, str):
        return False
    try:
        raw = base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(raw[_NONCE:], _mac(raw[:_NONCE], purpose, content))
