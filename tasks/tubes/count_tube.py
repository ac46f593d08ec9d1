"""Gate one accepted tube, write its pages, and keep its counts in the store."""

from __future__ import annotations

from dataclasses import dataclass

from panels.text.errors import PanelMismatch, TubeFault
from tasks.store.counted_with import remember_strategies
from tasks.store.gatings import save_gating
from tasks.store.ledger import record_failure
from tasks.store.measurements import save_measurements
from tasks.store.opening import Store
from tasks.store.tubes import Tube, taken_in
from tasks.study.snapshot import StudySnapshot
from tasks.tubes.gate_tube import GatedTube, gate_control, gate_tube
from tasks.tubes.gating_page import write_gating_page, write_no_page
from tasks.tubes.reference_tubes import ReferenceIndex, is_fmo, measured_with, reference_index
from tasks.tubes.tube_pages import tube_folder, write_tube_pages


@dataclass(frozen=True, slots=True)
class CountOutcome:
    """What became of one tube: counted, or failed with the sentence that says why."""

    tube_sha256: str
    counted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CountingInputs:
    """What tubes are counted with: the study as it was read, and its reference tubes."""

    snapshot: StudySnapshot
    references: ReferenceIndex


def counting_inputs(snapshot: StudySnapshot) -> CountingInputs:
    """Read which reference tubes there are; to be called once they were measured."""
    with snapshot.study.store() as store:
        return CountingInputs(snapshot, reference_index(snapshot, store))


def count_tube(inputs: CountingInputs, tube_sha256: str) -> CountOutcome:
    """Gate and count one tube of the archive, write its pages, and keep its counts in the store.

    A tube that a person corrected is counted without the correction too: both counts stay. A fault
    of the tube is recorded against it and does not stop the night. Raises OSError when the archive
    cannot be reached, which may pass.
    """
    study = inputs.snapshot.study
    with study.store() as store:
        tube = next(iter(taken_in(store, tube_sha256=tube_sha256)))
        used = inputs.snapshot.strategies[tube.identity.panel]
        try:
            gated = gate_tube(study, tube, used, inputs.references)
            if gated.corrections:
                uncorrected = gate_tube(study, tube, used, inputs.references, corrections=())
                save_gating(store, uncorrected.gating, seen=tube.file)
            keep_counts(inputs.snapshot, store, tube, gated)
        except TubeFault as fault:
            record_failure(store, tube_sha256, str(fault), seen=tube.file)
            return CountOutcome(tube_sha256, counted=False, reason=str(fault))
    return CountOutcome(tube_sha256, counted=True)


def keep_counts(snapshot: StudySnapshot, store: Store, tube: Tube, gated: GatedTube) -> None:
    """Write the pages of a tube that was gated, and keep its counts in the store.

    Raises TubeFault when it was counted otherwise before.
    """
    write_tube_pages(tube_folder(snapshot.study, tube.identity.tube_sha256), tube, gated)
    remember_strategies(store, {tube.identity.panel: gated.gating.strategy})
    save_gating(store, gated.gating, seen=tube.file)


def measure_reference(snapshot: StudySnapshot, tube_sha256: str) -> CountOutcome:
    """Measure what a control or baseline tube shows of each threshold, and keep it in the store.

    A fault of the tube is recorded against it. An FMO control, which is not counted, gets its page
    here. One whose cytometer did not even record the detector shows nothing, which is no fault of
    the tube. Raises OSError when the archive cannot be reached, which may pass.
    """
    study = snapshot.study
    with study.store() as store:
        tube = next(iter(taken_in(store, tube_sha256=tube_sha256)))
        used = snapshot.strategies[tube.identity.panel]
        made = measured_with(used, used.for_tube(tube))
        try:
            gated, measurements = gate_control(study, tube, used)
            if is_fmo(tube.identity):
                write_gating_page(tube_folder(study, tube_sha256), tube, gated)
            save_measurements(store, tube_sha256, made, measurements)
        except TubeFault as fault:
            if is_fmo(tube.identity) and isinstance(fault, PanelMismatch):
                write_no_page(tube_folder(study, tube_sha256), tube, used)
                save_measurements(store, tube_sha256, made, {})
            else:
                record_failure(store, tube_sha256, str(fault), seen=tube.file)
            return CountOutcome(tube_sha256, counted=False, reason=str(fault))
    return CountOutcome(tube_sha256, counted=True)
