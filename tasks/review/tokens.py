"""Make the tokens with which people open the review pages, and know them again.

Only a salted scrypt hash is kept: whoever reads the store cannot open the pages.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from panels.text.errors import UsageFault
from panels.text.printable import shown
from panels.text.spelling import nearest
from tasks.store.opening import Store
from tasks.store.people import Role, end_person, people_of, save_person, was_anybody_let_in
from tasks.study.folder import Study
from tasks.vocabulary.person import person

WORK, BLOCK, LANES = 2**14, 8, 1
"""The cost of scrypt: 16 MB and some 50 ms a try (RFC 7914)."""
SALT_BYTES, TOKEN_BYTES = 16, 24
NOBODY_LEFT = (
    "Nobody can open the review pages now, here neither: reconflow review add NAME --role approver "
    "--by NAME lets somebody in."
)


def new_token() -> str:
    """Make a token that cannot be guessed, of 32 letters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """Give the salted hash of a token as it is kept."""
    salt = secrets.token_bytes(SALT_BYTES)
    return f"scrypt${WORK}${BLOCK}${LANES}${salt.hex()}${_digest(token, salt, WORK).hex()}"


def let_in(study: Study, name: str, role: Role, *, by: str) -> str:
    """Give somebody a token for the review pages; an earlier one ends. Gives the token.

    Raises UsageFault when a name is none.
    """
    token = new_token()
    with study.store() as store:
        save_person(store, person("name", name), role, token_hash(token), by=person("by", by))
    return token


def shut_out(study: Study, name: str, *, by: str) -> bool:
    """End somebody's token, and tell whether somebody else still has one.

    Raises UsageFault when nobody of that name has one.
    """
    with study.store() as store:
        if not end_person(store, name.strip(), by=person("by", by)):
            known = [each.name for each in people_of(store)]
            listed = f" Known are: {', '.join(known)}." if known else " Nobody has one."
            raise UsageFault(f"'{shown(name)}' has no token{nearest(name, known) or '.'}{listed}")
        return bool(people_of(store))


def nobody_in_words(store: Store) -> str:
    """Say who can open the pages while nobody has a token."""
    if was_anybody_let_in(store):
        return NOBODY_LEFT
    return "Nobody has a token: only this computer can open the review pages."


def is_token(token: str, kept: str) -> bool:
    """Tell whether a token is the one whose hash was kept."""
    kind, work, _, _, salt, digest = kept.split("$")
    if kind != "scrypt":
        return False
    return hmac.compare_digest(_digest(token, bytes.fromhex(salt), int(work)).hex(), digest)


def _digest(token: str, salt: bytes, work: int) -> bytes:
    # What a browser sends may hold halves of letters, which plain UTF-8 cannot write.
    return hashlib.scrypt(token.encode(errors="surrogatepass"), salt=salt, n=work, r=BLOCK, p=LANES)
