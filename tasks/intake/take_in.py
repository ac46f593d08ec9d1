"""Take in what lies in the inbox: one pass, from files at rest to accepted tubes."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from panels.text.errors import SettingsFault, StateConflict, UsageFault
from panels.text.printable import printable
from tasks.intake.admit import Outcome, admit, open_intake
from tasks.intake.inbox import Candidate, Listing, list_inbox, scan_inbox
from tasks.intake.leftovers import remove_unfinished, return_changed
from tasks.intake.marker_files import check_folders, mark_folders
from tasks.intake.moving import finish_moves, inbox_target, move_file
from tasks.intake.quarantine import remove_reason
from tasks.intake.reidentify import correct_identities
from tasks.intake.restore import restore_identities
from tasks.intake.store_check import check_ledger
from tasks.sheets.samples import SampleRow
from tasks.store.ledger import (
    FileRecord,
    PlannedMove,
    State,
    all_files,
    count_by_state,
    plan_move,
    set_state,
)
from tasks.store.opening import Store
from tasks.study.folder import Study
from tasks.study.lock import intake_lock

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class IntakeSummary:
    """What one pass did: ``outcomes`` of the files it judged, the whole ledger by state, and sentences to show.

    ``sentences`` say what is wrong with the sheets, what waits and why, and which identities were
    mended; ``sheet_faults`` are those among them that somebody has to mend in a sheet,
    ``inbox_faults`` what is not read in the inbox.
    """

    outcomes: tuple[Outcome, ...]
    ledger: Mapping[State, int]
    sentences: tuple[str, ...]
    sheet_faults: tuple[str, ...] = ()
    inbox_faults: tuple[str, ...] = ()

    def judged(self, state: State) -> int:
        """Count the files that this pass brought into a state."""
        return sum(outcome.state == state for outcome in self.outcomes)


def take_in(study: Study, *, wait: bool = True) -> IntakeSummary:
    """Take in every file of the inbox that is at rest; one pass at a time, whoever starts it.

    With ``wait`` the pass waits once for files it has just seen to settle; without, they are left
    to the next pass. Raises SettingsFault when there is no inbox (a share that is not connected),
    so that nothing is taken for removed, and UsageFault when the store knows nothing of the tubes
    that were taken in before.
    """
    with study.store() as store, intake_lock(store):
        _check_inbox(study, store)
        unknown = check_ledger(study, store)
        mark_folders(study, store)
        unmoved = (*finish_moves(study, store), *return_changed(study, store))
        remove_unfinished(study, store)
        listing = list_inbox(study)
        candidates = scan_inbox(study, store, listing)
        if wait and _settle(study, store):
            listing = list_inbox(study)
            candidates = scan_inbox(study, store, listing)
        return _take_in(study, store, listing, candidates, (*unknown, *unmoved))


def retry(study: Study, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Put refused files back in the inbox and failed tubes back among the accepted; gives the files taken up again.

    ``names`` are file names, paths in the inbox, or the beginning of a SHA-256 (8 characters or
    more); None means all. Raises UsageFault for a name that fits no refused or failed file; then
    nothing is done.
    """
    with study.store() as store, intake_lock(store):
        check_folders(study, store)
        finish_moves(study, store)
        open_files = all_files(store, ("quarantined", "failed"))
        # One whose bytes are lost can only come back with its file.
        stuck = [each for each in open_files if each.state == "quarantined" or each.place]
        chosen = (
            stuck
            if names is None
            else [record for name in names for record in _called(name, stuck)]
        )
        for record in dict.fromkeys(chosen):
            # Whoever changed the file meanwhile has taken it up.
            with suppress(StateConflict):
                _take_up(study, store, record)
        return tuple(record.inbox_path for record in dict.fromkeys(chosen))


def _take_in(
    study: Study,
    store: Store,
    listing: Listing,
    candidates: Sequence[Candidate],
    unknown: Sequence[str],
) -> IntakeSummary:
    context = open_intake(study, store, listing)
    # First those taken in before: a file may wait only because an earlier tube had its visit by
    # mistake.
    mended = (*restore_identities(context), *correct_identities(context, listing))
    outcomes = {candidate.record.id: admit(context, candidate) for candidate in candidates}
    accepted = {outcome.tube_sha256 for outcome in outcomes.values() if outcome.state == "accepted"}
    for candidate in candidates:
        # A copy that came first in the alphabet waited, then its twin was accepted: now it is a
        # duplicate.
        if candidate.sha256 in accepted and outcomes[candidate.record.id].state == "waiting":
            outcomes[candidate.record.id] = admit(context, candidate)
    faults = [
        str(fault)
        for fault in (*context.registry.patients.faults, *context.registry.samples.faults)
    ]
    open_files = all_files(store, ("waiting", "settling"))
    waiting = [f"{printable(each.inbox_path)}: {each.reason}" for each in open_files if each.reason]
    sentences = tuple(
        dict.fromkeys(
            (*unknown, *listing.faults, *faults, *waiting, *mended, *_unused(context.unused))
        )
    )
    sheet_faults, judged = tuple(dict.fromkeys(faults)), tuple(outcomes.values())
    return IntakeSummary(judged, count_by_state(store), sentences, sheet_faults, listing.faults)


def _unused(lines: Sequence[SampleRow]) -> tuple[str, ...]:
    """Say which lines of the sheets name no file: a slip in the name, or a tube that has not come yet."""
    if not lines:
        return ()
    named = ", ".join(f"{line} ({printable(line.file)})" for line in lines[:_MOST_NAMED])
    named += " …" if len(lines) > _MOST_NAMED else ""
    number = "One line names" if len(lines) == 1 else f"{len(lines)} lines name"
    return (
        (
            f"{number} a file that has not come into the inbox so far: {named}. Check the name, "
            f"or drop the file."
        ),
    )


def _settle(study: Study, store: Store) -> bool:
    """Wait until the files seen just now may be looked at again; tells whether there were any."""
    unsettled: tuple[State, ...] = ("settling",)
    settling = [
        record for record in all_files(store, unsettled) if record.place and record.size >= 0
    ]
    if not settling:
        return False
    last = max(record.seen_at for record in settling) + study.settings.intake.settle_seconds
    time.sleep(min(max(last - time.time(), 0.0), study.settings.intake.settle_seconds))
    return True


def _check_inbox(study: Study, store: Store) -> None:
    if Path(study.settings.inbox).is_absolute() and not study.inbox.is_dir():
        raise SettingsFault(
            f"The inbox {study.inbox} cannot be found. Is the share connected? (study.yaml: inbox)"
        )
    check_folders(study, store)
    study.inbox.mkdir(parents=True, exist_ok=True)


def _called(name: str, stuck: Sequence[FileRecord]) -> list[FileRecord]:
    base = Path(name).name
    found = [
        record
        for record in stuck
        if name in {record.inbox_path, record.place}
        or base in {record.name, Path(record.place or "").name}
        or (len(name) >= 8 and (record.sha256 or "").startswith(name.lower()))
    ]
    if not found:
        raise UsageFault(
            f"No refused or failed file is called '{name}'. `reconflow status` lists them."
        )
    return found


def _take_up(study: Study, store: Store, record: FileRecord) -> None:
    if record.state == "failed":
        with store.writing() as connection:
            set_state(connection, record, "accepted", "taken up again")
        return
    place = study.path_of(record.place) if record.place else None
    if place is None or place.is_relative_to(study.inbox):
        remove_reason(study.quarantine, record.name, record.sha256 or "")
        with store.writing() as connection:
            set_state(connection, record, "settling", "taken up again")
        return
    target = inbox_target(study, record, record.sha256 or "")
    move = PlannedMove(
        record.id, study.place_of(place), study.place_of(target), "settling", "taken up again"
    )
    with store.writing() as connection:
        plan_move(connection, record, move)
    move_file(study, store, move, record)
