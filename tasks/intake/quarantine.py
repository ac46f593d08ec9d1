"""Write beside each refused file why it was refused, in words a lab technician can act on."""

from collections.abc import Iterator
from pathlib import Path

from panels.files.durable import write_durably
from panels.files.plain_file import regular_sha256
from panels.text.printable import printable

REASON_ENDING = ".reason.txt"
MOST_NAME_BYTES = 200
"""File systems allow 255 bytes a name; endings, numbers and marks of copies are added to it."""
MOST_ENDING_BYTES = 16


def kept_name(name: str) -> str:
    """Give the name under which a file is kept: unchanged, or the beginning of one too long."""
    if len(name.encode()) <= MOST_NAME_BYTES:
        return name
    ending = Path(name).suffix
    if len(ending.encode()) > MOST_ENDING_BYTES:
        ending = ""
    room = MOST_NAME_BYTES - len(f"…{ending}".encode())
    return f"{name.encode()[:room].decode(errors='ignore')}…{ending}"


def like_names(wanted: Path, sha256: str) -> Iterator[Path]:
    """Give a path and others like it: first with the short hash in its name, then with a number."""
    short = Path(kept_name(wanted.name))
    stem, ending = short.stem, short.suffix
    yield wanted
    for mark in ("", *(f"-{n}" for n in range(2, 1000))):
        yield wanted.with_name(f"{stem}.{sha256[:8]}{mark}{ending}")


def reason_path(refused: Path) -> Path:
    """Give the file that says why ``refused`` was refused."""
    return refused.with_name(kept_name(refused.name) + REASON_ENDING)


def write_reason(refused: Path, inbox_path: str, sha256: str, reason: str) -> None:
    """Write the reason beside a refused file; ``inbox_path`` is given in full."""
    text = (
        f"{printable(inbox_path)} was not taken in.\n\n{reason}\n\n"
        f"When this is corrected, drop the file in the inbox again, or run: {_retry(sha256)}\n"
        "Then run: reconflow run (where reconflow up or watch is running, that happens by itself)\n"
    )
    write_durably(reason_path(refused), text.encode())


def remove_reason(quarantine: Path, name: str, sha256: str) -> None:
    """Remove the reason of a file that was refused where it lies, and is refused no longer."""
    for path in like_names(quarantine / kept_name(name), sha256):
        reason = reason_path(path)
        if not reason.is_file():
            return
        if f"{_retry(sha256)}\n" in reason.read_text(encoding="utf-8", errors="replace"):
            reason.unlink()
            return


def withdraw(refused: Path, sha256: str) -> None:
    """Remove a refused file whose bytes lie in the inbox again, with its reason; no other bytes."""
    if refused.is_file() and regular_sha256(refused) == sha256:
        refused.unlink()
    if not refused.exists():
        reason_path(refused).unlink(missing_ok=True)


def _retry(sha256: str) -> str:
    return f"reconflow retry {sha256[:12]}"
