"""Look into the inbox and tell which files have come to rest.

A file is at rest when it looked the same twice, ``settle_seconds`` apart: size, time of change and
SHA-256. Size and time alone are not enough: some copies reserve the whole size at the start.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from panels.files.plain_file import regular_sha256
from panels.text.errors import StateConflict
from tasks.intake.inbox import Listing, list_inbox
from tasks.intake.quarantine import remove_reason, withdraw
from tasks.intake.whole import continues
from tasks.store.ledger import (
    FileRecord,
    FileStat,
    State,
    add_file,
    claim,
    files_called,
    files_with_bytes,
    files_within,
    see_again,
    set_state,
)
from tasks.store.moves import is_planned
from tasks.store.opening import Store
from tasks.study.folder import Study

GONE = "The file left the inbox before it was taken in. Drop it again if it is still wanted."
OVERWRITTEN = (
    "The file was overwritten in the inbox after it was taken in; its bytes are lost. Put the "
    "original back under another name."
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file at rest in the inbox, ready to be judged."""

    record: FileRecord
    path: Path
    sha256: str


def scan_inbox(study: Study, store: Store, listing: Listing | None = None) -> list[Candidate]:
    """Note what lies in the inbox now and give the files at rest that are not taken in yet.

    They come in order of their names. Files that are known and have not changed are neither opened
    nor hashed.
    """
    listing = listing or list_inbox(study)
    known = files_within(store, study.place_of(study.inbox))
    missing = [record for place, record in known.items() if place not in listing.files]
    vanished = [record for record in missing if not _is_unread(study, listing, record)]
    _note_vanished(study, store, vanished)
    candidates = (
        _look(study, store, path, known.get(place)) for place, path in listing.files.items()
    )
    return [candidate for candidate in candidates if candidate is not None]


def _is_unread(study: Study, listing: Listing, record: FileRecord) -> bool:
    path = study.path_of(record.place or "")
    return any(path.is_relative_to(folder) for folder in listing.unread)


def _look(study: Study, store: Store, path: Path, record: FileRecord | None) -> Candidate | None:
    """Compare a file with what the ledger knows of it."""
    try:
        stat = path.lstat()
        if record is not None and _looks_unchanged(record, stat):
            if record.state == "waiting" and record.sha256:
                return Candidate(record, path, record.sha256)
            if record.state != "settling" or _was_seen_just_now(study, record):
                return None
        # The moment of seeing is before the bytes are read: whatever is written after it counts as
        # a change.
        now = FileStat(stat.st_size, stat.st_mtime_ns, time.time(), regular_sha256(path))
        return _note_stat(study, store, path, record, now)
    except FileNotFoundError:
        return None
    except OSError as error:
        with suppress(StateConflict):
            note_locked(study, store, path, record, error)
        return None


def _looks_unchanged(record: FileRecord, stat: os.stat_result) -> bool:
    return (record.size, record.mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def _was_seen_just_now(study: Study, record: FileRecord) -> bool:
    return 0 <= time.time() - record.seen_at < study.settings.intake.settle_seconds


def _note_stat(
    study: Study, store: Store, path: Path, record: FileRecord | None, stat: FileStat
) -> Candidate | None:
    # A file that another pass has in hand is left to it.
    with suppress(StateConflict):
        if record is None:
            _enter(study, store, path, stat)
        else:
            return _note_change(study, store, path, record, stat)
    return None


def _note_change(
    study: Study, store: Store, path: Path, record: FileRecord, stat: FileStat
) -> Candidate | None:
    earlier = (record.size, record.mtime_ns, record.sha256)
    unchanged = earlier == (stat.size, stat.mtime_ns, stat.sha256)
    if record.state in {"settling", "waiting"} and unchanged and stat.sha256:
        return Candidate(record, path, stat.sha256)
    with store.writing() as connection:
        if record.state in {"settling", "waiting"}:
            set_state(connection, see_again(connection, record, stat), "settling", "")
        elif record.sha256 == stat.sha256:
            see_again(connection, record, stat)
        elif record.state == "quarantined":
            set_state(connection, see_again(connection, record, stat), "settling", "dropped again")
            # The reason file is wrong now, but the ledger is right.
            with suppress(OSError):
                remove_reason(study.quarantine, record.name, record.sha256 or "")
        else:
            state: State = "duplicate" if record.state == "duplicate" else "failed"
            set_state(connection, record, state, OVERWRITTEN, place=None)
            _add(study, connection, path, stat)
    return None


def _enter(study: Study, store: Store, path: Path, stat: FileStat) -> None:
    """Enter a file that is new at its place.

    It is the file known before when that only moved or was dropped again, else a new one. Raises
    StateConflict when another pass has entered it, or moved it away, meanwhile.
    """
    place, inbox_path = study.place_of(path), path.relative_to(study.inbox).as_posix()
    same_bytes = files_with_bytes(store, stat.sha256 or "")
    earlier = next((record for record in same_bytes if _can_return(study, record)), None)
    earlier = earlier or _refused_part(study, store, path)
    with store.writing() as connection:
        if earlier is None:
            _add(study, connection, path, stat)
        else:
            seen = see_again(connection, earlier, stat)
            changes = {"place": place, "name": path.name, "inbox_path": inbox_path}
            set_state(connection, seen, "settling", "dropped again", **changes)
        # The place is entered now: a file that still lies there was moved by nobody before that.
        if not path.exists():
            raise StateConflict(f"{inbox_path} left the inbox meanwhile.")
        if earlier is not None and earlier.place is not None:
            withdraw(study.path_of(earlier.place), earlier.sha256 or "")


def _can_return(study: Study, record: FileRecord) -> bool:
    """Tell whether a file that appears with the same bytes is this one.

    It was refused, or it left the inbox before it was taken in.
    """
    if record.state == "quarantined":
        if record.place is None:
            return False
        return study.path_of(record.place).is_relative_to(study.quarantine)
    return record.state in {"settling", "waiting", "failed"} and record.place is None


def _refused_part(study: Study, store: Store, path: Path) -> FileRecord | None:
    """Find the file of the same name that was refused and is the beginning of this one."""
    inbox_path = path.relative_to(study.inbox).as_posix()
    for record in files_called(store, inbox_path):
        refused = record.state == "quarantined" and _can_return(study, record)
        if refused and continues(study.path_of(record.place or ""), path):
            return record
    return None


def _add(
    study: Study, connection: Connection, path: Path, stat: FileStat, reason: str = ""
) -> None:
    add_file(
        connection,
        path.name,
        path.relative_to(study.inbox).as_posix(),
        study.place_of(path),
        stat,
        reason,
    )


def note_locked(
    study: Study, store: Store, path: Path, record: FileRecord | None, error: OSError
) -> str:
    """Note a file that cannot be opened or moved now, and give the reason.

    It is tried again at the next pass. Raises StateConflict when another pass has changed its
    state meanwhile.
    """
    reason = (
        f"The file cannot be opened or moved ({error.strerror}). Close it in other programs; it "
        f"is tried again by itself."
    )
    with store.writing() as connection:
        if record is None:
            _add(study, connection, path, FileStat(-1, -1, time.time(), None), reason)
        elif record.state in {"settling", "waiting"}:
            seen = record
            if record.size >= 0:
                seen = see_again(connection, record, FileStat(-1, -1, time.time(), record.sha256))
            set_state(connection, seen, "settling", reason)
    return reason


def _note_vanished(study: Study, store: Store, records: list[FileRecord]) -> None:
    """Note files that were seen and have been taken out of the inbox.

    An accepted tube keeps its counts.
    """
    for record in records:
        waits = record.state in {"settling", "waiting"} and record.place
        if waits and not os.path.lexists(study.path_of(record.place or "")):
            with suppress(StateConflict), store.writing() as connection:
                claim(connection, record)
                # Another pass writes a move down before it makes it: that file did not vanish.
                if not is_planned(connection, record.id):
                    set_state(connection, record, "waiting", GONE, place=None)
