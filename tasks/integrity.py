"""Compare what a study kept with what it wrote: files of the archive, and counts in the store.

Every pass looks at each archived file's size and time of change, and reads again only those that
differ from the ledger; before a tube is gated its bytes are hashed in any case (archived_bytes.py).
"""

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from gating.events import file_sha256
from tasks.store.ledger import (
    TAKEN_IN,
    FileRecord,
    Sight,
    all_files,
    record_failure,
    see_again,
    set_state,
)
from tasks.store.opening import Store
from tasks.store.readings import remove_altered_readings
from tasks.study import Study

BY_ITSELF = "The tube is taken up again by itself when the right file is back."


def check_integrity(study: Study, store: Store) -> list[str]:
    """Fail every tube whose file is not what was kept, and say so; a share has to be there.

    What altered tubes tell about the thresholds of others is measured again.
    """
    return [*_check_archive(study, store), *_check_readings(store)]


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


def _check_archive(study: Study, store: Store) -> Iterator[str]:
    folders: dict[Path, Mapping[str, os.stat_result] | OSError] = {}
    # Those still to be counted are looked at when they are.
    for record in all_files(store, ("counted", "failed")):
        if record.place is None or record.sha256 is None:
            continue
        path = study.path_of(record.place)
        if path.parent not in folders:
            folders[path.parent] = _files_in(path.parent)
        listed = folders[path.parent]
        if isinstance(listed, OSError):
            reason = f"{listed.strerror}. Correct the rights of its folder."
            yield f"{record.place} cannot be checked: {reason}"
            continue
        sentence = _check_file(store, record, path, listed.get(path.name))
        if sentence:
            yield sentence


def _files_in(folder: Path) -> Mapping[str, os.stat_result] | OSError:
    """List the regular files of a folder; none when it does not exist."""
    try:
        with os.scandir(folder) as entries:
            found = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        return error
    return {name: each for name, each in found.items() if stat.S_ISREG(each.st_mode)}


def _check_file(
    store: Store, record: FileRecord, path: Path, found: os.stat_result | None
) -> str | None:
    """Compare one archived file with the ledger; says when its tube fails or is taken up again."""
    if found is None:
        return _fail(store, record, f"{record.place} is gone. Put it back from the backup.")
    waits = record.state == "failed" and record.reason.endswith(BY_ITSELF)
    if (found.st_size, found.st_mtime_ns) == (record.size, record.mtime_ns) and not waits:
        return None
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        return f"{record.place} cannot be read: {error.strerror}. Correct its rights."
    if sha256 != record.sha256:
        reason = f"{record.place} holds other bytes than were taken in: it was replaced or damaged."
        return _fail(store, record, f"{reason} Put the right file back from the backup.")
    with store.writing() as connection:
        sight = Sight(found.st_size, found.st_mtime_ns, record.seen_at, sha256)
        seen = see_again(connection, record, sight)
        if waits:
            set_state(connection, seen, "accepted", "the right file is back")
    if not waits:
        return None
    return f"{record.inbox_path}: {record.place} is back; the tube is counted again."


def _fail(store: Store, record: FileRecord, reason: str) -> str:
    sentence = f"{reason} {BY_ITSELF}"
    record_failure(store, record.sha256 or "", sentence)
    return f"{record.inbox_path}: {sentence}"


def _check_readings(store: Store) -> Iterator[str]:
    for tube_sha256 in remove_altered_readings(store):
        yield (
            f"What tube {tube_sha256[:12]} tells about thresholds was altered in the store "
            f"{store.shown}; it is measured again."
        )
