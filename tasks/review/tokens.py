"""Make the tokens with which people open the review pages, and know them again.

Only a salted scrypt hash is kept: whoever reads the store cannot open the pages.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

WORK, BLOCK, LANES = 2**14, 8, 1
"""The cost of scrypt: 16 MB and some 50 ms a try (RFC 7914)."""
SALT_BYTES, TOKEN_BYTES = 16, 24


def new_token() -> str:
    """Make a token that cannot be guessed, of 32 letters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """Give the salted hash of a token as it is kept."""
    salt = secrets.token_bytes(SALT_BYTES)
    return f"scrypt${WORK}${BLOCK}${LANES}${salt.hex()}${_digest(token, salt, WORK).hex()}"


def is_token(token: str, kept: str) -> bool:
    """Tell whether a token is the one whose hash was kept."""
    kind, work, _, _, salt, digest = kept.split("$")
    if kind != "scrypt":
        return False
    return hmac.compare_digest(_digest(token, bytes.fromhex(salt), int(work)).hex(), digest)


def _digest(token: str, salt: bytes, work: int) -> bytes:
    return hashlib.scrypt(token.encode(), salt=salt, n=work, r=BLOCK, p=LANES)
