"""Resume tokens: secrets of 256 bits of which only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

TOKEN_BYTES = 32


def make_token() -> str:
    """A new token, as text for the wire."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> bytes:
    """What is kept of a token: SHA-256, which needs no salt over 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


def is_one_of(token: str, hashes: Iterable[bytes]) -> bool:
    """Whether a token is one of those whose hashes are kept; takes the same time for every token."""
    asked = hash_of(token)
    found = False
    for kept in hashes:
        found |= hmac.compare_digest(asked, kept)
    return found
