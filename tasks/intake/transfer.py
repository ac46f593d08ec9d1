"""Bring the bytes of one file to another place: by renaming, or across file systems by a copy."""

import errno
import os
import shutil
import uuid
from pathlib import Path

from panels.files.durable import full_disk_named, rename_durably, sync_folder
from panels.files.plain_file import open_regular, regular_sha256
from tasks.store.ledger import FileRecord

UNFINISHED = ".part"


def transfer(source: Path, target: Path, record: FileRecord) -> bool:
    """Bring the bytes of a record to ``target``; tells whether they were those hashed before."""
    same = _size_and_time(source) == (record.size, record.mtime_ns)
    if not same and regular_sha256(source, follow=True) != record.sha256:
        return False
    if source.is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        return _copy(source, target, record.sha256 or "")
    return relocate(source, target, record.sha256)


def relocate(source: Path, target: Path, sha256: str | None = None) -> bool:
    """Rename a file, or copy it to another file system; tells whether it held these bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        rename_durably(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return _copy(source, target, sha256 or regular_sha256(source))
    return True


def _copy(source: Path, target: Path, sha256: str) -> bool:
    """Copy to another file system under an unfinished name, verify, rename, remove the source.

    Tells whether source and copy held the bytes expected; if not, there is only the source.
    """
    # A random name: another pass may be copying the same file.
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}{UNFINISHED}")
    before = _size_and_time(source)
    try:
        with (
            full_disk_named(target),
            open_regular(source, follow=True) as old,
            unfinished.open("wb") as new,
        ):
            shutil.copyfileobj(old, new, 1 << 20)
            new.flush()
            os.fsync(new.fileno())
        shutil.copystat(source, unfinished)
        if regular_sha256(unfinished) != sha256 or _size_and_time(source) != before:
            return False
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(target.parent)
    source.unlink(missing_ok=True)
    sync_folder(source.parent)
    return True


def _size_and_time(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
