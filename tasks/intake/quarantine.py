"""Write beside each refused file why it was refused, in words a lab technician can act on."""

from pathlib import Path

from gating.events import file_sha256
from panels.durable import write_durably

REASON_ENDING = ".reason.txt"


def reason_path(refused: Path) -> Path:
    """Give the file that says why ``refused`` was refused."""
    return refused.with_name(refused.name + REASON_ENDING)


def write_reason(refused: Path, inbox_path: str, sha256: str, reason: str) -> None:
    """Write the reason beside a refused file."""
    text = (
        f"{inbox_path} was not taken in.\n\n{reason}\n\n"
        f"When this is mended, drop the file in the inbox again, or run: reconflow retry {sha256[:12]}\n"
        "Then run: reconflow run (where reconflow up or watch is running, that happens by itself)\n"
    )
    write_durably(reason_path(refused), text.encode())


def withdraw(refused: Path, sha256: str) -> None:
    """Remove a refused file whose very bytes lie in the inbox again, with its reason. Other bytes are left alone."""
    if refused.is_file() and file_sha256(refused) == sha256:
        refused.unlink()
    if not refused.exists():
        reason_path(refused).unlink(missing_ok=True)
