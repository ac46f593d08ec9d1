"""Say where the review pages of a study are served, for as long as they are.

A file in ``.review`` of the study holds the address and is locked by the process that serves. The
lock of a process that was killed ends with it, so that a stale address is never given.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

FOLDER = ".review"
"""Folder of the study that only the account of the review server can open."""
BY_UP, BY_REVIEW = "up.address", "review.address"
REVIEW_URL = "RECONFLOW_REVIEW_URL"
"""Environment variable with the address under which the review pages are served."""
TRIES, PAUSE_SECONDS = 20, 0.05


@contextmanager
def announced(study: Path, name: str, url: str) -> Iterator[None]:
    """Keep an address readable for the block, under ``BY_UP`` or ``BY_REVIEW``.

    Where the file cannot be written, or another process holds it, nothing is announced.
    """
    with ExitStack() as held:
        try:
            file = held.enter_context(_opened(study / FOLDER, name))
        except OSError:
            yield
            return
        if _is_taken(file):
            file.truncate()
            file.write(f"{url}\n".encode())
            file.flush()
        yield


def served_at(study: Path, name: str) -> str | None:
    """Give the address that a running process announced; None when none does, or to this account.

    ``name`` is ``BY_UP`` or ``BY_REVIEW``.
    """
    try:
        with (study / FOLDER / name).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(200).decode("utf-8", "replace").strip() or None
    except OSError:
        return None
    return None


def review_address() -> str | None:
    """Give the http address of the review pages, None where none is known."""
    address = os.environ.get(REVIEW_URL, "").strip()
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and parts.hostname else None


def _opened(folder: Path, name: str) -> IO[bytes]:
    folder.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    return os.fdopen(os.open(folder / name, flags, 0o600), "r+b")


def _is_taken(file: IO[bytes]) -> bool:
    """Lock the file, unless its disk knows no locks; who just looks at it holds it for a moment."""
    for _ in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(PAUSE_SECONDS)
        else:
            return True
    return False
