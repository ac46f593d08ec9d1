"""Read how a study stands: the ledger, the sheets, the last pass, and how many tubes to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.intake.inbox import inbox_faults
from tasks.intake.sheet_notices import sheet_sentences
from tasks.monitor.overview import kept_overview
from tasks.overview.morning import StudyNow
from tasks.overview.night import Night, PassOutcome, looked_back_from
from tasks.overview.uncalibrated import find_uncalibrated
from tasks.store.ledger import FileRecord, State, all_files, count_by_state
from tasks.store.runs import Run, last_run
from tasks.store.tube_lists import counted_since
from tasks.strategies.standing import Standing, strategy_standing
from tasks.study.lock import is_running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.results.looked import Looked
    from tasks.store.opening import Store
    from tasks.study.snapshot import StudySnapshot

NEEDS_A_PERSON: tuple[State, ...] = ("failed", "quarantined", "waiting")
"""States of the files that ask for a person, the most urgent first."""
ASIDE: tuple[State, ...] = ("duplicate", "settling")
"""States of the files that ask for nothing, and are named; a duplicate only while it is new."""

MOST_SHEET_FAULTS = 20
"""So many faults of the sheets are told in full."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store holds at one moment, but for the tables."""

    run: Run | None
    states: Mapping[State, int]
    files: Sequence[FileRecord]
    aside: Sequence[FileRecord]
    recent: frozenset[str]
    standings: Sequence[Standing]


def read_kept(snapshot: StudySnapshot, store: Store) -> Kept:
    """Read what the store holds at this moment, but for the tables."""
    run = last_run(store)
    since = looked_back_from(run.started_at if run else None)
    return Kept(
        run,
        count_by_state(store),
        _listed(store, NEEDS_A_PERSON),
        [
            each
            for each in _listed(store, ASIDE)
            if each.state != "duplicate" or each.changed_at >= since
        ],
        counted_since(store, since),
        strategy_standing(snapshot, store),
    )


def study_now(
    snapshot: StudySnapshot,
    kept: Kept,
    looked: Looked,
    faults: Sequence[str] = (),
    *,
    in_pass: bool = False,
) -> StudyNow:
    """Put together how the study stands; ``in_pass`` and ``faults`` as in ``read_morning``."""
    study = snapshot.study
    uncalibrated = find_uncalibrated(snapshot)
    instruments = kept_overview(study)
    unwritten = tuple(faults) if in_pass else _faults_of(kept.run)
    sheets = sheet_sentences(snapshot)
    asked = (
        *inbox_faults(study),
        *sheets.notices,
        *uncalibrated.unmeasured,
        *instruments.notices,
    )
    outcome, at = _ending(snapshot, kept.run, in_pass=in_pass)
    night = Night(
        outcome=outcome,
        at=at,
        time_zone=study.settings.time_zone,
        counted=len(kept.recent),
        to_look_at=looked.tubes,
        stops=looked.stops,
        files=len(kept.files),
        sheets=len(sheets.faults),
        notices=len(asked),
        unwritten=len(unwritten),
        uncalibrated=sum(each.tubes for each in uncalibrated.tubes),
        drifts=len(instruments.notices),
    )
    return StudyNow(
        states=kept.states,
        files=kept.files,
        aside=kept.aside,
        recent=kept.recent,
        standings=kept.standings,
        instruments=instruments,
        notices=(*unwritten, *_first_of(sheets.faults), *asked),
        on_sheets=sheets.notices,
        without=uncalibrated.tubes,
        night=night,
    )


def _listed(store: Store, wanted: tuple[State, ...]) -> list[FileRecord]:
    """List the files in some states, in the order of the states."""
    return sorted(all_files(store, wanted), key=lambda each: wanted.index(each.state))


def _first_of(sheets: Sequence[str]) -> tuple[str, ...]:
    """Give the first faults of the sheets, and how many others there are."""
    more = len(sheets) - MOST_SHEET_FAULTS
    if more <= 0:
        return tuple(sheets)
    verb = "faults are" if more > 1 else "fault is"
    rest = f"{more:,} more {verb} in the sheets: `reconflow run` says each of them."
    return (*sheets[:MOST_SHEET_FAULTS], rest)


def _ending(
    snapshot: StudySnapshot, run: Run | None, *, in_pass: bool
) -> tuple[PassOutcome, datetime | None]:
    """Tell how the last pass ended, and when; when it began, if it did not end well."""
    if run is None:
        return "none", None
    if in_pass and run.outcome == "running":
        return "done", datetime.now(UTC)
    outcome: PassOutcome = run.outcome
    if outcome == "running" and not is_running(snapshot.study):
        outcome = "interrupted"
    well = outcome == "done" and run.ended_at
    return outcome, datetime.fromisoformat(
        run.ended_at if well and run.ended_at else run.started_at
    )


def _faults_of(run: Run | None) -> tuple[str, ...]:
    """Give what the last pass could not write."""
    told = run.summary.get("table_faults", ()) if run else ()
    return tuple(map(str, told))
