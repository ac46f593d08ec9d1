"""Frame one pass, one run over a study: one at a time, noted in the store, summed up at the end."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from panels.files.watchdog import noted_at_end, steps_limited, watch_folders
from panels.text.errors import ReconflowError, UsageFault
from tasks.intake.cytometers import ask_for_cytometers
from tasks.intake.marker_files import check_folders
from tasks.intake.sheet_notices import sheet_sentences
from tasks.intake.store_check import check_ledger, is_store_missing
from tasks.intake.take_in import IntakeSummary
from tasks.overview.uncalibrated import find_uncalibrated, uncalibrated_sentence
from tasks.publish.app_files import write_app
from tasks.results.cohort_estimates import strata_of
from tasks.results.front_page import rewrite_front_page
from tasks.results.patient_inputs import tables_due
from tasks.results.patient_notes import baseline_warnings
from tasks.results.stored_tables import built_patients
from tasks.review.audit_trail import keep_head
from tasks.review.releases import note_found_releases
from tasks.sheets.instruments import read_instrument_events
from tasks.steps.pass_under_way import Pass
from tasks.store.counted_with import remember_strategies, strategies_counted_with
from tasks.store.ledger import count_by_state
from tasks.store.opening import Store
from tasks.store.runs import begin_run, end_run
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.strategies.pins import finish_promotions
from tasks.strategies.standing import newer_defaults
from tasks.study.folder import Study, open_study
from tasks.study.integrity import check_integrity
from tasks.study.lock import study_lock
from tasks.study.settings import read_settings
from tasks.study.snapshot import StudySnapshot


@contextmanager
def one_pass(folder: Path, kind: str) -> Iterator[Pass]:
    """Open a study for one pass; a second pass waits until the first has ended.

    Raises UsageFault, before anything is touched, when the store knows nothing of the study's tubes
    or the settings name a column that patients.csv lacks.
    """
    with steps_limited():
        yield from _pass(folder, kind)


def _pass(folder: Path, kind: str) -> Iterator[Pass]:
    """Give the one pass.

    That it had to end where it was is noted while it holds the lock and is not recorded as ended.
    """
    begun: list[int] = []
    notes = partial(_show_failed, folder), partial(_note_failed, folder, kind, begun)
    _check(open_study(folder))
    with study_lock(open_study(folder)), ExitStack() as until_ended:
        until_ended.enter_context(noted_at_end(*notes))
        study = finish_promotions(open_study(folder))
        snapshot = _check(study)
        with study.store() as store:
            check_folders(study, store)
            check_ledger(study, store)
            note_found_releases(study, store)
            altered = [*check_integrity(study, store), *keep_head(study, store)]
            ask_for_cytometers(study, store)
            _keep_versions(store, snapshot)
            run = begin_run(store, kind)
            begun.append(run)
        this = Pass(snapshot, altered=altered)
        outcome: Literal["done", "failed"] = "failed"
        try:
            write_app(study.results)
            yield this
            this.summary = _summary(this)
            outcome = "done"
        finally:
            with study.store() as store:
                end_run(store, run, outcome, this.summary)
            until_ended.close()
            if outcome == "failed":
                _say_failure(snapshot)
        with study.store() as store:
            keep_head(study, store)


def _note_failed(folder: Path, kind: str, begun: Sequence[int], sentence: str) -> None:
    """Note a pass that has to end where it is, while its own thread still waits for a folder."""
    study = Study(folder.resolve(), read_settings(folder))
    if is_store_missing(study):
        return
    with study.store() as store:
        run = begun[0] if begun else begin_run(store, kind)
        end_run(store, run, "failed", {"fault": sentence})


def _show_failed(folder: Path, _sentence: str) -> None:
    _say_failure(read_snapshot(Study(folder.resolve(), read_settings(folder))))


def _say_failure(snapshot: StudySnapshot) -> None:
    """Write on the front page that the pass failed; what stopped the pass may stop this too."""
    with suppress(ReconflowError, OSError):
        rewrite_front_page(snapshot)


def _check(study: Study) -> StudySnapshot:
    """Read the study; raises UsageFault when strategies, panels, settings or patients are wrong."""
    snapshot = read_snapshot(study)
    strata_of(study, snapshot.patients.patients)
    return snapshot


def _keep_versions(store: Store, snapshot: StudySnapshot) -> None:
    """Remember which version counts each panel, whatever this program or a later one ships."""
    versions = snapshot.versions()
    counted = strategies_counted_with(store, list(versions))
    remember_strategies(store, {panel: versions[panel] for panel in counted})


def study_folder(study: str) -> Path:
    """Read which study a run was started for.

    An empty name is refused: it would silently mean the worker's own folder.
    """
    if not study.strip():
        raise UsageFault(
            "No study was named: set the parameter 'study' of the deployment (RECONFLOW_STUDY "
            "when it is deployed)."
        )
    watch_folders([Path(study).absolute()])
    return Path(study).resolve()


def _summary(this: Pass) -> dict[str, Any]:
    """Sum a pass up: what it did, and what waits or was refused now."""
    snapshot = this.snapshot
    with this.study.store() as store:
        states = count_by_state(store)
        tubes = taken_in(store)
    taken = this.taken_in or IntakeSummary((), ())
    sentences = [each for each in taken.sentences if each not in taken.sheet_faults]
    sheet = this.study.instruments_sheet
    warnings = baseline_warnings(snapshot.patients, tubes).values()
    without = find_uncalibrated(snapshot).tubes
    first = filter(None, [uncalibrated_sentence(without)])
    return {
        "accepted": taken.judged("accepted"),
        "counted": sum(outcome.counted for outcome in this.counted),
        "duplicates": taken.judged("duplicate"),
        "waiting": states["waiting"] + states["settling"],
        "quarantined": states["quarantined"],
        "failed": states["failed"],
        "uncalibrated": sum(each.tubes for each in without),
        "patients": len(built_patients(this.study)),
        "report": this.report,
        "sentences": [
            *first,
            *this.altered,
            *sentences,
            *warnings,
            *newer_defaults(snapshot),
            *this.maps,
            *this.refused_workers,
        ],
        "sheet_faults": [
            *taken.sheet_faults,
            *map(str, (*snapshot.drug_problems, *read_instrument_events(sheet)[1])),
        ],
        "table_faults": [*this.faults, *this.world_faults],
        "notices": list(sheet_sentences(snapshot).notices),
    }


def what_is_due(snapshot: StudySnapshot) -> frozenset[str]:
    """Name what a pass would do now: tubes to count, patients' tables to write, the cohort.

    Tables are named with what they would be made of.
    """
    this = Pass(snapshot)
    patients = {f"{each.patient} {each.fingerprint}" for each in tables_due(snapshot).patients}
    cohort = {"cohort"} if this.cohort_is_due() else set()
    return frozenset({*this.tubes(), *patients, *cohort})
