"""Tidy up what earlier passes left: refused files that changed, halves of killed copies."""

import re
import time
from contextlib import suppress
from pathlib import Path

from panels.files.plain_file import regular_sha256
from panels.text.errors import StateConflict
from panels.text.printable import printable
from tasks.intake.moving import plan_back, put_back
from tasks.intake.unmoved import why_unmoved
from tasks.store.ledger import FileRecord, FileStat, State, all_files, see_again
from tasks.store.moves import planned_moves
from tasks.store.opening import Store
from tasks.study.folder import Study

_ARCHIVE_COPY = re.compile(
    r"\.[0-9a-f]{12}(\.[0-9a-f]{8}(-[0-9]+)?)?\.(fcs|lmd)(\.[0-9a-f]{8})?\.part"
)
_QUARANTINE_COPY = re.compile(r"\..+\.part", re.DOTALL)


def return_changed(study: Study, store: Store) -> tuple[str, ...]:
    """Put refused files that changed since back in the inbox.

    A copy that was taken for cut short may go on in the quarantine. Gives sentences on those that
    cannot be moved.
    """
    sentences = []
    refused: tuple[State, ...] = ("quarantined",)
    for record in all_files(store, refused):
        if not record.place:
            continue
        path = study.path_of(record.place)
        if not path.is_relative_to(study.quarantine):
            continue
        try:
            if _has_changed(store, record, path):
                back = plan_back(study, store, record, path, "It has changed since it was refused.")
                put_back(study, store, back, record)
        except StateConflict:
            continue
        except OSError as error:
            sentences.append(f"{printable(record.inbox_path)}: {why_unmoved(study, error)}")
    return tuple(sentences)


def _has_changed(store: Store, record: FileRecord, path: Path) -> bool:
    """Tell whether a file holds other bytes than the ledger knows; hashed only if it looks so."""
    try:
        stat = path.lstat()
    except FileNotFoundError:
        return False
    if (stat.st_size, stat.st_mtime_ns) == (record.size, record.mtime_ns):
        return False
    now = FileStat(stat.st_size, stat.st_mtime_ns, time.time(), regular_sha256(path))
    if now.sha256 != record.sha256:
        return True
    with suppress(StateConflict), store.writing() as connection:
        see_again(connection, record, now)
    return False


def remove_unfinished(study: Study, store: Store) -> None:
    """Remove what a killed pass left half written and no planned move goes on with."""
    planned = {study.path_of(move.target) for move, _ in planned_moves(store)}
    going_on = tuple(f".{path.name}." for path in planned)
    archived = [(path, _ARCHIVE_COPY) for path in study.archive.glob("*/.*.part")]
    refused = [(path, _QUARANTINE_COPY) for path in study.quarantine.glob(".*.part")]
    for path, ours in (*archived, *refused):
        if path.name.startswith(going_on) or not ours.fullmatch(path.name) or path.is_symlink():
            continue
        # A folder that may not be written is reported where something has to be moved.
        with suppress(OSError):
            path.unlink()
