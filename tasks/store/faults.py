"""Describe what a database or a disk refused, and which process or disk is the cause."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from panels.text.errors import StoreBusy, StoreFault

LOCKS = Path("/proc/locks")
_FULL_BELOW_BYTES = 1 << 20
"""A disk with less free space is taken for full: SQLite only reports "disk I/O error"."""
_BUSY = ("is locked", "lock timeout", "deadlock", "could not serialize")
_FULL = ("disk is full", "no space left", "disk full", "disk quota exceeded")
_READ_ONLY = ("readonly database", "read-only transaction")
_DAMAGED = ("malformed", "is not a database")


@contextmanager
def faults_in_words(url: URL) -> Iterator[None]:
    """Raise StoreFault or StoreBusy instead of what the database's driver raises in the block.

    What only a fault of the program can cause (a broken constraint, SQL that is wrong) stays.
    """
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, IntegrityError | ProgrammingError):
            raise
        raise store_fault(error, url) from error


def store_fault(error: DBAPIError, url: URL) -> StoreFault:
    """Describe what is wrong with the store at this address, and what to do."""
    shown = f"The store {url.render_as_string(hide_password=True)}"
    message = " ".join(str(error.orig).split())
    lower = message.lower()
    if any(word in lower for word in _FULL) or _is_full(url):
        disk = _disk(url)
        return StoreFault(f"{shown} cannot grow: {disk} is full. Free space there, then run again.")
    if any(word in lower for word in _BUSY):
        return StoreBusy(f"{shown} is locked: {_lock_holder(url)} Then run again.")
    if any(word in lower for word in _READ_ONLY):
        return StoreFault(f"{shown} can only be read. Let reconflow write to its file and folder.")
    if any(word in lower for word in _DAMAGED):
        return StoreFault(f"{shown} is damaged ({message}). Put it back from the backup.")
    if url.get_backend_name() == "postgresql":
        return StoreBusy(f"{shown} does not answer ({message}). Is the server up? Then run again.")
    return StoreBusy(f"{shown} cannot be used ({message}). Is its disk connected? Then run again.")


def what_to_do(message: str) -> str:
    """Say how to go on where a database said that its file is damaged; empty otherwise."""
    if not any(word in message.lower() for word in _DAMAGED):
        return ""
    return (
        ". Put it back from a backup: reconflow restore FILE --by NAME. Without a backup: "
        "reconflow store rebuild"
    )


def is_passing(error: DBAPIError, url: URL) -> bool:
    """Tell whether a store that cannot be opened is well, only locked or on a full disk."""
    lower = str(error.orig).lower()
    return any(word in lower for word in (*_BUSY, *_FULL)) or _is_full(url)


def in_words(error: OSError) -> str:
    """Describe what the operating system refused, and what to do about it."""
    full = "The disk is full: free some space there."
    sentences = {
        errno.ENOSPC: full,
        errno.EDQUOT: full,
        errno.EROFS: "The disk can only be read: let reconflow write to it.",
        errno.EACCES: "It may not be read or written: correct the rights of the folder.",
        errno.ENOENT: "It is not there: restore it from the backup, or connect the share.",
    }
    message = error.strerror or str(error) or type(error).__name__
    sentence = sentences.get(error.errno or 0, message)
    if error.filename:
        return f"{error.filename}: {sentence}"
    return sentence


def _file(url: URL) -> Path | None:
    """Give the file of an SQLite store."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database)


def _is_full(url: URL) -> bool:
    file = _file(url)
    try:
        return file is not None and shutil.disk_usage(file.parent).free < _FULL_BELOW_BYTES
    except OSError:
        return False


def _disk(url: URL) -> str:
    """Name the disk a store lies on by the folder it is mounted at."""
    file = _file(url)
    if file is None:
        return "the disk of the PostgreSQL server"
    mount = next(folder for folder in file.absolute().parents if os.path.ismount(folder))
    return f"the disk at {mount}"


def _lock_holder(url: URL) -> str:
    """Name the processes that have locked a store, as far as the system knows them."""
    file = _file(url)
    processes = _locking_processes(file) if file else []
    if processes:
        names = " and ".join(_process_name(pid) for pid in processes)
        return f"{names} is writing to it and does not end. End it, or wait."
    return "another program is writing to it and does not end. Close what has it open, or wait."


def _locking_processes(file: Path) -> list[int]:
    """List the processes of this machine that hold a writer's lock on an SQLite store."""
    try:
        parts = [file, file.with_name(f"{file.name}-shm")]
        nodes = {path.stat().st_ino for path in parts if path.exists()}
        lines = [line.split() for line in LOCKS.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []
    # "1: POSIX ADVISORY WRITE 123 fe:00:4567 120 120"; with "->" it only waits for the lock.
    holding = [words for words in lines if words[1] != "->" and words[3] == "WRITE"]
    processes = {int(words[4]) for words in holding if _locked_node(words[5]) in nodes}
    return sorted(processes - {os.getpid(), 0, -1})


def _locked_node(place: str) -> int:
    """Read the number of the file from ``fe:00:4567``: two of the device, then the file's."""
    return int(place.rpartition(":")[2])


def _process_name(pid: int) -> str:
    try:
        return f"process {pid} ({Path(f'/proc/{pid}/comm').read_text(encoding='utf-8').strip()})"
    except OSError:
        return f"process {pid}"
