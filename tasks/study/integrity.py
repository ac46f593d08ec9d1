"""Compare what a study kept with what it wrote: files of the archive, and counts in the store.

Every pass looks at the size and time of change of each counted tube's file, and reads again only
those that differ from the ledger; before a tube is gated its bytes are hashed in any case
(archived_bytes.py).
"""

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from panels.files.plain_file import kind_of, regular_sha256
from panels.text.errors import StateConflict
from tasks.store.corrections import read_corrections
from tasks.store.ledger import (
    TAKEN_IN,
    FileRecord,
    FileStat,
    all_files,
    record_failure,
    see_again,
    set_state,
)
from tasks.store.measurements import remove_altered_measurements
from tasks.store.opening import Store
from tasks.study.archived_bytes import BY_ITSELF
from tasks.study.folder import Study

Listing = Mapping[str, os.stat_result]


def check_integrity(study: Study, store: Store) -> list[str]:
    """Fail every tube whose file is not what was kept, and say so; a share has to be there.

    What altered tubes tell about the thresholds of others is measured again; a correction that was
    altered holds no more.
    """
    return [*_check_archive(study, store), *_check_readings(store), *_check_corrections(store)]


def fail_altered(study: Study, tubes: Collection[str]) -> list[str]:
    """Fail tubes whose counts were altered in the store after they were written, and say so."""
    sentences = []
    with study.store() as store:
        for record in all_files(store, TAKEN_IN) if tubes else ():
            sha256 = record.sha256 or ""
            if sha256 not in tubes:
                continue
            reason = (
                f"Its counts were altered in the store {store.shown} after they were written; "
                f"no table uses them. To count the tube again: reconflow retry {sha256[:12]}"
            )
            record_failure(store, sha256, reason)
            sentences.append(f"{record.inbox_path}: {reason}")
    return sentences


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of the ledger's places: what lies there, and whether it is archive or inbox."""

    path: Path
    listed: Listing | OSError
    is_ours: bool


def _check_archive(study: Study, store: Store) -> Iterator[str]:
    folders: dict[str, _Folder] = {}
    for known in all_files(store, TAKEN_IN):
        # What another pass makes of a file meanwhile stays.
        with suppress(StateConflict):
            listed = folders.get(_head(known))
            record = known if listed and listed.is_ours else _found_again(study, store, known)
            # Those still to be counted are looked at when they are.
            if record.state == "accepted" or record.place is None:
                continue
            head = _head(record)
            if head not in folders:
                folders[head] = _folder_of(study, study.path_of(record.place))
            folder, name = folders[head], record.place[len(head) :]
            if isinstance(folder.listed, OSError):
                reason = f"{folder.listed.strerror}. Correct the rights of its folder."
                yield f"{record.place} cannot be checked: {reason}"
                continue
            sentence = _check_file(store, record, folder.path / name, folder.listed.get(name))
            if sentence:
                yield sentence


def _head(record: FileRecord) -> str:
    """Give the folder of a file's place, as the ledger writes it."""
    place = record.place or ""
    return place[: place.rfind("/") + 1]


def _folder_of(study: Study, path: Path) -> _Folder:
    return _Folder(path.parent, _files_in(path.parent), _is_ours(study, path))


def _is_ours(study: Study, path: Path) -> bool:
    """Tell whether a path lies in the archive or the inbox, as they are now."""
    return path.is_relative_to(study.archive) or path.is_relative_to(study.inbox)


def _found_again(study: Study, store: Store, record: FileRecord) -> FileRecord:
    """Give a file its new place when the archive or inbox is another folder now (study.yaml)."""
    if record.place is None:
        return record
    path = study.path_of(record.place)
    if _is_ours(study, path) or path.exists():
        return record
    for moved in (study.archive / path.parent.name / path.name, study.inbox / record.inbox_path):
        if moved.is_file() and regular_sha256(moved) == record.sha256:
            place = study.place_of(moved)
            with store.writing() as connection:
                return set_state(connection, record, record.state, record.reason, place=place)
    return record


def _files_in(folder: Path) -> Listing | OSError:
    """List what lies in a folder; nothing when it does not exist."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                # Another program may remove its own files meanwhile.
                with suppress(FileNotFoundError):
                    found[entry.name] = entry.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        return error
    return found


def _check_file(
    store: Store, record: FileRecord, path: Path, found: os.stat_result | None
) -> str | None:
    """Compare one archived file with the ledger; says when its tube fails or is taken up again."""
    if found is None:
        return _fail(store, record, f"{record.place} is gone. Put it back from the backup.")
    if not stat.S_ISREG(found.st_mode):
        reason = f"{record.place} is {kind_of(found.st_mode)}, not the file that was taken in."
        return _fail(store, record, f"{reason} Put the file itself back.")
    return _check_bytes(store, record, path, found)


def _check_bytes(store: Store, record: FileRecord, path: Path, found: os.stat_result) -> str | None:
    waits = record.state == "failed" and record.reason.endswith(BY_ITSELF)
    if (found.st_size, found.st_mtime_ns) == (record.size, record.mtime_ns) and not waits:
        return None
    try:
        sha256 = regular_sha256(path)
    except OSError as error:
        return f"{record.place} cannot be read: {error.strerror}. Correct its rights."
    if sha256 != record.sha256:
        reason = f"{record.place} holds other bytes than were taken in: it was replaced or damaged."
        return _fail(store, record, f"{reason} Put the right file back from the backup.")
    with store.writing() as connection:
        now = FileStat(found.st_size, found.st_mtime_ns, record.seen_at, sha256)
        seen = see_again(connection, record, now)
        if waits:
            set_state(connection, seen, "accepted", "the right file is back")
    if not waits:
        return None
    return f"{record.inbox_path}: {record.place} is back; the tube is counted again."


def _fail(store: Store, record: FileRecord, reason: str) -> str:
    sentence = f"{reason} {BY_ITSELF}"
    with store.writing() as connection:
        set_state(connection, record, "failed", sentence)
    return f"{record.inbox_path}: {sentence}"


def _check_readings(store: Store) -> Iterator[str]:
    for tube_sha256 in remove_altered_measurements(store):
        yield (
            f"What tube {tube_sha256[:12]} tells about thresholds was altered in the store "
            f"{store.shown}; it is measured again."
        )


def _check_corrections(store: Store) -> Iterator[str]:
    log = read_corrections(store)
    for each in log.made:
        if each.id in log.altered:
            sha256 = each.tube_sha256[:12]
            yield (
                f"The correction of {each.name} in tube {sha256} was altered in the store "
                f"{store.shown} after it was written, or the log does not tell of it: the tube is "
                "counted without it, and without an earlier one of the same place. To make it "
                f"again: reconflow tube correct {sha256}"
            )
