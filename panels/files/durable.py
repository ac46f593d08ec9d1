"""Write and move files so that they survive a power cut.

A reader sees the old file or the new one, never a part of one. A name that is on the disk before
its bytes are would be an empty or half file after a power cut, so the order is: write under an
unfinished name, bring the bytes to the disk, rename, bring the folder to the disk.
"""

import errno
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STILL_WRITING_SECONDS = 10.0
UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_NOT_ON_A_SHARE = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EISDIR}
)
"""The errors of a network share that cannot bring a folder to its disk; its server does so by
itself."""


def write_durably(path: Path, content: bytes) -> None:
    """Write a file whole, with the rights of the one it replaces.

    Its folder is made where it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with full_disk_named(path), partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.is_file():
            partial.chmod(path.stat().st_mode & 0o7777)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Name the file in an error of writing; the operating system does not when a disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed ``write_durably`` left in a folder.

    What was written to in the last ten seconds stays: another process may be about to finish it.
    """
    for path in folder.glob(".*.part"):
        if UNFINISHED.fullmatch(path.name) and _rests(path):
            path.unlink(missing_ok=True)


def _rests(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > STILL_WRITING_SECONDS
    except FileNotFoundError:
        return False


def rename_durably(source: Path, target: Path) -> None:
    """Bring the bytes of a file to the disk, then rename it; what lay at ``target`` is replaced.

    It is for files that another program wrote.
    """
    sync_file(source)
    source.replace(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def sync_file(path: Path) -> None:
    """Bring a file's bytes to the disk, without ever waiting for a pipe that took its place."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the file system can."""
    try:
        sync_file(folder)
    except OSError as error:
        if error.errno not in _NOT_ON_A_SHARE:
            raise
