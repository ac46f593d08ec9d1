"""Take refused files and failed tubes up again."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from panels.text.errors import StateConflict, UsageFault
from tasks.intake.destinations import inbox_target
from tasks.intake.marker_files import check_folders
from tasks.intake.moving import finish_moves, move_file
from tasks.intake.quarantine import remove_reason
from tasks.store.ledger import FileRecord, all_files, set_state
from tasks.store.moves import PlannedMove, plan_move
from tasks.store.opening import Store
from tasks.study.folder import Study
from tasks.study.lock import intake_lock

_TAKEN_UP = "taken up again"
_FEWEST_DIGITS = 8
"""Of a SHA-256 that names a file."""


def retry(study: Study, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Put refused files back in the inbox and failed tubes back among the accepted.

    Gives the files taken up again, by their paths in the inbox. ``names`` are file names, paths in
    the inbox, or the beginning of a SHA-256 (8 characters or more); None means all. Raises
    UsageFault for a name that fits no refused or failed file; then nothing is done.
    """
    with study.store() as store, intake_lock(store):
        check_folders(study, store)
        finish_moves(study, store)
        open_files = all_files(store, ("quarantined", "failed"))
        # One whose bytes are lost can only come back with its file.
        stuck = [each for each in open_files if each.state == "quarantined" or each.place]
        chosen = stuck
        if names is not None:
            chosen = [record for name in names for record in _called(name, stuck)]
        for record in dict.fromkeys(chosen):
            # Whoever changed the file meanwhile has taken it up.
            with suppress(StateConflict):
                _take_up(study, store, record)
        return tuple(record.inbox_path for record in dict.fromkeys(chosen))


def _called(name: str, stuck: Sequence[FileRecord]) -> list[FileRecord]:
    """Find the files that a name means; raises UsageFault where there is none."""
    called = [record for record in stuck if _is_called(name, record)]
    if not called:
        raise UsageFault(
            f"No refused or failed file is called '{name}'. `reconflow status` lists them."
        )
    return called


def _is_called(name: str, record: FileRecord) -> bool:
    if name in {record.inbox_path, record.place}:
        return True
    if Path(name).name in {record.name, Path(record.place or "").name}:
        return True
    sha256 = record.sha256 or ""
    return len(name) >= _FEWEST_DIGITS and sha256.startswith(name.lower())


def _take_up(study: Study, store: Store, record: FileRecord) -> None:
    if record.state == "failed":
        with store.writing() as connection:
            set_state(connection, record, "accepted", _TAKEN_UP)
        return
    place = study.path_of(record.place) if record.place else None
    if place is None or place.is_relative_to(study.inbox):
        remove_reason(study.quarantine, record.name, record.sha256 or "")
        with store.writing() as connection:
            set_state(connection, record, "settling", _TAKEN_UP)
        return
    target = inbox_target(study, record, record.sha256 or "")
    move = PlannedMove(
        record.id, study.place_of(place), study.place_of(target), "settling", _TAKEN_UP
    )
    with store.writing() as connection:
        plan_move(connection, record, move)
    move_file(study, store, move, record)
