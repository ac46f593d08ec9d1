"""Make the tables, curves and report of one patient from the counts of its tubes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from panels.text.errors import ReconflowError
from tasks.counting.background import baseline_backgrounds
from tasks.counting.bead_rates import expected_bead_rates, with_bead_rates
from tasks.counting.counts import TubeCounts
from tasks.counting.quantity import quantify_visit
from tasks.counting.visit import group_by_visit
from tasks.kinetics.schema import RECOVERY
from tasks.publish.legend import LegendWords
from tasks.publish.table_files import write_patient_tables
from tasks.publish.tables import csv_bytes
from tasks.results.calibration_flags import with_calibration_flags
from tasks.results.draw_checks import (
    Contradiction,
    compare_draws,
    contradictions,
    draws_in_qc,
)
from tasks.results.gate_pages import gates_of, write_gate_pages
from tasks.results.instrument_names import with_instrument_names
from tasks.results.patient_inputs import PatientInputs
from tasks.results.patient_pages import patient_record, write_patient_pages
from tasks.results.reviewed import with_reviews
from tasks.results.series_flags import with_series_flags
from tasks.results.stored_tables import begin_tables, patient_folder, write_mark
from tasks.review.restating import restating_entry
from tasks.sheets.patients import Patient
from tasks.sheets.same_draw import two_draws
from tasks.store.counts import tube_counts
from tasks.store.editions import Edition, save_edition
from tasks.store.tubes import Tube, taken_in
from tasks.study.settings import StudySettings
from tasks.study.snapshot import StudySnapshot
from tasks.tubes.reference_tubes import reference_sets as current_reference_sets
from tasks.vocabulary.flags import meanings
from tasks.vocabulary.moments import elapsed_days
from tasks.vocabulary.populations import POPULATION_OF_PRODUCT

if TYPE_CHECKING:
    import pandas as pd

    from tasks.counting.measurements import Comparison
    from tasks.kinetics.parameter_settings import ParameterSettings

PATIENT_TABLES = ("kinetics.csv", "kinetics_wide.csv", "parameters.csv")


def build_patient(snapshot: StudySnapshot, inputs: PatientInputs) -> None:
    """Write one patient's tables, curves and report.

    What was written is kept in the store too, so that a data-cut of an earlier day can be made
    again. Raises ReconflowError when the patient has left patients.csv or a table would break one
    of its promises.
    """
    from tasks.kinetics.cohort import recovery_frame
    from tasks.kinetics.parameters import parameters_frame
    from tasks.kinetics.wide_table import wide_frame
    from tasks.kinetics.winning_rows import kinetic_rows

    study, everyone = snapshot.study, snapshot.patients
    patient = everyone.patients.get(inputs.patient)
    if patient is None:
        raise ReconflowError(everyone.why_not(inputs.patient))
    tubes = counted_tubes(
        snapshot,
        inputs.patient,
        reference_sets=inputs.reference_sets,
        bead_rates=inputs.bead_rates,
    )
    kinetics, tubes = with_reviews(
        patient_kinetics(snapshot, patient, tubes), tubes, inputs.decisions
    )
    settings = parameter_settings(study.settings, {patient.patient: patient}, kinetics, tubes)
    rows = kinetic_rows(kinetics, settings.detect_events)
    parameters = parameters_frame(kinetics, settings, rows)
    recovery = recovery_frame(kinetics, settings, rows)
    folder = patient_folder(study, patient.patient)
    begin_tables(folder)
    compared = compared_draws(snapshot, tubes)
    draws_in_qc(study, compared)
    against = contradictions(compared, snapshot.labels())
    wide = wide_frame(kinetics, settings.detect_events, rows)
    words = LegendWords(meanings(), snapshot.labels(), against)
    kept = write_patient_tables(folder, kinetics, parameters, wide, words)
    notes = (*inputs.notes, *contradiction_notes(against))
    record = patient_record(snapshot, patient, tubes, notes, inputs.controls)
    write_patient_pages(folder, record, kinetics, parameters)
    write_gate_pages(folder, gates_of(snapshot, tubes))
    edition = Edition(patient.patient, inputs.fingerprint, *kept, csv_bytes(recovery, RECOVERY))
    with study.store() as store:
        save_edition(store, edition, restating_entry(store, edition))
    write_mark(folder, inputs.fingerprint, PATIENT_TABLES)


def compared_draws(
    snapshot: StudySnapshot, tubes: Sequence[TubeCounts]
) -> dict[tuple[str, str], dict[str, tuple[Comparison, ...]]]:
    """Compare the independent concentrations of each draw of one patient, as ``compare_draws``."""
    return compare_draws(
        tubes,
        snapshot.populations(),
        counting=snapshot.counting(),
        limits=snapshot.study.settings.limits,
    )


def contradiction_notes(against: Sequence[Contradiction]) -> list[str]:
    """Say in a sentence each what contradicts what, for the notes of a patient's report."""
    return [f"{visit}: {sentence}" for visit, sentence in against]


def patient_kinetics(
    snapshot: StudySnapshot, patient: Patient, tubes: Sequence[TubeCounts]
) -> pd.DataFrame:
    """Quantify all visits of one patient, one row a tube × population.

    Raises ReconflowError when one visit's label is used for two draws: most tables have one row a
    visit.
    """
    from tasks.kinetics.table import kinetics_frame

    limits = snapshot.study.settings.limits
    rules, counting = snapshot.populations(), snapshot.counting()
    visits = list(group_by_visit(tubes).values())
    for visit in visits:
        identities = [
            tube.identity for tube in visit if not (tube.identity.control or tube.is_excluded)
        ]
        if identities:
            fault = two_draws(identities[-1], identities[:1], limits.same_draw_hours)
            if fault:
                raise ReconflowError(fault)
    backgrounds = baseline_backgrounds(
        tubes, rules, infused=patient.infused, baseline_visit=patient.baseline_visit
    )
    rows = [
        row
        for visit in visits
        for row in quantify_visit(
            visit, rules, counting=counting, limits=limits, backgrounds=backgrounds
        )
    ]
    return kinetics_frame(
        rows,
        infused={patient.patient: patient.infused},
        order={name: list(populations) for name, populations in rules.items()},
    )


def parameter_settings(
    study_settings: StudySettings,
    patients: Mapping[str, Patient],
    kinetics: pd.DataFrame,
    tubes: Sequence[TubeCounts] = (),
) -> ParameterSettings:
    """Gather what the parameters of some patients need beside their kinetics.

    ``tubes`` are those that the kinetics were made of.
    """
    from tasks.kinetics.parameter_settings import ParameterSettings

    offsets = {
        (patient.patient, POPULATION_OF_PRODUCT[product]): elapsed_days(
            patient.infused, infused, patient.time_zone
        )
        for patient in patients.values()
        for product, infused in patient.products.items()
        if product in POPULATION_OF_PRODUCT
    }
    later = kinetics[kinetics["day"] >= 0]
    too_late = set(zip(later["patient"], later["visit"], strict=True))
    baselines = {
        # No visit has an empty label: what was named is no baseline, and none is chosen in its
        # place.
        patient.patient: ""
        if (patient.patient, patient.baseline_visit) in too_late
        else patient.baseline_visit
        for patient in patients.values()
        if patient.baseline_visit
    }
    detect_events = study_settings.limits.detect_events
    kinetic = study_settings.kinetics
    reagents = {tube.identity.tube_sha256: tube.identity.car_reagent or "" for tube in tubes}
    return ParameterSettings(
        study_settings.recovery,
        offsets,
        baselines,
        detect_events,
        kinetic.nca,
        kinetic.biexponential,
        reagents,
    )


def counted_tubes(
    snapshot: StudySnapshot,
    patient: str | None = None,
    *,
    reference_sets: Mapping[str, str] | None = None,
    bead_rates: Mapping[str, float] | None = None,
    corrected: bool = True,
) -> list[TubeCounts]:
    """Give the counts of a study's tubes (or one patient's), with the flags of the sheets.

    ``reference_sets`` (of ``tasks.tubes.reference_tubes``) and ``bead_rates``, what batches let
    expect, are handed in where they are known: to find them takes a look at all tubes of the study.
    ``corrected`` False gives the counts without what persons corrected.
    """
    only = None if bead_rates is None else patient
    with snapshot.study.store() as store:
        if reference_sets is None:
            reference_sets = current_reference_sets(snapshot, store)
        known = taken_in(store, patient=only)
        counted = tube_counts(
            store,
            snapshot.versions(),
            patient=only,
            reference_sets=reference_sets,
            panels=snapshot.panel_contents(),
            calibrations=snapshot.calibrations(known),
            known=known,
            corrected=corrected,
        )
    return flagged_tubes(snapshot, counted, known, patient, bead_rates=bead_rates)


def flagged_tubes(
    snapshot: StudySnapshot,
    counted: Sequence[TubeCounts],
    known: Sequence[Tube],
    patient: str | None = None,
    *,
    bead_rates: Mapping[str, float] | None = None,
) -> list[TubeCounts]:
    """Give counts, read or made just now, with what calibrations, beads and sheets say of them.

    ``known`` are the tubes as they are in the ledger; with ``patient`` only that patient's are
    given. ``bead_rates`` as for ``counted_tubes``.
    """
    expected = expected_bead_rates(counted) if bead_rates is None else bead_rates
    rated = with_bead_rates(with_calibration_flags(snapshot, counted, known), expected)
    chosen = [tube for tube in rated if patient is None or tube.identity.patient == patient]
    return with_instrument_names(with_series_flags(chosen, snapshot.exposures), known)
