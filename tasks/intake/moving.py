"""Move files so that a kill at any moment loses nothing.

A move is written down before it is made and struck out, together with the file's new state, after it was made. Every step
can be repeated: the next pass finishes what it finds written down. Nothing is ever overwritten.
"""

import errno
import glob
import itertools
import os
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

from gating.events import file_sha256
from panels.durable import full_disk_named, rename_durably, sync_folder
from panels.errors import StateConflict
from tasks.intake.quarantine import reason_path, write_reason
from tasks.store.ledger import (
    TAKEN_IN,
    FileRecord,
    PlannedMove,
    State,
    end_move,
    is_planned,
    plan_anew,
    planned_moves,
    set_state,
)
from tasks.store.opening import Store
from tasks.study import Study

DUPLICATES = "_duplicates"
"""Folder of the archive for second copies; no patient's id begins with an underscore."""
LOST = "The file disappeared while it was being moved. Drop it in the inbox again."
_ATTEMPTS = 3
CHANGED = "The file changed while it was being taken in; it settles again."


def archive_target(study: Study, patient: str, record: FileRecord, sha256: str) -> Path:
    """Choose where an accepted tube is kept: ``archive/<patient>/<sha12>.fcs``.

    Its own name stays in the ledger alone: operators write names of persons there, and an archive is kept for good.
    """
    return _free(study.archive / patient / _kept_name(record, sha256), sha256, same_bytes_are_free=True)


def duplicate_target(study: Study, record: FileRecord, sha256: str) -> Path:
    """Choose where a second copy is kept."""
    return _free(study.archive / DUPLICATES / _kept_name(record, sha256), sha256)


def _kept_name(record: FileRecord, sha256: str) -> str:
    return sha256[:12] + Path(record.name).suffix.lower()


def quarantine_target(study: Study, record: FileRecord, sha256: str) -> Path:
    """Choose where a refused file is kept, under its own name when that is free."""
    return _free(study.quarantine / record.name, sha256)


def inbox_target(study: Study, record: FileRecord, sha256: str) -> Path:
    """Choose where a refused file is put back: where it was dropped when that is free."""
    return _free(study.inbox / record.inbox_path, sha256)


def move_file(study: Study, store: Store, move: PlannedMove, record: FileRecord) -> None:
    """Make a move that was written down, then strike it out and give the file its state.

    Can be repeated at any point. Another pass may make the same move, or count the file, at the
    same time: that stays.
    """
    for attempt in range(_ATTEMPTS):
        try:
            _move(study, store, move, record)
            return
        except StateConflict:
            pass
        except FileNotFoundError:
            # Brought away between two steps, unless its folder is gone.
            if attempt == _ATTEMPTS - 1:
                raise
        planned = planned_moves(store, move.file_id)
        if not planned:
            return
        move, record = planned[0]


def _move(study: Study, store: Store, move: PlannedMove, record: FileRecord) -> None:
    source, target = study.path_of(move.source), study.path_of(move.target)
    sha256 = record.sha256 or ""
    if target.exists() and file_sha256(target) != sha256:
        # Somebody put another file there since the move was planned.
        move = replace(move, target=study.place_of(_free(target, sha256)))
        with store.writing() as connection:
            plan_anew(connection, record, move)
        target = study.path_of(move.target)
    # The source first: it lies at the target when another pass has taken it from here just now.
    gone = not source.exists()
    if target.exists():
        if source.exists() and file_sha256(source) == sha256:
            source.unlink(missing_ok=True)
    elif gone:
        _give_up(store, record, LOST, None)
        return
    elif not _transfer(source, target, record):
        _give_up(store, record, CHANGED, move.source)
        return
    _settle_reason(study, move, record, target)
    changes = {"place": move.target, "duplicate_of": move.duplicate_of}
    if move.state == "settling":
        changes |= {"name": target.name, "inbox_path": target.relative_to(study.inbox).as_posix()}
    # A tube that was taken in before only changes its place; a pass may have counted it meanwhile.
    stays = record.state in TAKEN_IN and move.state in TAKEN_IN
    state, reason = (record.state, record.reason) if stays else (move.state, move.reason)
    with store.writing() as connection:
        set_state(connection, record, state, reason, **changes)
        end_move(connection, record.id)


def finish_moves(study: Study, store: Store) -> None:
    """Finish the moves that an earlier pass wrote down and did not end."""
    for move, record in planned_moves(store):
        move_file(study, store, move, record)


def _settle_reason(study: Study, move: PlannedMove, record: FileRecord, target: Path) -> None:
    if move.state == "quarantined":
        write_reason(target, record.inbox_path, record.sha256 or "", move.reason)
    elif move.state == "settling":
        reason_path(study.path_of(move.source)).unlink(missing_ok=True)


def _give_up(store: Store, record: FileRecord, reason: str, place: str | None) -> None:
    with store.writing() as connection:
        if is_planned(connection, record.id):
            state: State = "waiting" if place is None else "settling"
            set_state(connection, record, state, reason, place=place)
            end_move(connection, record.id)


def _transfer(source: Path, target: Path, record: FileRecord) -> bool:
    """Bring the bytes to ``target``; tells whether they are still those that were hashed."""
    stat = source.stat()
    if (stat.st_size, stat.st_mtime_ns) != (record.size, record.mtime_ns) and file_sha256(source) != record.sha256:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    if not source.is_symlink():
        try:
            rename_durably(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        else:
            return True
    return _copy(source, target, record.sha256 or "")


def _copy(source: Path, target: Path, sha256: str) -> bool:
    """Copy to another file system under an unfinished name, verify, rename, and only then remove the source."""
    # A name of its own: another pass may be copying the same file.
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with full_disk_named(target), source.open("rb") as old, unfinished.open("wb") as new:
            shutil.copyfileobj(old, new, 1 << 20)
            new.flush()
            os.fsync(new.fileno())
        shutil.copystat(source, unfinished)
        if file_sha256(unfinished) != sha256:
            return False
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    for left in target.parent.glob(f".{glob.escape(target.name)}*.part"):
        left.unlink(missing_ok=True)
    sync_folder(target.parent)
    source.unlink(missing_ok=True)
    sync_folder(source.parent)
    return True


def _free(wanted: Path, sha256: str, *, same_bytes_are_free: bool = False) -> Path:
    """Give ``wanted``, or a like name nothing lies under: first with the short hash in it, then with a number."""
    stem, ending = wanted.stem, wanted.suffix
    marks = itertools.chain(("",), (f"-{n}" for n in range(2, 1000)))
    numbered = (wanted.with_name(f"{stem}.{sha256[:8]}{mark}{ending}") for mark in marks)
    for path in itertools.chain((wanted,), numbered):
        if not path.exists() and not reason_path(path).exists():
            return path
        if same_bytes_are_free and path.is_file() and file_sha256(path) == sha256:
            return path
    return wanted.with_name(f"{sha256}{ending}")
