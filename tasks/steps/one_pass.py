"""Frame one pass, one run over a study: one at a time, noted in the store, summed up at the end."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from gating.evaluation.engine import ENGINE_VERSION
from panels.files.watchdog import noted_at_end, steps_limited, watch_folders
from panels.text.errors import ReconflowError, StoreFault, UsageFault
from panels.text.quoting import unexpected
from tasks.intake.cytometers import ask_for_cytometers
from tasks.intake.marker_files import check_folders
from tasks.intake.sheet_notices import sheet_sentences
from tasks.intake.store_check import check_ledger, is_store_missing
from tasks.intake.take_in import IntakeSummary
from tasks.overview.uncalibrated import find_uncalibrated, uncalibrated_sentence
from tasks.publish.app_files import write_app
from tasks.results.cohort_estimates import strata_of
from tasks.results.cohort_tables import cohort_is_due
from tasks.results.front_page import rewrite_front_page
from tasks.results.patient_inputs import PatientInputs, tables_due
from tasks.results.patient_notes import baseline_warnings
from tasks.results.stored_tables import built_patients
from tasks.results.tables_expected import keep_expected
from tasks.review.audit_trail import keep_head
from tasks.review.releases import note_found_releases
from tasks.sheets.drugs import read_drugs
from tasks.sheets.instruments import read_instrument_events
from tasks.store.corrections import Binding, read_corrections
from tasks.store.counted_with import remember_strategies, strategies_counted_with
from tasks.store.faults import in_words
from tasks.store.ledger import FileRecord, count_by_state, record_failure
from tasks.store.opening import Store
from tasks.store.runs import begin_run, end_run
from tasks.store.tubes import Tube, taken_in, tubes_to_count
from tasks.strategies.in_use import read_snapshot
from tasks.strategies.pins import finish_promotions
from tasks.strategies.standing import newer_defaults
from tasks.study.folder import Study, open_study
from tasks.study.integrity import check_integrity, fail_altered
from tasks.study.lock import study_lock
from tasks.study.settings import read_settings
from tasks.study.snapshot import StudySnapshot
from tasks.tubes.corrections import binding_of
from tasks.tubes.count_tube import CountingInputs, CountOutcome, counting_inputs
from tasks.tubes.reference_tubes import (
    is_fmo,
    needs_references,
    reference_index,
    reference_sets,
)
from tasks.tubes.tube_pages import control_is_shown, page_is_current


@dataclass(slots=True)
class Pass:
    """One run over a study under way, and what came of its steps so far."""

    snapshot: StudySnapshot
    altered: list[str] = field(default_factory=list)
    taken_in: IntakeSummary | None = None
    counting: CountingInputs | None = None
    counted: Sequence[CountOutcome] = ()
    faults: list[str] = field(default_factory=list)
    world_faults: list[str] = field(default_factory=list)
    maps: list[str] = field(default_factory=list)
    refused_workers: list[str] = field(default_factory=list)
    seen: dict[str, FileRecord] = field(default_factory=dict)
    study_sha256: str = ""
    report: str = ""
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def study(self) -> Study:
        """Give the study's folder and settings."""
        return self.snapshot.study

    def note_intake(self, taken: IntakeSummary) -> None:
        """Keep what was taken in, and read the sheets as they are now.

        The files were judged by these sheets.
        """
        self.taken_in = taken
        exposures, problems = read_drugs(self.study.drugs_sheet)
        self.snapshot = replace(
            self.snapshot,
            patients=self.study.patients(),
            exposures=exposures,
            drug_problems=problems,
        )

    def references(self) -> list[str]:
        """List the SHA-256 of the controls and baseline tubes to measure before counting.

        Among them are controls that are not counted and have no page yet that shows them rightly.
        """
        strategies = {
            panel: used.name
            for panel, used in self.snapshot.strategies.items()
            if needs_references(used.release.strategy)
        }
        with self.study.store() as store:
            known = taken_in(store)
            index = reference_index(self.snapshot, store, known)
        wanted = [tube for panel in strategies for tube in index.references.get(panel, [])]
        unmeasured = [
            tube.tube_sha256
            for tube in wanted
            if not index.is_measured(tube, strategies[tube.panel])
        ]
        return list(dict.fromkeys([*unmeasured, *self._controls_without_page(known)]))

    def _controls_without_page(self, known: Sequence[Tube]) -> Iterator[str]:
        """Name the tubes without a stain, which are not counted, that have no page of now."""
        for tube in known:
            used = self.snapshot.strategies.get(tube.identity.panel)
            if used is None or tube.file.state == "failed" or not is_fmo(tube.identity):
                continue
            if not control_is_shown(self.study, tube, used):
                yield tube.identity.tube_sha256

    def tubes(self) -> list[str]:
        """List the SHA-256 of the tubes to count now, and read what they are counted with.

        These are the tubes not counted yet, or without a page that shows how and names them
        rightly. A control that leaves a marker out on purpose cannot be gated as a tube of its
        panel, and enters no table.
        """
        versions, panels = self.snapshot.versions(), self.snapshot.panel_contents()
        released = {used.name: used.release.sha256 for used in self.snapshot.strategies.values()}
        self.counting = counting_inputs(self.snapshot)
        with self.study.store() as store:
            known = taken_in(store)
            wanted = tubes_to_count(
                store,
                versions,
                ENGINE_VERSION,
                released=released,
                reference_sets=reference_sets(self.snapshot, store, known),
                panels=panels,
                calibrations=self.snapshot.calibrations(known),
                known=known,
            )
            corrected = read_corrections(store).hashes()
        present = [tube for tube in known if tube.file.state != "failed"]
        due = {tube.identity.tube_sha256 for tube in wanted}
        self.seen |= {tube.identity.tube_sha256: tube.file for tube in present}
        listed = []
        for tube in present:
            identity = tube.identity
            if identity.panel not in versions or is_fmo(identity):
                continue
            if identity.tube_sha256 in due or not self._has_page(tube, corrected):
                listed.append(identity.tube_sha256)
        return listed

    def _has_page(self, tube: Tube, corrected: Mapping[Binding, str]) -> bool:
        """Tell whether a tube has a page that shows how it is counted now.

        ``corrected`` are the hashes of the corrections in force.
        """
        used = self.snapshot.strategies[tube.identity.panel]
        correction = ""
        if corrected:
            correction = corrected.get(binding_of(tube, used, used.for_tube(tube)), "")
        return page_is_current(self.study, tube, used, correction)

    def patients(self) -> list[PatientInputs]:
        """List the patients whose tables have to be written anew."""
        due = tables_due(self.snapshot)
        self.study_sha256 = due.made_of
        if due.expected:
            keep_expected(self.study, due.made_of, due.expected)
        self.altered += fail_altered(self.study, due.altered)
        for each in due.patients:
            self.altered += [_edited(each.patient, name) for name in each.edited]
        return due.patients

    def cohort_is_due(self) -> bool:
        """Tell whether the cohort's tables have to be written anew although no patient's were."""
        return cohort_is_due(self.study)

    def note_worker(self, sentence: str) -> None:
        """Keep what speaks against a worker of the cluster; each block of work asks it again."""
        if sentence not in self.refused_workers:
            self.refused_workers.append(sentence)

    def note_failure(self, tube_sha256: str, error: BaseException) -> CountOutcome:
        """Record an unexpected error against its tube, so that the night goes on.

        The tube can be retried.

        A fault of the world (a full disk, a locked store, a file gone from the archive) is not the
        tube's: it is said, and the next pass tries again.
        """
        if isinstance(error, OSError | StoreFault):
            said = in_words(error) if isinstance(error, OSError) else str(error)
            reason = (
                f"Tube {tube_sha256[:12]} could not be counted: {said} The next run tries again."
            )
            self.world_faults.append(reason)
            return CountOutcome(tube_sha256, counted=False, reason=reason)
        reason = (
            f"Unexpected {unexpected(error)}. Retry the tube; if it fails again, "
            f"report this as a fault of reconflow."
        )
        with self.study.store() as store:
            record_failure(store, tube_sha256, reason, seen=self.seen.get(tube_sha256))
        return CountOutcome(tube_sha256, counted=False, reason=reason)


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


def _edited(patient: str, name: str) -> str:
    return (
        f"patients/{patient}/{name} was changed after it was written. It is written again from the "
        f"store; what was changed is kept beside it as {Path(name).stem}.edited-…"
    )


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
