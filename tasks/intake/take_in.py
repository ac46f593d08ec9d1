"""Take in what lies in the inbox: one pass, from files at rest to accepted tubes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from panels.text.errors import SettingsFault
from panels.text.printable import printable
from tasks.intake.admit import Outcome, admit
from tasks.intake.context import IntakeContext, open_intake
from tasks.intake.inbox import Listing, list_inbox
from tasks.intake.leftovers import remove_unfinished, return_changed
from tasks.intake.marker_files import check_folders, mark_folders
from tasks.intake.moving import finish_moves
from tasks.intake.reidentify import correct_identities
from tasks.intake.restore import restore_identities
from tasks.intake.scan import Candidate, scan_inbox
from tasks.intake.store_check import check_ledger
from tasks.sheets.samples import SampleRow
from tasks.store.ledger import State, all_files
from tasks.store.opening import Store
from tasks.study.folder import Study
from tasks.study.lock import intake_lock

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class IntakeSummary:
    """What one pass did: the outcomes of the files it judged, and what is to be said of the rest.

    ``sentences`` say what is wrong with the sheets, what waits and why, and which identities were
    corrected; ``sheet_faults`` are those among them that somebody has to correct in a sheet,
    ``inbox_faults`` what is not read in the inbox. ``arriving`` files were seen for the first time,
    or have changed since.
    """

    outcomes: tuple[Outcome, ...]
    sentences: tuple[str, ...]
    sheet_faults: tuple[str, ...] = ()
    inbox_faults: tuple[str, ...] = ()
    arriving: int = 0

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


def _take_in(
    study: Study,
    store: Store,
    listing: Listing,
    candidates: Sequence[Candidate],
    notices: Sequence[str],
) -> IntakeSummary:
    """Judge the files at rest; ``notices`` are the sentences that the pass has so far."""
    context = open_intake(study, store, listing)
    # First those taken in before: a file may wait only because an earlier tube had its visit by
    # mistake.
    corrected = (*restore_identities(context), *correct_identities(context, listing))
    outcomes = _admit_all(context, candidates)
    registry = context.registry
    sheet_faults = tuple(map(str, (*registry.patients.faults, *registry.samples.faults)))
    open_files = all_files(store, ("waiting", "settling"))
    waiting = [f"{printable(each.inbox_path)}: {each.reason}" for each in open_files if each.reason]
    sentences = (
        *notices,
        *listing.faults,
        *sheet_faults,
        *waiting,
        *corrected,
        *_unused(context.unused),
    )
    return IntakeSummary(
        outcomes,
        sentences=_without_repeats(sentences),
        sheet_faults=_without_repeats(sheet_faults),
        inbox_faults=listing.faults,
        arriving=sum(each.state == "settling" and not each.reason for each in open_files),
    )


def _admit_all(context: IntakeContext, candidates: Sequence[Candidate]) -> tuple[Outcome, ...]:
    outcomes = {candidate.record.id: admit(context, candidate) for candidate in candidates}
    accepted = {outcome.tube_sha256 for outcome in outcomes.values() if outcome.state == "accepted"}
    for candidate in candidates:
        # A copy that came first in the alphabet waited, then its twin was accepted: now it is a
        # duplicate.
        if candidate.sha256 in accepted and outcomes[candidate.record.id].state == "waiting":
            outcomes[candidate.record.id] = admit(context, candidate)
    return tuple(outcomes.values())


def _without_repeats(sentences: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentences))


def _unused(lines: Sequence[SampleRow]) -> tuple[str, ...]:
    """Say which lines of the sheets name no file.

    There is a slip in the name, or the tube has not come yet.
    """
    if not lines:
        return ()
    named = ", ".join(f"{line} ({printable(line.file)})" for line in lines[:_MOST_NAMED])
    if len(lines) > _MOST_NAMED:
        named += " …"
    number = "One line names" if len(lines) == 1 else f"{len(lines)} lines name"
    sentence = (
        f"{number} a file that has not come into the inbox so far: {named}. Check the name, "
        f"or drop the file."
    )
    return (sentence,)


def _settle(study: Study, store: Store) -> bool:
    """Wait until the files seen just now may be looked at again; tells whether there were any."""
    unsettled: tuple[State, ...] = ("settling",)
    records = all_files(store, unsettled)
    settling = [record for record in records if record.place and record.size >= 0]
    if not settling:
        return False
    seconds = study.settings.intake.settle_seconds
    last = max(record.seen_at for record in settling) + seconds
    time.sleep(min(max(last - time.time(), 0.0), seconds))
    return True


def _check_inbox(study: Study, store: Store) -> None:
    if Path(study.settings.inbox).is_absolute() and not study.inbox.is_dir():
        raise SettingsFault(
            f"The inbox {study.inbox} cannot be found. Is the share connected? (study.yaml: inbox)"
        )
    check_folders(study, store)
    study.inbox.mkdir(parents=True, exist_ok=True)
