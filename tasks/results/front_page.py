"""Write the study's front page (index.html, study.js) from the ledger and the patients' tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from panels.text.printable import printable
from tasks.intake.inbox import inbox_faults
from tasks.intake.sheet_notices import sheet_faults, sheet_notices
from tasks.monitor.overview import kept_overview
from tasks.overview.attention import tubes_to_look_at
from tasks.overview.counted_tube import read_counted_tubes
from tasks.overview.grid import report_address
from tasks.overview.morning import Morning
from tasks.overview.night import Night, PassOutcome, looked_back_from
from tasks.overview.study_document import study_document
from tasks.publish.app_files import write_app
from tasks.publish.front_page import FrontPage, LedgerLine, render_index
from tasks.publish.map_page import PAGE as MAP_PAGE
from tasks.publish.page_data import data_script
from tasks.publish.tables import write_atomically
from tasks.results.cohort_estimates import PAGE as COHORT_PAGE
from tasks.results.questions import questions_asked
from tasks.results.uncalibrated import (
    uncalibrated_sentence,
    uncalibrated_tubes,
    unmeasured_notices,
)
from tasks.store.editions import Edition, last_editions
from tasks.store.ledger import FileRecord, State, all_files, count_by_state
from tasks.store.opening import Store
from tasks.store.reviews import Review, reviews_of
from tasks.store.runs import Run, last_run
from tasks.store.tubes import Tube, taken_in
from tasks.strategies.standing import Standing, strategy_standing
from tasks.study.lock import is_running
from tasks.study.snapshot import StudySnapshot

NEEDS_A_PERSON: tuple[State, ...] = ("failed", "quarantined", "waiting")
"""States of the files that ask for a person, the most urgent first."""
ASIDE: tuple[State, ...] = ("duplicate", "settling")
"""States of the files that ask for nothing, and are named; a duplicate only while it is new."""

MOST_SHEET_FAULTS = 20
"""So many faults of the sheets are told in full."""


def write_front_page(snapshot: StudySnapshot, faults: Sequence[str] = ()) -> Path:
    """Write index.html and study.js at the end of a pass.

    ``faults`` are the sentences on what the pass could not write.
    """
    return _write(snapshot, read_morning(snapshot, faults, in_pass=True))


def rewrite_front_page(snapshot: StudySnapshot) -> Path:
    """Write index.html and study.js between passes, as the store knows the last one."""
    return _write(snapshot, read_morning(snapshot))


def read_morning(
    snapshot: StudySnapshot, faults: Sequence[str] = (), *, in_pass: bool = False
) -> Morning:
    """Read the store, the sheets and what was kept of the instruments.

    ``in_pass``: the pass that reads them is about to end, with ``faults``; else those of the last
    one are said.
    """
    study = snapshot.study
    kept = _kept(snapshot)
    tubes = [tube for each in kept.editions.values() for tube in read_counted_tubes(each.kinetics)]
    questions = questions_asked(tubes, kept.decisions)
    look = tubes_to_look_at(tubes, kept.recent, study.settings.time_zone, questions)
    without = uncalibrated_tubes(snapshot, kept.known)
    instruments = kept_overview(study)
    unwritten = tuple(faults) if in_pass else _faults_of(kept.run)
    sheets = sheet_faults(snapshot)
    asked = (
        *inbox_faults(study),
        *sheet_notices(snapshot, kept.known),
        *unmeasured_notices(snapshot, kept.known),
        *instruments.notices,
    )
    outcome, at = _ending(snapshot, kept.run, in_pass=in_pass)
    night = Night(
        outcome=outcome,
        at=at,
        time_zone=study.settings.time_zone,
        counted=len(kept.recent),
        to_look_at=len(look),
        stops=sum(each.severity == "stop" for each in look),
        files=len(kept.files),
        sheets=len(sheets),
        notices=len(asked),
        unwritten=len(unwritten),
        uncalibrated=sum(each.tubes for each in without),
        drifts=len(instruments.notices),
    )
    return Morning(
        states=kept.states,
        files=kept.files,
        aside=kept.aside,
        known=kept.known,
        tubes=tubes,
        patients=sorted(kept.editions),
        look=look,
        recent=kept.recent,
        standings=kept.standings,
        instruments=instruments,
        notices=(*unwritten, *_first_of(sheets), *asked),
        uncalibrated=uncalibrated_sentence(without),
        night=night,
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the store holds at one moment; the fields that ``Morning`` has too are its."""

    run: Run | None
    states: Mapping[State, int]
    files: Sequence[FileRecord]
    aside: Sequence[FileRecord]
    known: Sequence[Tube]
    recent: frozenset[str]
    editions: Mapping[str, Edition]
    standings: Sequence[Standing]
    decisions: Sequence[Review]


def _kept(snapshot: StudySnapshot) -> _Kept:
    with snapshot.study.store() as store:
        run = last_run(store)
        since = looked_back_from(run.started_at if run else None)
        known = taken_in(store)
        return _Kept(
            run,
            count_by_state(store),
            _listed(store, NEEDS_A_PERSON),
            [
                each
                for each in _listed(store, ASIDE)
                if each.state != "duplicate" or each.changed_at >= since
            ],
            known,
            frozenset(
                tube.identity.tube_sha256
                for tube in known
                if tube.file.state == "counted" and tube.file.changed_at >= since
            ),
            last_editions(store),
            strategy_standing(snapshot, store),
            reviews_of(store),
        )


def _write(snapshot: StudySnapshot, morning: Morning) -> Path:
    study = snapshot.study
    front = FrontPage(
        study=study.settings.study,
        sentence=morning.night.sentence,
        standing=morning.night.standing,
        states={str(state): number for state, number in morning.states.items()},
        open_files=_lines(morning.files),
        aside=_lines(morning.aside),
        patients={patient: report_address(patient) for patient in morning.patients},
        cohort_page=(study.results / "cohort" / COHORT_PAGE).is_file(),
        map_page=(study.results / "cohort" / MAP_PAGE).is_file(),
        strategies={
            (each.panel, each.strategy): " ".join(filter(None, (each.description, each.newer)))
            for each in morning.standings
        },
        notices=morning.notices,
        uncalibrated=morning.uncalibrated,
        instruments=morning.instruments.standing,
    )
    study.results.mkdir(parents=True, exist_ok=True)
    write_app(study.results)
    document = study_document(snapshot, morning)
    write_atomically(study.results / "study.js", data_script("study", "", document))
    page = study.front_page
    write_atomically(page, render_index(front).encode())
    return page


def _lines(files: Sequence[FileRecord]) -> list[LedgerLine]:
    return [LedgerLine(printable(each.inbox_path), each.state, each.reason) for each in files]


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
    outcome: Literal["running", "done", "failed", "interrupted"] = run.outcome
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
