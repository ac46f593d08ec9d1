"""Move files so that a kill at any moment loses nothing.

A move is written down before it is made and struck out, together with the file's new state, after
it was made. Every step can be repeated: the next pass finishes what it finds written down. Nothing
is ever overwritten.

A rename does not take a file from whoever holds it open, so its bytes are hashed again where it has
arrived. One that changed goes back to the inbox and settles.
"""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from panels.files.plain_file import regular_sha256
from panels.text.errors import StateConflict
from panels.text.printable import printable
from tasks.intake.destinations import free_path, inbox_target
from tasks.intake.quarantine import reason_path, write_reason
from tasks.intake.transfer import relocate, transfer
from tasks.intake.unmoved import why_unmoved
from tasks.store.ledger import TAKEN_IN, FileRecord, State, claim, file_now, set_state
from tasks.store.moves import PlannedMove, end_move, is_planned, plan_anew, planned_moves
from tasks.store.opening import Store
from tasks.study.folder import Study

_ATTEMPTS = 3
LOST = "The file disappeared while it was being moved. Drop it in the inbox again."
CHANGED = "The file changed while it was being taken in; it settles again."
NOT_ITS_BYTES = (
    "The archived file is gone or no longer holds the bytes that were taken in. "
    "Put it back from the backup, then run: reconflow retry"
)
Arrival = tuple[State, str]
"""The state that a move left its file in, and why."""


def move_file(study: Study, store: Store, move: PlannedMove, record: FileRecord) -> Arrival:
    """Make a move that was written down, then strike it out and give the file its state.

    Can be repeated at any point. Another pass may make the same move, or count the file, at the
    same time: that stays. Gives the state the file has then, which is another one where its bytes
    changed. Raises OSError when it cannot be moved.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _move(study, store, move, record)
        except StateConflict:
            pass
        except FileNotFoundError:
            # Brought away between two steps, unless its folder is gone.
            if attempt == _ATTEMPTS - 1:
                raise
        planned = planned_moves(store, move.file_id)
        if not planned:
            break
        move, record = planned[0]
    now = file_now(store, move.file_id)
    return now.state, now.reason


def _move(study: Study, store: Store, move: PlannedMove, record: FileRecord) -> Arrival:
    if move.state == "settling":
        return put_back(study, store, move, record)
    move = _with_a_free_target(study, store, move, record)
    source, target = study.path_of(move.source), study.path_of(move.target)
    sha256 = record.sha256 or ""
    # The source first: it lies at the target when another pass has taken it from here just now.
    gone = not source.exists()
    if target.exists():
        if source.exists() and regular_sha256(source, follow=True) == sha256:
            source.unlink(missing_ok=True)
    elif gone:
        return _give_up(store, record, LOST, None)
    elif not transfer(source, target, record):
        return _give_up(store, record, CHANGED, move.source)
    if regular_sha256(target) != sha256:
        return _bring_back(study, store, move, record)
    if move.state == "quarantined":
        write_reason(target, record.inbox_path, sha256, move.reason)
    return _note_arrival(store, move, record)


def _with_a_free_target(
    study: Study, store: Store, move: PlannedMove, record: FileRecord
) -> PlannedMove:
    """Give the move, with another target where somebody put a file since it was planned."""
    source, target = study.path_of(move.source), study.path_of(move.target)
    sha256 = record.sha256 or ""
    if target.exists() and source.exists() and regular_sha256(target) != sha256:
        return _plan_again(study, store, record, move, free_path(target, sha256))
    return move


def _note_arrival(store: Store, move: PlannedMove, record: FileRecord) -> Arrival:
    """Strike out a move that was made, and give the file its place and state."""
    changes = {"place": move.target, "duplicate_of": move.duplicate_of}
    state, reason = move.state, move.reason
    if record.state in TAKEN_IN and state in TAKEN_IN:
        # A tube that was taken in before only changes its place; a pass may have counted it
        # meanwhile.
        state, reason = record.state, record.reason
    with store.writing() as connection:
        set_state(connection, record, state, reason, **changes)
        end_move(connection, record.id)
    return state, reason


def finish_moves(study: Study, store: Store) -> tuple[str, ...]:
    """Finish the moves that an earlier pass wrote down; gives sentences on those still not made."""
    sentences = []
    for move, record in planned_moves(store):
        try:
            move_file(study, store, move, record)
        except OSError as error:
            sentences.append(note_unmoved(study, store, move, record, error))
    return tuple(sentences)


def note_unmoved(
    study: Study, store: Store, move: PlannedMove, record: FileRecord, error: OSError
) -> str:
    """Note that a file cannot be moved now, and why; gives the sentence.

    A file of the inbox is judged anew by the next pass. A tube taken in keeps its state and its
    plan.
    """
    reason = why_unmoved(study, error)
    sentence = f"{printable(record.inbox_path)}: {reason}"
    if record.state in TAKEN_IN:
        return sentence
    there = os.path.lexists(study.path_of(move.source))
    arrived = os.path.lexists(study.path_of(move.target))
    with suppress(StateConflict), store.writing() as connection:
        claim(connection, record)
        if record.state in {"settling", "waiting"}:
            place = move.target if arrived and not there else record.place
            set_state(connection, record, "settling", reason, place=place)
        if there and not arrived and record.state != "quarantined":
            end_move(connection, record.id)
    return sentence


def _plan_again(
    study: Study, store: Store, record: FileRecord, move: PlannedMove, target: Path
) -> PlannedMove:
    """Write a move down with another target."""
    move = replace(move, target=study.place_of(target))
    with store.writing() as connection:
        plan_anew(connection, record, move)
    return move


def put_back(study: Study, store: Store, move: PlannedMove, record: FileRecord) -> Arrival:
    """Bring a file into the inbox, whatever it holds by now: it settles and is judged anew."""
    source, target = study.path_of(move.source), study.path_of(move.target)
    if source.exists() and target.exists():
        if regular_sha256(source) == regular_sha256(target):
            source.unlink()
        else:
            free = free_path(target, record.sha256 or "")
            move = _plan_again(study, store, record, move, free)
            target = study.path_of(move.target)
    if source.exists():
        if not relocate(source, target):
            # It changed while it was copied: the plan stays.
            return record.state, record.reason
    elif not target.exists():
        return _give_up(store, record, LOST, None)
    reason_path(source).unlink(missing_ok=True)
    inbox_path = target.relative_to(study.inbox).as_posix()
    changes = {"place": move.target, "name": target.name, "inbox_path": inbox_path}
    with store.writing() as connection:
        set_state(connection, record, "settling", move.reason, **changes)
        end_move(connection, record.id)
    return "settling", move.reason


def _bring_back(study: Study, store: Store, move: PlannedMove, record: FileRecord) -> Arrival:
    """Undo a move after which the file held other bytes than were judged: it is being written."""
    if record.state in TAKEN_IN:
        return _give_up(store, record, CHANGED, move.target)
    back = plan_back(study, store, record, study.path_of(move.target), CHANGED)
    return put_back(study, store, back, record)


def plan_back(
    study: Study, store: Store, record: FileRecord, path: Path, reason: str
) -> PlannedMove:
    """Write down that a file is brought back to the inbox."""
    target = inbox_target(study, record, record.sha256 or "")
    back = PlannedMove(record.id, study.place_of(path), study.place_of(target), "settling", reason)
    with store.writing() as connection:
        plan_anew(connection, record, back)
    return back


def _give_up(store: Store, record: FileRecord, reason: str, place: str | None) -> Arrival:
    """Strike out a move that cannot be made; a tube that was taken in fails."""
    state: State = "waiting" if place is None else "settling"
    if record.state in TAKEN_IN:
        state, reason, place = "failed", NOT_ITS_BYTES, place or record.place
    with store.writing() as connection:
        if not is_planned(connection, record.id):
            return record.state, record.reason
        set_state(connection, record, state, reason, place=place)
        end_move(connection, record.id)
    return state, reason
