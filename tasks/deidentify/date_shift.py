"""Shift a patient's dates by a number of days that only the holder of a key can tell."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from datetime import datetime, timedelta
from pathlib import Path

from panels.text.errors import UsageFault

LEAST_DAYS, MOST_DAYS = 30, 400
_KEY = re.compile(r"[0-9a-f]{64}")
_DAY_FORMS = ("%d-%b-%Y", "%d-%b-%y", "%Y-%b-%d", "%Y-%m-%d", "%d-%m-%Y", "%d/%m/%Y")
_WRITTEN = "%d-%b-%Y"


def read_key(path: Path) -> bytes:
    """Read the key of a study's shifts; one is made, readable by its owner alone, where none is.

    Raises UsageFault for a file that holds something else.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = secrets.token_hex(32)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made + "\n")
            file.flush()
            os.fsync(file.fileno())
    content = path.read_bytes()[:100].decode("ascii", errors="replace").strip()
    if not _KEY.fullmatch(content):
        raise UsageFault(
            f"{path} is no key of date shifts (64 digits from 0 to f). Name another file with "
            f"--key, or one that does not exist yet."
        )
    return bytes.fromhex(content)


def days_back(key: bytes, patient: str) -> int:
    """Give the days by which a patient's dates lie earlier, from 30 to 400, always the same."""
    digest = hmac.new(key, patient.encode(), hashlib.sha256).digest()
    return LEAST_DAYS + int.from_bytes(digest[:8]) % (MOST_DAYS - LEAST_DAYS + 1)


def shifted_day(written: str, days: int) -> str | None:
    """Shift a ``$DATE``; None where it is not written in a form that is known."""
    for form in _DAY_FORMS:
        try:
            day = datetime.strptime(written.strip(), form)  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
        try:
            return (day - timedelta(days=days)).strftime(_WRITTEN).upper()
        except OverflowError:
            return None
    return None


def shifted_moment(written: str, days: int) -> str | None:
    """Shift a ``$BEGINDATETIME`` (ISO 8601); None where it is not written so."""
    try:
        return (datetime.fromisoformat(written.strip()) - timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return None
