"""Bring the identity of accepted tubes up to date when a sheet was corrected afterwards."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from gating.fcs.header import read_header
from panels.files.user_file import NotReadable, read_user_file
from panels.text.errors import StateConflict, UnreadableFile
from tasks.intake.context import IntakeContext
from tasks.intake.destinations import archive_target
from tasks.intake.identify import Identification, identify
from tasks.intake.inbox import Listing
from tasks.intake.moving import move_file
from tasks.intake.panel_fit import find_misfit
from tasks.intake.unmoved import why_unmoved
from tasks.sheets.csv_table import MOST_BYTES
from tasks.sheets.same_draw import Draw, draw_of, two_draws
from tasks.store.ledger import note_change, set_state
from tasks.store.moves import PlannedMove, plan_move
from tasks.store.notes import recall, remember
from tasks.store.tubes import Tube, save_tube, taken_in
from tasks.study.folder import Study
from tasks.vocabulary.tube_identity import TubeIdentity

_NOTE = "sheets"
_ATTEMPTS = 3
_COMPARED = tuple(each.name for each in fields(TubeIdentity) if each.name != "time_zone")


def correct_identities(context: IntakeContext, listing: Listing) -> tuple[str, ...]:
    """Identify all accepted tubes again if a sheet changed since the last pass.

    Gives sentences on what was changed, or cannot be. A tube whose line is wrong now, or gone,
    keeps the identity it had. So does one whose line names another patient and another time of
    collection at once: that is the line of a later tube whose file has the same name.
    """
    fingerprint = _fingerprint(context.study, listing)
    if recall(context.store, _NOTE) == fingerprint:
        return ()
    tubes = taken_in(context.store)
    identified = [_identify(context, tube) for tube in tubes]
    meant: dict[Draw, list[TubeIdentity]] = {}
    for tube, now in zip(tubes, identified, strict=True):
        identity = now.identity or tube.identity
        meant.setdefault(draw_of(identity), []).append(identity)
    corrections = [
        _correct_present(context, tube, now, meant)
        for tube, now in zip(tubes, identified, strict=True)
    ]
    if not any(each.problem for each in corrections):
        remember(context.store, _NOTE, fingerprint)
    sentences = (text for each in corrections for text in (each.problem, each.change))
    return tuple(sentence for sentence in sentences if sentence)


def _identify(context: IntakeContext, tube: Tube) -> Identification:
    return identify(
        context.registry, tube.file.inbox_path, tube.identity.tube_sha256, tube.keywords
    )


def _fingerprint(study: Study, listing: Listing) -> str:
    """Hash everything an identity depends on."""
    digest = hashlib.sha256(
        study.settings.model_dump_json(include={"intake", "start", "time_zone", "nightly"}).encode()
    )
    for path in (study.samples_sheet, study.patients_sheet, *listing.sheets):
        digest.update(str(path).encode() + b"\0")
        digest.update(_digest_of(path))
    return digest.hexdigest()


def _digest_of(sheet: Path) -> bytes:
    """Hash a sheet; one that is not there, or cannot be read now, is as good as empty."""
    try:
        return hashlib.sha256(read_user_file(sheet, MOST_BYTES)).digest()
    except (FileNotFoundError, NotReadable):
        return b""


@dataclass(frozen=True, slots=True)
class _Correction:
    """What became of one tube: what kept it from being corrected, and what was changed."""

    problem: str = ""
    change: str = ""


def _correct_present(
    context: IntakeContext,
    tube: Tube,
    identified: Identification,
    meant: Mapping[Draw, Sequence[TubeIdentity]],
) -> _Correction:
    """Correct one tube as it is now: one that a pass counts or moves meanwhile is read again."""
    for _ in range(_ATTEMPTS):
        try:
            return _correct(context, tube, identified, meant)
        except StateConflict:
            tube = next(iter(taken_in(context.store, tube_sha256=tube.identity.tube_sha256)), tube)
    file = tube.file.inbox_path
    return _Correction(
        f"{file}: another reconflow is at work on it; the next run mends its identity."
    )


def _correct(
    context: IntakeContext,
    tube: Tube,
    identified: Identification,
    meant: Mapping[Draw, Sequence[TubeIdentity]],
) -> _Correction:
    """Correct one tube.

    ``meant`` are all tubes as the sheets now have them, by draw: two whose labels were swapped are
    corrected together.
    """
    file, identity = tube.file.inbox_path, identified.identity
    keeps = f"Tube {tube.identity.tube_sha256[:12]}, taken in before, keeps its identity."
    if identity is None:
        if not context.registry.samples.naming(file):
            return _Correction()
        return _Correction(f"{' '.join(identified.sentences)} {keeps}")
    changes = _changes(tube.identity, identity)
    if not changes:
        return _Correction()
    where = identified.row or file
    objection = _objection(context, tube, identified, meant[draw_of(identity)])
    if objection:
        return _Correction(f"{where}: {objection} {keeps}")
    change = f"{file}: identity corrected ({changes})."
    try:
        _write(context, tube, identity, f"{where}: {changes}")
    except OSError as error:
        return _Correction(f"{file}: {why_unmoved(context.study, error)}", change)
    return _Correction(change=change)


def _objection(
    context: IntakeContext,
    tube: Tube,
    identified: Identification,
    same_draw: Sequence[TubeIdentity],
) -> str:
    """Say why a tube cannot have its new identity, or nothing.

    ``same_draw`` are the tubes of the draw that the sheets now give it.
    """
    identity = identified.identity
    if identity is None:
        return ""
    reused = _reused(context, tube, identified)
    if reused:
        return reused
    two = two_draws(identity, same_draw, context.study.settings.limits.same_draw_hours)
    if two:
        return two
    if (tube.identity.panel, tube.identity.control) == (identity.panel, identity.control):
        return ""
    return _misfit(context, tube, identity, identified.secret)


def _reused(context: IntakeContext, tube: Tube, identified: Identification) -> str:
    """Say why the line seems to be about another tube by now, or nothing."""
    claims = context.claimed_by(identified.row)
    if any(record.sha256 != tube.identity.tube_sha256 for record in claims):
        return "the line fits more than one tube."
    new, old = identified.identity, tube.identity
    if new and new.patient != old.patient and new.drawn_at != old.drawn_at:
        return (
            f"patient and collected both differ from the tube taken in as "
            f"{tube.file.inbox_path} ({old.patient}, "
            f"{old.collected.isoformat()}). If that is another tube, give its file another "
            f"name; if not, mend one, run, then the other."
        )
    return ""


def _changes(before: TubeIdentity, after: TubeIdentity) -> str:
    return ", ".join(
        f"{name} {old} → {new}"
        for name in _COMPARED
        if (old := getattr(before, name)) != (new := getattr(after, name))
    )


def _misfit(
    context: IntakeContext, tube: Tube, identity: TubeIdentity, secret: frozenset[str]
) -> str:
    if tube.file.place is None:
        return "The file's bytes are lost, so that its new panel cannot be checked."
    try:
        header = read_header(context.study.path_of(tube.file.place))
        misfit = find_misfit(header, identity, context.study.own_panels, secret)
    except (UnreadableFile, OSError) as error:
        return str(error)
    return misfit.sentence if misfit else ""


def _write(context: IntakeContext, tube: Tube, identity: TubeIdentity, reason: str) -> None:
    """Write the new identity.

    A tube of another panel is counted anew; the file of another patient goes to that patient's
    folder.
    """
    study, record = context.study, tube.file
    state, state_reason = record.state, record.reason
    if identity.panel != tube.identity.panel and state != "accepted":
        state, state_reason = "accepted", ""
    move = None
    if record.place and _goes_elsewhere(study, record.place, tube.identity, identity):
        target = archive_target(study, identity.patient, record, identity.tube_sha256)
        move = PlannedMove(record.id, record.place, study.place_of(target), state, record.reason)
    with context.store.writing() as connection:
        save_tube(connection, identity, tube.keywords, cytometer=tube.cytometer, serial=tube.serial)
        note_change(connection, record.id, reason)
        changed = set_state(connection, record, state, state_reason)
        if move:
            plan_move(connection, changed, move)
    if move:
        move_file(study, context.store, move, changed)


def _goes_elsewhere(study: Study, place: str, old: TubeIdentity, new: TubeIdentity) -> bool:
    """Tell whether an archived file belongs in another patient's folder."""
    return new.patient != old.patient and study.path_of(place).is_relative_to(study.archive)
