"""Write the study's front page from the ledger and the cohort's table."""

from datetime import datetime
from pathlib import Path

from tasks.intake.inbox import inbox_faults
from tasks.intake.sheet_notices import sheet_notices
from tasks.kinetics.cohort import cohort_kinetics
from tasks.kinetics.schema import KINETICS
from tasks.monitor.overview import kept_overview
from tasks.publish.front_page import CohortOverview, LedgerLine, render_index
from tasks.publish.tables import write_atomically
from tasks.results.cohort_estimates import PAGE as COHORT_PAGE
from tasks.results.stored_tables import built_patients, frames_of, stored_tables
from tasks.results.uncalibrated import (
    uncalibrated_sentence,
    uncalibrated_tubes,
    unmeasured_notices,
)
from tasks.store.ledger import State, all_files, count_by_state
from tasks.store.runs import last_run
from tasks.store.tubes import taken_in
from tasks.strategies.standing import strategy_standing
from tasks.study.snapshot import StudySnapshot

OPEN_STATES: tuple[State, ...] = ("settling", "waiting", "failed", "quarantined")


def write_front_page(snapshot: StudySnapshot) -> Path:
    """Write results/index.html: every patient's visits, and every file that needs a person.

    Each file that waits, failed or was refused is listed with its reason.
    """
    import pandas as pd

    study = snapshot.study
    tables = frames_of(stored_tables(study).values(), "kinetics")
    kinetics = cohort_kinetics(tables) if tables else pd.DataFrame(columns=KINETICS.names)
    with study.store() as store:
        states = count_by_state(store)
        open_files = [
            LedgerLine(record.inbox_path, record.state, record.reason)
            for record in all_files(store, OPEN_STATES)
        ]
        run = last_run(store)
        known = taken_in(store)
        strategies = {
            (each.panel, each.strategy): " ".join(filter(None, (each.description, each.newer)))
            for each in strategy_standing(snapshot, store)
        }
    instruments = kept_overview(study)
    overview = CohortOverview(
        study=study.settings.study,
        states={str(state): number for state, number in states.items()},
        open_files=open_files,
        last_run=datetime.fromisoformat(run.started_at) if run else None,
        last_run_outcome=run.outcome if run and run.ended_at else "",
        patients=tuple(built_patients(study)),
        cohort_page=(study.results / "cohort" / COHORT_PAGE).is_file(),
        strategies=strategies,
        uncalibrated=uncalibrated_sentence(uncalibrated_tubes(snapshot, known)),
        notices=(
            *inbox_faults(study),
            *map(str, snapshot.drug_problems),
            *sheet_notices(snapshot, known),
            *unmeasured_notices(snapshot, known),
            *instruments.notices,
        ),
        instruments=instruments.standing,
    )
    page = study.results / "index.html"
    write_atomically(page, render_index(overview, kinetics).encode())
    return page
