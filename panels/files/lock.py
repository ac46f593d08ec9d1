"""Prove that what was released still is what was released: strategies, panels and calibrations.

Every release has a line ``name@version sha256`` in the LOCK of its folder. The SHA-256 is that of
the canonical content: the parsed YAML as JSON with sorted keys, so that a comment may be changed
but no number, name or order.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from panels.files.durable import write_durably
from panels.files.user_file import NotReadable, read_user_file
from panels.text.errors import UsageFault
from panels.text.printable import printable

LOCK = "LOCK"
MOST_BYTES = 4_000_000
"""Some 40,000 releases, a hundred bytes each."""
MOST_SHOWN = 60
VERSION = re.compile(r"\d+\.\d+\.\d+")
_LINE = re.compile(r"(?P<pin>[\w./+-]+@\d+\.\d+\.\d+)\s+(?P<sha256>[0-9a-f]{64})", re.ASCII)


def canonical_sha256(content: Any) -> str:
    """Hash the content of a document: layout and comments do not matter, everything else does."""
    text = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def version_order(version: str) -> tuple[int, ...]:
    """Give a version's numbers, so that 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in version.split("."))


def allows(wanted: str, version: str) -> bool:
    """Tell whether a version is one of those wanted: ``1`` allows 1.0.0 and 1.2.3.

    The empty text allows every version.
    """
    return not wanted or f"{version}.".startswith(f"{wanted}.")


def read_locked(folder: Path, fault: type[UsageFault]) -> dict[str, str]:
    """Read the LOCK of a folder: release → SHA-256; empty where there is no LOCK.

    Raises ``fault`` naming the first line that does not belong into a LOCK.
    """
    path = folder / LOCK
    try:
        written = read_user_file(path, MOST_BYTES)
    except FileNotFoundError:
        return {}
    except NotReadable as error:
        raise fault(f"{path}: {error}") from error
    locked: dict[str, str] = {}
    lines = written.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        entry = _LINE.fullmatch(line.strip())
        if entry is None or locked.get(entry["pin"], entry["sha256"]) != entry["sha256"]:
            raise fault(
                f"{path}, line {number}: a release and its SHA-256 are expected, each release "
                f"once, not '{printable(line.strip()[:MOST_SHOWN])}'. "
                f"The LOCK is written by `release` alone: put it back from the backup."
            )
        locked[entry["pin"]] = entry["sha256"]
    return locked


def lock_content(folder: Path, pin: str, sha256: str, fault: type[UsageFault]) -> None:
    """Write the SHA-256 of a release into the LOCK of its folder.

    Raises ``fault`` when the release is there already. Two releases at once are both kept, and the
    LOCK is never seen half-written.
    """
    with _alone_in(folder):
        locked = read_locked(folder, fault)
        if pin in locked:
            raise fault(f"{pin} is already released. Give the change a version of its own.")
        locked[pin] = sha256
        text = "".join(f"{each} {digest}\n" for each, digest in sorted(locked.items()))
        write_durably(folder / LOCK, text.encode("ascii"))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let one release at a time change the LOCK of a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
