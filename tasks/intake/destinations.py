"""Choose where a file of the inbox is kept, so that nothing that lies there is overwritten."""

from pathlib import Path

from panels.files.plain_file import regular_sha256
from tasks.intake.quarantine import kept_name, like_names, reason_path
from tasks.store.ledger import FileRecord
from tasks.study.folder import Study

DUPLICATES = "_duplicates"
"""Folder of the archive for second copies; no patient's id begins with an underscore."""


def archive_target(study: Study, patient: str, record: FileRecord, sha256: str) -> Path:
    """Choose where an accepted tube is kept: ``archive/<patient>/<sha12>.fcs``.

    The name it was dropped under stays in the ledger alone: operators write names of persons there,
    and an archive is kept for good.
    """
    return free_path(
        study.archive / patient / _archived_name(record, sha256), sha256, same_bytes_are_free=True
    )


def duplicate_target(study: Study, record: FileRecord, sha256: str) -> Path:
    """Choose where a second copy is kept."""
    return free_path(study.archive / DUPLICATES / _archived_name(record, sha256), sha256)


def _archived_name(record: FileRecord, sha256: str) -> str:
    return sha256[:12] + Path(record.name).suffix.lower()


def quarantine_target(study: Study, record: FileRecord, sha256: str) -> Path:
    """Choose where a refused file is kept, under the name it was dropped with when that is free."""
    return free_path(study.quarantine / kept_name(record.name), sha256)


def inbox_target(study: Study, record: FileRecord, sha256: str) -> Path:
    """Choose where a refused file is put back: where it was dropped when that is free."""
    return free_path(study.inbox / record.inbox_path, sha256)


def free_path(wanted: Path, sha256: str, *, same_bytes_are_free: bool = False) -> Path:
    """Give ``wanted``, or a like name under which nothing lies.

    That has the short hash in it, then also a number. With ``same_bytes_are_free`` a file of these
    bytes that lies there already may stay.
    """
    for path in like_names(wanted, sha256):
        if not path.exists() and not reason_path(path).exists():
            return path
        if same_bytes_are_free and path.is_file() and regular_sha256(path, follow=True) == sha256:
            return path
    return wanted.with_name(f"{sha256}{wanted.suffix}")
