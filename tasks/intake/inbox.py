"""Look into the inbox and tell which files have come to rest.

A file is at rest when it looked the same twice, ``settle_seconds`` apart: size, time of change and
SHA-256. Size and time alone are not enough: some copies reserve the whole size at the start.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from panels.files.plain_file import regular_sha256
from panels.text.errors import StateConflict
from panels.text.printable import printable
from tasks.intake.folder import Found, list_folder
from tasks.intake.quarantine import remove_reason, withdraw
from tasks.intake.whole import continues
from tasks.store.ledger import (
    FileRecord,
    FileStat,
    add_file,
    claim,
    files_called,
    files_with_bytes,
    files_within,
    is_planned,
    see_again,
    set_state,
)
from tasks.store.opening import Store
from tasks.study.folder import Study

FCS_ENDINGS = (".fcs", ".lmd")
_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".temp")
_OF_THE_SYSTEM = ("thumbs.db", "desktop.ini")
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


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in the inbox: files to take in, by place, and sample sheets.

    ``faults`` say what else lies there, ``unread`` are the folders of which nothing is known.
    """

    files: Mapping[str, Path]
    sheets: tuple[Path, ...]
    faults: tuple[str, ...] = ()
    unread: tuple[Path, ...] = ()


def list_inbox(study: Study) -> Listing:
    """List the inbox and its sub-folders, without what is hidden, unfinished or the operating system's own.

    With ``mode: leave`` the inbox is somebody else's folder, so that files which are no FCS files
    are none of our business.
    """
    seen = list_folder(study.inbox, _is_wanted)
    found = [path for path in sorted(seen.files) if _can_be_written(path)]
    sheets = tuple(path for path in found if _is_sheet(path))
    only_fcs = study.settings.intake.mode == "leave"
    files = [path for path in found if not _is_sheet(path) and (is_fcs_name(path) or not only_fcs)]
    faults = (*_unreadable_names(len(seen.files) - len(found)), *_not_taken(study, seen))
    unread = tuple(folder for folder, _ in seen.unread)
    return Listing({study.place_of(path): path for path in files}, sheets, faults, unread)


def _is_wanted(name: str) -> bool:
    lower = name.lower()
    passing = lower.startswith((".", "~")) or lower.endswith((*_UNFINISHED, "~"))
    return not passing and lower not in _OF_THE_SYSTEM


def _is_sheet(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _unreadable_names(number: int) -> Iterator[str]:
    if number:
        yield (
            f"{number} files in the inbox have names with letters that cannot be read. Rename them."
        )


def _not_taken(study: Study, seen: Found) -> Iterator[str]:
    """Say what lies in the inbox and is not read: folders, and what is no regular file."""
    for folder, reason in sorted(seen.unread):
        yield (
            f"The folder {_named(study, folder)} cannot be read ({reason}): "
            "nothing in it is taken in. Correct its rights; it is looked at again by itself."
        )
    only_fcs = study.settings.intake.mode == "leave"
    for path, kind in sorted(seen.others):
        if not only_fcs or kind == "a link" or is_fcs_name(path) or _is_sheet(path):
            yield (
                f"{_named(study, path)} is {kind}, not a file: it is not read. "
                "Remove it, or put the file itself there."
            )
    for path in sorted(seen.folders):
        if is_fcs_name(path) or _is_sheet(path):
            yield (
                f"{_named(study, path)} is a folder, although it is called as a file is. "
                "What lies in it is looked at; rename it."
            )


def _named(study: Study, path: Path) -> str:
    return printable(study.place_of(path))


def inbox_faults(study: Study) -> tuple[str, ...]:
    """Say what lies in the inbox and is not read; nothing while the inbox itself is away."""
    return list_inbox(study).faults if study.inbox.is_dir() else ()


def _can_be_written(path: Path) -> bool:
    """Tell whether a name is text at all; Linux allows any bytes."""
    return not any("\ud800" <= letter <= "\udfff" for letter in str(path))


def is_fcs_name(path: Path) -> bool:
    """Tell whether a file is called as FCS files are."""
    return path.suffix.lower() in FCS_ENDINGS


def scan_inbox(study: Study, store: Store, listing: Listing | None = None) -> list[Candidate]:
    """Note what lies in the inbox now and give the files that are at rest and not taken in yet, in order of their names.

    Files that are known and have not changed are neither opened nor hashed.
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
        if record is not None and (record.size, record.mtime_ns) == (
            stat.st_size,
            stat.st_mtime_ns,
        ):
            if record.state == "waiting" and record.sha256:
                return Candidate(record, path, record.sha256)
            if (
                record.state != "settling"
                or 0 <= time.time() - record.seen_at < study.settings.intake.settle_seconds
            ):
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
    unchanged = (record.size, record.mtime_ns, record.sha256) == (
        stat.size,
        stat.mtime_ns,
        stat.sha256,
    )
    if record.state in {"settling", "waiting"} and unchanged and stat.sha256:
        return Candidate(record, path, stat.sha256)
    with store.writing() as connection:
        if record.state in {"settling", "waiting"}:
            set_state(connection, see_again(connection, record, stat), "settling", "")
        elif record.sha256 == stat.sha256:
            see_again(connection, record, stat)
        elif record.state == "quarantined":
            set_state(connection, see_again(connection, record, stat), "settling", "dropped again")
            with suppress(OSError):  # the reason is wrong now, but the ledger tells the truth
                remove_reason(study.quarantine, record.name, record.sha256 or "")
        else:
            set_state(
                connection,
                record,
                "duplicate" if record.state == "duplicate" else "failed",
                OVERWRITTEN,
                place=None,
            )
            _add(study, connection, path, stat)
    return None


def _enter(study: Study, store: Store, path: Path, stat: FileStat) -> None:
    """Enter a file that is new at its place: as itself when it only moved or was dropped again, else as a new one.

    Raises StateConflict when another pass has entered it, or moved it away, meanwhile.
    """
    place, inbox_path = study.place_of(path), path.relative_to(study.inbox).as_posix()
    earlier = next(
        (
            record
            for record in files_with_bytes(store, stat.sha256 or "")
            if _can_return(study, record)
        ),
        None,
    )
    earlier = earlier or _refused_part(study, store, path)
    with store.writing() as connection:
        if earlier is None:
            _add(study, connection, path, stat)
        else:
            seen = see_again(connection, earlier, stat)
            set_state(
                connection,
                seen,
                "settling",
                "dropped again",
                place=place,
                name=path.name,
                inbox_path=inbox_path,
            )
        # The place is ours now: a file that still lies there was moved by nobody before that.
        if not path.exists():
            raise StateConflict(f"{inbox_path} left the inbox meanwhile.")
        if earlier is not None and earlier.place is not None:
            withdraw(study.path_of(earlier.place), earlier.sha256 or "")


def _can_return(study: Study, record: FileRecord) -> bool:
    """Tell whether a file that appears with the same bytes is this one: it was refused, or it left the inbox untaken."""
    if record.state == "quarantined":
        return record.place is not None and study.path_of(record.place).is_relative_to(
            study.quarantine
        )
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
    """Note a file that cannot be opened or moved now, so that it is tried again at the next pass, and give the reason.

    Raises StateConflict when another pass has changed its state meanwhile.
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
    """Note files that were seen and have been taken out of the inbox; an accepted tube keeps its counts."""
    for record in records:
        waits = record.state in {"settling", "waiting"} and record.place
        if waits and not os.path.lexists(study.path_of(record.place or "")):
            with suppress(StateConflict), store.writing() as connection:
                claim(connection, record)
                # Another pass writes a move down before it makes it: that file did not vanish.
                if not is_planned(connection, record.id):
                    set_state(connection, record, "waiting", GONE, place=None)
