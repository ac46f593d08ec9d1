"""Hold one pass under way: what is due in it, and what came of its steps so far."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gating.evaluation.engine import ENGINE_VERSION
from panels.text.errors import StoreFault
from panels.text.quoting import unexpected
from tasks.intake.take_in import IntakeSummary
from tasks.results.cohort_tables import cohort_is_due
from tasks.results.patient_inputs import PatientInputs, tables_due
from tasks.results.tables_expected import keep_expected
from tasks.sheets.drugs import read_drugs
from tasks.store.corrections import Binding, read_corrections
from tasks.store.faults import in_words
from tasks.store.ledger import FileRecord, record_failure
from tasks.store.tubes import Tube, taken_in, tubes_to_count
from tasks.study.folder import Study
from tasks.study.integrity import fail_altered
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


def _edited(patient: str, name: str) -> str:
    return (
        f"patients/{patient}/{name} was changed after it was written. It is written again from the "
        f"store; what was changed is kept beside it as {Path(name).stem}.edited-…"
    )
