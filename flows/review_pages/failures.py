"""Note what the review server did not foresee: one line on stderr, the traceback in a file.

Page, line and file share a reference. The file lies in ``.review`` of the study, which only the
server's own account can open: messages of libraries may quote what a person sent.
"""

from __future__ import annotations

import os
import secrets
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response

from flows.review_pages.announced import FOLDER
from flows.review_pages.protection import Next, refusal
from flows.review_pages.words import UNFORESEEN
from panels.text.printable import shown
from panels.text.quoting import unexpected
from tasks.store.opening import utc_now

LOG, EARLIER = "failures.log", "failures.1.log"
MOST_BYTES = 1_000_000
"""A log that is longer becomes ``failures.1.log``, in place of the one that was."""


def reported(study: Path) -> Callable[[Request, Next], Awaitable[Response]]:
    """Make the step that answers what no other part of the server foresaw."""

    async def passed(request: Request, call_next: Next) -> Response:
        try:
            return await call_next(request)
        except Exception as error:  # noqa: BLE001 - a server outlives any one call
            call = f"{request.method} {shown(request.url.path, 120)}"
            reference = note_failure(study, call, error)
            return refusal(500, f"{UNFORESEEN} Its reference is {reference}.")

    return passed


def note_failure(study: Path, call: str, error: Exception) -> str:
    """Write the traceback of an error into the log, and one line to stderr; gives the reference.

    ``call`` says at what the server was.
    """
    reference = secrets.token_hex(4)
    told = "".join(traceback.format_exception(error))
    try:
        _append(study / FOLDER, f"{utc_now()} {reference} {call}\n{told}\n")
        where = f"the traceback is in {FOLDER}/{LOG} of the study"
    except OSError as fault:
        where = f"the traceback could not be kept ({fault.strerror})"
    sys.stderr.write(
        f"reconflow: The review server failed at {call} (reference {reference}): "
        f"{unexpected(error)}; {where}.\n"
    )
    return reference


def _append(folder: Path, text: str) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / LOG
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        path.replace(folder / EARLIER)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8", errors="replace") as file:
        file.write(text)
