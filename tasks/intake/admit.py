"""Judge each file at rest in the inbox and carry the judgement out.

A file that is refused goes to the quarantine with its reason, one that lacks its identity waits
where it is. A second copy of a tube that was taken in goes to ``archive/_duplicates``: the inbox
does not fill up, and nothing is thrown away. With ``mode: leave`` no file is moved; only the
reasons of refused files are written to the quarantine.
"""

import errno
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from gating.fcs.header import TubeHeader, read_header
from panels.files.plain_file import regular_sha256
from panels.text.errors import StateConflict, UnreadableFile
from panels.text.printable import printable
from tasks.intake.identify import Identification, Registry, identify, trusted_keywords
from tasks.intake.inbox import Candidate, Listing, is_fcs_name, note_locked
from tasks.intake.moving import (
    CHANGED,
    archive_target,
    duplicate_target,
    move_file,
    note_unmoved,
    quarantine_target,
)
from tasks.intake.panel_fit import find_misfit
from tasks.intake.quarantine import write_reason
from tasks.intake.unmoved import why_unmoved
from tasks.intake.whole import MissingPart, missing_part, unreadable_part
from tasks.sheets.same_draw import two_draws
from tasks.sheets.samples import SampleRow, read_samples
from tasks.store.ledger import (
    TAKEN_IN,
    FileRecord,
    PlannedMove,
    State,
    all_files,
    file_now,
    files_with_bytes,
    plan_move,
    refuse_twin,
    set_state,
)
from tasks.store.opening import Store
from tasks.store.tubes import save_tube, taken_in
from tasks.study.folder import Study
from tasks.vocabulary.tube_identity import TubeIdentity

_ATTEMPTS = 20
_MOMENT = 0.05
"""Seconds until a file is judged again that another pass has in hand; a move takes less."""


@dataclass(frozen=True, slots=True)
class IntakeContext:
    """What a judgement needs: the study, its open store, its sheets, and which files each line of a sheet names.

    ``unused`` are the lines that name no file that ever came in.
    """

    study: Study
    store: Store
    registry: Registry
    claims: Mapping[SampleRow, tuple[FileRecord, ...]]
    unused: tuple[SampleRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a file, and why; an accepted one has its identity and what its keywords said."""

    state: State
    reason: str
    identity: TubeIdentity | None = None
    keywords: Mapping[str, str] = field(default_factory=dict)
    duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file of the inbox."""

    inbox_path: str
    tube_sha256: str
    state: State
    reason: str


def open_intake(study: Study, store: Store, listing: Listing) -> IntakeContext:
    """Read all sheets once, for one pass."""
    samples = read_samples(study.samples_sheet, study.inbox, listing.sheets)
    patients = study.patients()
    registry = Registry(samples, patients, study.settings, datetime.now(UTC).replace(tzinfo=None))
    claims: dict[SampleRow, list[FileRecord]] = {}
    used: set[SampleRow] = set()
    for record in all_files(store):
        lines = [line for line in samples.naming(record.inbox_path) if isinstance(line, SampleRow)]
        used.update(lines)
        held = record.state in TAKEN_IN or (
            record.state in {"settling", "waiting"} and record.place
        )
        for line in lines if held else ():
            if not line.many:
                claims.setdefault(line, []).append(record)
    unused = tuple(line for line in samples.rows if line not in used)
    return IntakeContext(
        study, store, registry, {line: tuple(records) for line, records in claims.items()}, unused
    )


def admit(context: IntakeContext, candidate: Candidate) -> Outcome:
    """Judge one file and carry the judgement out; an unreadable share leaves it settling for the next pass.

    What another pass makes of the file at the same time stays, and is given.
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
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        if not candidate.path.exists():
            raise StateConflict(f"{candidate.path.name} left the inbox meanwhile.") from error
        reason = note_locked(context.study, context.store, candidate.path, candidate.record, error)
        return Outcome(candidate.record.inbox_path, candidate.sha256, "settling", reason)
    state, reason = _carry_out(context, candidate, verdict)
    return Outcome(candidate.record.inbox_path, candidate.sha256, state, reason)


def judge(context: IntakeContext, candidate: Candidate) -> Verdict:
    """Decide what becomes of a file; nothing is changed by it."""
    if not is_fcs_name(candidate.path):
        return Verdict("quarantined", _not_fcs(candidate.path))
    same = [
        record
        for record in files_with_bytes(context.store, candidate.sha256)
        if record.id != candidate.record.id
    ]
    by_sheet = _identify(context, candidate, {})
    twin = next((record for record in same if record.state in TAKEN_IN and record.place), None)
    if twin:
        return _duplicate(context, candidate, twin, by_sheet)
    if (
        candidate.record.state == "waiting"
        and by_sheet.identity is None
        and not context.registry.settings.intake.keywords
    ):
        return _waiting(by_sheet, same)
    header = _whole_header(context, candidate)
    return (
        header if isinstance(header, Verdict) else _judge_readable(context, candidate, header, same)
    )


def _whole_header(context: IntakeContext, candidate: Candidate) -> TubeHeader | Verdict:
    """Read the header of a file that is whole; gives the verdict on any other."""
    header = None
    try:
        header = read_header(candidate.path)
        missing = missing_part(candidate.path, header)
        refusal = missing.refusal if missing else ""
    except UnreadableFile as fault:
        missing = unreadable_part(candidate.path, fault)
        refusal = missing.refusal if missing else str(fault)
    if missing and not _is_patience_over(context, candidate):
        return _unfinished(context, missing)
    if refusal or header is None:
        return Verdict("quarantined", refusal)
    return header


def _is_patience_over(context: IntakeContext, candidate: Candidate) -> bool:
    """Tell whether a file that is not whole has not changed for so long that no copy goes on.

    Both clocks are asked: a share's may be wrong, and a copy may be given the time of its original.
    """
    stat = candidate.path.lstat()
    now, patience = time.time(), context.study.settings.intake.patience_seconds
    unchanged = (now - candidate.record.seen_at, now - max(stat.st_mtime, stat.st_ctime))
    return patience == 0 or max(unchanged) >= patience


def _unfinished(context: IntakeContext, missing: MissingPart) -> Verdict:
    patience = context.study.settings.intake.patience_seconds
    told = f"{patience:.0f} seconds" if patience < 120 else f"{patience / 60:.0f} minutes"
    return Verdict(
        "settling",
        f"The copy is not finished: {missing.why}. It is looked at again by itself, "
        f"and refused when it has not changed for {told}.",
    )


def _judge_readable(
    context: IntakeContext, candidate: Candidate, header: TubeHeader, same: list[FileRecord]
) -> Verdict:
    keywords = trusted_keywords(header, context.registry.settings)
    found = _identify(context, candidate, keywords)
    if found.identity is None:
        return _waiting(found, same)
    doubt = (
        _claimed_twice(context, candidate, found)
        or _two_owners(context, same, found.identity, keywords)
        or _label_used_twice(context, found.identity, found.row)
    )
    if doubt:
        return Verdict("waiting", doubt)
    misfit = find_misfit(header, found.identity, context.study.own_panels, found.secret)
    if misfit:
        where = f"{found.row}: " if found.row and misfit.state == "waiting" else ""
        return Verdict(misfit.state, f"{where}{misfit.sentence}")
    return Verdict("accepted", " ".join(header.problems), found.identity, keywords)


def _identify(
    context: IntakeContext, candidate: Candidate, keywords: Mapping[str, str]
) -> Identification:
    return identify(context.registry, candidate.record.inbox_path, candidate.sha256, keywords)


def _waiting(found: Identification, same: list[FileRecord]) -> Verdict:
    copies = [record.inbox_path for record in same if record.state == "waiting" and record.place]
    also = f" The same bytes lie at {' and '.join(copies)}." if copies else ""
    return Verdict("waiting", " ".join(found.sentences) + also)


def _claimed_twice(
    context: IntakeContext, candidate: Candidate, found: Identification
) -> str | None:
    """Refuse to let one line of a sheet identify two different tubes: cytometers write Tube_001.fcs every day."""
    claims = context.claims.get(found.row, ()) if found.row else ()
    other = next(
        (
            record
            for record in claims
            if record.sha256 != candidate.sha256 and record.id != candidate.record.id
        ),
        None,
    )
    if other is None:
        return None
    used = (
        f"was used for another tube, taken in as {other.inbox_path}"
        if other.state in TAKEN_IN
        else f"also fits {other.inbox_path}"
    )
    return (
        f"{found.row} names {candidate.record.inbox_path}, but it {used}. Give each file a name "
        f"of its own and a line of its own."
    )


def _two_owners(
    context: IntakeContext,
    same: list[FileRecord],
    identity: TubeIdentity,
    keywords: Mapping[str, str],
) -> str | None:
    """Refuse the same bytes when the sheet gives them to two draws."""
    for record in same:
        if record.state in {"settling", "waiting"} and record.place:
            other = identify(context.registry, record.inbox_path, identity.tube_sha256, keywords)
            if other.identity and _draw(other.identity) != _draw(identity):
                both = f"{identity.file} and {record.inbox_path}"
                return (
                    f"{both} hold the same bytes, but are said to be different tubes. Correct the "
                    f"sample sheet."
                )
    return None


def _label_used_twice(
    context: IntakeContext, identity: TubeIdentity, row: SampleRow | None
) -> str | None:
    """Refuse a visit label that a tube of another day has: the label is what a table's row is called by."""
    others = [tube.identity for tube in taken_in(context.store, patient=identity.patient)]
    doubt = two_draws(identity, others, context.study.settings.limits.same_draw_hours)
    return f"{row}: {doubt}" if doubt and row else doubt


def _duplicate(
    context: IntakeContext, candidate: Candidate, twin: FileRecord, found: Identification
) -> Verdict:
    reason = (
        f"The same bytes as {twin.inbox_path}, which was taken in before (tube "
        f"{candidate.sha256[:12]})."
    )
    first = identify(context.registry, twin.inbox_path, candidate.sha256, {}).identity
    if first and found.identity and _draw(first) != _draw(found.identity):
        reason += (
            f" But {found.row or 'its name'} says it is a different tube: one of the two is "
            f"wrong. Correct the sample sheet."
        )
    return Verdict("duplicate", reason, duplicate_of=candidate.sha256)


def _draw(identity: TubeIdentity) -> tuple[object, ...]:
    return identity.patient, identity.drawn_at, identity.panel, identity.specimen, identity.control


def _not_fcs(path: Path) -> str:
    if path.suffix.lower() in {".xlsx", ".xls", ".ods", ".tsv", ".txt"}:
        return (
            "This is not an FCS file. If it is a sample sheet, save it as 'CSV UTF-8 (comma "
            "delimited)' and drop that."
        )
    return (
        f"This is not an FCS file (its name ends in '{path.suffix}'). Drop files that end in .fcs "
        f"or .lmd."
    )


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
            if verdict.identity:
                save_tube(connection, verdict.identity, verdict.keywords)
                _retire_lost(connection, lost, record)
                refuse_twin(connection, record)
            plan_move(connection, record, move)
        return move_file(study, context.store, move, record)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
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
        if verdict.identity and state == "accepted":
            save_tube(connection, verdict.identity, verdict.keywords)
            _retire_lost(connection, lost, record)
            refuse_twin(connection, record)
        set_state(connection, record, state, reason, duplicate_of=verdict.duplicate_of)
    return state, reason


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
