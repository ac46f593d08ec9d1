"""Release a draft that was looked at and compared, by somebody else than who alone edited it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from panels.files.durable import write_durably
from panels.text.errors import StoreFault, UsageFault
from tasks.calibrate.release import CHANGES, release_calibration
from tasks.drafts.draft_file import Draft, DraftName, path_of, read_draft
from tasks.drafts.edits import OutdatedDraft, Told, told
from tasks.review.releases import note_release
from tasks.strategies.release import release_version
from tasks.study.folder import Study, open_study
from tasks.study.settings import FILE_NAME
from tasks.vocabulary.person import explanation, is_same_person, person


@dataclass(frozen=True, slots=True)
class Released:
    """A draft that is none any more: its pin, the hash in the LOCK, and what to know of it."""

    pin: str
    sha256: str
    words: tuple[str, ...]


def release_draft(study: Study, name: DraftName, *, by: str, reason: str, stamp: str) -> Released:
    """Freeze a draft, and tell the log of decisions who did and why.

    Raises OutdatedDraft when its file is not the one of ``stamp``, and a UsageFault when its
    numbers, or the step of its version, are refused, or ``by`` edited it alone or last.
    """
    by, reason = person("by", by), explanation("reason", reason)
    draft = read_draft(study, name)
    if draft.stamp != stamp:
        raise OutdatedDraft(
            "Meanwhile the draft was changed: nothing was released. Load the page again."
        )
    with study.store() as store:
        why = own_edits(study, told(store, draft), by)
    if why:
        raise UsageFault(why)
    if name.kind == "calibration":
        released = _calibration(study, name, by, reason)
    else:
        released = _strategy(study, draft, by, reason)
    note_release(study.folder, name.kind, name.pin, released.sha256, by=by, reason=reason)
    return released


def own_edits(study: Study, log: Told, by: str) -> str:
    """Say why a person may not release a draft that nobody else edited; empty: they may."""
    if not study.settings.review.four_eyes or not log.edits:
        return ""
    which = _edited_alone(log, by)
    if not which:
        return ""
    return f"{which} by {by}: another person releases it (review: four_eyes in study.yaml)."


def _edited_alone(log: Told, by: str) -> str:
    """Say what a person did alone in a draft that nobody else has looked at since."""
    if all(is_same_person(each.by, by) for each in log.edits):
        return "All edits of this draft are"
    in_force = log.in_force()
    if in_force and all(is_same_person(each.by, by) for each in in_force):
        return "All edits of this draft that hold now are"
    return "The last edit of this draft is" if is_same_person(log.edits[-1].by, by) else ""


def refuse_own_edits(folder: Path, name: DraftName, by: str) -> None:
    """Raise UsageFault where ``by`` may not release a draft that lies in a study's folder.

    A folder without study.yaml has no log, and a store that cannot be reached tells nothing.
    """
    if not (folder / FILE_NAME).is_file() or not path_of(open_study(folder), name).is_file():
        return
    study = open_study(folder)
    try:
        with study.store() as store:
            why = own_edits(study, told(store, read_draft(study, name)), by)
    except StoreFault:
        return
    if why:
        raise UsageFault(why)


def _calibration(study: Study, name: DraftName, by: str, reason: str) -> Released:
    place, _, version = name.pin.partition("@")
    panel, _, instrument = place.partition("/")
    frozen, changes = release_calibration(
        study.folder, (panel, instrument), version, by=by, reason=reason
    )
    said = [each.text for each in changes or ()]
    return Released(
        name.pin, frozen.sha256, (f"{name.pin} is released. The next run counts with it.", *said)
    )


def _strategy(study: Study, draft: Draft, by: str, reason: str) -> Released:
    strategy, _, version = draft.name.pin.partition("@")
    with _reasons_written(draft.path.with_name(CHANGES), draft.name.pin, by, reason):
        frozen, difference = release_version(study.folder, strategy, version)
    said = () if difference is None else tuple(each.text for each in difference.changes)
    how = f"reconflow regate --strategy {draft.name.pin}, then reconflow strategy promote"
    return Released(
        draft.name.pin,
        frozen.sha256,
        (f"{draft.name.pin} is released. It counts once it was promoted: {how}.", *said),
    )


@contextmanager
def _reasons_written(path: Path, pin: str, by: str, reason: str) -> Iterator[None]:
    """Write the reason into a file that a release asks for; it goes again where that is refused."""
    written = not path.exists()
    if written:
        today = datetime.now(UTC).date().isoformat()
        write_durably(path, f"# {pin}\n\n{reason}\n\nReleased by {by}, {today}.\n".encode())
    try:
        yield
    except BaseException:
        if written:
            path.unlink(missing_ok=True)
        raise
