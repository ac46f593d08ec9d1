"""Frame one pass over a study: one at a time, noted in the store, summed up at the end."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gating.evaluation.engine import ENGINE_VERSION
from panels.text.errors import StoreFault, UsageFault
from panels.text.quoting import unexpected
from tasks.intake.marker_files import check_folders
from tasks.intake.sheet_notices import sheet_notices
from tasks.intake.store_check import check_ledger
from tasks.intake.take_in import IntakeSummary
from tasks.results.build_tables import PatientInputs, built_patients, cohort_is_due, tables_due
from tasks.results.cohort_estimates import strata_of
from tasks.results.patient_notes import baseline_warnings
from tasks.sheets.drugs import read_drugs
from tasks.store.counted_with import remember_strategies, strategies_counted_with
from tasks.store.faults import in_words
from tasks.store.ledger import FileRecord, count_by_state, record_failure
from tasks.store.opening import Store
from tasks.store.runs import begin_run, end_run
from tasks.store.tubes import taken_in, tubes_to_count
from tasks.strategies.in_use import InUse, in_use, newer_defaults
from tasks.strategies.pins import finish_promotions
from tasks.study.folder import Study, open_study
from tasks.study.integrity import check_integrity, fail_altered
from tasks.study.lock import study_lock
from tasks.tubes.count_tube import CountOutcome, page_is_current
from tasks.tubes.reference_tubes import (
    current_reference_sets,
    is_fmo,
    needs_references,
    panel_contents,
    reference_index,
)


@dataclass(slots=True)
class Pass:
    """One pass under way, and what came of its steps so far."""

    study: Study
    used: Mapping[str, InUse]
    altered: list[str] = field(default_factory=list)
    taken_in: IntakeSummary | None = None
    counted: Sequence[CountOutcome] = ()
    faults: Sequence[str] = ()
    world_faults: list[str] = field(default_factory=list)
    seen: dict[str, FileRecord] = field(default_factory=dict)
    report: str = ""
    summary: dict[str, Any] = field(default_factory=dict)

    def tubes(self) -> list[str]:
        """List the SHA-256 of the tubes to count now: not counted yet, or without a page that shows how and names them rightly.

        A control that leaves a marker out on purpose cannot be gated as a tube of its panel, and
        enters no table.
        """
        pins = {panel: used.name for panel, used in self.used.items()}
        released = {used.name: used.release.sha256 for used in self.used.values()}
        panels = {panel: used.panel_sha256 for panel, used in self.used.items()}
        with self.study.store() as store:
            reference_sets = current_reference_sets(self.study, store, self.used)
            wanted = tubes_to_count(
                store,
                pins,
                ENGINE_VERSION,
                released=released,
                reference_sets=reference_sets,
                panels=panels,
            )
            due = {tube.identity.tube_sha256 for tube in wanted}
            present = [tube for tube in taken_in(store) if tube.file.state != "failed"]
        self.seen |= {tube.identity.tube_sha256: tube.file for tube in present}
        known = [tube.identity for tube in present if tube.identity.panel in pins]
        stained = [identity for identity in known if not is_fmo(identity)]
        return [
            t.tube_sha256
            for t in stained
            if t.tube_sha256 in due
            or not page_is_current(self.study, t, pins[t.panel], panels[t.panel])
        ]

    def references(self) -> list[str]:
        """List the SHA-256 of the controls and baseline tubes to measure now, before any tube that may ask them is counted."""
        asking = {
            panel: used.name
            for panel, used in self.used.items()
            if needs_references(used.release.strategy)
        }
        with self.study.store() as store:
            known = reference_index(self.study, store, panels=panel_contents(self.used))
        wanted = [tube for panel in asking for tube in known.references.get(panel, [])]
        return [
            tube.tube_sha256
            for tube in wanted
            if (tube.tube_sha256, asking[tube.panel]) not in known.have
        ]

    def patients(self) -> list[PatientInputs]:
        """List the patients whose tables have to be written anew."""
        due = tables_due(self.study, self.used)
        self.altered += fail_altered(self.study, due.altered)
        for each in due.patients:
            self.altered += [_edited(each.patient, name) for name in each.edited]
        return due.patients

    def cohort_is_due(self) -> bool:
        """Tell whether the cohort's tables have to be written anew although no patient's were."""
        return cohort_is_due(self.study)

    def note_failure(self, tube_sha256: str, error: BaseException) -> CountOutcome:
        """Record against a tube what no step expected, so that the night goes on and the tube can be retried.

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
    """Open a study for one pass; a second one waits until the first has ended, and finds little left to do.

    Raises UsageFault, before anything is touched, when the store knows nothing of the study's tubes
    or the settings name a column that patients.csv lacks.
    """
    _check(open_study(folder))
    with study_lock(open_study(folder)):
        study = finish_promotions(open_study(folder))
        used = _check(study)
        with study.store() as store:
            check_folders(study, store)
            check_ledger(study, store)
            altered = check_integrity(study, store)
            _keep_versions(store, used)
            run = begin_run(store, kind)
        this = Pass(study, used, altered=altered)
        outcome: Literal["done", "failed"] = "failed"
        try:
            yield this
            this.summary = _summary(this)
            outcome = "done"
        finally:
            with study.store() as store:
                end_run(store, run, outcome, this.summary)


def _check(study: Study) -> Mapping[str, InUse]:
    """Give what counts the study's tubes; raises UsageFault when its strategies, panels, settings or patients are wrong."""
    used = in_use(study)
    strata_of(study, study.patients().patients)
    return used


def _keep_versions(store: Store, used: Mapping[str, InUse]) -> None:
    """Remember the version of every panel of which tubes were counted, whatever this program or a later one ships."""
    counted = strategies_counted_with(store, list(used))
    remember_strategies(store, {panel: used[panel].name for panel in counted})


def study_folder(study: str) -> Path:
    """Read the study a run was started for; an empty name would silently mean the worker's own folder."""
    if not study.strip():
        raise UsageFault(
            "No study was named: set the parameter 'study' of the deployment (RECONFLOW_STUDY "
            "when it is deployed)."
        )
    return Path(study).resolve()


def _edited(patient: str, name: str) -> str:
    return (
        f"patients/{patient}/{name} was changed after it was written. It is written again from the "
        f"store; what was changed is kept beside it as {Path(name).stem}.edited-…"
    )


def _summary(this: Pass) -> dict[str, Any]:
    """Sum a pass up: what it did, and what waits or was refused now."""
    with this.study.store() as store:
        states = count_by_state(store)
    taken = this.taken_in
    judged = [s for s in taken.sentences if s not in taken.sheet_faults] if taken else []
    return {
        "accepted": taken.judged("accepted") if taken else 0,
        "counted": sum(outcome.counted for outcome in this.counted),
        "duplicates": taken.judged("duplicate") if taken else 0,
        "waiting": states["waiting"] + states["settling"],
        "quarantined": states["quarantined"],
        "failed": states["failed"],
        "patients": len(built_patients(this.study)),
        "report": this.report,
        "sentences": [
            *this.altered,
            *judged,
            *baseline_warnings(this.study).values(),
            *newer_defaults(this.study, this.used),
        ],
        "sheet_faults": [
            *(taken.sheet_faults if taken else ()),
            *map(str, read_drugs(this.study.drugs_sheet)[1]),
        ],
        "table_faults": [*this.faults, *this.world_faults],
        "notices": list(sheet_notices(this.study)),
    }


def what_is_due(study: Study) -> frozenset[str]:
    """Name what a pass would do now: tubes to count, patients' tables to write (with what they would be made of), the cohort."""
    this = Pass(study, in_use(study))
    patients = {
        f"{each.patient} {each.fingerprint}" for each in tables_due(study, this.used).patients
    }
    return frozenset({*this.tubes(), *patients, *({"cohort"} if this.cohort_is_due() else ())})
