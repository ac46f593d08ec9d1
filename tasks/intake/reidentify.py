"""Bring the identity of accepted tubes up to date when a sheet was mended after they were taken in."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from gating.fcs.header import read_header
from panels.files.user_file import NotReadable, read_user_file
from panels.text.errors import StateConflict, UnreadableFile
from tasks.intake.admit import IntakeContext
from tasks.intake.identify import Identification, identify
from tasks.intake.inbox import Listing
from tasks.intake.moving import archive_target, move_file
from tasks.intake.panel_fit import find_misfit
from tasks.intake.unmoved import why_unmoved
from tasks.sheets.csv_table import MOST_BYTES
from tasks.sheets.same_draw import Draw, draw_of, two_draws
from tasks.store.ledger import PlannedMove, note_change, plan_move, recall, remember, set_state
from tasks.store.tubes import Tube, save_tube, taken_in
from tasks.study.folder import Study
from tasks.vocabulary.tube_identity import TubeIdentity

_NOTE = "sheets"
_ATTEMPTS = 3


def correct_identities(context: IntakeContext, listing: Listing) -> tuple[str, ...]:
    """Identify all accepted tubes again if a sheet changed since the last pass, and say what was changed or cannot be.

    A tube whose line is wrong now, or gone, keeps the identity it had. So does one whose line names
    another patient and another time of collection at once: that is the line of a later tube whose
    file has the same name.
    """
    fingerprint = _fingerprint(context.study, listing)
    if recall(context.store, _NOTE) == fingerprint:
        return ()
    tubes = taken_in(context.store)
    found = [
        identify(context.registry, tube.file.inbox_path, tube.identity.tube_sha256, tube.keywords)
        for tube in tubes
    ]
    meant: dict[Draw, list[TubeIdentity]] = {}
    for tube, now in zip(tubes, found, strict=True):
        identity = now.identity or tube.identity
        meant.setdefault(draw_of(identity), []).append(identity)
    said = [
        _correct_present(context, tube, now, meant) for tube, now in zip(tubes, found, strict=True)
    ]
    if not any(problem for problem, _ in said):
        remember(context.store, _NOTE, fingerprint)
    return tuple(sentence for problem, change in said for sentence in (problem, change) if sentence)


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


def _correct_present(
    context: IntakeContext,
    tube: Tube,
    found: Identification,
    meant: Mapping[Draw, Sequence[TubeIdentity]],
) -> tuple[str, str]:
    """Mend one tube as `_mend` does; one that a pass counts or moves meanwhile is read again."""
    for _ in range(_ATTEMPTS):
        try:
            return _correct(context, tube, found, meant)
        except StateConflict:
            tube = next(iter(taken_in(context.store, tube_sha256=tube.identity.tube_sha256)), tube)
    file = tube.file.inbox_path
    return f"{file}: another reconflow is at work on it; the next run mends its identity.", ""


def _correct(
    context: IntakeContext,
    tube: Tube,
    found: Identification,
    meant: Mapping[Draw, Sequence[TubeIdentity]],
) -> tuple[str, str]:
    """Mend one tube; gives what keeps it from being mended, and what was changed.

    ``meant`` are all tubes as the sheets now have them, by draw: two whose labels were swapped are
    mended together.
    """
    file, short = tube.file.inbox_path, tube.identity.tube_sha256[:12]
    if found.identity is None:
        named = bool(context.registry.samples.naming(file))
        return (
            f"{' '.join(found.sentences)} Tube {short}, taken in before, keeps its identity."
            if named
            else ""
        ), ""
    changes = _changes(tube.identity, found.identity)
    if not changes:
        return "", ""
    hours = context.study.settings.limits.same_draw_hours
    doubt = _reused(context, tube, found) or two_draws(
        found.identity, meant[draw_of(found.identity)], hours
    )
    if doubt:
        return (
            f"{found.row or file}: {doubt} Tube {short}, taken in before, keeps its identity.",
            "",
        )
    restained = (tube.identity.panel, tube.identity.control) != (
        found.identity.panel,
        found.identity.control,
    )
    misfit = _misfit(context, tube, found.identity, found.secret) if restained else ""
    if misfit:
        return (
            f"{found.row or file}: {misfit} Tube {short}, taken in before, keeps its identity.",
            "",
        )
    reason = f"{found.row or file}: {changes}"
    try:
        _write(context, tube, found.identity, reason)
    except OSError as error:
        return (
            f"{file}: {why_unmoved(context.study, error)}",
            f"{file}: identity mended ({changes}).",
        )
    return "", f"{file}: identity mended ({changes})."


def _reused(context: IntakeContext, tube: Tube, found: Identification) -> str:
    """Tell whether the line seems to be about another tube by now; says why, or nothing."""
    claims = context.claims.get(found.row, ()) if found.row else ()
    if any(record.sha256 != tube.identity.tube_sha256 for record in claims):
        return "the line fits more than one tube."
    new, old = found.identity, tube.identity
    if new and new.patient != old.patient and new.drawn_at != old.drawn_at:
        return (
            f"patient and collected both differ from the tube taken in as "
            f"{tube.file.inbox_path} ({old.patient}, "
            f"{old.collected.isoformat()}). If that is another tube, give its file another "
            f"name; if not, mend one, run, then the other."
        )
    return ""


def _changes(before: TubeIdentity, after: TubeIdentity) -> str:
    old, new = asdict(before), asdict(after)
    return ", ".join(
        f"{name} {old[name]} → {new[name]}"
        for name in old
        if name != "time_zone" and old[name] != new[name]
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
    """Write the new identity; another panel is counted anew, another patient's file goes to that patient's folder."""
    study, record = context.study, tube.file
    state = "accepted" if identity.panel != tube.identity.panel else record.state
    move = None
    if (
        record.place
        and identity.patient != tube.identity.patient
        and study.path_of(record.place).is_relative_to(study.archive)
    ):
        target = archive_target(study, identity.patient, record, identity.tube_sha256)
        move = PlannedMove(record.id, record.place, study.place_of(target), state, record.reason)
    with context.store.writing() as connection:
        save_tube(connection, identity, tube.keywords)
        note_change(connection, record.id, reason)
        changed = set_state(
            connection, record, state, record.reason if state == record.state else ""
        )
        if move:
            plan_move(connection, changed, move)
    if move:
        move_file(study, context.store, move, changed)
