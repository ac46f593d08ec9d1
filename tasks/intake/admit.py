"""Carry out what was judged of a file in the inbox.

A file that is refused goes to the quarantine with its reason, one that lacks its identity waits
where it is. A second copy of a tube that was taken in goes to ``archive/_duplicates``: the inbox
does not fill up, and nothing is thrown away. With ``mode: leave`` no file is moved; only the
reasons of refused files are written to the quarantine.
"""

import errno
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from panels.files.plain_file import regular_sha256
from panels.text.errors import StateConflict
from panels.text.printable import printable
from tasks.intake.context import IntakeContext
from tasks.intake.destinations import archive_target, duplicate_target, quarantine_target
from tasks.intake.judge import Verdict, judge
from tasks.intake.moving import CHANGED, move_file, note_unmoved
from tasks.intake.quarantine import write_reason
from tasks.intake.scan import Candidate, note_locked
from tasks.intake.unmoved import why_unmoved
from tasks.store.ledger import TAKEN_IN, FileRecord, State, file_now, files_with_bytes, set_state
from tasks.store.moves import PlannedMove, plan_move, refuse_twin
from tasks.store.tubes import save_tube
from tasks.study.folder import Study

_ATTEMPTS = 20
_MOMENT = 0.05
"""Seconds until a file is judged again that another pass has in hand; a move takes less."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""A full disk ends the pass: nothing of it could be written down."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file of the inbox."""

    inbox_path: str
    tube_sha256: str
    state: State
    reason: str


def admit(context: IntakeContext, candidate: Candidate) -> Outcome:
    """Judge one file and carry the judgement out.

    An unreadable share leaves it settling for the next pass. What another pass makes of the file at
    the same time stays, and is given.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _admit(context, candidate)
        except StateConflict:
            now = file_now(context.store, candidate.record.id)
        if (now.place, now.sha256) != (candidate.record.place, candidate.sha256):
            break
        candidate = replace(candidate, record=now)
        time.sleep(_MOMENT)
    return Outcome(now.inbox_path, candidate.sha256, now.state, now.reason)


def _admit(context: IntakeContext, candidate: Candidate) -> Outcome:
    try:
        verdict = judge(context, candidate)
        verdict = replace(verdict, reason=printable(verdict.reason))
    except OSError as error:
        if error.errno in _FULL:
            raise
        if not candidate.path.exists():
            raise StateConflict(f"{candidate.path.name} left the inbox meanwhile.") from error
        reason = note_locked(context.study, context.store, candidate.path, candidate.record, error)
        return Outcome(candidate.record.inbox_path, candidate.sha256, "settling", reason)
    state, reason = _carry_out(context, candidate, verdict)
    return Outcome(candidate.record.inbox_path, candidate.sha256, state, reason)


def _carry_out(context: IntakeContext, candidate: Candidate, verdict: Verdict) -> tuple[State, str]:
    """Give the file its state and bring it where it belongs; gives the state it got, and why."""
    study, record = context.study, candidate.record
    source = study.place_of(candidate.path)
    move = PlannedMove(
        record.id, source, source, verdict.state, verdict.reason, verdict.duplicate_of
    )
    try:
        if study.settings.intake.mode == "move":
            move = replace(move, target=study.place_of(_target(study, candidate, verdict)))
        if move.target == source:
            return _settle_in_place(context, candidate, verdict)
        lost = _lost_before(context, candidate)
        with context.store.writing() as connection:
            _enter_tube(connection, record, verdict, lost)
            plan_move(connection, record, move)
        return move_file(study, context.store, move, record)
    except OSError as error:
        if error.errno in _FULL:
            raise
        note_unmoved(study, context.store, move, record, error)
        return "settling", why_unmoved(study, error)


def _settle_in_place(
    context: IntakeContext, candidate: Candidate, verdict: Verdict
) -> tuple[State, str]:
    """Give a file that stays where it is its state, unless its bytes changed since."""
    study, record = context.study, candidate.record
    state, reason = verdict.state, verdict.reason
    if state == "accepted" and regular_sha256(candidate.path) != candidate.sha256:
        state, reason = "settling", CHANGED
    if state == "quarantined":
        refused = quarantine_target(study, record, candidate.sha256)
        write_reason(refused, record.inbox_path, candidate.sha256, reason)
    lost = _lost_before(context, candidate)
    with context.store.writing() as connection:
        if state == "accepted":
            _enter_tube(connection, record, verdict, lost)
        set_state(connection, record, state, reason, duplicate_of=verdict.duplicate_of)
    return state, reason


def _enter_tube(
    connection: Connection, record: FileRecord, verdict: Verdict, lost: Sequence[FileRecord]
) -> None:
    """Save the identity of an accepted tube, which its file stands for from now on."""
    if verdict.identity:
        save_tube(
            connection,
            verdict.identity,
            verdict.keywords,
            cytometer=verdict.cytometer,
            serial=verdict.serial,
        )
        _retire_lost(connection, lost, record)
        refuse_twin(connection, record)


def _lost_before(context: IntakeContext, candidate: Candidate) -> list[FileRecord]:
    """List the tubes taken in with the same bytes whose file was lost since."""
    same = files_with_bytes(context.store, candidate.sha256)
    return [each for each in same if each.state in TAKEN_IN and each.place is None]


def _retire_lost(connection: Connection, lost: Sequence[FileRecord], record: FileRecord) -> None:
    """Let a file stand for its tube in the place of one that was lost."""
    for each in lost:
        reason = f"Its bytes came back as {printable(record.inbox_path)}."
        set_state(connection, each, "duplicate", reason, duplicate_of=record.sha256)


def _target(study: Study, candidate: Candidate, verdict: Verdict) -> Path:
    if verdict.identity:
        return archive_target(study, verdict.identity.patient, candidate.record, candidate.sha256)
    if verdict.state == "duplicate":
        return duplicate_target(study, candidate.record, candidate.sha256)
    if verdict.state == "quarantined":
        return quarantine_target(study, candidate.record, candidate.sha256)
    return candidate.path
